// SPDX-License-Identifier: GPL-2.0-only
/*
 * link.c - the server that the store is at, as the monitor sees it.
 *
 * Theory of operation: a worker has its connections from its birth to its death, and no other
 * process has a copy of them, so that the server hears when the worker ends. So each worker needs new
 * connections. The monitor asks for them when the worker before dies. A worker that is born before
 * they are admitted has none, and answers the front end and the operator until they are admitted;
 * then the monitor ends it, and its successor has the connections and all that the worker had.
 *
 * When a guest moves, a worker says that it wants no connections any more, or that it wants some
 * again. The same is done then: connections come with the next worker.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "link.h"

void link_init(struct link *link, const struct conf *conf)
{
	struct nbd_want want = {
		.export_name = "",
		.bytes = STORE_DATA_OFFSET + conf->slots * STORE_SLOT_SIZE,
		.request_bytes = STORE_MAX_PAGES * STORE_SLOT_SIZE,
		.block_bytes = STORE_SLOT_SIZE,
	};

	memset(link, 0, sizeof(*link));
	memset(link->server.fd, -1, sizeof(link->server.fd));
	link->exists = store_nbd_is_name(conf->store_path) &&
		       store_nbd_parse(conf->store_path, link->path, &want.export_name);
	link->server.wake_fd = link->exists ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	link->server.count = conf->connections;
	link->server.lanes = conf->workers;
	nbd_dial_init(&link->dial, link->path, &want, conf->connections);
}

static bool is_wanted(const struct link *link)
{
	return link->exists &&
	       __atomic_load_n(&link->server.log->side, __ATOMIC_ACQUIRE) != SERVER_LEFT;
}

/*
 * Two daemons have one server if it's one socket, on one host, since one boot. Of the boot nothing may be known; a
 * unit says it otherwise (signature.c).
 */
static void identify_server(struct link *link)
{
	const char *told = getenv("CSWAPD_BOOT_ID");
	uint64_t socket[2];
	struct stat st;
	sd_id128_t id;
	unsigned int i;

	memset(link->server.id, 0, sizeof(link->server.id));
	if ((sd_id128_get_boot(&id) < 0 && (!told || sd_id128_from_string(told, &id) < 0)) ||
	    stat(link->path, &st))
		return;
	socket[0] = st.st_dev;
	socket[1] = st.st_ino;
	memcpy(link->server.id, socket, sizeof(socket));
	for (i = 0; i < sizeof(id.bytes); i++)
		link->server.id[i] ^= id.bytes[i];
}

void link_begin(struct link *link, uint64_t now_ms, uint64_t at_ms, bool anew)
{
	struct store_server_log *log = link->server.log;

	if (!is_wanted(link))
		return;
	if (!log->away_since_ms)
		log->away_since_ms = now_ms;
	nbd_dial_begin(&link->dial, at_ms, anew);
}

bool link_run(struct link *link, uint64_t now_ms)
{
	return link->exists && link->dial.state != DIAL_ADMITTED &&
	       nbd_dial_run(&link->dial, now_ms);
}

void link_give(struct link *link)
{
	if (!link->exists || link->dial.state != DIAL_ADMITTED)
		return;
	if (!is_wanted(link)) {
		nbd_dial_end(&link->dial);
		return;
	}
	identify_server(link);
	memcpy(link->server.fd, link->dial.fd, sizeof(link->server.fd));
	link->server.flags = link->dial.flags;
}

void link_given(struct link *link)
{
	memset(link->server.fd, -1, sizeof(link->server.fd));
	if (link->exists && link->dial.state == DIAL_ADMITTED)
		nbd_dial_end(&link->dial);
}

void link_hear(struct link *link, uint64_t now_ms)
{
	uint64_t unused;

	(void)!read(link->server.wake_fd, &unused, sizeof(unused));
	if (!is_wanted(link) && link->dial.state != DIAL_ADMITTED) {
		nbd_dial_end(&link->dial);
		link->server.log->away_since_ms = 0;
	} else if (is_wanted(link) && link->dial.state == DIAL_OFF) {
		link_begin(link, now_ms, now_ms, false);
	}
}

void link_forget(struct link *link)
{
	if (link->exists && link->dial.state != DIAL_ADMITTED)
		nbd_dial_end(&link->dial);
}

bool link_was_lost(const struct link *link, bool exited, int code)
{
	return link->exists && exited &&
	       (code == STORE_EXIT_LOST || code == STORE_EXIT_UNFIT);
}
