// SPDX-License-Identifier: GPL-2.0-only
/*
 * random_slots.c - long random runs of slot operations, alone and with real threads.
 *
 * The same model and checks as explore_slots.c, in configurations too large to
 * explore. The odds of each kind of action are drawn anew every few thousand
 * steps, so that there are times when the device answers nothing, when nobody
 * reads, when everything fails or is freed. Some slots are hotter than others.
 *
 * With --threads there are two shards, each with a lock and two threads that
 * act under it, and one thread that frees slots of both without any lock. It
 * can't know which version it frees, but none that was published before it
 * looked may be readable afterwards (freed_up_to). Meant for TSan as well.
 */
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define MODEL_SLOTS	64
#define MODEL_COPIES	16
#define MODEL_LOADS	8
#include "slots_model.h"

#define SHARDS		2
#define WORKERS		2	/* a shard */

static const struct model_config random_configs[] = {
	/* name, slots, copies, loads, sent, writers, readers, ranges */
	{ "large, of another's", 64, 16, 8, 8, 4, 4, 4, true, 4, 3, 12 },
	{ "few slots", 3, 16, 4, 8, 4, 4, 4, false, 3, 2, 0 },
	{ "small pool", 64, 4, 1, 2, 2, 2, 2, false, 2, 0, 3 },
	{ "one of each", 8, 1, 1, 1, 1, 1, 1, false, 1, 0, 0 },
};

static u64 seed;

_Noreturn void model_violation(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "violation (seed %llu): ", seed);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(3);
}

/* --- random actions --- */

struct dice {
	u64 state;
	u8 odds[NR_OPS];
	u32 until_new_odds;
	bool striking;		/* frees strike inside of actions */
	bool threads;		/* somebody else frees */
};

static u32 roll(struct dice *dice, u32 sides)
{
	dice->state = dice->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (dice->state >> 33) % sides;
}

static void new_odds(struct dice *dice)
{
	u32 i;

	for (i = 0; i < NR_OPS; i++)
		dice->odds[i] = roll(dice, 4) ? 1 + roll(dice, 31) : 0;
	/* these are nearly always possible, and would crowd out the rest */
	dice->odds[OP_NEXT] /= 4;
	dice->odds[OP_ASK] /= 4;
	dice->odds[OP_LOAD] /= 8;
	dice->odds[OP_CLAIM] /= 8;
	dice->odds[OP_CANCEL] /= 8;
	dice->odds[OP_BEGIN] |= 1;
	/* a reset is an event, not a way of life */
	dice->odds[OP_RESET] = roll(dice, 8) ? 0 : 1;
	/* it takes one to end that */
	dice->odds[OP_LOSE] = dice->odds[OP_RESET];
	if (dice->threads)
		dice->odds[OP_FREE] = 0;
	dice->until_new_odds = 500 + roll(dice, 4000);
	dice->striking = roll(dice, 2);
}

static u8 roll_slot(struct dice *dice, const struct model_config *config)
{
	u32 hot = config->slots < 4 ? config->slots : 4;

	return roll(dice, roll(dice, 2) ? hot : config->slots);
}

/* How many there are of what @op is done to. */
static u32 op_targets(u8 op, const struct model_config *config)
{
	switch (op) {
	case OP_LOAD:
	case OP_FREE:
	case OP_CLAIM:
	case OP_DISCARD_EXEC:
		return config->slots;
	case OP_LOAD_CHAIN:
	case OP_LOAD_ANSWER:
	case OP_LOAD_AGAIN:
	case OP_LOAD_END:
		return config->loads;
	case OP_DISCARD_DONE:
		return MODEL_RANGES;
	case OP_LOSE:
		return 1;
	case OP_RESET:
		return 2;
	default:
		return config->copies;
	}
}

/* An action that is possible, if @act->op is possible at all. */
static bool roll_action(struct dice *dice, const struct model *m,
			const struct model_config *config, struct model_action *act)
{
	u32 targets = op_targets(act->op, config), i;

	act->a = targets == config->slots ? roll_slot(dice, config) : roll(dice, targets);
	act->b = roll(dice, 2);
	if (act->op == OP_PUBLISH)
		act->b = roll_slot(dice, config);
	if (act->op == OP_STORE_ANSWER && act->b)
		act->b = 1 + roll(dice, 4);
	for (i = 0; i < targets; i++, act->a = (act->a + 1) % targets) {
		if (act->op == OP_CLAIM) {
			act->b = 1 + roll(dice, config->slots - act->a);
			act->c = 1 + roll(dice, config->ranges);
		}
		if (model_enabled(m, config, *act))
			return true;
	}
	return false;
}

/* Something possible is done. */
static struct model_action random_step(struct model *m, const struct model_config *config,
				       struct dice *dice)
{
	struct model_action act = { };
	u32 tries = 0;

	do {
		if (!dice->until_new_odds-- || ++tries > 1000) {
			new_odds(dice);
			tries = 0;
		}
		do {
			act.op = roll(dice, NR_OPS);
		} while (dice->odds[act.op] <= roll(dice, 32));
	} while (!roll_action(dice, m, config, &act));
	model_step(m, act, dice->striking ? 1ULL << roll(dice, 8) | 1ULL << roll(dice, 8) : 0);
	return act;
}

static void check_drain(const struct model *m, const struct model_config *config)
{
	static struct model scratch;

	scratch = *m;
	model_rebase(&scratch);
	model_drain(&scratch, config);
}

static bool all_done(const u64 *done)
{
	u32 op;

	for (op = 0; op < NR_OPS && done[op]; op++)
		;
	return op == NR_OPS;
}

