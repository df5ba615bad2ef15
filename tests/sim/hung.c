// SPDX-License-Identifier: GPL-2.0-only
/*
 * hung.c - something hangs at the medium, and what must go on meanwhile.
 *
 * The daemon is cswapd-faulty, with --fault hang:slots=100-100 in force: it holds the
 * STORE of that slot until SIGUSR2 says otherwise; or with --fault hang-discard or hang-give-back.
 * Each case has a daemon of its own.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hostile.h"
#include "operator.h"
#include "suites.h"

#define HUNG_SLOT	100			/* pair 0's */
#define OTHER_SLOT	0			/* of pair 0 as well */
#define STATUS_TRIES	50

#define OPTIONS (&(struct guest_options){ \
	.frontend = { .style = FE_STYLE_QEMU, .regions = 2 }, .pairs = 2 })

static u8 page[IO_PAGE_BYTES] __attribute__((aligned(4096)));
static struct io_op hung;
static bool done;

static void note_done(struct io_op *op, void *arg)
{
	(void)op;
	*(bool *)arg = true;
}

static int load_works(struct guest *g, u64 slot)
{
	enum io_result result;

	TRY(guest_load(g, slot, &result));
	EXPECT(g, result == IO_OK, "load of slot %llu: result %d", slot, result);
	return 0;
}

/* Connect, and have the STORE hang: a later LOAD of its pair proves that it was taken. */
static int begin_hung(struct guest *g, const char *socket, int *pid)
{
	struct hostile_census census;
	struct guest_pair *p;

	TRY(guest_connect(g, socket, OPTIONS));
	TRY(hostile_census(g, &census));
	*pid = census.pid;
	p = &g->pair[0];
	TRY(guest_check_pair(g, 0, OTHER_SLOT));
	TRY(guest_check_pair(g, 1, GUEST_SHARD_SLOTS));
	done = false;
	hung = (struct io_op){
		.kind = IO_STORE, .slot = HUNG_SLOT, .count = 1, .page = page,
		.counter = io_next_counter(&g->records, 1),
		.done = note_done, .arg = &done,
	};
	io_make_page(page, hung.slot, hung.counter);
	EXPECT(g, !p->io.ops->submit(&p->io, &hung), "no room for an operation");
	p->io.ops->flush(&p->io);
	return load_works(g, OTHER_SLOT);
}

/* Let the STORE go; it ends, and the page is there. */
static int end_hung(struct guest *g, int pid)
{
	struct guest_pair *p = &g->pair[0];

	EXPECT(g, !done, "the STORE didn't hang: result %d", hung.result);
	kill(pid, SIGUSR2);
	while (!done)
		if (p->io.ops->poll(&p->io) < 0 || (!done && p->io.ops->wait(&p->io)))
			return guest_fail(g, "the STORE that hung: %s", p->io.error);
	EXPECT(g, hung.result == IO_OK, "the STORE that hung: result %d", hung.result);
	TRY(load_works(g, HUNG_SLOT));
	return suite_check_answers(g);
}

/* The operator is answered, whatever the message under way has come to. */
static int status_works(struct guest *g, const char *socket)
{
	unsigned int i;
	u64 stored;

	for (i = 0; i < STATUS_TRIES; i++)
		TRY(operator_status(g, socket, "stored_pages", &stored));
	return 0;
}

static int tell_fd(struct guest *g, unsigned int request, const struct virtqueue *vq,
		   int fd)
{
	struct fe_message m = { .header = { request, 0, sizeof(u64) } };

	m.payload.value = vq->index;
	TRY_FE(g, fe_tell(&g->fe, &m, &fd, 1));
	return 0;
}

/* Another eventfd for @vq, in place of *@which. */
static int change_fd(struct guest *g, unsigned int request, struct virtqueue *vq,
		     int *which)
{
	int old = *which;

	*which = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	TRY(tell_fd(g, request, vq, *which));
	close(old);
	return 0;
}

