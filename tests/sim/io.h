/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * io.h - what a load is made of: operations on the pages of a device, whatever
 * the device is. guest.c does them by virtio-cswap, blk.c by virtio-blk.
 */
#ifndef SIM_IO_H
#define SIM_IO_H

#include <linux/types.h>

#define IO_PAGE_BYTES	4096

enum io_kind { IO_STORE, IO_LOAD };

enum io_result {
	IO_OK,
	IO_FORGED,	/* LOAD: the page isn't the one that was stored */
	IO_IOERR,	/* what the device said: */
	IO_NOSPC,
	IO_INVALID,
	IO_UNSUPP,
};

struct io_op {
	enum io_kind kind;
	enum io_result result;
	unsigned int count;	/* pages */
	u64 slot;		/* the first */
	/*
	 * STORE: chosen by the caller, by io_next_counter(), of the first page,
	 * the rest follow; LOAD: found, what the page was stored with.
	 */
	u64 counter;
	u8 *page;		/* private memory: @count pages */
	u64 start_ns;		/* the caller's */
	unsigned int index;	/* the caller's */
	void (*done)(struct io_op *op, void *arg);
	void *arg;
};

/* What every slot was last stored with; 0 = nothing that can be loaded. */
struct io_records {
	u64 slots;
	u64 *counter;
	u64 next;		/* atomic; never used twice */
};

struct io_queue;

struct io_queue_ops {
	/* 0, or -EBUSY when too much is outstanding. Nothing is sent yet. */
	int (*submit)(struct io_queue *q, struct io_op *op);
	/* Send what was submitted. */
	void (*flush)(struct io_queue *q);
	/* Complete what is there; the number of operations, -1 if all is lost. */
	int (*poll)(struct io_queue *q);
	/* Sleep until there may be something; -1 if all is lost. */
	int (*wait)(struct io_queue *q);
	void (*count_signals)(struct io_queue *q, u64 *kicks, u64 *interrupts);
};

struct io_queue {
	const struct io_queue_ops *ops;
	unsigned int max_stores, max_loads;	/* outstanding */
	char error[256];			/* after -1 */
};

static inline u64 io_next_counter(struct io_records *records, unsigned int count)
{
	return __atomic_fetch_add(&records->next, count, __ATOMIC_RELAXED);
}

/* The page that is stored in @slot with @counter, and whether @page is it. */
void io_make_page(u8 *page, u64 slot, u64 counter);
bool io_is_page(const u8 *page, u64 slot, u64 counter);

int io_fail(struct io_queue *q, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* SIM_IO_H */
