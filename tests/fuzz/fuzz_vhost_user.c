// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_vhost_user.c - what a front end may say, with what descriptors, and what its guest does
 * meanwhile.
 *
 * An input is a series of messages: request, flags, descriptors, payload. Numbers above the
 * protocol's are the guest's: it writes memory, and kicks; or its memory is cut short, or the front
 * end writes into what it keeps of what is in hand; or time passes while the guest moves. A message
 * may be cut short as well, which ends the connection; what comes then is another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "frontend/vhost_user.h"

#define STEP_WRITE 240
#define STEP_RUN 241
#define STEP_CONNECT 242
#define STEP_CUT 243
#define STEP_NOTE 244
#define STEP_MOVE 245

#define VERSION 1
#define NEED_REPLY 8
#define MAX_PAYLOAD 600
#define MAX_FDS 16

/* The kinds of descriptors that a message may bring. */
enum { FD_MEMORY, FD_EVENT, FD_PIPE, FD_ZERO, FD_SOCKET, FD_FULL, FD_SMALL, FD_DIRECTORY, FD_INFLIGHT,
	NUM_KINDS };

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

/* What make-seeds says of it: otherwise its seeds are refused before anything is read of them. */
_Static_assert(offsetof(struct inflight_file, log) == 80 &&
	       offsetof(struct inflight_file, log.pair[FUZZ_PAIRS]) == 51320, "make-seeds: INFLIGHT_");

static const struct store_identity no_store;
static struct fuzz_bench *b;
static struct vhost_user *vu;
static int kinds[NUM_KINDS];
static int front = -1;

static void open_kinds(void)
{
	const uint64_t full = UINT64_MAX - 1;
	int ends[2];

	kinds[FD_MEMORY] = b->memory_fd;
	kinds[FD_EVENT] = b->kick[1];
	FUZZ_CHECK(!pipe2(ends, O_CLOEXEC | O_NONBLOCK));
	close(ends[0]);
	kinds[FD_PIPE] = ends[1];
	kinds[FD_ZERO] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	kinds[FD_SOCKET] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	kinds[FD_FULL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	FUZZ_CHECK(write(kinds[FD_FULL], &full, sizeof(full)) == sizeof(full));
	kinds[FD_SMALL] = memfd_create("small", MFD_CLOEXEC);
	FUZZ_CHECK(!ftruncate(kinds[FD_SMALL], 100));
	kinds[FD_INFLIGHT] = inflight_create_file(b->limits.queue_pairs, &no_store);
	kinds[FD_DIRECTORY] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void open_server(void)
{
	if (vu)
		return;
	b = fuzz_bench();
	vu = fuzz_server();
	signal(SIGPIPE, SIG_IGN);
	open_kinds();
}

static void hang_up(void)
{
	if (front < 0)
		return;
	vhost_user_disconnect(vu);
	close(front);
	front = -1;
}

static void call_up(void)
{
	int ends[2];

	hang_up();
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	vhost_user_connect(vu, ends[0]);
	front = ends[1];
}

static size_t put_fds(struct fuzz_input *in, unsigned int count, char *control)
{
	struct msghdr msg = { .msg_control = control, .msg_controllen = CMSG_SPACE(MAX_FDS * sizeof(int)) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	unsigned int i;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &kinds[fuzz_u8(in) % NUM_KINDS],
		       sizeof(int));
	return CMSG_SPACE(count * sizeof(int));
}

/* All of it is sent at once: less is sent only to be cut short there. */
static void send_message(const struct header *header, const uint8_t *payload, size_t bytes,
			 const char *control, size_t control_bytes)
{
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)header, sizeof(*header) },
		{ (void *)(uintptr_t)payload, bytes },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (control_bytes) {
		msg.msg_control = (void *)(uintptr_t)control;
		msg.msg_controllen = control_bytes;
	}
	FUZZ_CHECK(sendmsg(front, &msg, MSG_NOSIGNAL) == (ssize_t)(sizeof(*header) + bytes));
}

static void hear_replies(void)
{
	char reply[1024];

	while (recv(front, reply, sizeof(reply), MSG_DONTWAIT) > 0)
		;
}

