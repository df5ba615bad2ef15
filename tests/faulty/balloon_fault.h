/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balloon_fault.h - a host that lies about the balloon, for tests: cswapd-faulty only.
 */
#ifndef CSWAPD_BALLOON_FAULT_H
#define CSWAPD_BALLOON_FAULT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "serve/device.h"

/* What is done to a control request, and to its answer; zeros: nothing. */
struct control_lie {
	uint32_t status;		/* do nothing, and say so */
	uint64_t delay_ms;		/* before it is begun */
	bool stall;			/* don't begin before somebody waits for its end */
	bool never;			/* neither do nor answer it */
	bool early;			/* answer it before it is begun */
	bool twice;			/* answer it twice */
	bool reserved_bits;		/* set one */
	uint32_t used_bytes;		/* claim to have written so much */
};

/* Add a fault, "KIND[:every=N][:times=T][:ms=M]". NULL, or what is wrong with it. */
const char *balloon_fault_add(const char *spec);

/* Faults happen only while armed. */
void balloon_fault_arm(bool armed);

/* What the --balloon-fault option takes. */
extern const char balloon_fault_help[];

/* Write a line for each fault. */
bool balloon_fault_report(FILE *file);

/* Asked once for each request that is in order; an EVENT: when it's used. */
void balloon_fault_control(enum device_control_op op, struct control_lie *lie);
/* May change the target; whether to tell it now, by the EVENT there is; *@again: and to release anew. */
bool balloon_fault_target(uint64_t told_bytes, uint64_t *target_bytes, bool *again);

#endif
