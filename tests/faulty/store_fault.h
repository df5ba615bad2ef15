/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_fault.h - a broken or malicious host, for tests: cswapd-faulty only.
 */
#ifndef CSWAPD_STORE_FAULT_H
#define CSWAPD_STORE_FAULT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "store/store.h"

/*
 * Add a fault, "KIND[:slots=A-B][:every=N][:after=K][:times=T][:ms=M|us=M][:jitter=J]". NULL, or
 * what is wrong with it.
 */
const char *store_fault_add(const char *spec);

/* Put the faults between the workers and @inner, which is then ours. */
struct store *store_fault_wrap(struct store *inner);

/* Faults happen only while armed. */
void store_fault_arm(bool armed);

/* What the --fault option takes. */
extern const char store_fault_help[];

/* Write a line for each fault, about what was done so far. */
bool store_fault_report(FILE *file);

/* An ack before it goes to the guest. */
struct fault_ack {
	uint64_t slot;
	bool load;
	struct virtio_cswap_ack ack;
};

#define FAULT_ACK_EXTRA 1		/* send @extra, too (acks of STOREs only) */
#define FAULT_ACK_LENGTH 2		/* claim to have written FAULT_WILD_LENGTH */
#define FAULT_WILD_LENGTH 0x7ffffff0

/* May change @ack and fill @extra; returns FAULT_ACK_*. */
unsigned int store_fault_ack(struct fault_ack *ack,
			     struct virtio_cswap_ack *extra);

#endif
