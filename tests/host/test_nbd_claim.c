// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_nbd_claim.c - daemons that want one export at once, in every order of what they read and write: one at most
 * gets it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "store/nbd_claim.h"

#define MAX_DAEMONS 3

/* All there is: the export's words, and how far each daemon is. Small, so that it's copied at each fork. */
struct world {
	struct claim_word word[NUM_CLAIM_PLACES];
	struct claim claim[MAX_DAEMONS];
	unsigned int deaths[MAX_DAEMONS]; /* that may still happen to it */
};

struct tally {
	unsigned int daemons;
	unsigned long ends, nobody;
	bool somebody_wins;		/* in every order */
};

static const struct store_ticket ticket = { .id = "source", .number = "this move" };
static const char *const names[MAX_DAEMONS] = { "source", "taker", "twin" };
static uint8_t servers[MAX_DAEMONS][STORE_TICKET_BYTES];

static void begin_with(struct world *world, unsigned int which, enum claim_role role,
		       const struct store_ticket *with)
{
	uint8_t who[STORE_TICKET_BYTES] = { 0 };

	strcpy((char *)who, names[which]);
	claim_begin(&world->claim[which], role, with, who, servers[which]);
}

static void begin(struct world *world, unsigned int which, enum claim_role role)
{
	begin_with(world, which, role, &ticket);
}

static struct world new_world(void)
{
	struct world world = { 0 };
	unsigned int i;

	memcpy(world.word[CLAIM_SIGNATURE].who, ticket.id, sizeof(ticket.id));
	/* An earlier move's words say nothing. */
	for (i = CLAIM_SOURCE; i < NUM_CLAIM_PLACES; i++)
		strcpy((char *)world.word[i].who, "somebody");
	for (i = 0; i < MAX_DAEMONS; i++)
		snprintf((char *)servers[i], sizeof(servers[i]), "server %u", i);
	return world;
}

static enum claim_verdict step(struct world *world, unsigned int which)
{
	struct claim *claim = &world->claim[which];
	enum claim_place place;
	struct claim_word word;
	bool writes;

	if (claim_next(claim, &place, &writes, &word) != CLAIM_UNDER_WAY)
		return claim->verdict;
	if (writes)
		world->word[place] = word;
	claim_done(claim, &world->word[place]);
	return claim->verdict;
}

static enum claim_verdict run(struct world *world, unsigned int which, enum claim_role role)
{
	begin(world, which, role);
	while (step(world, which) == CLAIM_UNDER_WAY)
		continue;
	return world->claim[which].verdict;
}

static void count_end(const struct world *world, struct tally *tally)
{
	unsigned int i, winners = 0;

	for (i = 0; i < tally->daemons; i++)
		winners += world->claim[i].verdict == CLAIM_WON;
	assert_in_range(winners, tally->somebody_wins, 1);
	tally->ends++;
	tally->nobody += !winners;
}

/* Whoever may go on does; and, if it may, dies and begins again. */
static void explore(const struct world *world, struct tally *tally)
{
	bool over = true;
	unsigned int i;

	for (i = 0; i < tally->daemons; i++) {
		struct world next = *world;

		if (world->claim[i].verdict != CLAIM_UNDER_WAY)
			continue;
		over = false;
		step(&next, i);
		explore(&next, tally);
		if (!world->deaths[i] || !world->claim[i].step)
			continue;
		next = *world;
		next.deaths[i]--;
		begin(&next, i, world->claim[i].role);
		explore(&next, tally);
	}
	if (over)
		count_end(world, tally);
}

static void alone(void **state)
{
	struct world world = new_world();

	(void)state;
	assert_int_equal(run(&world, 1, CLAIM_TAKES), CLAIM_WON);
	/* Again, as after a death. */
	assert_int_equal(run(&world, 1, CLAIM_TAKES), CLAIM_WON);
	assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_LOST);
	assert_int_equal(run(&world, 2, CLAIM_TAKES), CLAIM_LOST);
	assert_int_equal(run(&world, 1, CLAIM_GIVES_BACK), CLAIM_WON);
	assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_WON);
	assert_int_equal(run(&world, 1, CLAIM_TAKES), CLAIM_LOST);
	assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_WON);
}

static void another_store(void **state)
{
	struct world world = new_world();

	(void)state;
	memset(&world.word[CLAIM_SIGNATURE], 7, sizeof(world.word[0]));
	assert_int_equal(run(&world, 1, CLAIM_TAKES), CLAIM_LOST);
	assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_LOST);
}

