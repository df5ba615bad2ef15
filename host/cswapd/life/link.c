// SPDX-License-Identifier: GPL-2.0-only
/*
 * link.c - the server that the store is at, as the monitor sees it.
 *
 * Theory of operation: connections belong to a worker from its birth to its death, and
 * nobody else has a copy: its end is what the server hears. So each worker needs new ones.
 * They are asked for at the death of the one before; a worker that is born before they are
 * admitted has none, and answers the front end and the operator until there are some.
 * Then it's in the way, and its successor has all that it had.
 */
#include <string.h>

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
	link->server.count = conf->connections;
	link->server.lanes = conf->workers;
	nbd_dial_init(&link->dial, link->path, &want, conf->connections);
}

void link_begin(struct link *link, uint64_t now_ms, uint64_t at_ms, bool anew)
{
	struct store_server_log *log = link->server.log;

	if (!link->exists)
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
	memcpy(link->server.fd, link->dial.fd, sizeof(link->server.fd));
	link->server.flags = link->dial.flags;
}

void link_given(struct link *link)
{
	memset(link->server.fd, -1, sizeof(link->server.fd));
	if (link->exists && link->dial.state == DIAL_ADMITTED)
		nbd_dial_end(&link->dial);
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
