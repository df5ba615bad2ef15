/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * device_state.h - what a device takes along when its guest moves: written by one daemon, read by another.
 *
 * Pure but for the store's tags: works on memory of the caller's. A state may come from anywhere, an attacker
 * included: device_state_check() looks at all of it, once, and only then device_state_apply() believes it.
 */
#ifndef CSWAPD_DEVICE_STATE_H
#define CSWAPD_DEVICE_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "balloon/balloon.h"
#include "rings/inflight.h"
#include "serve/device.h"
#include "serve/worker.h"
#include "store/store.h"
#include "store/store_files.h"

/* The device here: what its state is made of, or becomes. None of it is in use meanwhile. */
struct device_state {
	const struct device_limits *limits;
	const struct store_identity *identity;
	struct store *store;		/* active for writing and applying a state */
	struct balloon *balloon;
	const struct memory *memory;	/* what is released lies there; writing only */
	struct inflight *log;		/* what is in hand; as many pairs as @limits says */
	struct worker_counters *counters; /* in all */
	struct store_ticket ticket;	/* for the daemon that gets the store; writing only */
};

/* More than any state of such a device takes, in bytes. */
uint64_t device_state_room(const struct device_limits *limits);

/* Write it to @to, which has device_state_room() of zeros. Bytes written, or 0: the tags can't be read. */
uint64_t device_state_write(const struct device_state *device, uint8_t *to);

/* Is it a state, and one that fits? NULL, or what is wrong with it. Nobody changes it from now on. */
const char *device_state_check(const struct device_state *device, const uint8_t *from,
			       uint64_t bytes);

/* Of one that was checked. */
struct store_ticket device_state_ticket(const uint8_t *from);

/*
 * Make it the device's, but for what is released, which is in the balloon's log until memory is known
 * (balloon_restore()). False: the tags can't be written; done again it has the same outcome.
 */
bool device_state_apply(const struct device_state *device, const uint8_t *from);

#endif
