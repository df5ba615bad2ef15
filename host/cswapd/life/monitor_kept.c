// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor_kept.c - what of a guest outlives its workers, and under systemd the monitor: the connection, the
 * descriptors that came by it, the state, the store's files.
 *
 * Theory of operation: when the monitor starts, it finds all of this in systemd's descriptor store, or makes it.
 * The monitor goes on with what it has found if the options are those of before and the store is the same one. If
 * they aren't, it drops what it has found, unless a guest is attached: the guest would lose its pages, so the
 * monitor ends instead, and leaves what it has found for a start with the right options.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fdstore.h"
#include "monitor_parts.h"

/* So long the next worker waits for a server. */
#define SERVER_PAUSE_MS 100

/* Of the connection, the state, the store, and all that is kept. */
_Static_assert(VHOST_USER_MAX_FDS + 2 + STORE_NUM_FILES <= FDSTORE_MAX,
	       "systemd is to keep it all");

static void store_fd(const struct monitor *monitor, const char *name, int fd)
{
	if (!monitor->store_fds)
		return;
	if (fd >= 0)
		fdstore_keep(name, fd);
	else
		fdstore_drop(name);
}

void monitor_keep_fd(struct monitor *monitor, unsigned int key, int fd)
{
	char name[16];

	if (monitor->kept[key] >= 0)
		close(monitor->kept[key]);
	monitor->kept[key] = fd;
	snprintf(name, sizeof(name), "%u", key);
	store_fd(monitor, name, fd);
}

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

static const char *const file_names[STORE_NUM_FILES] = { "data", "tags" };

void monitor_found_fd(void *context, const char *name, int fd)
{
	struct monitor *monitor = context;
	unsigned long key;
	char *end;

	key = strtoul(name, &end, 10);
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
	else if (end != name && !*end && key < VHOST_USER_MAX_FDS &&
		 monitor->kept[key] < 0)
		monitor->kept[key] = fd;
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
	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		if (monitor->kept[i] >= 0)
			monitor_keep_fd(monitor, i, -1);
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
