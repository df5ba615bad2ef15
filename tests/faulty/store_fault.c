// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_fault.c - a broken or malicious host, for tests: cswapd-faulty only.
 *
 * Theory of operation: a store between the workers and a real one. Which slots
 * a fault hits is decided by their numbers alone, so that a test can say
 * beforehand what must fail and what must not. What is written passes unharmed
 * unless a fault is about writing; what is read is changed in the guest's own
 * buffer before the guest is told of it. Old versions are kept in memory, for
 * the faults that replay them. Answers are changed by a hook in the worker.
 *
 * Requests aren't merged, so that each fault hits its own request only.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fault_spec.h"
#include "common/log.h"
#include "store_fault.h"

#define MAX_FAULTS 16
#define DEFAULT_DELAY_MS 100
#define UNKNOWN_STATUS 77

enum kind {
	FLIP, FLIP_TAG, STALE, STALE_DATA, SWAP_SLOT, ZERO, SHORT,
	EIO_LOAD, EIO_STORE, NOSPC_STORE, LOSE_STORE,
	DELAY_LOAD, DELAY_STORE, STALL, HANG, EIO_DISCARD, HANG_DISCARD, HANG_GIVE_BACK,
	DOUBLE_ACK, BAD_COOKIE, BAD_LENGTH, BAD_STATUS, RESERVED_BITS,
	NUM_KINDS
};

static const char *const kind_names[NUM_KINDS] = {
	[FLIP] = "flip",
	[FLIP_TAG] = "flip-tag",
	[STALE] = "stale",
	[STALE_DATA] = "stale-data",
	[SWAP_SLOT] = "swap-slot",
	[ZERO] = "zero",
	[SHORT] = "short",
	[EIO_LOAD] = "eio-load",
	[EIO_STORE] = "eio-store",
	[NOSPC_STORE] = "nospc-store",
	[LOSE_STORE] = "lose-store",
	[DELAY_LOAD] = "delay-load",
	[DELAY_STORE] = "delay-store",
	[STALL] = "stall",
	[HANG] = "hang",
	[EIO_DISCARD] = "eio-discard",
	[HANG_DISCARD] = "hang-discard",
	[HANG_GIVE_BACK] = "hang-give-back",
	[DOUBLE_ACK] = "double-ack",
	[BAD_COOKIE] = "bad-cookie",
	[BAD_LENGTH] = "bad-length",
	[BAD_STATUS] = "bad-status",
	[RESERVED_BITS] = "reserved-bits",
};

const char store_fault_help[] =
"\n"
"The malicious and broken host:\n"
"  --fault KIND[:slots=A-B][:every=N][:after=K][:times=T][:ms=M|us=M][:jitter=J]\n"
"                      hit the slots A to B that N divides, T times each after\n"
"                      the first K (0, the default: always, from the first on);\n"
"                      may be given repeatedly\n"
"  --fault-armed       from the start on; else SIGUSR1 arms, SIGUSR2 disarms\n"
"  --fault-report FILE what was done, written when disarmed and at the end\n"
"  --bad-config FIELD=VALUE\n"
"                      what the guest finds in its configuration instead (of\n"
"                      reserved1: in its last byte); or offer=BIT, withhold=BIT:\n"
"                      of the features\n"
"Kinds, on LOAD:\n"
"  flip         one bit of the page      flip-tag   one bit of the tag\n"
"  stale        the version before       stale-data the page before, tag of now\n"
"  swap-slot    slot N ^ 1's page, tag   zero       page and tag are zero\n"
"  short        second half of the page is of the version before, or zero\n"
"  eio-load     status IOERR             delay-load after M ms (default 100), and up\n"
"                                        to J ms (0) more, each time another\n"
"On STORE:\n"
"  eio-store, nospc-store                status IOERR, NOSPC\n"
"  lose-store   say OK, store nothing    delay-store\n"
"On both:\n"
"  stall        hold until disarmed, or the ring is stopped\n"
"  hang         hold until disarmed, whatever is stopped\n"
"  bad-length   a wild used length       bad-status an unknown status\n"
"  reserved-bits a reserved field is set\n"
"On DISCARD, a piece of it at a time:\n"
"  eio-discard  status IOERR             hang-discard as hang\n"
"Of what is given back to the medium, which has no slots yet:\n"
"  hang-give-back as hang\n"
"On acks of STOREs:\n"
"  double-ack   twice the same           bad-cookie and one for no request\n"
"stale, stale-data and swap-slot spare a slot that has nothing to replay.\n"
"\n"
"The curious host:\n"
"  --search TEXT       search all that passes the rings, and the shared memory,\n"
"                      for it; the log's last line says how often it was found\n";

