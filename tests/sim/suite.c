// SPDX-License-Identifier: GPL-2.0-only
/*
 * suite.c - named cases and their TAP.
 */
#include <stdio.h>
#include <string.h>

#include "suite.h"

/* Checks: device-vq-same-pair, device-request-used-first */
/* Checks: device-request-one-outcome, device-response-reserved */
int suite_check_answers(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->pairs; i++) {
		const struct guest_pair *p = &g->pair[i];

		EXPECT(g, !p->ignored, "pair %u: %llu answers to nothing", i, p->ignored);
		EXPECT(g, !p->malformed, "pair %u: %llu malformed answers", i,
		       p->malformed);
		EXPECT(g, !p->early, "pair %u: %llu answers before their requests came back",
		       i, p->early);
	}
	return 0;
}

static int report(unsigned int number, const char *name, int rc, const char *why)
{
	if (rc == SUITE_SKIP)
		printf("ok %u - %s # SKIP %s\n", number, name, why);
	else
		printf("%s %u - %s\n", rc ? "not ok" : "ok", number, name);
	if (rc < 0)
		printf("# %s\n", why);
	fflush(stdout);
	return rc < 0;
}

int suite_run(const char *socket, const char *filter, const struct suite_case *cases,
	      unsigned int count)
{
	unsigned int i, run = 0, failed = 0;

	for (i = 0; i < count; i++) {
		static struct guest g;
		int rc;

		if (filter && !strstr(cases[i].name, filter))
			continue;
		memset(&g, 0, sizeof(g));
		g.fe.socket = g.fe.memory_fd = g.fe.backend_request_fd = -1;
		g.fe.inflight_fd = -1;
		rc = cases[i].run(&g, socket);
		failed += report(++run, cases[i].name, rc, g.error);
		guest_disconnect(&g);
	}
	printf("1..%u\n", run);
	return failed ? 1 : 0;
}

int suite_load_all(struct guest *g, u64 slots)
{
	enum io_result result;
	u64 slot;

	for (slot = 0; slot < slots; slot++) {
		TRY(guest_load(g, slot, &result));
		EXPECT(g, result == IO_OK, "load of %llu: %u", slot, result);
	}
	return 0;
}