/* So many steps, and more if some action is still to come: some of them are rare. */
static void run_alone(const struct model_config *config, u64 steps)
{
	static struct model m;
	struct dice dice = { .state = seed };
	u64 i, most = steps * 20, done[NR_OPS] = { };

	model_init(&m, config);
	for (i = 0; i < steps || (i < most && !all_done(done)); i++) {
		done[random_step(&m, config, &dice).op]++;
		model_check_state(&m, config->slots);
		if (i % 16 == 0)
			model_check_lies(&m);
		if (i % 1024 == 0)
			check_drain(&m, config);
	}
	check_drain(&m, config);
	steps = i;
	for (i = 0; i < NR_OPS; i++)
		REQUIRE(done[i], "%s: action %llu never happened", config->name, i);
	REQUIRE(model_group(config) == 1 || m.groups, "%s: no request was of a group", config->name);
	printf("ok - %s: %llu steps, %llu stores, %llu loads, %llu frees, %llu resets, seed %llu\n",
	       config->name, steps, done[OP_PUBLISH], done[OP_LOAD], done[OP_FREE],
	       done[OP_RESET], seed);
}

/* --- threads --- */

static struct shard_bed {
	struct model m;
	pthread_mutex_t lock;
	_Atomic u32 published[MODEL_SLOTS];	/* the newest version, set after the fact */
	_Atomic u32 freed_up_to[MODEL_SLOTS];	/* versions not to be seen again */
} beds[SHARDS];

static const struct model_config *const thread_config = &random_configs[0];
static u64 thread_steps;
static atomic_uint workers_left;

/* Now and then leave a racing free more time than a few instructions. */
static void linger(cswap_record_t *record)
{
	static _Thread_local u32 accesses;

	(void)record;
	if (++accesses % 8 == 0)
		sched_yield();
}

/* What a free has ended can't be read again. */
static void check_freed(struct shard_bed *bed)
{
	u32 slot;

	for (slot = 0; slot < thread_config->slots; slot++) {
		u32 floor = bed->freed_up_to[slot];
		struct slots_view v = slots_decode(&bed->m.record[slot]);

		if (v.kind == SLOTS_STORED || v.kind == SLOTS_COPY)
			REQUIRE(bed->m.slot[slot].last > floor,
				"slot %u: version %u, freed long ago", slot, bed->m.slot[slot].last);
	}
}

static void *work(void *arg)
{
	u32 number = (u32)(uintptr_t)arg;
	struct shard_bed *bed = &beds[number % SHARDS];
	struct dice dice = { .state = seed + number, .threads = true };
	u64 i;

	slots_race = linger;
	for (i = 0; i < thread_steps; i++) {
		struct model_action act;

		pthread_mutex_lock(&bed->lock);
		act = random_step(&bed->m, thread_config, &dice);
		if (act.op == OP_PUBLISH)
			bed->published[act.b] = bed->m.versions;
		model_check_state(&bed->m, thread_config->slots);
		if (i % 16 == 0)
			model_check_lies(&bed->m);
		check_freed(bed);
		pthread_mutex_unlock(&bed->lock);
	}
	workers_left--;
	return NULL;
}

static void *free_slots(void *arg)
{
	struct dice dice = { .state = seed + 99 };
	u64 *freed = arg;

	while (workers_left) {
		struct shard_bed *bed = &beds[roll(&dice, SHARDS)];
		u32 slot = roll_slot(&dice, thread_config);
		u32 floor = bed->published[slot];

		if (cswap_slot_free(&bed->m.record[slot])) {
			bed->freed_up_to[slot] = floor;
			(*freed)++;
		}
	}
	return NULL;
}

static void run_threads(u64 steps)
{
	pthread_t worker[SHARDS * WORKERS], freer;
	u64 freed = 0;
	u32 i;

	thread_steps = steps;
	workers_left = SHARDS * WORKERS;
	for (i = 0; i < SHARDS; i++) {
		model_init(&beds[i].m, thread_config);
		beds[i].m.others_free = true;
		pthread_mutex_init(&beds[i].lock, NULL);
	}
	for (i = 0; i < SHARDS * WORKERS; i++)
		REQUIRE(!pthread_create(&worker[i], NULL, work, (void *)(uintptr_t)i), "no thread");
	REQUIRE(!pthread_create(&freer, NULL, free_slots, &freed), "no thread");
	for (i = 0; i < SHARDS * WORKERS; i++)
		pthread_join(worker[i], NULL);
	pthread_join(freer, NULL);
	for (i = 0; i < SHARDS; i++) {
		model_check_state(&beds[i].m, thread_config->slots);
		beds[i].m.others_free = false;
		model_check_lies(&beds[i].m);
		check_drain(&beds[i].m, thread_config);
	}
	REQUIRE(freed, "no free hit anything");
	printf("ok - threads: %llu steps each, %llu slots freed without a lock, seed %llu\n",
	       steps, freed, seed);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "steps", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "threads", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	bool threads = false;
	u64 steps = 500000;
	u32 i;
	int option;

	seed = time(NULL);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n') {
			steps = strtoull(optarg, NULL, 0);
		} else if (option == 's') {
			seed = strtoull(optarg, NULL, 0);
		} else if (option == 't') {
			threads = true;
		} else {
			fprintf(stderr, "usage: random_slots [--threads] [--steps N] [--seed N]\n");
			return option == 'h' ? 0 : 2;
		}
	}
	if (threads) {
		run_threads(steps);
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(random_configs); i++)
		run_alone(&random_configs[i], steps);
	return 0;
}
