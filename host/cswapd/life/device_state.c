// SPDX-License-Identifier: GPL-2.0-only
/*
 * device_state.c - what a device takes along when its guest moves.
 *
 * Theory of operation: the state holds what a daemon also leaves to its successor after a death; but the other
 * daemon may be on another host. It holds what is in hand (inflight.h), the target, what was told and what is
 * released, what was counted, and the tags of slots that are in use, if the other daemon can't see the place
 * where the tags lie. The pages stay in the store, which both daemons must have: the store's identity is in the
 * state, without what only one host knows of it (device and inode).
 *
 * The state is a head, then as many words of the map of what is released as the head says, then what is in
 * hand, then runs of tags. Numbers are the host's, since all of it is for the same architecture, which the
 * magic number tells apart. Sizes are compared as `bytes > left`, never added.
 */
#include <string.h>

#include "device_state.h"

/* Changed whenever the layout or its meaning is; what is in hand has one of its own, in its size. */
#define STATE_VERSION 2
#define STATE_MAGIC (0x656d7063736300ULL + ((uint64_t)STATE_VERSION << 56))
#define RUN_TAGS 4096

struct state_head {
	uint64_t magic;
	uint64_t bytes;			/* of all */
	/* What must be the same. */
	uint64_t slots;
	uint32_t queue_pairs;
	uint32_t block_bytes;
	uint32_t report_period_ms;
	uint32_t release_method;
	struct store_ticket ticket;	/* for the store */
	uint64_t log_bytes;
	/* What goes along. */
	uint64_t target_bytes;
	uint64_t reports;
	uint64_t released_words;
	uint64_t num_runs;
	struct worker_counters counters;
};

struct tag_run {
	uint64_t slot;
	uint64_t count;			/* RUN_TAGS at most; the tags follow */
};

static uint64_t log_bytes(const struct device_limits *limits)
{
	return offsetof(struct inflight, pair) +
	       limits->queue_pairs * sizeof(struct inflight_pair);
}

uint64_t device_state_room(const struct device_limits *limits)
{
	/* A run costs as much as a tag, and there is no tag beside it that isn't sent. */
	return sizeof(struct state_head) + log_bytes(limits) +
	       BALLOON_LOG_WORDS * sizeof(uint64_t) +
	       (limits->capacity + limits->capacity / RUN_TAGS + 2) * STORE_TAG_SIZE;
}

/* --- writing --- */

/* Words of the map that say something of @memory. */
static uint64_t count_words(const struct memory *memory, uint32_t block_bytes)
{
	uint64_t end = 0, words;
	unsigned int i;

	for (i = 0; i < memory->count; i++)
		if (memory->region[i].gpa + memory->region[i].size > end)
			end = memory->region[i].gpa + memory->region[i].size;
	words = end / block_bytes / 64 + 1;
	return words < BALLOON_LOG_WORDS ? words : BALLOON_LOG_WORDS;
}

static bool is_used(const struct virtio_cswap_tag *tag)
{
	static const struct virtio_cswap_tag none;

	return memcmp(tag, &none, sizeof(none));
}

/* Those of one piece. Returns where the next one goes. */
static uint8_t *write_runs(uint8_t *to, uint64_t slot, const struct virtio_cswap_tag *tag,
			   unsigned int count, uint64_t *num_runs)
{
	struct tag_run run;
	unsigned int i, end;

	for (i = 0; i < count; i = end) {
		for (end = i; end < count && is_used(&tag[end]); end++)
			;
		if (end == i) {
			end++;
			continue;
		}
		run = (struct tag_run) { slot + i, end - i };
		memcpy(to, &run, sizeof(run));
		memcpy(to + sizeof(run), &tag[i], run.count * sizeof(*tag));
		to += sizeof(run) + run.count * sizeof(*tag);
		++*num_runs;
	}
	return to;
}

static uint8_t *write_tags(const struct device_state *device, uint8_t *to, uint64_t *num_runs)
{
	static struct virtio_cswap_tag tag[RUN_TAGS];
	const uint64_t slots = device->limits->capacity;
	uint64_t slot, count;

	for (slot = 0; slot < slots; slot += count) {
		count = slots - slot < RUN_TAGS ? slots - slot : RUN_TAGS;
		if (!device->store->ops->move->get_tags(device->store, slot, tag,
							(unsigned int)count))
			return NULL;
		to = write_runs(to, slot, tag, (unsigned int)count, num_runs);
	}
	return to;
}

static struct state_head make_head(const struct device_state *device)
{
	struct state_head head = {
		.magic = STATE_MAGIC,
		.slots = device->limits->capacity,
		.queue_pairs = device->limits->queue_pairs,
		.block_bytes = device->limits->block_bytes,
		.report_period_ms = device->limits->report_period_ms,
		.release_method = device->limits->release_method,
		.log_bytes = log_bytes(device->limits),
		.target_bytes = balloon_get_target(device->balloon),
		.reports = device->balloon->state.reports,
		.counters = *device->counters,
	};

	head.ticket = device->ticket;
	return head;
}

