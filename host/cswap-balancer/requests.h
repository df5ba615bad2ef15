/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * requests.h - what an operator asks of the balancer: JSON in, JSON out.
 */
#ifndef CSWAP_BALANCER_REQUESTS_H
#define CSWAP_BALANCER_REQUESTS_H

#include "common/ctl.h"
#include "guests.h"
#include "host.h"
#include "notes.h"

struct balancer {
	struct config config;
	struct guests guests;
	struct notes notes;
	struct modes modes;
	struct host_sample host;
	bool dry_run;
	bool blind;			/* the host can't be measured, and that was said */
	uint64_t decisions, decided_ms;
};

/* For ctl_open(); the context is a struct balancer. */
extern const struct ctl_ops requests_ops;

#endif