struct fault {
	enum kind kind;
	unsigned int after;		/* so many are spared first */
	unsigned int times;		/* 0: always */
	uint64_t first;
	uint64_t last;
	uint64_t every;
	uint64_t delay_us;
	uint64_t jitter_us;
	uint16_t *tries;		/* a slot each; saturates */
	uint64_t ops;			/* tampered with */
	uint64_t slots;			/* that were hit at least once */
};

/* What was stored, by slot. */
struct version {
	uint8_t *data;
	struct virtio_cswap_tag *tag;
};

struct store_fault {
	struct store store;
	struct store *inner;
	struct version now;
	struct version before;
	uint8_t *stored;		/* a slot each: 0, 1, 2 or more times */
};

struct fault_lane {
	struct store_lane lane;
	struct store_lane *inner;
	struct store_op *stalled;
	struct store_op *hung;
};

static struct fault faults[MAX_FAULTS];
static unsigned int num_faults;
static bool faults_armed;

/* --- which slots --- */

/* Does the fault hit @slot now? If so it's counted. */
static bool hits(struct fault *fault, uint64_t slot)
{
	uint16_t tries;

	if (!__atomic_load_n(&faults_armed, __ATOMIC_RELAXED) ||
	    slot < fault->first || slot > fault->last || slot % fault->every)
		return false;
	/* A slot has one request at a time, so this needs no more care. */
	tries = fault->tries[slot];
	if (fault->times && tries >= fault->after + fault->times)
		return false;
	if (tries != UINT16_MAX)
		fault->tries[slot]++;
	if (tries < fault->after)
		return false;
	if (tries == fault->after)
		__atomic_fetch_add(&fault->slots, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&fault->ops, 1, __ATOMIC_RELAXED);
	return true;
}

/* The fault of @kind that hits @slot, or NULL. */
static struct fault *find_hit(enum kind kind, uint64_t slot)
{
	unsigned int i;

	for (i = 0; i < num_faults; i++)
		if (faults[i].kind == kind && hits(&faults[i], slot))
			return &faults[i];
	return NULL;
}

static struct fault *find_hit_op(enum kind kind, const struct store_op *op)
{
	struct fault *fault = NULL;
	uint64_t i;

	for (i = 0; i < op->count && !fault; i++)
		fault = find_hit(kind, op->slot + i);
	return fault;
}

/* --- versions --- */

static void *version_data(const struct version *version, uint64_t slot)
{
	return version->data + slot * STORE_SLOT_SIZE;
}

static void remember(struct store_fault *store, const struct store_op *op)
{
	uint64_t i;

	for (i = 0; i < op->count; i++) {
		uint64_t slot = op->slot + i;

		memcpy(version_data(&store->before, slot),
		       version_data(&store->now, slot), STORE_SLOT_SIZE);
		store->before.tag[slot] = store->now.tag[slot];
		memcpy(version_data(&store->now, slot), store_page_of(&op->data[i]),
		       STORE_SLOT_SIZE);
		store->now.tag[slot] = op->tag[i];
		if (store->stored[slot] < 2)
			store->stored[slot]++;
	}
}

/* --- what is read --- */

static void replay(const struct store_fault *store, uint64_t slot,
		   uint8_t *page, struct virtio_cswap_tag *tag)
{
	uint64_t other = slot ^ 1;

	if (store->stored[slot] == 2) {
		if (find_hit(STALE, slot)) {
			memcpy(page, version_data(&store->before, slot),
			       STORE_SLOT_SIZE);
			*tag = store->before.tag[slot];
		}
		if (find_hit(STALE_DATA, slot))
			memcpy(page, version_data(&store->before, slot),
			       STORE_SLOT_SIZE);
	}
	if (other < store->store.facts.slots && store->stored[other] &&
	    find_hit(SWAP_SLOT, slot)) {
		memcpy(page, version_data(&store->now, other), STORE_SLOT_SIZE);
		*tag = store->now.tag[other];
	}
}

