// SPDX-License-Identifier: GPL-2.0-only
/*
 * nbd_claim.c - which of several daemons has a guest's export: by words in front of its slots. No I/O.
 *
 * Theory of operation: where both daemons have one server, that server's count of connections is a lock, as it is
 * for workers that follow each other (nbd_dial.c). Where each has a server of its own in front of the same image (RBD,
 * another host's export), nothing but the image is common to them, and all that they can do there is to read and
 * write blocks. Each block is read and written as a whole, and a read gets what was written last before it.
 *
 * A guest's state carries a ticket, which is new each time that the guest leaves. Of the daemons that have the ticket
 * (two, if a snapshot is restored twice) at most one gets the export. They go through a door as in Lamport's fast
 * mutual exclusion: write DOOR, see that TAKER is free, write TAKER, see that DOOR is still theirs. The source has a
 * flag of its own, SOURCE. The source and the taker each write their word and then look at the other's; a daemon that
 * sees the other's word withdraws its own. A word that is written under another ticket says nothing.
 *
 * A daemon that loses at the door doesn't tidy up: it can't know whether TAKER is still its own word. So two that
 * come at once may both lose, and then no daemon has the export. Only a guest that was to run twice comes to that.
 *
 * A claim that was broken off by a death, of the same daemon, is begun again, and has the same end.
 *
 * A taker that never used the export gives it back: signs it as the source, then frees TAKER. If the taker dies on the
 * way, its next worker looks at what is there first: only a signature of the taker's, or a TAKER of this ticket, is left
 * to be changed. By then the source may have taken the export back, and left again, with another ticket.
 *
 * If the taker came by the server that the source has as well, and that server admits the source, then the taker has
 * no connection any more: it has died. Then the source takes the export back all the same, and signs it, so that the
 * taker's next worker finds that the export isn't its any more; then the source frees TAKER, so that the taker's next
 * worker has nothing to give back.
 */
#include <string.h>

#include "nbd_claim.h"

static const uint8_t nobody[STORE_TICKET_BYTES];

enum take_step {
	TAKE_SEES_SIGNATURE,
	TAKE_SEES_TAKER,
	TAKE_COMES,			/* to the door */
	TAKE_SEES_TAKER_AGAIN,
	TAKE_IS_TAKER,
	TAKE_SEES_DOOR,
	TAKE_SEES_SOURCE,
	TAKE_SIGNS,
	TAKE_LETS_GO,
};

enum back_step {
	BACK_FLAGS,
	BACK_SEES_TAKER,
	BACK_SEES_SIGNATURE,
	BACK_SIGNS,
	BACK_FREES_TAKER,
	BACK_LETS_GO,
};

enum give_step {
	GIVE_SEES_SIGNATURE,
	GIVE_SIGNS,
	GIVE_SEES_TAKER,		/* of an export that isn't signed as ours */
	GIVE_LETS_GO,
};

/* What each step does, and where. */
struct action {
	enum claim_place place;
	enum { READS, SAYS_ME, SAYS_NOBODY, SAYS_SOURCE } what;
};

static const struct action take_actions[] = {
	[TAKE_SEES_SIGNATURE] = { CLAIM_SIGNATURE, READS },
	[TAKE_SEES_TAKER] = { CLAIM_TAKER, READS },
	[TAKE_COMES] = { CLAIM_DOOR, SAYS_ME },
	[TAKE_SEES_TAKER_AGAIN] = { CLAIM_TAKER, READS },
	[TAKE_IS_TAKER] = { CLAIM_TAKER, SAYS_ME },
	[TAKE_SEES_DOOR] = { CLAIM_DOOR, READS },
	[TAKE_SEES_SOURCE] = { CLAIM_SOURCE, READS },
	[TAKE_SIGNS] = { CLAIM_SIGNATURE, SAYS_ME },
	[TAKE_LETS_GO] = { CLAIM_TAKER, SAYS_NOBODY },
};

static const struct action back_actions[] = {
	[BACK_FLAGS] = { CLAIM_SOURCE, SAYS_ME },
	[BACK_SEES_TAKER] = { CLAIM_TAKER, READS },
	[BACK_SEES_SIGNATURE] = { CLAIM_SIGNATURE, READS },
	[BACK_SIGNS] = { CLAIM_SIGNATURE, SAYS_ME },
	[BACK_FREES_TAKER] = { CLAIM_TAKER, SAYS_NOBODY },
	[BACK_LETS_GO] = { CLAIM_SOURCE, SAYS_NOBODY },
};

static const struct action give_actions[] = {
	[GIVE_SEES_SIGNATURE] = { CLAIM_SIGNATURE, READS },
	[GIVE_SIGNS] = { CLAIM_SIGNATURE, SAYS_SOURCE },
	[GIVE_SEES_TAKER] = { CLAIM_TAKER, READS },
	[GIVE_LETS_GO] = { CLAIM_TAKER, SAYS_NOBODY },
};