uint64_t device_state_write(const struct device_state *device, uint8_t *to)
{
	struct state_head head = make_head(device);
	uint8_t *at = to + sizeof(head);

	head.released_words = count_words(device->memory, head.block_bytes);
	memcpy(at, device->balloon->log->released, head.released_words * sizeof(uint64_t));
	at += head.released_words * sizeof(uint64_t);
	memcpy(at, device->log, head.log_bytes);
	at = write_tags(device, at + head.log_bytes, &head.num_runs);
	if (!at)
		return 0;
	head.bytes = (uint64_t)(at - to);
	memcpy(to, &head, sizeof(head));
	return head.bytes;
}

/* --- checking --- */

/* A store at a server is looked at when it is taken, with the ticket. */
static bool is_of_store(const struct device_state *device, const struct store_ticket *ticket)
{
	return device->store->facts.flags & STORE_BY_TICKET ||
	       !memcmp(ticket->id, device->identity->id[STORE_DATA_FILE], STORE_ID_BYTES);
}

static const char *check_kind(const struct device_state *device, const struct state_head *head)
{
	const struct device_limits *limits = device->limits;

	return head->slots != limits->capacity ? "of a device with another --size" :
	       head->queue_pairs != limits->queue_pairs ? "of a device with other --queues" :
	       head->block_bytes != limits->block_bytes ? "of a device with another --block-size" :
	       head->report_period_ms != limits->report_period_ms ?
		       "of a device with another --report-period" :
	       head->release_method != limits->release_method ? "of a device with another --release" :
	       head->log_bytes != log_bytes(limits) ? "written by another version" :
	       !is_of_store(device, &head->ticket) ?
		       "of a guest whose pages are in another store: start with that one" : NULL;
}

static const char *check_runs(const uint8_t *at, uint64_t left, uint64_t num_runs, uint64_t slots)
{
	uint64_t next = 0;		/* no slot before it any more */
	struct tag_run run;

	for (; num_runs; num_runs--) {
		if (left < sizeof(run))
			return "cut short in its tags";
		memcpy(&run, at, sizeof(run));
		left -= sizeof(run);
		at += sizeof(run);
		if (!run.count || run.count > RUN_TAGS || run.slot < next || run.slot >= slots ||
		    run.count > slots - run.slot)
			return "with tags of slots that there aren't";
		if (left < run.count * STORE_TAG_SIZE)
			return "cut short in its tags";
		left -= run.count * STORE_TAG_SIZE;
		at += run.count * STORE_TAG_SIZE;
		next = run.slot + run.count;
	}
	return left ? "longer than what is in it" : NULL;
}

const char *device_state_check(const struct device_state *device, const uint8_t *from,
			       uint64_t bytes)
{
	struct state_head head;
	const char *wrong;
	uint64_t left;

	if (bytes < sizeof(head))
		return "too short";
	memcpy(&head, from, sizeof(head));
	if (head.magic != STATE_MAGIC)
		return "written by another version, or none";
	if (head.bytes != bytes)
		return "not as long as it says";
	wrong = check_kind(device, &head);
	if (wrong)
		return wrong;
	left = bytes - sizeof(head);
	if (head.released_words > BALLOON_LOG_WORDS ||
	    left < head.released_words * sizeof(uint64_t))
		return "cut short in what is released";
	left -= head.released_words * sizeof(uint64_t);
	if (left < head.log_bytes)
		return "cut short in what is in hand";
	left -= head.log_bytes;
	return check_runs(from + (bytes - left), left, head.num_runs, head.slots);
}

/* --- applying --- */

static bool apply_tags(const struct device_state *device, const uint8_t *at, uint64_t num_runs)
{
	static struct virtio_cswap_tag tag[RUN_TAGS];
	struct tag_run run;

	for (; num_runs; num_runs--) {
		memcpy(&run, at, sizeof(run));
		at += sizeof(run);
		memcpy(tag, at, run.count * sizeof(*tag));
		at += run.count * sizeof(*tag);
		if (!device->store->ops->move->put_tags(device->store, run.slot, tag,
							(unsigned int)run.count))
			return false;
	}
	return !device->store->ops->move->settle ||
	       device->store->ops->move->settle(device->store);
}

struct store_ticket device_state_ticket(const uint8_t *from)
{
	struct state_head head;

	memcpy(&head, from, sizeof(head));
	return head.ticket;
}

bool device_state_apply(const struct device_state *device, const uint8_t *from)
{
	const struct store_move_ops *move = device->store->ops->move;
	const uint8_t *at = from + sizeof(struct state_head);
	struct state_head head;

	memcpy(&head, from, sizeof(head));
	if (move->forget_tags && !move->forget_tags(device->store))
		return false;
	if (!apply_tags(device, at + head.released_words * sizeof(uint64_t) + head.log_bytes,
			head.num_runs))
		return false;
	balloon_load(device->balloon, head.target_bytes, head.reports, at, head.released_words);
	at += head.released_words * sizeof(uint64_t);
	memcpy(device->log, at, head.log_bytes);
	*device->counters = head.counters;
	return true;
}
