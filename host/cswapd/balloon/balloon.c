// SPDX-License-Identifier: GPL-2.0-only
/*
 * balloon.c - what the guest has released, and what it is asked to release.
 *
 * Theory of operation: the daemon knows the blocks that the guest has released one by
 * one, so that a range released twice counts once, and a range that was never
 * released isn't taken back. The sum is the guest's claim all the same: what the host
 * has got is measured elsewhere (measure.c). The target is the operator's and
 * outlives the guest; all else is forgotten when the guest begins anew.
 *
 * The log has the same bits as the map of what is released, by the same numbers, as far
 * as the log goes. The log is written after the map and before the guest is answered; a
 * request that is run again after a death in between changes nothing the second time.
 * Bits of memory that was taken away stay in the log until the guest begins anew, and
 * count again when the memory comes again: the guest hasn't noticed that it was away. Those that
 * the guest reclaims meanwhile don't.
 * The guest reclaims its blocks before it gives memory up itself.
 *
 * A guest may use a block as soon as its RELEASE is answered, and say so later. So whatever the map says,
 * only a RELEASE discards. When a front end has filled released memory, by reading it, the guest is
 * asked to release all of it again (an EVENT's AGAIN). What is released counts as before meanwhile.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "balloon.h"
#include "common/clock.h"
#include "common/log.h"

void balloon_init(struct balloon *balloon, uint32_t block_bytes)
{
	*balloon = (struct balloon) { .lock = PTHREAD_MUTEX_INITIALIZER };
	blockmap_init(&balloon->released, block_bytes);
	blockmap_init(&balloon->pinned, BALLOON_PIN_BYTES);
}

void balloon_free(struct balloon *balloon)
{
	blockmap_free(&balloon->released);
	blockmap_free(&balloon->pinned);
	pthread_mutex_destroy(&balloon->lock);
}

static void note_released(struct balloon *balloon)
{
	pthread_mutex_lock(&balloon->lock);
	balloon->state.released_bytes = balloon->released.set *
					balloon->released.block_bytes;
	pthread_mutex_unlock(&balloon->lock);
}

/* --- what outlives us --- */

void balloon_keep(struct balloon *balloon, struct balloon_log *log)
{
	balloon->log = log;
	balloon->target_bytes = log->target_bytes;
	balloon->state.reports = log->reports;
	balloon->again_wanted = log->again_wanted;
	balloon->again_told = log->again_told;
}

static void clear_log(struct balloon *balloon)
{
	if (!balloon->log)
		return;
	/* Back to holes; of memory that has none, to zeros. */
	if (madvise(balloon->log->released, sizeof(balloon->log->released),
		    MADV_REMOVE))
		memset(balloon->log->released, 0,
		       sizeof(balloon->log->released));
}

static void forget_released(struct balloon *balloon)
{
	blockmap_clear(&balloon->released);
	clear_log(balloon);
	balloon->log_has_more = false;
}

static void log_released(struct balloon *balloon, uint64_t gpa, uint64_t len)
{
	if (balloon->log)
		blockmap_save(&balloon->released, gpa, len,
			      balloon->log->released, BALLOON_LOG_WORDS);
}

/* The log has bits that the map hasn't: of memory that is away. */
static void log_reclaimed(struct balloon *balloon, uint64_t gpa, uint64_t len)
{
	if (balloon->log && balloon->log_has_more)
		blockmap_forget(&balloon->released, gpa, len,
				balloon->log->released, BALLOON_LOG_WORDS);
}

void balloon_restore(struct balloon *balloon)
{
	blockmap_load(&balloon->released, balloon->log->released,
		      BALLOON_LOG_WORDS);
	balloon->log_has_more = true;
	note_released(balloon);
}

void balloon_load(struct balloon *balloon, uint64_t target_bytes, uint64_t reports,
		  const void *words, uint64_t num_words)
{
	balloon_forget(balloon);
	balloon_set_target(balloon, target_bytes);
	pthread_mutex_lock(&balloon->lock);
	balloon->state.reports = reports;
	pthread_mutex_unlock(&balloon->lock);
	balloon->log->reports = reports;
	memcpy(balloon->log->released, words, num_words * sizeof(uint64_t));
}

/* Only then is the log looked at: most of it are holes, which reading would fill. */
static void find_released(struct balloon *balloon)
{
	if (balloon->log && balloon->log_has_more)
		blockmap_load_new(&balloon->released, balloon->log->released,
				  BALLOON_LOG_WORDS);
}