static int case_descriptors(struct guest *g, const char *socket)
{
	struct virtqueue *rings[2];
	unsigned int i;
	int pid;

	TRY(begin_hung(g, socket, &pid));
	rings[0] = &g->pair[0].request;
	rings[1] = &g->pair[0].response;
	for (i = 0; i < 2; i++) {
		TRY(change_fd(g, FE_SET_VRING_CALL, rings[i], &rings[i]->call_fd));
		TRY(load_works(g, OTHER_SLOT));
		TRY(change_fd(g, FE_SET_VRING_ERR, rings[i], &rings[i]->error_fd));
		TRY(load_works(g, OTHER_SLOT));
		TRY(change_fd(g, FE_SET_VRING_KICK, rings[i], &rings[i]->kick_fd));
		TRY(load_works(g, OTHER_SLOT));
	}
	TRY(status_works(g, socket));
	return end_hung(g, pid);
}

static int case_other_pair(struct guest *g, const char *socket)
{
	int pid;

	TRY(begin_hung(g, socket, &pid));
	TRY(guest_stop_pair(&g->pair[1]));
	TRY(load_works(g, OTHER_SLOT));
	TRY(guest_resume_pair(&g->pair[1]));
	TRY(load_works(g, GUEST_SHARD_SLOTS));
	/* And so does the control queue. */
	TRY_FE(g, fe_stop_vq(&g->fe, &g->control, &g->control_base));
	TRY_FE(g, fe_start_vq(&g->fe, &g->control, g->control_base));
	TRY_FE(g, fe_start_features(&g->fe));
	TRY(load_works(g, OTHER_SLOT));
	return end_hung(g, pid);
}

/* Ask where the ring of the STORE stands, which is when it has ended. */
static int ask_base(struct guest *g)
{
	struct fe_message m = {
		.header = { FE_GET_VRING_BASE, FE_VERSION, sizeof(m.payload.state) },
	};

	m.payload.state.index = g->pair[0].request.index;
	TRY_FE(g, fe_send(&g->fe, &m, NULL, 0));
	return 0;
}

static int expect_no_answer(struct guest *g)
{
	struct pollfd p = { .fd = g->fe.socket, .events = POLLIN };

	EXPECT(g, !poll(&p, 1, 0), "the message is answered while the STORE hangs");
	return 0;
}

static int case_message_waits(struct guest *g, const char *socket)
{
	struct fe_message m;
	int pid;

	TRY(begin_hung(g, socket, &pid));
	TRY(ask_base(g));
	TRY(status_works(g, socket));
	TRY(load_works(g, GUEST_SHARD_SLOTS));
	TRY(expect_no_answer(g));
	kill(pid, SIGUSR2);
	TRY_FE(g, fe_receive(&g->fe, &m));
	EXPECT(g, m.header.request == FE_GET_VRING_BASE, "an answer to message %u",
	       m.header.request);
	g->pair[0].request_base = (u16)m.payload.state.value;
	TRY_FE(g, fe_stop_vq(&g->fe, &g->pair[0].response, &g->pair[0].response_base));
	TRY(guest_resume_pair(&g->pair[0]));
	done = false;
	return load_works(g, HUNG_SLOT);
}

static int until_waits(struct guest *g, const char *socket, u64 least, u64 most)
{
	u64 waits;

	do
		TRY(operator_status(g, socket, "waits_ms", &waits));
	while (waits != ~0ull && (waits < least || waits > most));
	EXPECT(g, waits != ~0ull, "the status doesn't say for how long requests wait");
	return 0;
}

/* What hangs is told, although all else goes on, and for how long; and not any longer when it has ended. */
static int case_told(struct guest *g, const char *socket)
{
	int pid;

	TRY(begin_hung(g, socket, &pid));
	TRY(until_waits(g, socket, 1, UINT32_MAX));
	TRY(load_works(g, OTHER_SLOT));
	TRY(until_waits(g, socket, 200, UINT32_MAX));
	TRY(end_hung(g, pid));
	return until_waits(g, socket, 0, 0);
}