/* The source and one taker, each of which may die once on the way. */
static void source_and_taker(void **state)
{
	struct world world = new_world();
	struct tally tally = { .daemons = 2 };

	(void)state;
	begin(&world, 0, CLAIM_TAKES_BACK);
	begin(&world, 1, CLAIM_TAKES);
	explore(&world, &tally);
	assert_true(tally.nobody && tally.nobody < tally.ends);
	world.deaths[0] = world.deaths[1] = 1;
	explore(&world, &tally);
	print_message("# %lu orders\n", tally.ends);
}

/* Both have let go; the next one who comes gets it. */
static void retried(const struct world *world, unsigned long *ends)
{
	bool over = true;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct world next = *world;

		if (world->claim[i].verdict != CLAIM_UNDER_WAY)
			continue;
		over = false;
		step(&next, i);
		retried(&next, ends);
	}
	if (over && world->claim[0].verdict == CLAIM_LOST && world->claim[1].verdict == CLAIM_LOST) {
		struct world next = *world;

		assert_int_equal(run(&next, 0, CLAIM_TAKES_BACK), CLAIM_WON);
		next = *world;
		assert_int_equal(run(&next, 1, CLAIM_TAKES), CLAIM_WON);
		++*ends;
	}
}

static void who_comes_next(void **state)
{
	struct world world = new_world();
	unsigned long ends = 0;

	(void)state;
	begin(&world, 0, CLAIM_TAKES_BACK);
	begin(&world, 1, CLAIM_TAKES);
	retried(&world, &ends);
	assert_true(ends);
}

/* A state that is loaded twice, while the source wants its guest back. */
static void source_and_two_takers(void **state)
{
	struct world world = new_world();
	struct tally tally = { .daemons = 3 };

	(void)state;
	begin(&world, 0, CLAIM_TAKES_BACK);
	begin(&world, 1, CLAIM_TAKES);
	begin(&world, 2, CLAIM_TAKES);
	explore(&world, &tally);
	print_message("# %lu orders\n", tally.ends);
}

/*
 * With one server a taker that has died, wherever it was, doesn't keep the source from going on, which may die on the way
 * as well.
 */
static void taker_has_died(void **state)
{
	unsigned int steps, i;

	(void)state;
	for (steps = 0; steps < 60; steps++) {
		struct world world = new_world();

		memcpy(servers[1], servers[0], sizeof(servers[0]));
		begin(&world, 1, CLAIM_TAKES);
		for (i = 0; i < steps % 10; i++)
			step(&world, 1);
		begin(&world, 0, CLAIM_TAKES_BACK);
		for (i = 0; i < steps / 10; i++)
			step(&world, 0);
		assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_WON);
		/* And if it hasn't died for good it finds what it lost. */
		assert_memory_equal(world.word[CLAIM_SIGNATURE].who, ticket.id, sizeof(ticket.id));
	}
}

/* Unless nothing is known of the servers. */
static void unknown_servers(void **state)
{
	struct world world = new_world();

	(void)state;
	memset(servers, 0, sizeof(servers));
	assert_int_equal(run(&world, 1, CLAIM_TAKES), CLAIM_WON);
	assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_LOST);
}

/* --- the taker gives the export back, and dies on the way --- */

#define GIVE_STEPS 4

/* The export is the taker's, and @steps of its giving back are done when it dies. */
static struct world dies_giving(unsigned int steps, bool one_server)
{
	struct world world = new_world();

	if (one_server)
		memcpy(servers[1], servers[0], sizeof(servers[0]));
	assert_int_equal(run(&world, 1, CLAIM_TAKES), CLAIM_WON);
	begin(&world, 1, CLAIM_GIVES_BACK);
	while (steps--)
		step(&world, 1);
	return world;
}

/* Each has its server: what the taker leaves undone its next worker does, and then the source has the export. */
static void taker_dies_giving(void **state)
{
	unsigned int first, second;

	(void)state;
	for (first = 0; first <= GIVE_STEPS; first++) {
		for (second = 0; second <= GIVE_STEPS; second++) {
			struct world world = dies_giving(first, false);
			unsigned int i;

			begin(&world, 1, CLAIM_GIVES_BACK);
			for (i = 0; i < second; i++)
				step(&world, 1);
			/* What the source says meanwhile is no harm. */
			run(&world, 0, CLAIM_TAKES_BACK);
			run(&world, 1, CLAIM_GIVES_BACK);
			assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_WON);
			assert_int_equal(run(&world, 1, CLAIM_TAKES), CLAIM_LOST);
		}
	}
}

