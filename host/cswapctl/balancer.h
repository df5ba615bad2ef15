/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balancer.h - what is asked of cswap-balancer.
 */
#ifndef CSWAPCTL_BALANCER_H
#define CSWAPCTL_BALANCER_H

#include <json-c/json.h>

#include "options.h"

#define BALANCER_SOCKET "/run/cswap-balancer/control"

/* @command: balancer, pause, resume, drain or explain; of options->guest, or all. */
int balancer_run(const struct options *options, const char *command);

/*
 * What the balancer says of the host and all guests (docs/balancer-control.md, "List"), or NULL: it
 * doesn't run, or doesn't answer within @patience_ms. Quiet. To be put.
 */
struct json_object *balancer_list(const struct options *options, unsigned int patience_ms);

/* The guest with that control socket in it, or NULL. Part of @list, which may be NULL. */
struct json_object *balancer_find_guest(struct json_object *list, const char *socket);

/*
 * What an operator should know beside the daemon's own account of that guest: paused, draining, stuck,
 * slowed, frozen, held, refused; NULL: nothing.
 */
const char *balancer_remark(struct json_object *list, const char *socket);

/* On stderr, when the balancer will soon replace a target that is set now. */
void balancer_warn(const struct options *options, const char *socket);

#endif