/* The rest is seen from outside: that it says so, and ends when the STORE does. */
static int case_end(struct guest *g, const char *socket)
{
	int pid;

	TRY(begin_hung(g, socket, &pid));
	TRY(ask_base(g));
	TRY(status_works(g, socket));
	kill(pid, SIGTERM);
	TRY(status_works(g, socket));
	TRY(expect_no_answer(g));
	/* Who reads that may let the STORE go. */
	puts("# still answered");
	EXPECT(g, fe_wait_closed(&g->fe), "it doesn't end");
	return 0;
}

/*
 * Discards that together have more ranges than there are operations, and none of them
 * ends: what is stored and loaded goes on.
 */
static int case_discards(struct guest *g, const char *socket)
{
	struct virtio_cswap_range *range;
	struct hostile_census census;
	const unsigned int requests = 8;
	unsigned int i;
	void *token;
	u32 used;

	TRY(guest_connect(g, socket, OPTIONS));
	TRY(hostile_census(g, &census));
	range = (struct virtio_cswap_range *)(g->ctrl + 1);
	cswap_wire_put_discard(g->ctrl, VIRTIO_CSWAP_MAX_RANGES);
	for (i = 0; i < VIRTIO_CSWAP_MAX_RANGES; i++)
		cswap_wire_put_range(&range[i], 1024 + 2 * i, 1);
	for (i = 0; i < requests; i++) {
		const struct vq_segment s[] = {
			{ fe_guest_address(&g->fe, g->ctrl),
			  CSWAP_CTRL_BYTES(VIRTIO_CSWAP_MAX_RANGES), false },
			{ fe_guest_address(&g->fe, g->ctrl_response),
			  sizeof(*g->ctrl_response), true },
		};

		EXPECT(g, !vq_add(&g->control, s, 2, NULL), "no room for request %u", i);
	}
	vq_publish(&g->control);
	/* More rounds than would take all of them. */
	for (i = 0; i < 64; i++) {
		TRY(guest_check_pair(g, 0, OTHER_SLOT));
		TRY(guest_check_pair(g, 1, GUEST_SHARD_SLOTS));
	}
	EXPECT(g, !vq_take(&g->control, &token, &used), "a discard didn't hang");
	TRY(until_waits(g, socket, 200, UINT32_MAX));
	kill(census.pid, SIGUSR2);
	for (i = 0; i < requests; i++) {
		TRY(guest_await_control(g, &token, &used));
		EXPECT(g, cswap_wire_get_ctrl_status(g->ctrl_response, used) ==
		       VIRTIO_CSWAP_S_OK, "discard %u failed", i);
	}
	TRY(until_waits(g, socket, 0, 0));
	return suite_check_answers(g);
}

/* Nobody waits for what is given back to the medium; that the medium doesn't answer is told all the same. */
static int case_give_back(struct guest *g, const char *socket)
{
	const struct guest_range range = { .start = 0, .count = 512 };
	struct hostile_census census;
	enum io_result result;
	u32 status;
	u64 slot;

	TRY(guest_connect(g, socket, OPTIONS));
	TRY(hostile_census(g, &census));
	for (slot = 0; slot < range.count; slot++)
		TRY(guest_store(g, slot, &result));
	TRY(guest_discard(g, &range, 1, &status));
	TRY(until_waits(g, socket, 200, UINT32_MAX));
	TRY(guest_check_pair(g, 1, GUEST_SHARD_SLOTS));
	kill(census.pid, SIGUSR2);
	TRY(until_waits(g, socket, 0, 0));
	return suite_check_answers(g);
}

static const struct suite_case cases[] = {
	{ "call, error and kick descriptors change", case_descriptors },
	{ "another pair and the control queue stop and start", case_other_pair },
	{ "a message that waits for it keeps nobody else", case_message_waits },
	{ "for how long is told", case_told },
	{ "the end is heard", case_end },
	{ "discards that hang leave operations to others", case_discards },
	{ "what is given back and hangs is told", case_give_back },
};

int run_hung(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}
