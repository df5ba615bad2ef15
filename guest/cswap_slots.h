/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_slots.h - what is known of every slot, and the sealed copies in the pool.
 *
 * Pure: no I/O, no allocation, no sleeping. Theory of operation in cswap_slots.c.
 *
 * Slots are divided among shards, one a queue pair, in runs of
 * CSWAP_SHARD_SLOTS. Unless it says otherwise a function here is called under
 * the lock of the shard it is given, in any context. cswap_slot_free() takes no
 * lock and may run at any moment, against anything.
 */
#ifndef CSWAP_SLOTS_H
#define CSWAP_SLOTS_H

#include <linux/types.h>
#include "cswap_wire.h"

/*
 * The swap core hands out slots in clusters of 512, each to one CPU at a time,
 * so a run of that length keeps CPUs on queue pairs of their own.
 */
#define CSWAP_SHARD_SLOTS	512

#define CSWAP_NONE		0xffffffffu

/* A slot's record; see cswap_slots.c for its layout. */
typedef u64 cswap_record_t;

enum cswap_copy_state {
	CSWAP_COPY_FREE,	/* on the free list */
	CSWAP_COPY_FILLING,	/* a store is sealing into it; no record names it */
	CSWAP_COPY_QUEUED,	/* to be sent, on the send list */
	CSWAP_COPY_DEFERRED,	/* to be sent once the slot's operation in flight is over */
	CSWAP_COPY_SENT,	/* its STORE is in flight */
	CSWAP_COPY_KEPT,	/* its STORE failed; on the kept list until tried again */
	CSWAP_COPY_ZOMBIE,	/* superseded or confirmed, but a task still reads it */
};

/* A sealed page in the pool. The page itself is in shared memory. */
struct cswap_copy {
	u64 slot;
	u64 counter;		/* the nonce it was sealed with */
	u32 prev, next;		/* on a list; SENT: the next of its group */
	u32 seq;		/* of its latest STORE, in the cookie */
	u16 readers;
	u8 count;		/* SENT: pages of the group that it's first in, 0 if another is */
	u8 state;		/* enum cswap_copy_state */
	u8 pending;		/* CSWAP_PART_*: what a STORE in flight waits for */
	bool stored;		/* the ack said so */
	bool failed;		/* a STORE of it has failed, or can't be sent before a reset */
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];
};

enum cswap_load_state {
	CSWAP_LOAD_FREE,
	CSWAP_LOAD_QUEUED,	/* to be sent, on the ask list */
	CSWAP_LOAD_SENT,
	CSWAP_LOAD_OVER,	/* answered; its owner may ask again, and keeps the slot for that */
};

/* A page that is asked for. Its owner and destination are the caller's business. */
struct cswap_load {
	u64 slot;
	u64 counter;		/* what the slot was stored with */
	u32 prev, next;		/* on the ask list; the free list has no @prev */
	u32 follows;		/* SENT, and just over: the next of its group, or NONE */
	u32 seq;
	u8 state;		/* enum cswap_load_state */
	u8 pending;		/* CSWAP_PART_* */
	u8 count;		/* SENT: pages of the group that it's first in, 0 if another is */
	bool single;		/* it has failed: not in a group again */
	bool abandoned;		/* the owner gave up: free it once it's over */
};

/* A request is over when its chain has come back and its answer is here. */
#define CSWAP_PART_CHAIN	1
#define CSWAP_PART_ANSWER	2

struct cswap_list {
	u32 first, last;
	u32 count;
};

/* What may be in flight at a time. */
struct cswap_limits {
	u32 stores, loads;		/* requests */
	u32 store_pages, load_pages;	/* of one request */
	u32 store_descriptors;		/* in all; a STORE takes one more than it has pages */
};

struct cswap_shard {
	cswap_record_t *records;	/* of all slots of the device */
	struct cswap_copy *copies;
	struct cswap_load *loads;
	u32 nr_copies, nr_loads;
	struct cswap_limits limits;
	u32 max_failed;			/* copies like that at which new stores fail */

	struct cswap_list free, send, kept; /* of copies */
	struct cswap_list ask;		/* of loads */
	u32 sent, sent_pages;		/* STOREs in flight, and their pages */
	u32 failed;			/* copies that have failed, tried again or not */
	u32 asked;			/* LOADs in flight */
	u32 free_load;
	u32 loading;			/* loads not free: pages that are asked for */
	unsigned long moved_at;		/* the caller's: the rings moved, or began to wait */
	unsigned long room_at;		/* there was a copy to be had */
	bool discards_lost;		/* what is in flight of them won't be answered */
};

/* Set up a shard over arrays that are zeroed and owned by the caller. */
void cswap_shard_init(struct cswap_shard *shard, cswap_record_t *records,
		      struct cswap_copy *copies, u32 nr_copies,
		      struct cswap_load *loads, u32 nr_loads,
		      const struct cswap_limits *limits);

/*
 * Before anything else: what the device may hold was left there by another guest, or this one
 * before it started anew. Nobody can open it any more; it's to be discarded, and reads as zeros.
 */
void cswap_slots_take_over(cswap_record_t *records, u64 count);

/* The shard of a slot, 0..@shards - 1. */
u32 cswap_slot_shard(u64 slot, u32 shards);
/* The counter that @slot would be opened with now; false if nothing is stored. */
bool cswap_slot_counter(const struct cswap_shard *shard, u64 slot, u64 *counter);

/* --- stores --- */

/*
 * Take a copy to seal into, or CSWAP_NONE when there is none now. @now is the caller's
 * clock, which may wrap.
 */
