/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * operator.h - the daemon's control socket, as a test needs it: ask, get a line.
 */
#ifndef SIM_OPERATOR_H
#define SIM_OPERATOR_H

#include "guest.h"

#define OPERATOR_REPLY_BYTES 8192

/*
 * Send a line to the control socket (that of the front end, with ".ctl" behind
 * it) and get the answer. 0, or -1 with the reason in g->error.
 */
int operator_ask(struct guest *g, const char *socket, const char *line,
		 char reply[OPERATOR_REPLY_BYTES]);

/* The number behind @key in a reply; ~0 if there is none. */
u64 operator_number(const char *reply, const char *key);

/* The same, asking for the status first. */
int operator_status(struct guest *g, const char *socket, const char *key, u64 *value);

int operator_target(struct guest *g, const char *socket, u64 bytes);

#endif /* SIM_OPERATOR_H */
