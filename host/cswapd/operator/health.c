// SPDX-License-Identifier: GPL-2.0-only
/*
 * health.c - what becomes of the store's files while a guest is served.
 *
 * Nothing of this is on the data path: a file is looked at now and then, and whenever an operator
 * asks. Errors of write-back would show nowhere else: tags are written through the page cache, and
 * if the write to the medium fails later no request reports the failure.
 *
 * A file system whose server is away (NFS) answers none of these questions, and a thread that has asked can't be
 * interrupted. So a thread of its own looks, and does nothing else; the other threads have what it saw last, and for
 * how long it has waited. When the process ends, a thread that waits is left to the kernel, which ends it with the
 * process.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "health.h"
#include "common/clock.h"
#include "common/log.h"

#define LOOK_EVERY_MS 10000
/* An operator is told what is there now, if the file system answers within this time. */
#define MOMENT_MS 10

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

static enum store_state look_at_file(const struct health *health, unsigned int which, enum store_state before)
{
	const char *name = health->files->names.name[which];
	enum store_state state = store_files_state(health->files, which);
	int error = store_files_take_error(health->files, which);

	if (state == STORE_CUT)
		health->log->cut[which] = true;
	else if (health->log->cut[which])
		state = STORE_CUT;
	if (state != before)
		tell_state(name, state);
	if (!error)
		return state;
	health->log->errors_writeback++;
	log_err("%s: write-back failed: %s: pages that were stored may not open when they are read again; look at the disk",
		name, strerror(error));
	return state;
}

/* What the files occupy, and what their file system has left. */
static void measure(const struct store_files *files, struct health_view *view)
{
	struct statfs fs;
	struct stat st;
	unsigned int i;

	view->occupied_bytes = 0;
	view->measured = !files->is_device && files->fd[STORE_DATA_FILE] >= 0 &&
			 !fstatfs(files->fd[STORE_DATA_FILE], &fs);
	if (!view->measured)
		return;
	for (i = 0; i < STORE_NUM_FILES; i++)
		if (files->fd[i] >= 0 && !fstat(files->fd[i], &st))
			view->occupied_bytes += (uint64_t)st.st_blocks * 512;
	/* What others than root may use. */
	view->free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
}

/* --- the thread that looks --- */

/* May wait for the file system, so without the lock. @view: what was seen last. */
static struct health_view look(struct health *health, struct health_view view)
{
	unsigned int i;

	for (i = 0; i < STORE_NUM_FILES; i++)
		view.state[i] = look_at_file(health, i, view.state[i]);
	view.errors_writeback = health->log->errors_writeback;
	measure(health->files, &view);
	__atomic_store_n(&health->room.free_bytes, view.measured ? view.free_bytes : UINT64_MAX,
			 __ATOMIC_RELAXED);
	return view;
}

static struct timespec in_ms(unsigned int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

/* Until it's time to look, or another thread asks for that. */
static void wait_for_word(struct health *health)
{
	const struct timespec until = in_ms(LOOK_EVERY_MS);

	while (sem_clockwait(&health->room.asked, CLOCK_MONOTONIC, &until) && errno == EINTR)
		;
	/* One look is an answer to all. */
	while (!sem_trywait(&health->room.asked))
		;
}

static void *keep_looking(void *arg)
{
	struct health *health = arg;
	struct health_view view = health->view;

	pthread_setname_np(pthread_self(), "health");
	for (;;) {
		wait_for_word(health);
		pthread_mutex_lock(&health->lock);
		if (health->quit)
			break;
		health->begun++;
		health->begun_ms = clock_now_ms();
		pthread_mutex_unlock(&health->lock);
		view = look(health, view);
		pthread_mutex_lock(&health->lock);
		health->view = view;
		health->ended = health->begun;
		pthread_cond_broadcast(&health->looked);
		pthread_mutex_unlock(&health->lock);
	}
	pthread_mutex_unlock(&health->lock);
	return NULL;
}

/* --- the caller's interface --- */

void health_begin(struct health *health, const struct store_files *files,
		  struct health_log *log)
{
	unsigned int i;

	*health = (struct health) {
		.files = files, .log = log, .lock = PTHREAD_MUTEX_INITIALIZER, .looked = PTHREAD_COND_INITIALIZER,
	};
	sem_init(&health->room.asked, 0, 0);
	for (i = 0; i < STORE_NUM_FILES; i++)
		if (!store_files_is_signed(files, i))
			log->cut[i] = true;
	health->view = look(health, health->view);
}

bool health_start(struct health *health)
{
	int error = pthread_create(&health->thread, NULL, keep_looking, health);

	if (error)
		log_err("can't start a thread: %s", strerror(error));
	health->runs = !error;
	return !error;
}

/* Until look number @number has ended, or for a moment. Under the lock. */
static bool wait_for_look(struct health *health, uint64_t number)
{
	const struct timespec until = in_ms(MOMENT_MS);

	while (health->ended < number)
		if (pthread_cond_clockwait(&health->looked, &health->lock, CLOCK_MONOTONIC, &until))
			return false;
	return true;
}

/* Under the lock: how long it is that a look has begun, which hasn't ended. */
static uint64_t waits_ms(const struct health *health)
{
	uint64_t now = clock_now_ms();

	if (health->begun == health->ended)
		return 0;
	return now > health->begun_ms ? now - health->begun_ms : 1;
}

void health_end(struct health *health)
{
	bool idle;

	if (!health->runs)
		return;
	pthread_mutex_lock(&health->lock);
	health->quit = true;
	sem_post(&health->room.asked);
	idle = wait_for_look(health, health->begun);
	pthread_mutex_unlock(&health->lock);
	if (idle)
		pthread_join(health->thread, NULL);
	health->runs = false;
}

struct health_view health_get(struct health *health)
{
	struct health_view view;

	if (!health->runs)
		return health->view;
	pthread_mutex_lock(&health->lock);
	sem_post(&health->room.asked);
	/* Nobody waits for a file system that is known not to answer. */
	if (waits_ms(health) < MOMENT_MS)
		wait_for_look(health, health->begun + 1);
	view = health->view;
	view.waits_ms = waits_ms(health);
	pthread_mutex_unlock(&health->lock);
	return view;
}

enum store_state health_state(const struct health_view *view)
{
	return view->state[0] > view->state[1] ? view->state[0] : view->state[1];
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
