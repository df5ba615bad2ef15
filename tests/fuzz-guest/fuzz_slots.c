// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_slots.c - a guest that swaps, and a device that says anything: cswap_slots.c.
 *
 * The input is a script of both sides. The guest keeps to the rules of cswap_slots.h;
 * the device gives back chains and answers with cookies of its choice, resets included.
 * What must hold is what a lie could break: a slot never opens with another counter
 * than its last store's, copies and loads are neither lost nor handed out twice, and
 * nothing outside of the arrays is touched (ASan).
 */
#include "cswap_slots.h"
#include "input.h"

#define SLOTS 8
#define COPIES 4
#define LOADS 4
#define SENT 2
#define ASKED 2
#define GROUP 3
#define COOKIES 32

struct world {
	cswap_record_t *records;
	struct cswap_copy *copies;
	struct cswap_load *loads;
	struct cswap_shard shard;
	u64 newest[SLOTS];		/* counter of the last store; 0: none, or freed */
	u64 counter;
	u64 cookies[COOKIES];	/* that were sent, some of them long ago */
	unsigned int num_cookies;
	bool owned[LOADS];		/* a reader waits for it, or has its answer */
	bool held[COPIES];		/* a reader looks at it */
	struct cswap_range claimed[2];
	uint32_t num_claimed;
};

static void send(struct world *world, u64 cookie)
{
	world->cookies[world->num_cookies++ % COOKIES] = cookie;
}

static void store(struct world *world, u64 slot)
{
	uint8_t tag[VIRTIO_CSWAP_TAG_SIZE] = { (uint8_t)slot };
	uint32_t c = cswap_store_begin(&world->shard, 0);

	if (c == CSWAP_NONE)
		return;
	MUST(c < COPIES && !world->held[c]);
	world->newest[slot] = ++world->counter;
	cswap_store_publish(&world->shard, c, slot, world->counter, tag);
}

/* All that waits to be sent, in groups of neighbours. */
static void send_requests(struct world *world)
{
	struct cswap_group group;
	uint32_t i, at;

	while (cswap_load_next(&world->shard, &group)) {
		MUST(group.count && group.count <= GROUP);
		for (i = 0, at = group.first; i < group.count; i++, at = world->loads[at].follows)
			MUST(at < LOADS && world->loads[at].slot == group.slot + i);
		MUST(at == CSWAP_NONE);
		send(world, group.cookie);
	}
	while (cswap_store_next(&world->shard, &group)) {
		MUST(group.count && group.count <= GROUP);
		for (i = 0, at = group.first; i < group.count; i++, at = world->copies[at].next)
			MUST(at < COPIES && world->copies[at].slot == group.slot + i);
		MUST(at == CSWAP_NONE);
		send(world, group.cookie);
	}
	MUST(world->shard.sent <= SENT && world->shard.asked <= ASKED);
}

static void load(struct world *world, u64 slot)
{
	uint32_t i;

	switch (cswap_load_begin(&world->shard, slot, &i)) {
	case CSWAP_LOAD_COPY:
		MUST(i < COPIES);
		MUST(world->copies[i].slot == slot);
		MUST(world->copies[i].counter == world->newest[slot]);
		if (world->held[i])	/* one reader of a copy is enough */
			cswap_copy_put(&world->shard, i);
		world->held[i] = true;
		break;
	case CSWAP_LOAD_DEVICE:
		MUST(i < LOADS && !world->owned[i]);
		MUST(world->loads[i].counter == world->newest[slot]);
		world->owned[i] = true;
		break;
	case CSWAP_LOAD_NOTHING:
		MUST(!world->newest[slot]);
		break;
	default:
		break;
	}
}

static void let_go(struct world *world, unsigned int i)
{
	if (world->held[i % COPIES]) {
		world->held[i % COPIES] = false;
		cswap_copy_put(&world->shard, i % COPIES);
	} else if (world->owned[i % LOADS]) {
		world->owned[i % LOADS] = false;
		cswap_load_end(&world->shard, i % LOADS);
	}
}

