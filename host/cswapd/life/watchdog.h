/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * watchdog.h - is the process that serves the guest still there, all of it?
 */
#ifndef CSWAPD_WATCHDOG_H
#define CSWAPD_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "serve/device.h"

/* The thread that talks to the front end, and those that serve rings. */
#define WATCHDOG_MAX_THREADS (1 + VIRTIO_CSWAP_MAX_QUEUE_PAIRS)

/* In memory that both processes have. */
struct watchdog_beats {
	uint32_t asked;			/* how often; the monitor's */
	uint32_t main_waits;		/* thread 0 waits for one of the others */
	uint32_t seen[WATCHDOG_MAX_THREADS]; /* of @asked; each thread's own */
};

/* --- the monitor's side --- */

struct watchdog {
	struct watchdog_beats *beats;
	unsigned int threads;
	unsigned int period_ms;		/* 0: no process is ever watched */
	pid_t process;			/* 0: none just now */
	int main_fd;			/* wakes thread 0, which reads it */
	int threads_fd;			/* wakes the others; no thread reads it */
	uint64_t next_ms;
	unsigned int missed;		/* looks in a row at which a thread hung, */
	unsigned int excused;		/* and at which a thread waited in the kernel */
};

/* False (logged) if there is no descriptor for it. */
bool watchdog_open(struct watchdog *watchdog, struct watchdog_beats *beats,
		   unsigned int threads, unsigned int seconds);

/* begin: @process serves from now on. end: no process does. */
void watchdog_begin(struct watchdog *watchdog, pid_t process, uint64_t now_ms);
void watchdog_end(struct watchdog *watchdog);

/* Look after it, if it's time. What hangs is told to the log, and killed. */
void watchdog_look(struct watchdog *watchdog, uint64_t now_ms);
/* When it is; UINT64_MAX: never. */
uint64_t watchdog_next_ms(const struct watchdog *watchdog);

/* Not while a process hangs, and can't be killed. */
bool watchdog_is_well(const struct watchdog *watchdog);

/* --- the side of the process that is watched --- */

static inline void watchdog_answer(struct watchdog_beats *beats, unsigned int thread)
{
	uint32_t asked = __atomic_load_n(&beats->asked, __ATOMIC_ACQUIRE);

	__atomic_store_n(&beats->seen[thread], asked, __ATOMIC_RELEASE);
}

#endif
