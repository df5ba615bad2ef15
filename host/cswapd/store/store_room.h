/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_room.h - what the store's file system has left, for threads that can't wait for an answer of it.
 *
 * A file system whose server is away keeps even this question waiting. So one thread asks (health.c), and the others
 * have what it was told last.
 */
#ifndef CSWAPD_STORE_ROOM_H
#define CSWAPD_STORE_ROOM_H

#include <semaphore.h>
#include <stdint.h>

struct store_room {
	uint64_t free_bytes;		/* atomic; UINT64_MAX: it isn't known */
	sem_t asked;			/* wakes the thread that asks the file system */
};

/* What there was when looked at last; and have it looked at again. NULL: it isn't known. */
static inline uint64_t store_room_get(struct store_room *room)
{
	if (!room)
		return UINT64_MAX;
	sem_post(&room->asked);
	return __atomic_load_n(&room->free_bytes, __ATOMIC_RELAXED);
}

#endif
