/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balloon_fault.h - a host that lies about the balloon, for tests: cswapd-faulty only.
 */
#ifndef CSWAPD_BALLOON_FAULT_H
#define CSWAPD_BALLOON_FAULT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "serve/worker.h"

/* Add a fault, "KIND[:every=N][:times=T][:ms=M]". NULL, or what is wrong with it. */
const char *balloon_fault_add(const char *spec);

/* Faults happen only while armed. */
void balloon_fault_arm(bool armed);

/* What the --balloon-fault option takes. */
extern const char balloon_fault_help[];

/* Write a line for each fault. */
bool balloon_fault_report(FILE *file);

/* For struct worker_hooks. */
void balloon_fault_control(enum device_control_op op, struct worker_lie *lie);
bool balloon_fault_target(uint64_t told_bytes, uint64_t *target_bytes);

#endif
