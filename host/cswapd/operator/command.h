/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * command.h - what an operator's requests mean: JSON in, JSON out.
 */
#ifndef CSWAPD_COMMAND_H
#define CSWAPD_COMMAND_H

#include "balloon/balloon.h"
#include "conf.h"
#include "common/ctl.h"
#include "health.h"
#include "balloon/measure.h"
#include "frontend/memory.h"
#include "frontend/vhost_user.h"
#include "serve/worker.h"

/* What the requests are about; all of it belongs to other files. */
struct command_context {
	const struct conf *conf;
	const struct memory *memory;
	const struct measure *measure;
	struct health *health;
	const struct vhost_user *vu;
	struct balloon *balloon;
	struct worker_set *workers;
	const struct store *store;
};

/* For ctl_open(); the context is a struct command_context. */
extern const struct ctl_ops command_ops;

#endif
