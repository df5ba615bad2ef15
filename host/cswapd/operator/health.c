// SPDX-License-Identifier: GPL-2.0-only
/*
 * health.c - what becomes of the store's files while a guest is served.
 *
 * Nothing of this is on the data path: a file is looked at now and then, and whenever an operator
 * asks. Errors of write-back would show nowhere else: tags are written through the page cache, and
 * if the write to the medium fails later no request reports the failure.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "health.h"
#include "common/clock.h"
#include "common/log.h"

#define LOOK_EVERY_MS 10000

static void tell_state(const char *name, enum store_state state)
{
	switch (state) {
	case STORE_WHOLE:
		log_notice("%s is back", name);
		break;
	case STORE_MOVED:
		log_warning("%s isn't the store's file any more; going on with the one that was: a later start needs it back there",
			    name);
		break;
	case STORE_DELETED:
		log_err("%s was removed; going on with it, but a later start won't find it: shut the guest down when you can",
			name);
		break;
	case STORE_CUT:
		log_err("%s was cut short or overwritten: the pages that were there are lost, and their loads fail; restart the guest",
			name);
		break;
	}
}

static void look_at_file(struct health *health, unsigned int which)
{
	const char *name = health->files->names.name[which];
	enum store_state state = store_files_state(health->files, which);
	int error = store_files_take_error(health->files, which);

	if (state == STORE_CUT)
		health->log->cut[which] = true;
	else if (health->log->cut[which])
		state = STORE_CUT;
	if (state != health->state[which])
		tell_state(name, state);
	health->state[which] = state;
	if (!error)
		return;
	health->log->errors_writeback++;
	log_err("%s: write-back failed: %s: pages that were stored may not open when they are read again; look at the disk",
		name, strerror(error));
}

void health_look(struct health *health)
{
	unsigned int i;

	for (i = 0; health->files && i < STORE_NUM_FILES; i++)
		look_at_file(health, i);
	health->look_at_ms = clock_now_ms() + LOOK_EVERY_MS;
}

void health_begin(struct health *health, const struct store_files *files,
		  struct health_log *log)
{
	unsigned int i;

	*health = (struct health) { .files = files, .log = log };
	for (i = 0; files && i < STORE_NUM_FILES; i++)
		if (!store_files_is_signed(files, i))
			log->cut[i] = true;
	health_look(health);
}

enum store_state health_state(const struct health *health)
{
	return health->state[0] > health->state[1] ? health->state[0] : health->state[1];
}

uint64_t health_server_away_ms(const struct health *health)
{
	const struct store_server *server = health->files ? health->files->server : NULL;
	uint64_t since, now = clock_now_ms();

	if (!server)
		return 0;
	since = __atomic_load_n(&server->log->away_since_ms, __ATOMIC_RELAXED);
	return since && since < now ? now - since : !!since;
}

bool health_measure(const struct health *health, uint64_t *occupied_bytes, uint64_t *free_bytes)
{
	const struct store_files *files = health->files;
	struct statfs fs;
	struct stat st;
	unsigned int i;

	*occupied_bytes = 0;
	if (!files || files->is_device || files->fd[STORE_DATA_FILE] < 0 ||
	    fstatfs(files->fd[STORE_DATA_FILE], &fs))
		return false;
	for (i = 0; i < STORE_NUM_FILES; i++)
		if (files->fd[i] >= 0 && !fstat(files->fd[i], &st))
			*occupied_bytes += (uint64_t)st.st_blocks * 512;
	/* What others than root may use. */
	*free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	return true;
}

int health_timeout_ms(const struct health *health)
{
	uint64_t now = clock_now_ms();

	if (!health->files)
		return -1;
	return now < health->look_at_ms ? (int)(health->look_at_ms - now) : 0;
}