static void tamper(const struct store_fault *store, uint64_t slot,
		   uint8_t *page, struct virtio_cswap_tag *tag)
{
	const size_t half = STORE_SLOT_SIZE / 2;

	replay(store, slot, page, tag);
	if (find_hit(ZERO, slot)) {
		memset(page, 0, STORE_SLOT_SIZE);
		memset(tag, 0, sizeof(*tag));
	}
	if (find_hit(SHORT, slot))
		memcpy(page + half,
		       (uint8_t *)version_data(&store->before, slot) + half,
		       half);
	/* Some bit, a different one for each slot. */
	if (find_hit(FLIP, slot))
		page[slot * 37 % STORE_SLOT_SIZE] ^= (uint8_t)(1 << slot % 8);
	if (find_hit(FLIP_TAG, slot))
		tag->b[slot % STORE_TAG_SIZE] ^= (uint8_t)(1 << slot % 8);
}

/* --- the store --- */

static void end_op(struct fault_lane *lane, struct store_op *op, int error)
{
	op->error = error;
	lane->lane.done(lane->lane.context, op);
}

static void pass_on(struct fault_lane *lane, struct store_op *op)
{
	store_submit(lane->inner, op);
}

static void inner_done(void *context, struct store_op *op)
{
	struct fault_lane *lane = context;
	const struct store_fault *store =
		(const struct store_fault *)lane->lane.store;
	uint64_t i;

	if (op->kind == STORE_READ && !op->error)
		for (i = 0; i < op->count; i++)
			tamper(store, op->slot + i, store_page_of(&op->data[i]),
			       &op->tag[i]);
	lane->lane.done(lane->lane.context, op);
}

static void hold(struct store_op **held, struct store_op *op)
{
	op->next = *held;
	*held = op;
}

static void stall_or_pass(struct fault_lane *lane, struct store_op *op)
{
	if (find_hit_op(HANG, op))
		hold(&lane->hung, op);
	else if (find_hit_op(STALL, op))
		hold(&lane->stalled, op);
	else
		pass_on(lane, op);
}

/* The same in each run, as far as requests come in the same order. */
static uint64_t delay_of(const struct fault *fault)
{
	uint64_t number = __atomic_load_n(&fault->ops, __ATOMIC_RELAXED) * 0x9e3779b97f4a7c15u;

	return fault->delay_us + (number >> 32) * fault->jitter_us / UINT32_MAX;
}

static void delay(struct fault_lane *lane, struct store_op *op,
		  uint64_t delay_us)
{
	struct io_uring_sqe *sqe = store_get_sqe(lane->lane.ring);

	if (!sqe) {
		end_op(lane, op, -EAGAIN);
		return;
	}
	op->delay.tv_sec = (long long)(delay_us / 1000000);
	op->delay.tv_nsec = (long long)(delay_us % 1000000 * 1000);
	io_uring_prep_timeout(sqe, &op->delay, 0, 0);
	store_tag_sqe(sqe, op, STORE_PART_TIMER);
}

/* Of pages, both ways. */
static void fault_transfer(struct store_lane *base, struct store_op *op)
{
	struct fault_lane *lane = (struct fault_lane *)base;
	struct store_fault *store = (struct store_fault *)lane->lane.store;
	bool write = op->kind == STORE_WRITE;
	const struct fault *fault;

	if (find_hit_op(write ? EIO_STORE : EIO_LOAD, op)) {
		end_op(lane, op, -EIO);
		return;
	}
	if (write && find_hit_op(NOSPC_STORE, op)) {
		end_op(lane, op, -ENOSPC);
		return;
	}
	if (write && find_hit_op(LOSE_STORE, op)) {
		end_op(lane, op, 0);
		return;
	}
	if (write)
		remember(store, op);
	fault = find_hit_op(write ? DELAY_STORE : DELAY_LOAD, op);
	if (fault)
		delay(lane, op, delay_of(fault));
	else
		stall_or_pass(lane, op);
}

static void fault_trim(struct store_lane *base, struct store_op *op)
{
	struct fault_lane *lane = (struct fault_lane *)base;

	if (find_hit_op(EIO_DISCARD, op))
		end_op(lane, op, -EIO);
	else if (find_hit_op(HANG_DISCARD, op))
		hold(&lane->hung, op);
	else
		pass_on(lane, op);
}

static void fault_complete(struct store_lane *base, struct store_op *op,
			   enum store_part part, int result)
{
	struct fault_lane *lane = (struct fault_lane *)base;

	if (part == STORE_PART_TIMER)
		stall_or_pass(lane, op);
	else
		lane->inner->store->ops->complete(lane->inner, op, part,
						  result);
}

