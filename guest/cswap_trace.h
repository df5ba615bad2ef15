/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_trace.h - tracepoints of the disk: requests to the device and what became of them, pages
 * that don't open, stores that are refused, resets.
 *
 * A page's way can be followed by its slot; nothing here tells a page's content or a key.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM virtio_cswap

#if !defined(CSWAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define CSWAP_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(cswap_request,
	TP_PROTO(int disk, unsigned int pair, u64 slot, u32 pages),
	TP_ARGS(disk, pair, slot, pages),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(unsigned int, pair)
		__field(u64, slot)
		__field(u32, pages)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->pair = pair;
		__entry->slot = slot;
		__entry->pages = pages;
	),
	TP_printk("cswap%d pair=%u slot=%llu pages=%u", __entry->disk, __entry->pair,
		  __entry->slot, __entry->pages)
);

/* A STORE, a LOAD goes to the device. */
DEFINE_EVENT(cswap_request, cswap_store,
	TP_PROTO(int disk, unsigned int pair, u64 slot, u32 pages),
	TP_ARGS(disk, pair, slot, pages)
);
DEFINE_EVENT(cswap_request, cswap_load,
	TP_PROTO(int disk, unsigned int pair, u64 slot, u32 pages),
	TP_ARGS(disk, pair, slot, pages)
);

/* A reader's page is there, or won't be; @us since it was asked for, @status a blk_status_t. */
TRACE_EVENT(cswap_loaded,
	TP_PROTO(int disk, unsigned int pair, u64 slot, u64 us, unsigned int status),
	TP_ARGS(disk, pair, slot, us, status),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(unsigned int, pair)
		__field(u64, slot)
		__field(u64, us)
		__field(unsigned int, status)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->pair = pair;
		__entry->slot = slot;
		__entry->us = us;
		__entry->status = status;
	),
	TP_printk("cswap%d pair=%u slot=%llu us=%llu status=%u", __entry->disk, __entry->pair,
		  __entry->slot, __entry->us, __entry->status)
);

/* A STORE is over; @failed: its pages are kept and sent again. */
TRACE_EVENT(cswap_stored,
	TP_PROTO(int disk, unsigned int pair, u64 slot, bool failed),
	TP_ARGS(disk, pair, slot, failed),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(unsigned int, pair)
		__field(u64, slot)
		__field(bool, failed)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->pair = pair;
		__entry->slot = slot;
		__entry->failed = failed;
	),
	TP_printk("cswap%d pair=%u slot=%llu failed=%d", __entry->disk, __entry->pair,
		  __entry->slot, __entry->failed)
);

/* What came for a page isn't what was stored last; @tries so far. */
TRACE_EVENT(cswap_not_open,
	TP_PROTO(int disk, unsigned int pair, u64 slot, unsigned int tries),
	TP_ARGS(disk, pair, slot, tries),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(unsigned int, pair)
		__field(u64, slot)
		__field(unsigned int, tries)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->pair = pair;
		__entry->slot = slot;
		__entry->tries = tries;
	),
	TP_printk("cswap%d pair=%u slot=%llu tries=%u", __entry->disk, __entry->pair,
		  __entry->slot, __entry->tries)
);

/*
 * A store is refused: no room in the pool, no key, or the device has stood still for
 * stall_ms (a probe is sent all the same).
 */
TRACE_EVENT(cswap_stall,
	TP_PROTO(int disk, unsigned int pair, u64 slot, u32 copies_free),
	TP_ARGS(disk, pair, slot, copies_free),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(unsigned int, pair)
		__field(u64, slot)
		__field(u32, copies_free)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->pair = pair;
		__entry->slot = slot;
		__entry->copies_free = copies_free;
	),
	TP_printk("cswap%d pair=%u slot=%llu copies_free=%u", __entry->disk, __entry->pair,
		  __entry->slot, __entry->copies_free)
);

/* The rings are gone (@running 0), or were made again. */
TRACE_EVENT(cswap_reset,
	TP_PROTO(int disk, bool running),
	TP_ARGS(disk, running),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(bool, running)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->running = running;
	),
	TP_printk("cswap%d running=%d", __entry->disk, __entry->running)
);

#endif /* CSWAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE cswap_trace
#include <trace/define_trace.h>
