// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_epochs.c - a host that clones, and clones again: cswap_epochs.c.
 *
 * The input is a script of stores, notices and new keys. No counter may ever come
 * twice, none before the key that it belongs to, and each must find the key again that
 * it was handed out under, for as long as a slot may need it.
 */
#include "cswap_epochs.h"
#include "input.h"

#define SLOTS 8

struct world {
	struct cswap_counter counter;
	struct cswap_epochs epochs;
	uintptr_t keys;			/* made so far */
	u64 last;
	struct { u64 counter; void *key; } slot[SLOTS];
};

static void store(struct world *world, unsigned int i)
{
	const struct cswap_epochs *epochs = &world->epochs;
	bool ask = false;
	s64 value = cswap_counter_take(&world->counter, &ask);

	if (value < 0)
		return;
	MUST((u64)value > world->last && (u64)value < CSWAP_MAX_COUNTER);
	MUST(!cswap_counter_stale(&world->counter));
	world->last = (u64)value;
	world->slot[i].counter = (u64)value;
	world->slot[i].key = epochs->epoch[cswap_epoch_of(epochs, (u64)value)].key;
	MUST(world->slot[i].key == epochs->epoch[epochs->nr - 1].key);
}

static void make_key(struct world *world)
{
	int notices = cswap_counter_notices(&world->counter);
	struct cswap_epochs new, dropped = { 0 };
	unsigned long used = 0;
	u64 first;
	unsigned int i;

	if (cswap_counter_room(&world->counter))
		return;
	for (i = 0; i < SLOTS; i++)
		if (world->slot[i].key)
			cswap_epochs_mark(&world->epochs, &used, world->slot[i].counter);
	first = cswap_counter_next_first(&world->counter);
	MUST(first > world->last);
	if (cswap_epochs_renew(&world->epochs, used, first, (void *)++world->keys, &new, &dropped))
		return;
	MUST(new.nr <= CSWAP_MAX_EPOCHS);
	world->epochs = new;
	cswap_counter_jump(&world->counter, first);
	cswap_counter_served(&world->counter, notices);
}

static void check(const struct world *world)
{
	const struct cswap_epochs *epochs = &world->epochs;
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (world->slot[i].key)
			MUST(epochs->epoch[cswap_epoch_of(epochs, world->slot[i].counter)].key ==
			     world->slot[i].key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct world world = { .keys = 1, .epochs = { .nr = 1, .epoch = { { 0, (void *)1 } } } };

	cswap_counter_init(&world.counter, 1 + input_u64(&input) % CSWAP_MAX_REKEY);
	while (input.left) {
		uint8_t what = input_u8(&input);

		switch (what % 4) {
		case 0:
		case 1:
			store(&world, what / 4 % SLOTS);
			break;
		case 2:
			cswap_counter_notice(&world.counter);
			break;
		default:
			if (what & 128)
				world.slot[what / 4 % SLOTS].key = NULL;
			else
				make_key(&world);
		}
		check(&world);
	}
	return 0;
}
