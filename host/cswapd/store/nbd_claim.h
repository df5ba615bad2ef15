/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nbd_claim.h - which of several daemons has a guest's export: by words in front of its slots. No I/O.
 */
#ifndef CSWAPD_NBD_CLAIM_H
#define CSWAPD_NBD_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

/* Blocks of the export, from its beginning. */
enum claim_place {
	CLAIM_SIGNATURE,		/* the store's (store_files.h) */
	CLAIM_SOURCE,			/* the source takes the export back */
	CLAIM_DOOR,			/* who of those that want it came last */
	CLAIM_TAKER,			/* who has it */
	NUM_CLAIM_PLACES
};

/* What such a block says. The signature is @who alone: 0 if there is none. */
struct claim_word {
	uint8_t number[STORE_TICKET_BYTES]; /* of the move that it's about */
	uint8_t who[STORE_TICKET_BYTES]; /* 0: nobody */
	uint8_t server[STORE_TICKET_BYTES]; /* by which it was written; 0: unknown */
};

enum claim_role {
	CLAIM_TAKES,			/* a guest comes here */
	CLAIM_TAKES_BACK,		/* it doesn't leave */
	CLAIM_GIVES_BACK,		/* it came, and never ran here; LOST: there's nothing left to give */
};

enum claim_verdict { CLAIM_UNDER_WAY, CLAIM_WON, CLAIM_LOST };

struct claim {
	enum claim_role role;
	struct store_ticket ticket;
	struct claim_word me;
	unsigned int step;
	enum claim_verdict verdict;
};

/* @who and @server as in struct claim_word. */
void claim_begin(struct claim *claim, enum claim_role role, const struct store_ticket *ticket,
		 const uint8_t who[STORE_TICKET_BYTES], const uint8_t server[STORE_TICKET_BYTES]);

/* UNDER_WAY: what is to be read, or with *@writes to be written, next. */
enum claim_verdict claim_next(const struct claim *claim, enum claim_place *place, bool *writes,
			      struct claim_word *word);

/* It was; @word is what was read. */
void claim_done(struct claim *claim, const struct claim_word *word);

#endif
