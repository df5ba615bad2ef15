// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor_kept.c - what of a guest outlives its workers, and under systemd the monitor: the connection, the
 * descriptors that came by it, the state, the store's files.
 *
 * Theory of operation: when the monitor starts, it finds all of this in systemd's descriptor store, or makes it.
 * The monitor goes on with what it has found if the options are those of before and the store is the same one. If
 * they aren't, it drops what it has found, unless a guest is attached: the guest would lose its pages, so the
 * monitor ends instead, and leaves what it has found for a start with the right options.
 *
 * The worker knows descriptors by keys, each of which has a meaning: the third region's, a ring's kick. Several may be
 * of one open file: a VMM shows one memory backend as several regions. systemd keeps an open file once, by the first
 * name that it hears. So the names are the files', a new one for each file, and the state says which keys have the
 * file of which name. A name says the same as long as anything is kept: so the monitor may be killed between any two
 * messages to systemd, and the next one takes no file for another. New files are told before the state that has them
 * counts, and a file is dropped after the last state that has it has ceased to count.
 *
 * What the state names and systemd doesn't have is lost. The guest can't go on then: nobody serves a part of its memory,
 * or of its rings. Its connection is ended, by which the VMM hears of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor_parts.h"

/* Of a number. */
#define FILE_NAME_BYTES 24
/* So long the next worker waits for a server. */
#define SERVER_PAUSE_MS 100

/* Of the connection, the state, the store, and all that is kept. */
_Static_assert(VHOST_USER_MAX_FDS + VU_MAX_FDS + 2 + STORE_NUM_FILES <= FDSTORE_MAX,
	       "systemd is to keep it all, also before a message's old ones are dropped");

static void store_fd(const struct monitor *monitor, const char *name, int fd)
{
	if (!monitor->store_fds)
		return;
	if (fd >= 0)
		fdstore_keep(name, fd);
	else
		fdstore_drop(name);
}

/* --- the front end's descriptors --- */

void monitor_keep_none(struct monitor *monitor)
{
	unsigned int i;

	for (i = 0; i < FDSTORE_MAX; i++)
		monitor->kept[i].fd = -1;
	memset(monitor->kept_at, -1, sizeof(monitor->kept_at));
}

static void name_file(const struct kept_file *file, char text[FILE_NAME_BYTES])
{
	snprintf(text, FILE_NAME_BYTES, "%" PRIu64, file->name);
}

/* Where it is; -1: nowhere. */
static int find_name(const struct monitor *monitor, uint64_t name)
{
	int i;

	for (i = 0; i < FDSTORE_MAX; i++)
		if (monitor->kept[i].fd >= 0 && monitor->kept[i].name == name)
			return i;
	return -1;
}

static int find_free(const struct monitor *monitor)
{
	int i = 0;

	while (i < FDSTORE_MAX && monitor->kept[i].fd >= 0)
		i++;
	return i < FDSTORE_MAX ? i : -1;
}

static int find_same(const struct monitor *monitor, int fd)
{
	int i;

	for (i = 0; i < FDSTORE_MAX; i++)
		if (monitor->kept[i].fd >= 0 && fdstore_is_same(monitor->kept[i].fd, fd))
			return i;
	return -1;
}

/* A worker can write to the state, so that isn't relied on. */
static uint64_t new_name(const struct monitor *monitor)
{
	uint64_t name = monitor->state->last_name;

	do {
		name++;
	} while (!name || find_name(monitor, name) >= 0);
	monitor->state->last_name = name;
	return name;
}

static int keep_new(struct monitor *monitor, int fd)
{
	int at = find_free(monitor);
	struct kept_file *file = &monitor->kept[at];
	char name[FILE_NAME_BYTES];

	*file = (struct kept_file) {
		.fd = fd,
		.name = new_name(monitor),
		.is_stored = monitor->store_fds,
	};
	name_file(file, name);
	if (file->is_stored)
		fdstore_keep(name, fd);
	return at;
}

void monitor_keep_fd(struct monitor *monitor, unsigned int key, int fd)
{
	int at = fd >= 0 ? find_same(monitor, fd) : -1;

	if (at >= 0)
		close(fd);
	else if (fd >= 0)
		at = keep_new(monitor, fd);
	monitor->kept_at[key] = at;
}

static void drop_file(struct kept_file *file)
{
	char name[FILE_NAME_BYTES];

	name_file(file, name);
	if (file->is_stored)
		fdstore_drop(name);
	close(file->fd);
	file->fd = -1;
}

