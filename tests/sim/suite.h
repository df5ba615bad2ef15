/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * suite.h - named cases and their TAP.
 */
#ifndef SIM_SUITE_H
#define SIM_SUITE_H

#include "guest.h"

#define SUITE_SKIP	1

/*
 * A case gets a guest that isn't connected, which is disconnected for it in any
 * case. It returns 0, or -1 or SUITE_SKIP with the reason in g->error.
 */
struct suite_case {
	const char *name;
	int (*run)(struct guest *g, const char *socket);
};

/* Run what has a name that contains @filter (NULL: all). An exit code. */
int suite_run(const char *socket, const char *filter, const struct suite_case *cases,
	      unsigned int count);

/* In a case: fail with the place and the reason unless @condition. */
#define EXPECT(g, condition, ...) do { \
	if (!(condition)) \
		return guest_fail(g, __VA_ARGS__); \
} while (0)

/* In a case: give up if a call that sets g->error failed. */
#define TRY(call) do { \
	if (call) \
		return -1; \
} while (0)

/* The same for a call that sets g->fe.error. */
#define TRY_FE(g, call) do { \
	if (call) \
		return guest_fail(g, "%s", (g)->fe.error); \
} while (0)

/* No answer was out of order: what a correct device owes at all times. */
int suite_check_answers(struct guest *g);
/* Load the first @slots slots: each is to be there, and what was stored last. */
int suite_load_all(struct guest *g, u64 slots);

#endif /* SIM_SUITE_H */
