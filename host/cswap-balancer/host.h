/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * host.h - what the host has, and what is left of it: measured.
 */
#ifndef CSWAP_BALANCER_HOST_H
#define CSWAP_BALANCER_HOST_H

#include "policy.h"

struct host_sample {
	struct policy_host_sample memory;
	int pressure_percent;		/* of 10 s with some task waiting; -1: unknown */
	char failed[600];		/* which file couldn't be read, and why */
};

/* @cgroup: the folder of the cgroup that all guests are in; NULL: the whole host. */
bool host_sample(const char *cgroup, struct host_sample *sample);

#endif
