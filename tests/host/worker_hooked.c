// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_hooked.c - the worker and its log as they are, with a place to die before and
 * after each store to the log.
 *
 * The log is written by INFLIGHT_SET and in no other way while rings are served. The one
 * store that counts besides, the used index that the guest is shown, lies between two.
 */
#include <signal.h>

#include "worker_hooked.h"

unsigned int worker_dies_at;
unsigned int worker_steps;

static void may_die(void)
{
	if (++worker_steps == worker_dies_at)
		raise(SIGKILL);
}

#define INFLIGHT_SET(field, value) do { \
	may_die(); \
	__atomic_store_n(&(field), (value), __ATOMIC_RELEASE); \
	may_die(); \
} while (0)

#include "inflight.c"
#include "worker.c"
#include "worker_attach.c"
#include "worker_control.c"
#include "worker_loop.c"
#include "worker_op.c"
#include "worker_pair.c"
#include "worker_request.c"
#include "worker_ring.c"