/* What a load that is over has brought is no good. */
static void load_again(struct world *world, unsigned int l)
{
	u64 slot = world->loads[l].slot;
	uint32_t i;

	if (!world->owned[l] || world->loads[l].state != CSWAP_LOAD_OVER)
		return;
	switch (cswap_load_again(&world->shard, l, &i)) {
	case CSWAP_LOAD_COPY:
		MUST(i < COPIES && world->copies[i].counter == world->newest[slot]);
		cswap_copy_put(&world->shard, i);
		break;
	case CSWAP_LOAD_DEVICE:
		MUST(i == l && world->loads[l].counter == world->newest[slot]);
		break;
	default:
		MUST(!world->newest[slot]);
	}
}

/* What the device says: one of the cookies that it has seen, or any other. */
static void device(struct world *world, struct input *input)
{
	uint8_t how = input_u8(input);
	u64 cookie = how & 0x80 ? input_u64(input) :
			  world->cookies[input_u8(input) % COOKIES];
	struct cswap_event event;
	int rc;

	if (how & 1)
		rc = cswap_chain_back(&world->shard, cookie, &event);
	else
		rc = cswap_answer_here(&world->shard, cookie,
				       how & 2 ? CSWAP_COOKIE_LOAD : CSWAP_COOKIE_STORE,
				       how & 4 ? VIRTIO_CSWAP_S_OK : VIRTIO_CSWAP_S_IOERR,
				       how >> 3 & 3, &event);
	if (!rc)
		MUST(event.index < (event.kind == CSWAP_COOKIE_LOAD ? LOADS : COPIES));
}

static void discard(struct world *world, bool done)
{
	u64 next;
	bool again = false;
	uint32_t i;

	if (world->num_claimed) {
		for (i = 0; i < world->num_claimed; i++)
			cswap_discard_done(&world->shard, &world->claimed[i], done);
		world->num_claimed = 0;
		return;
	}
	world->num_claimed = cswap_discard_claim(&world->shard, 0, SLOTS, world->claimed, 2,
						 &next, &again);
	for (i = 0; i < world->num_claimed; i++)
		MUST(world->claimed[i].start + world->claimed[i].count <= SLOTS);
}

/* Neither lost nor handed out twice. */
static void check(const struct world *world)
{
	uint32_t i, c, busy = 0, loading = 0;

	for (c = world->shard.free.first, i = 0; c != CSWAP_NONE; c = world->copies[c].next, i++) {
		MUST(i < COPIES && world->copies[c].state == CSWAP_COPY_FREE);
		MUST(!world->held[c]);
	}
	MUST(i == world->shard.free.count);
	for (c = 0; c < COPIES; c++)
		busy += world->copies[c].state != CSWAP_COPY_FREE;
	MUST(busy + i == COPIES);
	for (i = 0; i < LOADS; i++)
		loading += world->loads[i].state != CSWAP_LOAD_FREE;
	MUST(loading == world->shard.loading);
}

static void step(struct world *world, struct input *input)
{
	uint8_t what = input_u8(input);
	u64 slot = what / 16 % SLOTS;

	switch (what % 10) {
	case 0:
		store(world, slot);
		break;
	case 1:
		load(world, slot);
		break;
	case 2:
		if (what / 16 >= COPIES)
			load_again(world, what / 16 % LOADS);
		else
			let_go(world, what / 16);
		break;
	case 3:
		cswap_slot_free(&world->records[slot]);
		world->newest[slot] = 0;
		break;
	case 4:
		discard(world, what & 16);
		break;
	case 5:
		cswap_store_retry(&world->shard);
		break;
	case 6:
		if (what / 16 == 3)
			cswap_shard_reset(&world->shard, false);
		break;
	default:
		device(world, input);
	}
	/* or later, when there's more */
	if (what & 0x80)
		send_requests(world);
	check(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cswap_limits limits = {
		.stores = SENT, .loads = ASKED, .store_pages = GROUP, .load_pages = GROUP,
		.store_descriptors = SENT * GROUP,
	};
	struct input input = { data, size };
	struct world world = {
		.records = calloc(SLOTS, sizeof(*world.records)),
		.copies = calloc(COPIES, sizeof(*world.copies)),
		.loads = calloc(LOADS, sizeof(*world.loads)),
	};

	cswap_shard_init(&world.shard, world.records, world.copies, COPIES, world.loads, LOADS,
			 &limits);
	while (input.left)
		step(&world, &input);
	free(world.records);
	free(world.copies);
	free(world.loads);
	return 0;
}
