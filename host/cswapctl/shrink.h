/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * shrink.h - a guest pushes out what it can for as long as a command runs.
 */
#ifndef CSWAPCTL_SHRINK_H
#define CSWAPCTL_SHRINK_H

#include <json-c/json.h>

#include "options.h"

/*
 * @request is guest_make_request()'s, and gone afterwards; @command ends with NULL. Returns the command's exit status,
 * or one of ours if it never began.
 */
int shrink_run(const struct options *options, struct json_object *request, char *const *command);

#endif
