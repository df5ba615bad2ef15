/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * worker_hooked.h - see worker_hooked.c.
 */
#ifndef WORKER_HOOKED_H
#define WORKER_HOOKED_H

/* Die by SIGKILL at this step from now, counted from @worker_steps = 0; 0: live. */
extern unsigned int worker_dies_at;
extern unsigned int worker_steps;

/* Called by the worker's thread after each store to the log, if it's set. */
extern void (*worker_noted)(void);

struct worker_set;

/* End what polls for kicks and for the watchdog, as older kernels do when they have no room for a completion. */
void worker_end_polls(struct worker_set *set);

#endif