/* What no key has. */
static void drop_unused(struct monitor *monitor)
{
	bool used[FDSTORE_MAX] = { false };
	unsigned int i;

	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		if (monitor->kept_at[i] >= 0)
			used[monitor->kept_at[i]] = true;
	for (i = 0; i < FDSTORE_MAX; i++)
		if (monitor->kept[i].fd >= 0 && !used[i])
			drop_file(&monitor->kept[i]);
}

void monitor_keep_state(struct monitor *monitor)
{
	uint32_t other = !monitor->state->active;
	unsigned int i;

	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		monitor->state->kept_as[other][i] =
			monitor->kept_at[i] < 0 ? 0 : monitor->kept[monitor->kept_at[i]].name;
	monitor->state->active = other;
	drop_unused(monitor);
}

int monitor_kept_fd(const struct monitor *monitor, unsigned int key)
{
	int at = monitor->kept_at[key];

	return at < 0 ? -1 : monitor->kept[at].fd;
}

bool monitor_give_fds(struct monitor *monitor, int fd[VHOST_USER_MAX_FDS])
{
	unsigned int i, users[FDSTORE_MAX] = { 0 };

	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		if (monitor->kept_at[i] >= 0)
			users[monitor->kept_at[i]]++;
	for (i = 0; i < VHOST_USER_MAX_FDS; i++) {
		fd[i] = monitor_kept_fd(monitor, i);
		/* The last one takes the file's own. */
		if (fd[i] < 0 || !--users[monitor->kept_at[i]])
			continue;
		fd[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 0);
		if (fd[i] >= 0)
			continue;
		log_err("too many descriptors for a worker: %s: raise RLIMIT_NOFILE (LimitNOFILE= of the unit)",
			strerror(errno));
		return false;
	}
	return true;
}

/* --- the connection --- */

void monitor_tell_status(const struct monitor *monitor)
{
	fdstore_tell(monitor->front_end >= 0 ? "STATUS=A VMM is connected" :
					       "STATUS=No VMM is connected");
}

void monitor_keep_front_end(struct monitor *monitor, int fd)
{
	if (monitor->front_end >= 0)
		close(monitor->front_end);
	monitor->front_end = fd;
	store_fd(monitor, "front-end", fd);
	monitor_tell_status(monitor);
}

/* --- what another monitor left --- */

static const char *const file_names[STORE_NUM_FILES] = { "data", "tags" };

static void found_file(struct monitor *monitor, uint64_t name, int fd)
{
	int at = find_name(monitor, name) < 0 ? find_free(monitor) : -1;

	if (at < 0)
		close(fd);
	else
		monitor->kept[at] = (struct kept_file) { .fd = fd, .name = name, .is_stored = true };
}

void monitor_found_fd(void *context, const char *name, int fd)
{
	struct monitor *monitor = context;
	uint64_t number;
	char *end;

	number = strtoull(name, &end, 10);
	if (!strcmp(name, "state") && monitor->state_fd < 0)
		monitor->state_fd = fd;
	else if (!strcmp(name, "front-end") && monitor->front_end < 0)
		monitor->front_end = fd;
	else if (!strcmp(name, file_names[STORE_DATA_FILE]) &&
		 monitor->kept_file[STORE_DATA_FILE] < 0)
		monitor->kept_file[STORE_DATA_FILE] = fd;
	else if (!strcmp(name, file_names[STORE_TAGS_FILE]) &&
		 monitor->kept_file[STORE_TAGS_FILE] < 0)
		monitor->kept_file[STORE_TAGS_FILE] = fd;
	else if (end != name && !*end)
		found_file(monitor, number, fd);
	else
		close(fd);
}

static void drop_found(struct monitor *monitor, const char *why)
{
	unsigned int i;

	log_warning("not going on from what an earlier daemon left: %s", why);
	if (monitor->state)
		munmap(monitor->state, sizeof(*monitor->state));
	monitor->state = NULL;
	close(monitor->state_fd);
	monitor->state_fd = -1;
	fdstore_drop("state");
	monitor_keep_front_end(monitor, -1);
	drop_unused(monitor);
	for (i = 0; i < STORE_NUM_FILES; i++) {
		if (monitor->kept_file[i] < 0)
			continue;
		close(monitor->kept_file[i]);
		monitor->kept_file[i] = -1;
		fdstore_drop(file_names[i]);
	}
	/* A block device is free only when systemd doesn't hold it either. */
	fdstore_finish();
}

/* Is there a guest that would lose its pages without the state that was found? */
static bool guest_waits(const struct monitor *monitor)
{
	struct pollfd front_end = { .fd = monitor->front_end };

	return monitor->front_end >= 0 &&
	       monitor->state->front[monitor->state->active].connected &&
	       poll(&front_end, 1, 0) == 0;
}

