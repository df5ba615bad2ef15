/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nbd_dial.h - connections to a server, until all of them are admitted.
 */
#ifndef CSWAPD_NBD_DIAL_H
#define CSWAPD_NBD_DIAL_H

#include <poll.h>

#include "nbd_hello.h"
#include "store.h"

enum nbd_dial_state {
	DIAL_OFF,			/* nobody wants any */
	DIAL_WAITS,			/* to try again */
	DIAL_ASKS,			/* there are some that the server hasn't admitted */
	DIAL_PROBES,			/* all are admitted: is one too many, too? */
	DIAL_ADMITTED,			/* all are, and no other */
};

struct nbd_dial {
	const char *path;
	struct nbd_want want;
	unsigned int count;		/* connections that are wanted */
	enum nbd_dial_state state;
	bool proven;			/* this server admits no more: asked since it came */
	const char *told;		/* what is wrong with it, as the log has it; NULL: nothing */
	uint16_t flags;			/* ADMITTED: of the export */
	int fd[STORE_MAX_CONNECTIONS + 1]; /* -1: none; the last is the probe */
	struct nbd_hello hello[STORE_MAX_CONNECTIONS + 1];
	uint64_t at_ms;			/* when there's something to do again, without a word */
	uint64_t give_up_ms;
};

/* @path and the name in @want stay the caller's. */
void nbd_dial_init(struct nbd_dial *dial, const char *path, const struct nbd_want *want,
		   unsigned int count);

/* They are wanted, not before @at_ms. @anew: the server may be another one by now. */
void nbd_dial_begin(struct nbd_dial *dial, uint64_t at_ms, bool anew);

/* Do what there is to do. Nothing here waits. True: all are ADMITTED. */
bool nbd_dial_run(struct nbd_dial *dial, uint64_t now_ms);

/* What it waits for: up to STORE_MAX_CONNECTIONS + 1 of @fds. */
unsigned int nbd_dial_poll(const struct nbd_dial *dial, struct pollfd *fds);
/* When it's time to run again anyway; UINT64_MAX: never. */
uint64_t nbd_dial_next_ms(const struct nbd_dial *dial);

/* Close our copies: somebody else has them, or nobody wants them. OFF. */
void nbd_dial_end(struct nbd_dial *dial);

#endif
