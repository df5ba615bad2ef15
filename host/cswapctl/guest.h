/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guest.h - what is asked of one guest's daemon.
 */
#ifndef CSWAPCTL_GUEST_H
#define CSWAPCTL_GUEST_H

#include <json-c/json.h>

#include "options.h"

/* The request (target, shrink) for "512M", "1.5G" or "25%"; NULL if it's neither. */
struct json_object *guest_make_request(const char *verb, const char *text);

/*
 * @command: status, watch, or target with @target, which is gone afterwards. Returns an exit
 * status.
 */
int guest_run(const struct options *options, const char *command, struct json_object *target);

#endif