static void let_go(struct fault_lane *lane, struct store_op **held)
{
	while (*held) {
		struct store_op *op = *held;

		*held = op->next;
		pass_on(lane, op);
	}
}

static void fault_hurry(struct store_lane *base)
{
	struct fault_lane *lane = (struct fault_lane *)base;

	let_go(lane, &lane->stalled);
	if (!__atomic_load_n(&faults_armed, __ATOMIC_RELAXED))
		let_go(lane, &lane->hung);
	lane->inner->store->ops->hurry(lane->inner);
}

static bool fault_busy(const struct store_lane *base)
{
	return store_is_busy(((const struct fault_lane *)base)->inner);
}

static struct store_lane *fault_lane_open(struct store *base,
					  struct io_uring *ring,
					  unsigned int depth,
					  store_done_fn *done, void *context)
{
	struct store_fault *store = (struct store_fault *)base;
	struct fault_lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		return NULL;
	lane->lane.store = base;
	lane->lane.ring = ring;
	lane->lane.done = done;
	lane->lane.context = context;
	lane->inner = store->inner->ops->lane_open(store->inner, ring, depth,
						   inner_done, lane);
	if (!lane->inner) {
		free(lane);
		return NULL;
	}
	return &lane->lane;
}

static void fault_lane_close(struct store_lane *base)
{
	struct fault_lane *lane = (struct fault_lane *)base;

	lane->inner->store->ops->lane_close(lane->inner);
	free(lane);
}

static void unmap(void *map, uint64_t bytes)
{
	if (map)
		munmap(map, bytes);
}

static void fault_close(struct store *base)
{
	struct store_fault *store = (struct store_fault *)base;
	uint64_t slots = base->facts.slots;
	unsigned int i;

	for (i = 0; i < num_faults; i++) {
		unmap(faults[i].tries, slots * sizeof(faults[i].tries[0]));
		faults[i].tries = NULL;
	}
	unmap(store->now.data, slots * STORE_SLOT_SIZE);
	unmap(store->now.tag, slots * STORE_TAG_SIZE);
	unmap(store->before.data, slots * STORE_SLOT_SIZE);
	unmap(store->before.tag, slots * STORE_TAG_SIZE);
	unmap(store->stored, slots);
	store_close(store->inner);
	free(store);
}

static bool fault_activate(struct store *base)
{
	struct store *inner = ((struct store_fault *)base)->inner;

	return inner->ops->activate(inner);
}

static void fault_deactivate(struct store *base)
{
	struct store *inner = ((struct store_fault *)base)->inner;

	inner->ops->deactivate(inner);
}

static void fault_give_back(struct store_lane *base, struct store_op *op)
{
	struct fault_lane *lane = (struct fault_lane *)base;

	op->slot = 0;
	if (find_hit_op(HANG_GIVE_BACK, op))
		hold(&lane->hung, op);
	else
		pass_on(lane, op);
}

static void fault_use(const struct store *base, struct store_use *use)
{
	*use = store_get_use(((const struct store_fault *)base)->inner);
}

static const struct store_ops store_fault_ops = {
	.name = "faults",
	.activate = fault_activate,
	.deactivate = fault_deactivate,
	.lane_open = fault_lane_open,
	.read = fault_transfer,
	.write = fault_transfer,
	.trim = fault_trim,
	.complete = fault_complete,
	.give_back = fault_give_back,
	.use = fault_use,
	.hurry = fault_hurry,
	.busy = fault_busy,
	.lane_close = fault_lane_close,
	.close = fault_close,
};