static struct store_request request_of(struct monitor *monitor)
{
	const struct conf *conf = monitor->config->conf;

	return (struct store_request) {
		.data_path = conf->store_path,
		.tags_path = conf->tags_path,
		.slots = conf->slots,
		.format = conf->format,
		.incoming = conf->incoming,
		.user = conf->socket_path,
		.server = &monitor->link.server,
	};
}

/* The same options, the same store? Otherwise @wrong says what differs. */
static bool state_fits(struct monitor *monitor, char wrong[STORE_WRONG_BYTES])
{
	const struct conf *conf = monitor->config->conf;
	const struct store_request request = request_of(monitor);
	const struct keep_state *state = monitor->state;
	const char *option = keep_find_difference(state, conf);

	if (!option && !conf->store_path)
		option = "--store";
	if (!option)
		return store_files_go_on(&monitor->files, &request, &state->kind.store,
					 &state->names, monitor->kept_file, wrong);
	snprintf(wrong, STORE_WRONG_BYTES, "%s isn't what it was", option);
	return false;
}

/* Each key has the file that the state names. */
static void take_files(struct monitor *monitor)
{
	const uint64_t *name = monitor->state->kept_as[monitor->state->active];
	unsigned int i, named = 0, lost = 0;

	for (i = 0; i < VHOST_USER_MAX_FDS; i++) {
		monitor->kept_at[i] = name[i] ? find_name(monitor, name[i]) : -1;
		named += !!name[i];
		lost += name[i] && monitor->kept_at[i] < 0;
	}
	drop_unused(monitor);
	if (!lost || !guest_waits(monitor))
		return;
	log_err("the guest that is attached is given up: systemd kept %u of its %u descriptors. See that FileDescriptorStoreMax= is the unit's; if the VMM doesn't connect again, restart the guest",
		named - lost, named);
	shutdown(monitor->front_end, SHUT_RDWR);
}

/* False: the end, and what was found stays where it is, for a better start. */
static bool take_found(struct monitor *monitor)
{
	char wrong[STORE_WRONG_BYTES];

	monitor->state = keep_map(monitor->state_fd);
	if (!monitor->state) {
		drop_found(monitor, "it was another version; its front end is dropped");
		return true;
	}
	if (state_fits(monitor, wrong)) {
		log_notice("going on where another daemon ended");
		take_files(monitor);
		return true;
	}
	if (!guest_waits(monitor)) {
		drop_found(monitor, wrong);
		return true;
	}
	log_err("the guest that is attached can't go on: %s. Start with the options of before and it goes on; or stop the unit, and the guest is given up",
		wrong);
	return false;
}

/* Those that aren't yet where the next monitor finds them. */
static void keep_files(const struct monitor *monitor)
{
	unsigned int i;

	for (i = 0; i < STORE_NUM_FILES; i++)
		if (monitor->files.fd[i] >= 0 && monitor->kept_file[i] < 0)
			store_fd(monitor, file_names[i], monitor->files.fd[i]);
}

bool monitor_open_state(struct monitor *monitor)
{
	const struct conf *conf = monitor->config->conf;
	const struct store_request request = request_of(monitor);

	/* Anonymous memory isn't kept: without its pages the rest is worth nothing. */
	monitor->store_fds = conf->store_path && fdstore_exists();
	if (monitor->state_fd >= 0 && !take_found(monitor))
		return false;
	if (monitor->state) {
		keep_files(monitor);
		return true;
	}
	drop_unused(monitor);
	if (conf->store_path && !store_files_open(&monitor->files, &request))
		return false;
	monitor->state = keep_create(conf, conf->store_path ? &monitor->files : NULL,
				     &monitor->state_fd);
	if (!monitor->state)
		return false;
	store_fd(monitor, "state", monitor->state_fd);
	keep_files(monitor);
	return true;
}

void monitor_find_server(struct monitor *monitor, uint64_t start_ms, uint64_t at_ms, bool anew)
{
	if (!monitor->link.exists || monitor->state->server.side == SERVER_LEFT)
		return;
	link_begin(&monitor->link, clock_now_ms(), at_ms, anew);
	monitor->start_at_ms = start_ms + SERVER_PAUSE_MS;
}

bool monitor_open_store(struct monitor *monitor)
{
	const struct conf *conf = monitor->config->conf;

	monitor->store = store_open(conf->store_path ? &monitor->files : NULL,
				    conf->slots);
	monitor->link.server.log = &monitor->state->server;
	monitor_find_server(monitor, clock_now_ms(), clock_now_ms(), true);
	return monitor->store;
}
