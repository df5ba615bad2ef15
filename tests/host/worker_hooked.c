// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_hooked.c - the worker and its log as they are, with a place to die before and
 * after each store to the log, and to have another process write there.
 *
 * The log is written by INFLIGHT_SET and in no other way while rings are served. The one
 * store that counts besides, the used index that the guest is shown, lies between two.
 */
#include <signal.h>

#include "worker_hooked.h"

unsigned int worker_dies_at;
unsigned int worker_steps;
void (*worker_noted)(void);

static void may_die(void)
{
	if (++worker_steps == worker_dies_at)
		raise(SIGKILL);
}

#define INFLIGHT_SET(field, value) do { \
	may_die(); \
	__atomic_store_n(&(field), (value), __ATOMIC_RELEASE); \
	may_die(); \
	if (worker_noted) \
		worker_noted(); \
} while (0)

#include "rings/inflight.c"
#include "serve/worker.c"
#include "serve/worker_answer.c"
#include "serve/worker_attach.c"
#include "serve/worker_control.c"
#include "serve/worker_loop.c"
#include "serve/worker_op.c"
#include "serve/worker_owed.c"
#include "serve/worker_pair.c"
#include "serve/worker_request.c"
#include "serve/worker_ring.c"

static void cancel(struct worker *worker, uint64_t token)
{
	struct io_uring_sqe *sqe = store_get_sqe(&worker->uring);

	io_uring_prep_cancel64(sqe, token, 0);
	io_uring_sqe_set_data64(sqe, TOKEN_NONE);
}

static void end_polls(struct worker *worker, void *arg)
{
	struct pair *pair;

	(void)arg;
	for_each_pair(worker, pair) {
		cancel(worker, (uintptr_t)&pair->request | TOKEN_KICK);
		cancel(worker, (uintptr_t)&pair->response | TOKEN_KICK);
	}
	cancel(worker, (uintptr_t)&worker->control.ring | TOKEN_KICK);
	cancel(worker, TOKEN_BEAT);
	io_uring_submit(&worker->uring);
}

void worker_end_polls(struct worker_set *set)
{
	run_in_all(set, end_polls);
	/* They have been seen to end by then. */
	worker_drain(set);
	worker_drain(set);
}