/* Zeroed, and no memory before it's touched; a slot may be one of many. */
static void *map_sparse(uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static bool map_all(struct store_fault *store)
{
	uint64_t slots = store->store.facts.slots;
	unsigned int i;

	for (i = 0; i < num_faults; i++) {
		faults[i].tries = map_sparse(slots * sizeof(faults[i].tries[0]));
		if (!faults[i].tries)
			return false;
	}
	store->now.data = map_sparse(slots * STORE_SLOT_SIZE);
	store->now.tag = map_sparse(slots * STORE_TAG_SIZE);
	store->before.data = map_sparse(slots * STORE_SLOT_SIZE);
	store->before.tag = map_sparse(slots * STORE_TAG_SIZE);
	store->stored = map_sparse(slots);
	return store->now.data && store->now.tag && store->before.data &&
	       store->before.tag && store->stored;
}

struct store *store_fault_wrap(struct store *inner)
{
	struct store_fault *store = calloc(1, sizeof(*store));

	if (!store) {
		store_close(inner);
		return NULL;
	}
	store->inner = inner;
	store->store.ops = &store_fault_ops;
	store->store.facts = inner->facts;
	store->store.facts.merge_pages = 1;
	if (!map_all(store)) {
		log_err("no memory for the versions of %ju slots",
			(uintmax_t)inner->facts.slots);
		fault_close(&store->store);
		return NULL;
	}
	return &store->store;
}

/* --- answers --- */

unsigned int store_fault_ack(struct fault_ack *ack,
			     struct virtio_cswap_ack *extra)
{
	unsigned int lies = 0;

	if (!ack->load && find_hit(DOUBLE_ACK, ack->slot)) {
		*extra = ack->ack;
		lies |= FAULT_ACK_EXTRA;
	} else if (!ack->load && find_hit(BAD_COOKIE, ack->slot)) {
		*extra = ack->ack;
		extra->cookie = ~ack->ack.cookie;
		lies |= FAULT_ACK_EXTRA;
	}
	if (find_hit(BAD_STATUS, ack->slot))
		ack->ack.status = htole32(UNKNOWN_STATUS);
	if (find_hit(RESERVED_BITS, ack->slot))
		ack->ack.reserved0 = htole32(1);
	if (find_hit(BAD_LENGTH, ack->slot))
		lies |= FAULT_ACK_LENGTH;
	return lies;
}

/* --- setting up and reporting --- */

static const char *parse_kind(void *to, const char *name)
{
	struct fault *fault = to;
	unsigned int i;

	for (i = 0; i < NUM_KINDS; i++) {
		if (!strcmp(name, kind_names[i])) {
			fault->kind = (enum kind)i;
			return NULL;
		}
	}
	return "unknown kind";
}

static bool parse_u64(const char *text, char **end, uint64_t *value)
{
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return !errno;
}

static const char *parse_field(void *to, const char *field)
{
	struct fault *fault = to;
	const char *text = strchr(field, '=');
	uint64_t value;
	char *end;

	if (!text || !parse_u64(text + 1, &end, &value))
		return "a field is not NAME=NUMBER";
	if (!strncmp(field, "slots=", 6)) {
		fault->first = value;
		if (*end != '-' || !parse_u64(end + 1, &end, &fault->last))
			return "slots is not A-B";
	} else if (!strncmp(field, "every=", 6) && value) {
		fault->every = value;
	} else if (!strncmp(field, "after=", 6) && value < UINT16_MAX / 2) {
		fault->after = (unsigned int)value;
	} else if (!strncmp(field, "times=", 6) && value < UINT16_MAX / 2) {
		fault->times = (unsigned int)value;
	} else if (!strncmp(field, "ms=", 3) && value <= 3600 * 1000) {
		fault->delay_us = value * 1000;
	} else if (!strncmp(field, "us=", 3) && value <= 3600 * 1000000ULL) {
		fault->delay_us = value;
	} else if (!strncmp(field, "jitter=", 7) && value <= 60 * 1000) {
		fault->jitter_us = value * 1000;
	} else {
		return "unknown field, or a value out of range";
	}
	return *end ? "rubbish behind a number" : NULL;
}

const char *store_fault_add(const char *spec)
{
	static const struct fault_spec_parts parts = { parse_kind, parse_field };
	struct fault *fault = &faults[num_faults];
	const char *wrong;

	if (num_faults == MAX_FAULTS)
		return "too many faults";
	*fault = (struct fault) {
		.last = UINT64_MAX, .every = 1, .delay_us = DEFAULT_DELAY_MS * 1000,
	};
	wrong = fault_spec_parse(spec, fault, &parts);
	if (!wrong)
		num_faults++;
	return wrong;
}

void store_fault_arm(bool armed)
{
	__atomic_store_n(&faults_armed, armed, __ATOMIC_RELAXED);
}

bool store_fault_report(FILE *file)
{
	unsigned int i;

	for (i = 0; i < num_faults; i++)
		if (fprintf(file, "kind=%s ops=%ju slots=%ju\n",
			    kind_names[faults[i].kind],
			    (uintmax_t)__atomic_load_n(&faults[i].ops, __ATOMIC_RELAXED),
			    (uintmax_t)__atomic_load_n(&faults[i].slots, __ATOMIC_RELAXED)) < 0)
			return false;
	return true;
}
