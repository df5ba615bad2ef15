/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * link.h - the server that the store is at, as the monitor sees it.
 */
#ifndef CSWAPD_LINK_H
#define CSWAPD_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "store/nbd_dial.h"
#include "store/store_files.h"
#include "store/store_nbd.h"

struct link {
	bool exists;			/* else the store isn't at a server */
	char path[STORE_NBD_PATH_BYTES];
	struct nbd_dial dial;
	struct store_server server;	/* for the worker: what the next one is born with */
};

void link_init(struct link *link, const struct conf *conf);

/* Connect, not before @at_ms: there's a worker to come. Without a server: nothing. */
void link_begin(struct link *link, uint64_t now_ms, uint64_t at_ms, bool anew);

/* Go on connecting. True, once: the next worker would have connections. */
bool link_run(struct link *link, uint64_t now_ms);

/* A worker is born, now; it was, and what it has isn't ours any more. */
void link_give(struct link *link);
void link_given(struct link *link);

/* In the worker: what isn't its. */
void link_forget(struct link *link);

/* A worker has changed its mind about the server: connect, or don't any more. */
void link_hear(struct link *link, uint64_t now_ms);

/* Did a worker end so because of its server? */
bool link_was_lost(const struct link *link, bool exited, int code);

#endif