static const struct action *const actions[] = {
	[CLAIM_TAKES] = take_actions,
	[CLAIM_TAKES_BACK] = back_actions,
	[CLAIM_GIVES_BACK] = give_actions,
};

static bool is_same(const uint8_t *a, const uint8_t *b)
{
	return !memcmp(a, b, STORE_TICKET_BYTES);
}

/* Does it say something of this move? */
static bool is_taken(const struct claim *claim, const struct claim_word *word)
{
	return is_same(word->number, claim->ticket.number) && !is_same(word->who, nobody);
}

static bool is_mine(const struct claim *claim, const struct claim_word *word)
{
	return is_taken(claim, word) && is_same(word->who, claim->me.who);
}

static void take_done(struct claim *claim, const struct claim_word *word)
{
	switch ((enum take_step)claim->step) {
	case TAKE_SEES_SIGNATURE:
		if (!is_same(word->who, claim->ticket.id) && !is_same(word->who, claim->me.who))
			claim->verdict = CLAIM_LOST;
		break;
	case TAKE_SEES_TAKER:
	case TAKE_SEES_TAKER_AGAIN:
		if (is_mine(claim, word))
			claim->step = TAKE_SEES_DOOR - 1;
		else if (is_taken(claim, word))
			claim->verdict = CLAIM_LOST;
		break;
	case TAKE_SEES_DOOR:
		if (!is_mine(claim, word))
			claim->verdict = CLAIM_LOST;
		break;
	case TAKE_SEES_SOURCE:
		if (is_taken(claim, word))
			claim->step = TAKE_LETS_GO - 1;
		break;
	case TAKE_SIGNS:
		claim->verdict = CLAIM_WON;
		break;
	case TAKE_LETS_GO:
		claim->verdict = CLAIM_LOST;
		break;
	case TAKE_COMES:
	case TAKE_IS_TAKER:
		break;
	}
	claim->step++;
}

/* The writer of @word has died: this server's connections are ours. */
static bool has_died(const struct claim *claim, const struct claim_word *word)
{
	return !is_same(claim->me.server, nobody) && is_same(word->server, claim->me.server);
}

static void back_done(struct claim *claim, const struct claim_word *word)
{
	switch ((enum back_step)claim->step) {
	case BACK_SEES_TAKER:
		if (is_taken(claim, word))
			claim->step = (has_died(claim, word) ? BACK_SIGNS : BACK_LETS_GO) - 1;
		break;
	case BACK_SEES_SIGNATURE:
		if (is_same(word->who, claim->me.who))
			claim->verdict = CLAIM_WON;
		else
			claim->step = BACK_LETS_GO - 1;
		break;
	case BACK_FREES_TAKER:
		claim->verdict = CLAIM_WON;
		break;
	case BACK_LETS_GO:
		claim->verdict = CLAIM_LOST;
		break;
	case BACK_FLAGS:
	case BACK_SIGNS:
		break;
	}
	claim->step++;
}

static void give_done(struct claim *claim, const struct claim_word *word)
{
	switch ((enum give_step)claim->step) {
	case GIVE_SEES_SIGNATURE:
		if (!is_same(word->who, claim->me.who))
			claim->step = GIVE_SEES_TAKER - 1;
		break;
	case GIVE_SIGNS:
		claim->step = GIVE_LETS_GO - 1;
		break;
	case GIVE_SEES_TAKER:
		if (!is_mine(claim, word))
			claim->verdict = CLAIM_LOST;
		break;
	case GIVE_LETS_GO:
		claim->verdict = CLAIM_WON;
		break;
	}
	claim->step++;
}

void claim_begin(struct claim *claim, enum claim_role role, const struct store_ticket *ticket,
		 const uint8_t who[STORE_TICKET_BYTES], const uint8_t server[STORE_TICKET_BYTES])
{
	*claim = (struct claim) { .role = role, .ticket = *ticket };
	memcpy(claim->me.number, ticket->number, STORE_TICKET_BYTES);
	memcpy(claim->me.who, who, STORE_TICKET_BYTES);
	memcpy(claim->me.server, server, STORE_TICKET_BYTES);
}

enum claim_verdict claim_next(const struct claim *claim, enum claim_place *place, bool *writes,
			      struct claim_word *word)
{
	const struct action *action = &actions[claim->role][claim->step];

	if (claim->verdict != CLAIM_UNDER_WAY)
		return claim->verdict;
	*place = action->place;
	*writes = action->what != READS;
	*word = claim->me;
	if (action->what == SAYS_NOBODY)
		memset(word->who, 0, sizeof(word->who));
	if (action->what == SAYS_SOURCE)
		memcpy(word->who, claim->ticket.id, sizeof(word->who));
	return CLAIM_UNDER_WAY;
}

void claim_done(struct claim *claim, const struct claim_word *word)
{
	switch (claim->role) {
	case CLAIM_TAKES:
		take_done(claim, word);
		break;
	case CLAIM_TAKES_BACK:
		back_done(claim, word);
		break;
	case CLAIM_GIVES_BACK:
		give_done(claim, word);
		break;
	}
}