void balloon_follow(struct balloon *balloon, const struct memory *memory)
{
	const uint64_t before = balloon->released.set;

	if (!blockmap_follow(&balloon->released, memory) ||
	    !blockmap_follow(&balloon->pinned, memory))
		log_err("no memory to keep account of what the guest releases");
	balloon->log_has_more |= balloon->released.set < before;
	find_released(balloon);
	note_released(balloon);
}

void balloon_set_target(struct balloon *balloon, uint64_t bytes)
{
	if (balloon->log)
		balloon->log->target_bytes = bytes;
	__atomic_store_n(&balloon->target_bytes, bytes, __ATOMIC_RELEASE);
}

uint64_t balloon_get_target(const struct balloon *balloon)
{
	return __atomic_load_n(&balloon->target_bytes, __ATOMIC_ACQUIRE);
}

void balloon_shrink(struct balloon *balloon, uint64_t bytes)
{
	__atomic_store_n(&balloon->shrink_bytes, bytes, __ATOMIC_RELEASE);
}

uint64_t balloon_get_shrink(const struct balloon *balloon)
{
	return __atomic_load_n(&balloon->shrink_bytes, __ATOMIC_ACQUIRE);
}

uint64_t balloon_get_wanted(const struct balloon *balloon)
{
	uint64_t target = balloon_get_target(balloon), shrink = balloon_get_shrink(balloon);

	return shrink > target ? shrink : target;
}

void balloon_want_again(struct balloon *balloon)
{
	const uint64_t number = balloon->again_wanted + 1;

	if (balloon->log)
		balloon->log->again_wanted = number;
	__atomic_store_n(&balloon->again_wanted, number, __ATOMIC_RELEASE);
}

uint64_t balloon_again_number(const struct balloon *balloon)
{
	return __atomic_load_n(&balloon->again_wanted, __ATOMIC_ACQUIRE);
}

bool balloon_wants_again(const struct balloon *balloon)
{
	return balloon_again_number(balloon) != balloon->again_told;
}

void balloon_note_again(struct balloon *balloon, uint64_t number)
{
	balloon->again_told = number;
	if (balloon->log)
		balloon->log->again_told = number;
}

void balloon_get(struct balloon *balloon, struct balloon_state *state)
{
	pthread_mutex_lock(&balloon->lock);
	*state = balloon->state;
	pthread_mutex_unlock(&balloon->lock);
}

void balloon_pin(struct balloon *balloon, const struct memory *memory,
		 const void *host, uint64_t len)
{
	uint64_t gpa;

	/* It lies in one region: the ring's code has split it where they meet. */
	if (len && memory_to_gpa(memory, host, &gpa))
		blockmap_mark(&balloon->pinned, gpa, len);
}

void balloon_unpin_all(struct balloon *balloon)
{
	blockmap_clear(&balloon->pinned);
}

void balloon_tell(struct balloon *balloon, uint64_t bytes)
{
	pthread_mutex_lock(&balloon->lock);
	balloon->state.told_bytes = bytes;
	pthread_mutex_unlock(&balloon->lock);
}

void balloon_set_released(struct balloon *balloon,
			  const struct device_control *control, bool released)
{
	unsigned int i;

	for (i = 0; i < control->count; i++) {
		const struct device_range *range = &control->range[i];

		blockmap_set(&balloon->released, range->start, range->count,
			     released);
		log_released(balloon, range->start, range->count);
		if (!released)
			log_reclaimed(balloon, range->start, range->count);
	}
	note_released(balloon);
}

void balloon_take_report(struct balloon *balloon,
			 const struct device_report *report)
{
	pthread_mutex_lock(&balloon->lock);
	balloon->state.report = *report;
	balloon->state.has_report = true;
	balloon->state.report_ms = clock_now_ms();
	balloon->state.reports++;
	if (balloon->log)
		balloon->log->reports = balloon->state.reports;
	pthread_mutex_unlock(&balloon->lock);
}

void balloon_forget(struct balloon *balloon)
{
	forget_released(balloon);
	balloon_note_again(balloon, balloon_again_number(balloon));
	pthread_mutex_lock(&balloon->lock);
	balloon->state = (struct balloon_state) {
		.reports = balloon->state.reports,
	};
	pthread_mutex_unlock(&balloon->lock);
}