/* The daemon asks first what has to stand still for a message, and how long it waits for the store. */
static void ask_before(const struct header *header, const uint8_t *payload, size_t bytes, unsigned int num_fds)
{
	struct vu_message msg = {
		.header = { header->request, header->flags, header->size }, .num_fds = num_fds,
	};
	struct worker_need need;

	if (bytes > sizeof(msg.payload))
		return;
	memcpy(msg.payload, payload, bytes);
	need = vhost_user_needs(vu, &msg);
	FUZZ_CHECK(need.still != WORKER_RING || need.index < FUZZ_RINGS);
	FUZZ_CHECK(!vhost_user_waits(vu, &msg));
}

static void say(struct fuzz_input *in, uint8_t request)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))] = { 0 };
	uint8_t payload[MAX_PAYLOAD];
	uint8_t how = fuzz_u8(in);
	unsigned int num_fds = how & 0xf;
	struct header header = { request, VERSION | (how & 0x10 ? NEED_REPLY : 0), 0 };
	size_t bytes = fuzz_u16(in) % MAX_PAYLOAD;
	size_t control_bytes = 0;

	/* One bit for all that a header may be wrong in. */
	header.size = (uint32_t)bytes;
	if (how & 0x20) {
		header.flags = fuzz_u32(in);
		header.size = fuzz_u32(in);
	}
	if (num_fds)
		control_bytes = put_fds(in, num_fds, control);
	fuzz_take(in, payload, bytes);
	if (header.size == bytes)
		ask_before(&header, payload, bytes, num_fds);
	send_message(&header, payload, bytes, control, control_bytes);
	if (header.size == bytes && vhost_user_receive(vu)) {
		hear_replies();
		return;
	}
	/* Whoever waits for more than there is sees the end, not a time-out. */
	shutdown(front, SHUT_WR);
	while (header.size != bytes && vhost_user_receive(vu))
		hear_replies();
	call_up();
}

static void write_memory(struct fuzz_input *in)
{
	uint32_t offset = (uint32_t)fuzz_u16(in) * 16;
	uint8_t len = fuzz_u8(in);
	uint8_t bytes[UINT8_MAX];

	/* Not by the mapping, which may lead nowhere by now. */
	fuzz_take(in, bytes, len);
	if (offset <= FUZZ_BYTES - UINT8_MAX)
		FUZZ_CHECK(pwrite(b->memory_fd, bytes, len, offset) == len);
}

/* While the guest moves: what is due when the front end says nothing. */
static void move_on(void)
{
	if (vhost_user_again_ms(vu) >= 0)
		vhost_user_ask_again(vu);
	if (vhost_user_state_poll(vu).fd >= 0)
		vhost_user_move_state(vu);
}

static uint64_t inflight_bytes(void)
{
	return inflight_file_bytes(b->limits.queue_pairs);
}

static void write_note(struct fuzz_input *in)
{
	uint64_t offset = fuzz_u16(in);
	uint8_t len = fuzz_u8(in);
	uint8_t bytes[UINT8_MAX];

	fuzz_take(in, bytes, len);
	if (offset <= inflight_bytes() - len)
		FUZZ_CHECK(pwrite(kinds[FD_INFLIGHT], bytes, len, (off_t)offset) == len);
}

/* Each input begins with the same. */
static void renew_note(void)
{
	close(kinds[FD_INFLIGHT]);
	kinds[FD_INFLIGHT] = inflight_create_file(b->limits.queue_pairs, &no_store);
	FUZZ_CHECK(kinds[FD_INFLIGHT] >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	open_server();
	call_up();
	while (in.left) {
		uint8_t what = fuzz_u8(&in);

		if (what == STEP_WRITE)
			write_memory(&in);
		else if (what == STEP_RUN)
			fuzz_bench_run(b);
		else if (what == STEP_CONNECT)
			call_up();
		else if (what == STEP_CUT)
			FUZZ_CHECK(!ftruncate(b->memory_fd, fuzz_u8(&in) * 4096));
		else if (what == STEP_NOTE)
			write_note(&in);
		else if (what == STEP_MOVE)
			move_on();
		else
			say(&in, what);
	}
	hang_up();
	renew_note();
	FUZZ_CHECK(!b->memory.count);
	fuzz_bench_clear(b);
	return 0;
}