/* The source asks at any time, and the taker may die once; when both have come to an end the source gets the export. */
static void explore_giver(const struct world *world, unsigned long *ends)
{
	bool over = true;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct world next = *world;

		if (world->claim[i].verdict != CLAIM_UNDER_WAY)
			continue;
		over = false;
		step(&next, i);
		explore_giver(&next, ends);
	}
	if (world->deaths[1]) {
		struct world next = *world;

		next.deaths[1]--;
		begin(&next, 1, CLAIM_GIVES_BACK);
		explore_giver(&next, ends);
	}
	if (over) {
		struct world next = *world;

		assert_int_equal(run(&next, 0, CLAIM_TAKES_BACK), CLAIM_WON);
		++*ends;
	}
}

static void source_and_giver(void **state)
{
	struct world world = dies_giving(0, false);
	unsigned long ends = 0;

	(void)state;
	world.deaths[1] = 1;
	begin(&world, 0, CLAIM_TAKES_BACK);
	explore_giver(&world, &ends);
	print_message("# %lu orders\n", ends);
}

static const struct store_ticket later = { .id = "source", .number = "the next move" };

/* The third daemon has the export if it says so, and the source has it otherwise, or nobody. */
static void check_later(const struct world *world, unsigned long *ends)
{
	const bool won = world->claim[2].verdict == CLAIM_WON;
	struct world next = *world;

	assert_false(won && world->claim[0].verdict == CLAIM_WON);
	if (won) {
		assert_string_equal(world->word[CLAIM_SIGNATURE].who, names[2]);
		begin_with(&next, 0, CLAIM_TAKES_BACK, &later);
		while (step(&next, 0) == CLAIM_UNDER_WAY)
			continue;
		assert_int_equal(next.claim[0].verdict, CLAIM_LOST);
	}
	++*ends;
}

/* With one server the giver's connection ends before the source has one. */
static void explore_later(const struct world *world, bool one_server, unsigned long *ends)
{
	bool over = true;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct world next = *world;

		if (world->claim[i].verdict != CLAIM_UNDER_WAY)
			continue;
		over = false;
		step(&next, i);
		if (one_server && !i && next.claim[1].verdict == CLAIM_UNDER_WAY)
			next.claim[1].verdict = CLAIM_LOST;
		explore_later(&next, one_server, ends);
	}
	if (over)
		check_later(world, ends);
}

/*
 * The source has its guest again, and the guest leaves once more, for a third daemon. What the first taker's next worker
 * still does of its giving back harms neither of these two.
 */
static void later_move(const struct world *now, bool one_server, unsigned long *ends)
{
	struct world world = *now;

	begin(&world, 1, CLAIM_GIVES_BACK);
	begin_with(&world, 2, CLAIM_TAKES, &later);
	begin_with(&world, 0, CLAIM_TAKES_BACK, &later);
	explore_later(&world, one_server, ends);
	/* And if the source doesn't ask. */
	world.claim[0].verdict = CLAIM_LOST;
	explore_later(&world, one_server, ends);
}

static void giver_and_later_move(void **state)
{
	unsigned int steps, one_server;
	unsigned long ends = 0;

	(void)state;
	for (one_server = 0; one_server < 2; one_server++) {
		for (steps = 0; steps <= GIVE_STEPS; steps++) {
			struct world world = dies_giving(steps, one_server);

			if (!one_server)
				run(&world, 1, CLAIM_GIVES_BACK);
			assert_int_equal(run(&world, 0, CLAIM_TAKES_BACK), CLAIM_WON);
			later_move(&world, one_server, &ends);
		}
	}
	print_message("# %lu orders\n", ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone),
		cmocka_unit_test(another_store),
		cmocka_unit_test(source_and_taker),
		cmocka_unit_test(who_comes_next),
		cmocka_unit_test(source_and_two_takers),
		cmocka_unit_test(taker_has_died),
		cmocka_unit_test(unknown_servers),
		cmocka_unit_test(taker_dies_giving),
		cmocka_unit_test(source_and_giver),
		cmocka_unit_test(giver_and_later_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