u32 cswap_store_begin(struct cswap_shard *shard, unsigned long now);
/*
 * For longer than @limit nothing has moved that is in flight, or there was no copy to be
 * had: a store isn't to wait. (A copy may wait for a DISCARD, or for rings to be made
 * again: the pool can be full with nothing in flight here.)
 */
bool cswap_store_stalled(const struct cswap_shard *shard, unsigned long now,
			 unsigned long limit);
/* A store of @slot must fail at once: too many have, or a lost DISCARD may hit it. */
bool cswap_store_refused(const struct cswap_shard *shard, u64 slot);
/* Give a copy back unused. */
void cswap_store_cancel(struct cswap_shard *shard, u32 copy);
/* @copy now holds @slot, sealed with @counter and @tag; it will be sent. */
void cswap_store_publish(struct cswap_shard *shard, u32 copy, u64 slot,
			 u64 counter, const u8 *tag);
/* A request to be sent, for @count slots from @slot on. */
struct cswap_group {
	u64 cookie;
	u64 slot;
	u32 first;		/* copy or load; what follows: copy.next, load.follows */
	u32 count;
};

/* The next copies to send in one STORE, which then count as in flight; false if there's none. */
bool cswap_store_next(struct cswap_shard *shard, struct cswap_group *group);
/* Kept copies are to be sent again. Returns how many there were. */
u32 cswap_store_retry(struct cswap_shard *shard);

/* --- loads --- */

enum cswap_load_how {
	CSWAP_LOAD_NOTHING,	/* never stored, or freed: no swap-in should ask */
	CSWAP_LOAD_COPY,	/* in the pool: *@index is held, cswap_copy_put() it */
	CSWAP_LOAD_DEVICE,	/* *@index is a load, to be sent by cswap_load_next() */
	CSWAP_LOAD_BUSY,	/* an operation of this slot is in flight */
	CSWAP_LOAD_WAIT,	/* there's no load to be had */
};

enum cswap_load_how cswap_load_begin(struct cswap_shard *shard, u64 slot, u32 *index);
/*
 * What load @load, which is over, has brought is no good: ask again, for this page alone. Never
 * has to wait. With CSWAP_LOAD_DEVICE it's to be sent again; else it stays the owner's as it
 * is, to be ended, or asked with again.
 */
enum cswap_load_how cswap_load_again(struct cswap_shard *shard, u32 load, u32 *index);
/* The next loads to send in one LOAD, which are then in flight; false if there's none. */
bool cswap_load_next(struct cswap_shard *shard, struct cswap_group *group);
/*
 * The owner is done with a load that is over, or gives up one that isn't. True if a copy has
 * waited for that: send.
 */
bool cswap_load_end(struct cswap_shard *shard, u32 load);
void cswap_copy_put(struct cswap_shard *shard, u32 copy);

/* --- what the device says --- */

/* The two kinds of requests that a cookie can name. */
enum cswap_cookie_kind { CSWAP_COOKIE_STORE, CSWAP_COOKIE_LOAD };

struct cswap_event {
	enum cswap_cookie_kind kind;
	u32 index;		/* of the first copy or load */
	bool over;		/* both parts are in: copies are settled, loads OVER or free */
	bool failed;		/* STORE: the device said no; copies still wanted are kept */
};

/*
 * The chain of the request that @cookie names has come back; or its answer has.
 * @kind is what the ring allows: acks answer STOREs, data answers LOADs. @pages is how many
 * came with it: of a LOAD that the device carried out all, else none.
 * Returns 0 with *@event, or -EPROTO for a cookie that names nothing in flight
 * (forged, repeated, late): nothing has changed then.
 */
int cswap_chain_back(struct cswap_shard *shard, u64 cookie,
		     struct cswap_event *event);
int cswap_answer_here(struct cswap_shard *shard, u64 cookie,
		      enum cswap_cookie_kind kind, u32 status, u32 pages,
		      struct cswap_event *event);
/* The first load that an answer with @cookie would complete, or CSWAP_NONE. */
u32 cswap_load_of_cookie(const struct cswap_shard *shard, u64 cookie);

/*
 * The device was reset: nothing is in flight any more. Copies and loads in flight are
 * to be sent again. With @fail loads are over instead, unanswered.
 */
void cswap_shard_reset(struct cswap_shard *shard, bool fail);

/* --- frees and discards --- */

/*
 * The slot's content is not wanted any more. No lock, any context.
 * Returns true when the device may hold something for it.
 */
bool cswap_slot_free(cswap_record_t *record);

struct cswap_range {
	u64 start;
	u64 count;		/* slots */
};

/*
 * Claim freed slots among [@start, @start + @count), one shard's, for DISCARD:
 * at most @max ranges. Claimed slots are in flight until cswap_discard_done().
 * Returns the number of ranges; *@next is where to go on, or the end. Sets
 * *@again when a freed slot can't be claimed yet.
 */
u32 cswap_discard_claim(struct cswap_shard *shard, u64 start, u64 count,
			struct cswap_range *ranges, u32 max, u64 *next,
			bool *again);
/* Slots of @range are out of flight; the device forgot them if @done. */
void cswap_discard_done(struct cswap_shard *shard, const struct cswap_range *range,
			bool done);
/*
 * DISCARDs in flight will never be answered, until a reset and their
 * cswap_discard_done(). To be called now and then from here on: it lets go of
 * what waited for one and was freed.
 */
void cswap_discards_lose(struct cswap_shard *shard);

#endif /* CSWAP_SLOTS_H */
