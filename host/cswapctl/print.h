/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * print.h - JSON for --json, on standard output.
 */
#ifndef CSWAPCTL_PRINT_H
#define CSWAPCTL_PRINT_H

#include <json-c/json.h>

/*
 * A line of its own. Words in it are a daemon's: json-c escapes C0's control characters, and we those that a
 * terminal obeys besides (common/plain.h), so that a reader has the same words and a terminal isn't steered.
 */
void print_json(struct json_object *object);

#endif
