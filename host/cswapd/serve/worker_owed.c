// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_owed.c - when what the store owes to its medium is given back.
 *
 * Theory of operation: the first worker gives back, a piece at a time, as it does with
 * discards (worker_control.c), and for the same reason: a file system punches under the
 * lock by which it reads. It gives back when no worker has served a page for a while; or,
 * beside what is served and with rests in between, when much is owed, or the medium has
 * little room left. The length of a piece follows what the last ones took.
 */
#include "worker_parts.h"

/* Slots in a piece. */
#define GIVE_FIRST_SLOTS 64
#define GIVE_MAX_SLOTS 512
/* How long a piece may take while pages are served, and while none are. */
#define GIVE_BUSY_NS 100000
#define GIVE_IDLE_NS 1000000
/* No page was served for so long: giving back delays none. */
#define IDLE_NS 1000000000ULL
/*
 * How many times as long as a piece took it rests while pages are served: if room is short,
 * and if not, when most of what is given back is likely to be used again soon.
 */
#define GIVE_SHORT_REST_FACTOR 3
#define GIVE_REST_FACTOR 30
/* When nothing was found that could be given back now, and when that fails. */
#define PAUSE_NS 1000000000ULL
#define FAILED_PAUSE_NS 10000000000ULL
/* How often the medium's room is looked at. */
#define LOOK_NS 1000000000ULL
/* Much: a part of all slots; until there is half of that. */
#define MUCH_PART 2
/* Little room, whatever is owed. */
#define LITTLE_ROOM_BYTES (256ULL << 20)

uint64_t worker_count_served(const struct worker *worker)
{
	const struct worker_set *set = worker->set;
	uint64_t served = 0;
	unsigned int i;

	for (i = 0; i < set->config.workers; i++)
		served += __atomic_load_n(&set->counters[i].loads, __ATOMIC_RELAXED) +
			  __atomic_load_n(&set->counters[i].stores, __ATOMIC_RELAXED);
	return served;
}

void owed_init_giving(struct worker *worker)
{
	worker->giving = (struct giving) { .slots = GIVE_FIRST_SLOTS };
}

static uint64_t owed_slots(const struct worker *worker)
{
	return store_get_use(worker->set->config.store).owed_slots;
}

/* More than half of what there could be room for is owed, or there is hardly any. */
static bool is_short(struct worker *worker, uint64_t owed, uint64_t now)
{
	struct giving *giving = &worker->giving;
	uint64_t room;

	if (now < giving->look_ns)
		return giving->is_short;
	giving->look_ns = now + LOOK_NS;
	room = store_room_get(worker->set->config.room);
	giving->is_short = room < LITTLE_ROOM_BYTES || room < owed * STORE_SLOT_SIZE;
	return giving->is_short;
}

static bool is_much(struct worker *worker, uint64_t owed)
{
	struct giving *giving = &worker->giving;
	const uint64_t much = worker->set->config.store->facts.slots / MUCH_PART;

	giving->is_much = owed > (giving->is_much ? much / 2 : much);
	return giving->is_much;
}

/* Note whether pages are served. */
static void look_around(struct worker *worker, uint64_t now)
{
	const uint64_t served = worker_count_served(worker);

	if (served == worker->giving.served && worker->giving.quiet_ns)
		return;
	worker->giving.served = served;
	worker->giving.quiet_ns = now;
}

static bool is_idle(const struct worker *worker, uint64_t now)
{
	return now - worker->giving.quiet_ns >= IDLE_NS;
}

/* A piece, if it were time for one. */
static bool can_begin(const struct worker *worker)
{
	return !worker->index && !worker->giving.running && worker->free_ops &&
	       !worker_stands(worker, NULL);
}

unsigned int owed_begin(struct worker *worker)
{
	struct giving *giving = &worker->giving;
	struct store_op *op;
	uint64_t now, owed;

	if (!can_begin(worker))
		return 0;
	owed = owed_slots(worker);
	if (!owed)
		return 0;
	now = worker_now_ns();
	look_around(worker, now);
	if (now < giving->next_ns ||
	    !(is_idle(worker, now) || is_much(worker, owed) || is_short(worker, owed, now)))
		return 0;
	op = op_get(worker);
	op->kind = STORE_GIVE_BACK;
	op->count = giving->slots;
	giving->running = true;
	op_submit(worker, op);
	return 1;
}

static void adapt(struct giving *giving, uint64_t slots, uint64_t taken_ns, uint64_t aim_ns)
{
	if (taken_ns < aim_ns / 2 && slots == giving->slots)
		giving->slots *= 2;
	else if (taken_ns > 2 * aim_ns)
		giving->slots /= 2;
	if (giving->slots > GIVE_MAX_SLOTS)
		giving->slots = GIVE_MAX_SLOTS;
	if (!giving->slots)
		giving->slots = 1;
}

void owed_finish(struct worker *worker, struct store_op *op)
{
	struct giving *giving = &worker->giving;
	const uint64_t now = worker_now_ns(), taken = now - op->begun_ns;

	giving->running = false;
	worker->discarded_ns = now;
	if (op->error)
		op_report_error(worker, op);
	look_around(worker, now);
	if (op->error || !op->count)
		giving->next_ns = now + (op->error ? FAILED_PAUSE_NS : PAUSE_NS);
	else if (!is_idle(worker, now))
		giving->next_ns = now + taken * (giving->is_short ? GIVE_SHORT_REST_FACTOR :
								    GIVE_REST_FACTOR);
	adapt(giving, op->count, taken, is_idle(worker, now) ? GIVE_IDLE_NS : GIVE_BUSY_NS);
	COUNT(worker, given_back, op->count);
	op_put(worker, op);
}

uint64_t owed_wait_ns(const struct worker *worker)
{
	const struct giving *giving = &worker->giving;
	uint64_t now, due = giving->quiet_ns + IDLE_NS;

	if (!can_begin(worker) || !owed_slots(worker))
		return 0;
	now = worker_now_ns();
	if (giving->is_much || giving->is_short)
		due = 0;
	if (due < giving->next_ns)
		due = giving->next_ns;
	return due > now ? due - now : 1;
}
