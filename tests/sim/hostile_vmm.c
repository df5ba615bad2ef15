// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile_vmm.c - what a malicious or broken VMM may try on the socket.
 *
 * It has the daemon to itself, so all that is demanded is that the daemon
 * outlives it, leaks nothing, and serves the next connection; and that what is
 * plainly wrong is refused, by an answer or by hanging up.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"
#include "suites.h"

/* --- messages --- */

/* Send some bytes as they are, then perhaps descriptors with them. */
static void send_bytes(struct frontend *fe, const void *bytes, size_t count,
		       unsigned int nfds)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] = { 0 };
	struct iovec iov = { (void *)bytes, count };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	unsigned int i;

	if (nfds) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fe->memory_fd, sizeof(int));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	}
	/* The daemon may have hung up already, and that is an answer, too. */
	(void)!sendmsg(fe->socket, &msg, MSG_NOSIGNAL);
}

/*
 * The daemon has done with what was sent: it answers one more question, or it
 * has hung up. Answers to what was sent before are skipped.
 */
static int settle(struct guest *g, bool *closed)
{
	struct fe_message m = { .header = { FE_GET_FEATURES, FE_VERSION, 0 } };

	*closed = false;
	if (fe_send(&g->fe, &m, NULL, 0)) {
		*closed = true;
		return 0;
	}
	do {
		if (fe_receive(&g->fe, &m)) {
			EXPECT(g, fe_is_closed(&g->fe), "%s", g->fe.error);
			*closed = true;
			return 0;
		}
	} while (m.header.request != FE_GET_FEATURES);
	return 0;
}

static int refused(struct guest *g, int rc)
{
	bool closed;

	EXPECT(g, rc, "it was accepted");
	return settle(g, &closed);
}

/* --- malformed messages --- */

static int case_truncated_header(struct guest *g, const char *socket)
{
	struct fe_message m = { .header = { FE_SET_MEM_TABLE, FE_VERSION, 8 } };
	struct hostile_census before;
	unsigned int bytes;

	TRY(hostile_begin(g, socket, &before));
	for (bytes = 1; bytes < sizeof(m.header) + 8; bytes++) {
		send_bytes(&g->fe, &m, bytes, bytes % 3);
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

static int case_sizes(struct guest *g, const char *socket)
{
	static const u32 sizes[] = { 513, 4096, 0x10000, 0x7fffffff, 0xffffffff };
	struct hostile_census before;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct fe_message m = { .header = { FE_SET_FEATURES, FE_VERSION, sizes[i] } };

		send_bytes(&g->fe, &m.header, sizeof(m.header), 0);
		EXPECT(g, fe_wait_closed(&g->fe), "a payload of %u bytes was accepted",
		       sizes[i]);
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

static int case_versions(struct guest *g, const char *socket)
{
	static const u32 flags[] = { 0, 2, 3 };
	struct hostile_census before;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct fe_message m = { .header = { FE_GET_FEATURES, flags[i], 0 } };

		send_bytes(&g->fe, &m.header, sizeof(m.header), 0);
		EXPECT(g, fe_wait_closed(&g->fe), "version %u was accepted", flags[i]);
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* Every request with every size that another one has. */
static int case_every_request_every_size(struct guest *g, const char *socket)
{
	static const unsigned int sizes[] = { 0, 1, 4, 8, 11, 12, 16, 32, 40, 48, 264, 512 };
	struct hostile_census before;
	unsigned int request, i;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (request = 0; request < 48; request++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct fe_message m = {
				.header = { request, FE_VERSION | FE_FLAG_NEED_REPLY,
					    sizes[i] },
			};

			memset(&m.payload, i % 2 ? 0xff : 0, sizes[i]);
			send_bytes(&g->fe, &m.header, sizeof(m.header), 0);
			send_bytes(&g->fe, &m.payload, sizes[i], 0);
			TRY(settle(g, &closed));
			if (closed)
				TRY(guest_reconnect(g));
		}
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* Random messages; the seed is fixed, so a failure can be found again. */
static int case_random(struct guest *g, const char *socket)
{
	struct hostile_census before;
	u64 random = 0x1234567;
	unsigned int i, k;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < 800; i++) {
		struct fe_message m = { .header = { .flags = FE_VERSION } };
		u64 words[64];

		for (k = 0; k < ARRAY_SIZE(words); k++) {
			random = random * 6364136223846793005 + 1442695040888963407;
			words[k] = random >> (k % 5 ? 60 : random >> 58);
		}
		m.header.request = random % 44;
		m.header.flags |= random & FE_FLAG_NEED_REPLY << 8 ? FE_FLAG_NEED_REPLY : 0;
		m.header.bytes = random % 3 ? 8 * (random >> 61) : (random >> 40) % 512;
		memcpy(m.payload.raw, words, sizeof(words));
		send_bytes(&g->fe, &m.header, sizeof(m.header), (random >> 33) % 4 ? 0 : 1);
		send_bytes(&g->fe, &m.payload, m.header.bytes, 0);
		TRY(settle(g, &closed));
		if (closed)
			TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, false);
}

static int case_unknown_requests(struct guest *g, const char *socket)
{
	static const u32 requests[] = { 0, 41, 42, 43, 44, 1000, 0x7fffffff, 0xffffffff };
	struct hostile_census before;
	unsigned int i;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct fe_message m = { .header = { requests[i], 0, 8 } };

		EXPECT(g, fe_tell(&g->fe, &m, NULL, 0), "request %u was accepted",
		       requests[i]);
		TRY(settle(g, &closed));
		if (closed)
			TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* --- messages in pieces --- */

/* Another process serves the guest than before, and so what it says comes from there. */
static int lose_worker(struct guest *g, const struct hostile_census *census)
{
	int pid = census_worker(census->pid), next;
	enum io_result result;

	EXPECT(g, pid && !kill(pid, SIGKILL), "nobody to kill");
	TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "the bystander, by the next process: result %d", result);
	next = census_worker(census->pid);
	EXPECT(g, next && next != pid, "nobody serves the guest");
	return 0;
}

/* Half a message is there: the process that serves dies, and another serves, before the rest comes. */
static int case_half_a_message(struct guest *g, const char *socket)
{
	static const unsigned int cuts[] = { 1, 11, 12, 13, 87 };
	/* Header and payload; what is read is @bytes of the configuration. */
	const struct {
		u32 request, flags, size, offset, bytes, writable;
		u8 space[64];
	} ask = { FE_GET_CONFIG, FE_VERSION, 12 + 64, 0, 64, 0, { 0 } };
	struct hostile_census before;
	struct fe_message m;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		send_bytes(&g->fe, &ask, cuts[i], 0);
		TRY(lose_worker(g, &before));
		send_bytes(&g->fe, (const char *)&ask + cuts[i], sizeof(ask) - cuts[i], 0);
		TRY_FE(g, fe_receive(&g->fe, &m));
		EXPECT(g, m.header.bytes == 12 + 64, "an answer of %u bytes", m.header.bytes);
	}
	return hostile_aftermath(g, &before, true);
}

/* Questions whose answers nobody reads yet, as many as go: until neither side can send. */
static int ask_without_reading(struct guest *g, unsigned int *asked)
{
	const struct fe_message m = { .header = { FE_GET_FEATURES, FE_VERSION, 0 } };
	struct pollfd p = { .fd = g->fe.socket, .events = POLLOUT };
	ssize_t n;

	for (*asked = 0; poll(&p, 1, 500) == 1; ++*asked) {
		n = send(g->fe.socket, &m.header, sizeof(m.header), MSG_NOSIGNAL | MSG_DONTWAIT);
		EXPECT(g, n == sizeof(m.header), "question %u: %zd", *asked, n);
	}
	return 0;
}

/* The same with a reply that doesn't leave because the front end doesn't read. */
static int case_replies_unread(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int asked, i;
	struct fe_message m;

	TRY(hostile_begin(g, socket, &before));
	TRY(ask_without_reading(g, &asked));
	EXPECT(g, asked > 100, "only %u questions fit", asked);
	TRY(lose_worker(g, &before));
	for (i = 0; i < asked; i++) {
		TRY_FE(g, fe_receive(&g->fe, &m));
		EXPECT(g, m.header.request == FE_GET_FEATURES && m.header.bytes == 8,
		       "answer %u is to request %u", i, m.header.request);
	}
	return hostile_aftermath(g, &before, true);
}

/* A byte ten times a second of a message that takes longer than a test, from *@sent until it's over. */
static int trickle(struct guest *g, unsigned int *sent)
{
	const struct fe_message m = { .header = { FE_SET_CONFIG, FE_VERSION, 512 } };
	struct pollfd p = { .fd = g->fe.socket, .events = POLLIN };

	for (; *sent < 500; ++*sent) {
		send_bytes(&g->fe, (const char *)&m + *sent, 1, 0);
		if (poll(&p, 1, 100) == 1)
			break;
	}
	EXPECT(g, *sent < 500, "it still waits for the end of the message");
	EXPECT(g, fe_wait_closed(&g->fe), "half a message was answered");
	return 0;
}

static int case_trickle(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int sent = 0;

	TRY(hostile_begin(g, socket, &before));
	TRY(trickle(g, &sent));
	EXPECT(g, sent > 10, "it was dropped after %u bytes", sent);
	return hostile_aftermath(g, &before, false);
}

/* Told to end, the daemon doesn't wait for the rest of a message. */
static int case_end_in_a_message(struct guest *g, const char *socket)
{
	struct hostile_census before;
	const u32 request = FE_SET_CONFIG;
	unsigned int sent = sizeof(request);

	TRY(hostile_begin(g, socket, &before));
	send_bytes(&g->fe, &request, sent, 0);
	EXPECT(g, !kill(before.pid, SIGTERM), "no daemon");
	TRY(trickle(g, &sent));
	EXPECT(g, sent < 100, "it waited for %u bytes", sent);
	return 0;
}

/* --- descriptors --- */

static int case_unwanted_descriptors(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int request, nfds;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (request = 1; request < 44; request++) {
		for (nfds = 1; nfds <= 64; nfds *= 2) {
			struct fe_message m = { .header = { request, FE_VERSION, 0 } };

			send_bytes(&g->fe, &m.header, sizeof(m.header), nfds);
			TRY(settle(g, &closed));
			if (closed)
				TRY(guest_reconnect(g));
		}
	}
	return hostile_aftermath(g, &before, true);
}

/* Descriptors that come with the second half of a message. */
static int case_late_descriptors(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < 20; i++) {
		struct fe_message m = { .header = { FE_SET_VRING_CALL, FE_VERSION, 8 } };

		m.payload.value = 1;
		send_bytes(&g->fe, &m.header, 5, 1);
		send_bytes(&g->fe, (char *)&m.header + 5, sizeof(m.header) - 5, 2);
		send_bytes(&g->fe, &m.payload, 8, 3);
		TRY(settle(g, &closed));
		if (closed)
			TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, false);
}

static int case_missing_descriptors(struct guest *g, const char *socket)
{
	static const u32 requests[] = {
		FE_SET_VRING_KICK, FE_SET_VRING_CALL, FE_SET_VRING_ERR,
	};
	struct hostile_census before;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct fe_message m = { .header = { requests[i], 0, 8 } };

		m.payload.value = 1;
		TRY(refused(g, fe_tell(&g->fe, &m, NULL, 0)));
	}
	return hostile_aftermath(g, &before, true);
}

/* Descriptors that are no eventfds, as kick, call and error. */
static int odd_ring_fd(struct guest *g, const char *socket, int fd)
{
	static const u32 requests[] = {
		FE_SET_VRING_CALL, FE_SET_VRING_ERR, FE_SET_VRING_KICK,
	};
	struct hostile_census before;
	unsigned int i;

	EXPECT(g, fd >= 0, "can't make the descriptor");
	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct fe_message m = { .header = { requests[i], 0, 8 } };
		struct guest_pair *p = &g->pair[0];
		enum io_result result;
		bool closed;

		m.payload.value = p->response.index;
		(void)fe_tell(&g->fe, &m, &fd, 1);
		TRY(settle(g, &closed));
		EXPECT(g, !closed, "hung up because of a ring's descriptor");
		/* Pair 0 may be deaf or mute now, but must not stop pair 1. */
		vq_kick(&p->request);
		TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
		EXPECT(g, result == IO_OK, "the bystander: result %d", result);
	}
	close(fd);
	return hostile_aftermath(g, &before, true);
}

static int case_odd_zero(struct guest *g, const char *socket)
{
	return odd_ring_fd(g, socket, open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static int case_odd_directory(struct guest *g, const char *socket)
{
	return odd_ring_fd(g, socket, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int case_odd_memfd(struct guest *g, const char *socket)
{
	return odd_ring_fd(g, socket, memfd_create("odd", MFD_CLOEXEC));
}

static int case_odd_socket(struct guest *g, const char *socket_path)
{
	return odd_ring_fd(g, socket_path, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/* Full, and so a write would block for ever. */
static int case_odd_full_eventfd(struct guest *g, const char *socket)
{
	const u64 full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	EXPECT(g, fd >= 0 && write(fd, &full, sizeof(full)) == sizeof(full), "no eventfd");
	return odd_ring_fd(g, socket, fd);
}

static int case_odd_pipe_end(struct guest *g, const char *socket)
{
	int fds[2];

	EXPECT(g, !pipe2(fds, O_CLOEXEC), "no pipe");
	/* Nobody reads: a write is EPIPE, and SIGPIPE unless somebody took care. */
	close(fds[0]);
	return odd_ring_fd(g, socket, fds[1]);
}

/* --- memory --- */

static int tell_region(struct guest *g, u64 address, u64 bytes, u64 user, u64 offset,
		       int fd)
{
	struct fe_message m = { .header = { FE_ADD_MEM_REG, 0, 40 } };

	m.payload.one.region = (struct fe_wire_region){ address, bytes, user, offset };
	return fe_tell(&g->fe, &m, &fd, fd >= 0);
}

static int case_bad_regions(struct guest *g, const char *socket)
{
	const u64 base = (u64)1 << 40, page = 4096, top = UINT64_MAX;
	struct hostile_census before;
	int fd, event;
	const struct fe_region *r;

	TRY(hostile_begin(g, socket, &before));
	fd = g->fe.memory_fd;
	r = &g->fe.region[0];
	TRY(refused(g, tell_region(g, base, 0, base, 0, fd)));
	TRY(refused(g, tell_region(g, base, page, base, 0, -1)));
	TRY(refused(g, tell_region(g, base, (u64)1 << 40, base, 0, fd)));
	TRY(refused(g, tell_region(g, base, page, base, (u64)1 << 40, fd)));
	TRY(refused(g, tell_region(g, base, top, base, page, fd)));
	TRY(refused(g, tell_region(g, top - page + 1, 2 * page, base, 0, fd)));
	TRY(refused(g, tell_region(g, base, 2 * page, top - page + 1, 0, fd)));
	TRY(refused(g, tell_region(g, base, page, base, top - page + 1, fd)));
	TRY(refused(g, tell_region(g, base + 1, page, base, 0, fd)));
	TRY(refused(g, tell_region(g, r->guest_address, page, base, 0, fd)));
	TRY(refused(g, tell_region(g, r->guest_address + r->bytes - page, 2 * page,
				   base, 0, fd)));
	event = eventfd(0, EFD_CLOEXEC);
	TRY(refused(g, tell_region(g, base, page, base, 0, event)));
	close(event);
	return hostile_aftermath(g, &before, true);
}

static int case_too_many_regions(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < 2000; i++)
		if (tell_region(g, ((u64)i + 100) << 32, 4096, ((u64)i + 100) << 32, 0,
				g->fe.memory_fd))
			break;
	EXPECT(g, i < 2000, "2000 regions were accepted");
	return hostile_aftermath(g, &before, true);
}

#define MANY_REGIONS 500

static u64 many_region(unsigned int i)
{
	return ((u64)1 << 40) + ((u64)i << 21);
}

/* As many as a VMM with hot-plug may have: they outlive the process that serves, and go one by one. */
static int case_many_regions(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < MANY_REGIONS; i++)
		EXPECT(g, !tell_region(g, many_region(i), 4096, many_region(i), 0, g->fe.memory_fd),
		       "region %u is refused", i);
	TRY(lose_worker(g, &before));
	for (i = 0; i < MANY_REGIONS; i++) {
		/* Neither in their order, nor against it. */
		unsigned int n = i * 7 % MANY_REGIONS;
		struct fe_message m = { .header = { FE_REM_MEM_REG, 0, 40 } };

		m.payload.one.region = (struct fe_wire_region){ many_region(n), 4096, many_region(n), 0 };
		EXPECT(g, !fe_tell(&g->fe, &m, NULL, 0), "region %u can't go: %s", n, g->fe.error);
	}
	return hostile_aftermath(g, &before, true);
}

static int case_bad_tables(struct guest *g, const char *socket)
{
	static const u32 counts[] = { 0, 1, 3, 8, 9, 0x10000, 0xffffffff };
	struct hostile_census before;
	unsigned int i;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		struct fe_message m = { .header = { FE_SET_MEM_TABLE, 0, 8 + 2 * 32 } };
		const int fds[] = { g->fe.memory_fd, g->fe.memory_fd };
		unsigned int k;

		/* The regions are good; only their number is wrong. */
		for (k = 0; k < 2; k++)
			m.payload.table.region[k] = (struct fe_wire_region){
				g->fe.region[k].guest_address, g->fe.region[k].bytes,
				g->fe.region[k].user_address, g->fe.region[k].offset,
			};
		m.payload.table.regions = counts[i];
		EXPECT(g, fe_tell(&g->fe, &m, fds, 2), "%u regions in a table of 2",
		       counts[i]);
		TRY(settle(g, &closed));
		if (closed)
			TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, false);
}

struct load_op {
	struct io_op op;
	bool done;
};

static void load_done(struct io_op *op, void *arg)
{
	(void)op;
	*(bool *)arg = true;
}

static u8 under_load_page[64][IO_PAGE_BYTES];
static struct load_op under_load_op[64];

/* Leave 64 stores of pair 0 under way, or as many as there is room for. Returns how many. */
static unsigned int start_load(struct guest *g)
{
	struct guest_pair *p = &g->pair[0];
	unsigned int i;

	for (i = 0; i < 64; i++) {
		struct load_op *l = &under_load_op[i];

		l->done = false;
		l->op = (struct io_op){
			.kind = IO_STORE, .slot = i, .count = 1,
			.page = under_load_page[i], .done = load_done, .arg = &l->done,
			.counter = io_next_counter(&g->records, 1),
		};
		if (p->io.ops->submit(&p->io, &l->op))
			break;
	}
	p->io.ops->flush(&p->io);
	return i;
}

/* The memory goes away under the rings and under requests. */
static int case_regions_removed_under_load(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i, round;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (round = 0; round < 10; round++) {
		start_load(g);
		for (i = 0; i < g->fe.regions; i++) {
			struct fe_message m = { .header = { FE_REM_MEM_REG, 0, 40 } };
			const struct fe_region *r = &g->fe.region[i];

			m.payload.one.region = (struct fe_wire_region){
				r->guest_address, r->bytes, r->user_address, r->offset,
			};
			(void)fe_tell(&g->fe, &m, NULL, 0);
		}
		vq_kick(&g->pair[0].request);
		vq_kick(&g->pair[1].request);
		TRY(settle(g, &closed));
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

static int remove_region(struct guest *g, unsigned int index)
{
	const struct fe_region *r = &g->fe.region[index];
	struct fe_message m = { .header = { FE_REM_MEM_REG, 0, 40 } };

	m.payload.one.region = (struct fe_wire_region){
		r->guest_address, r->bytes, r->user_address, r->offset,
	};
	TRY_FE(g, fe_tell(&g->fe, &m, NULL, 0));
	return 0;
}

static int add_region(struct guest *g, unsigned int index)
{
	const struct fe_region *r = &g->fe.region[index];

	TRY_FE(g, tell_region(g, r->guest_address, r->bytes, r->user_address, r->offset,
			      g->fe.memory_fd));
	return 0;
}

/* The first @count stores of start_load() end, and well. */
static int await_load(struct guest *g, unsigned int count)
{
	struct guest_pair *p = &g->pair[0];
	unsigned int i;

	for (i = 0; i < count; i++) {
		while (!under_load_op[i].done)
			if (p->io.ops->poll(&p->io) < 0 ||
			    (!under_load_op[i].done && p->io.ops->wait(&p->io)))
				return guest_fail(g, "store %u of %u: %s", i, count, p->io.error);
		EXPECT(g, under_load_op[i].op.result == IO_OK, "store %u: result %d", i,
		       under_load_op[i].op.result);
	}
	return 0;
}

/* All is as before, for both pairs and the control queue. */
static int is_served(struct guest *g)
{
	const struct guest_range range = { 100, 8 };
	enum io_result result;
	u32 status;

	TRY(guest_check_pair(g, 0, 90));
	TRY(guest_discard(g, &range, 1, &status));
	EXPECT(g, !status, "discard: status %u", status);
	TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "the bystander's page: result %d", result);
	return 0;
}

/* As QEMU does when a region changes its size: what lies there, rings and requests, isn't there for a moment. */
static int case_regions_come_again(struct guest *g, const char *socket)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 5 }, .pairs = 2,
	};
	struct hostile_census before;
	unsigned int i, before_count, between_count;

	TRY(hostile_begin_with(g, socket, &before, &o));
	for (i = 0; i < g->fe.regions; i++) {
		before_count = start_load(g);
		TRY(remove_region(g, i));
		TRY(add_region(g, i));
		TRY(await_load(g, before_count));
		TRY(remove_region(g, i));
		between_count = start_load(g);
		TRY(add_region(g, i));
		TRY(await_load(g, between_count));
		TRY(is_served(g));
	}
	for (i = 0; i < g->fe.regions; i++)
		TRY(remove_region(g, i));
	between_count = start_load(g);
	for (i = 0; i < g->fe.regions; i++)
		TRY(add_region(g, i));
	TRY(await_load(g, between_count));
	TRY(is_served(g));
	return hostile_aftermath(g, &before, true);
}

/* All regions go; the rings stop meanwhile, and start where they stopped when the regions are there again. */
static int case_rings_stop_while_away(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i, round, count;

	TRY(hostile_begin(g, socket, &before));
	for (round = 0; round < 10; round++) {
		count = start_load(g);
		for (i = 0; i < g->fe.regions; i++)
			TRY(remove_region(g, i));
		TRY(guest_stop(g));
		for (i = 0; i < g->fe.regions; i++)
			TRY(add_region(g, i));
		TRY(guest_resume(g));
		TRY(await_load(g, count));
		TRY(is_served(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* Another process serves the guest than before, as far as there is memory to serve it in. */
static int change_worker(struct guest *g, const struct hostile_census *census)
{
	int pid = census_worker(census->pid), next;
	bool closed;

	EXPECT(g, pid && !kill(pid, SIGKILL), "nobody to kill");
	TRY(settle(g, &closed));
	EXPECT(g, !closed, "the guest is given up");
	next = census_worker(census->pid);
	EXPECT(g, next && next != pid, "nobody serves the guest");
	return 0;
}

/* The process dies while memory is away, as does the next; a later one finds all that was in hand. */
static int die_while_away(struct guest *g, const struct hostile_census *census, unsigned int first,
			  unsigned int end, bool stops)
{
	unsigned int i, deaths, count = start_load(g);

	for (deaths = 0; deaths <= 2; deaths++) {
		for (i = first; i < end; i++)
			TRY(remove_region(g, i));
		for (i = 0; i < deaths; i++)
			TRY(change_worker(g, census));
		if (stops)
			TRY(guest_stop(g));
		for (i = first; i < end; i++)
			TRY(add_region(g, i));
		if (stops)
			TRY(guest_resume(g));
		TRY(await_load(g, count));
		TRY(is_served(g));
		count = start_load(g);
	}
	return await_load(g, count);
}

static int die_while_any_is_away(struct guest *g, const char *socket, bool inflight, bool stops)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 5, .inflight = inflight },
		.pairs = 2,
	};
	struct hostile_census before;
	unsigned int i;

	TRY(hostile_begin_with(g, socket, &before, &o));
	for (i = 0; i < g->fe.regions; i++)
		TRY(die_while_away(g, &before, i, i + 1, stops));
	TRY(die_while_away(g, &before, 0, g->fe.regions, stops));
	return hostile_aftermath(g, &before, true);
}

static int case_worker_dies_while_away(struct guest *g, const char *socket)
{
	return die_while_any_is_away(g, socket, false, false);
}

static int case_rings_stop_after_death_while_away(struct guest *g, const char *socket)
{
	return die_while_any_is_away(g, socket, false, true);
}

/* Another table, whose regions are elsewhere for the rings that run. */
static int case_table_moved_under_load(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int round;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (round = 0; round < 10; round++) {
		start_load(g);
		(void)fe_share_table(&g->fe, true);
		vq_kick(&g->pair[0].request);
		TRY(settle(g, &closed));
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

/*
 * The file of the memory is cut short under the rings and under requests: reported as broken,
 * until the memory is shared again. We don't touch it in between either.
 */
static int case_memory_vanishes_under_load(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct stat file;
	unsigned int round;

	TRY(hostile_begin(g, socket, &before));
	EXPECT(g, !fstat(g->fe.memory_fd, &file), "no memory");
	for (round = 0; round < 10; round++) {
		struct guest_pair *p = &g->pair[0];
		struct pollfd broken[] = {
			{ .fd = p->request.error_fd, .events = POLLIN },
			{ .fd = p->response.error_fd, .events = POLLIN },
		};

		start_load(g);
		EXPECT(g, !ftruncate(g->fe.memory_fd, round % 2 ? file.st_size / 2 : 0),
		       "can't cut the memory short");
		vq_kick(&p->request);
		if (!(round % 2))
			EXPECT(g, poll(broken, 2, FE_PATIENCE_MS) > 0,
			       "nobody notices that the memory has vanished");
		EXPECT(g, !ftruncate(g->fe.memory_fd, file.st_size), "can't give it back");
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* --- while requests are under way --- */

/* Status 0, a device reset or an owner reset, none of which waits for anything. */
static int case_reset_under_load(struct guest *g, const char *socket)
{
	static const struct fe_message resets[] = {
		{ .header = { FE_SET_STATUS, FE_VERSION, 8 } },
		{ .header = { FE_RESET_DEVICE, FE_VERSION, 0 } },
		{ .header = { FE_RESET_OWNER, FE_VERSION, 0 } },
	};
	struct hostile_census before;
	unsigned int round;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	for (round = 0; round < 12; round++) {
		const struct fe_message *m = &resets[round % ARRAY_SIZE(resets)];
		unsigned int times;

		start_load(g);
		for (times = 0; times < 1 + round % 2; times++)
			send_bytes(&g->fe, m, sizeof(m->header) + m->header.bytes, 0);
		vq_kick(&g->pair[0].request);
		TRY(settle(g, &closed));
		EXPECT(g, !closed, "hung up because of a reset");
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* All of it is read-only: what is written is neither kept nor an offence. */
static int case_config_written(struct guest *g, const char *socket)
{
	struct hostile_census before;
	u8 is[64], was[64];
	unsigned int round;

	TRY(hostile_begin(g, socket, &before));
	TRY_FE(g, fe_read_config(&g->fe, 0, was, sizeof(was)));
	for (round = 0; round < 16; round++) {
		u8 other[64];

		memset(other, round * 17, sizeof(other));
		start_load(g);
		TRY_FE(g, fe_write_config(&g->fe, 0, other, sizeof(other)));
		TRY_FE(g, fe_read_config(&g->fe, 0, is, sizeof(is)));
		EXPECT(g, !memcmp(is, was, sizeof(is)), "the configuration has changed");
		TRY(guest_reconnect(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* --- order --- */

static int case_wrong_order(struct guest *g, const char *socket)
{
	static const u32 requests[] = {
		FE_SET_VRING_ENABLE, FE_GET_VRING_BASE, FE_SET_VRING_BASE,
		FE_SET_VRING_ADDR, FE_SET_VRING_NUM, FE_SET_VRING_ENABLE,
		FE_RESET_DEVICE, FE_RESET_OWNER, FE_SET_VRING_ENABLE,
	};
	struct hostile_census before;
	struct frontend *fe = &g->fe;
	unsigned int i;
	bool closed;

	TRY(hostile_begin(g, socket, &before));
	/* A connection on which nothing has been said yet. */
	TRY_FE(g, fe_reconnect(fe, socket, &g->options.frontend));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct fe_message m = { .header = { requests[i], FE_VERSION, 8 } };

		if (requests[i] == FE_SET_VRING_ADDR)
			m.header.bytes = 40;
		if (requests[i] == FE_RESET_DEVICE || requests[i] == FE_RESET_OWNER)
			m.header.bytes = 0;
		m.payload.state.value = 1;
		send_bytes(fe, &m.header, sizeof(m.header), 0);
		send_bytes(fe, &m.payload, m.header.bytes, 0);
		TRY(settle(g, &closed));
		if (closed)
			TRY_FE(g, fe_reconnect(fe, socket, &g->options.frontend));
	}
	return hostile_aftermath(g, &before, false);
}

/* Rings whose parts are misplaced, and sizes that are none. */
static int case_bad_rings(struct guest *g, const char *socket)
{
	static const u32 sizes[] = { 0, 3, 255, 257, 2048, 32768, 65536, 0xffffffff };
	struct hostile_census before;
	struct virtqueue *vq;
	unsigned int i;
	u64 end;

	TRY(hostile_begin(g, socket, &before));
	vq = &g->pair[0].request;
	TRY(guest_stop_pair(&g->pair[0]));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		vq->size = sizes[i];
		TRY(refused(g, fe_start_vq(&g->fe, vq, 0)));
	}
	vq->size = 256;
	end = g->fe.region[0].user_address + g->fe.region[0].bytes;
	const u64 bad[] = { 0, 8, end, end - 16, UINT64_MAX, UINT64_MAX - 4096, 1 };

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fe_message m = { .header = { FE_SET_VRING_ADDR, 0, 40 } };
		unsigned int part;

		for (part = 0; part < 3; part++) {
			u64 good = g->fe.region[0].user_address;

			TRY_FE(g, fe_enable_vq(&g->fe, vq->index, false));
			m.header.bytes = 40;
			m.payload.address.index = vq->index;
			m.payload.address.desc = part == 0 ? bad[i] : good;
			m.payload.address.avail = part == 1 ? bad[i] : good + 4096;
			m.payload.address.used = part == 2 ? bad[i] : good + 8192;
			if (fe_tell(&g->fe, &m, NULL, 0))
				continue;
			TRY(refused(g, fe_start_known_vq(&g->fe, vq)));
		}
	}
	return hostile_aftermath(g, &before, true);
}

static int case_bad_indices(struct guest *g, const char *socket)
{
	static const u32 requests[] = {
		FE_SET_VRING_NUM, FE_SET_VRING_BASE, FE_SET_VRING_ENABLE, FE_SET_VRING_ADDR,
		FE_SET_VRING_KICK, FE_SET_VRING_CALL, FE_SET_VRING_ERR,
	};
	struct hostile_census before;
	u32 indices[4];
	unsigned int i, k;

	TRY(hostile_begin(g, socket, &before));
	indices[0] = g->fe.queues_offered;
	indices[1] = 255;
	indices[2] = 0x7fffffff;
	indices[3] = 0xffffffff;
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		for (k = 0; k < ARRAY_SIZE(indices); k++) {
			struct fe_message m = { .header = { requests[i], 0, 8 } };
			bool with_fd = requests[i] >= FE_SET_VRING_KICK &&
				requests[i] <= FE_SET_VRING_ERR;

			if (requests[i] == FE_SET_VRING_ADDR)
				m.header.bytes = 40;
			/* In a message with a descriptor only 8 bits are the index. */
			m.payload.state.index = with_fd ? indices[k] & 0xff : indices[k];
			m.payload.state.value = with_fd ? 0 : 1;
			TRY(refused(g, fe_tell(&g->fe, &m, &g->fe.memory_fd, with_fd)));
		}
	}
	return hostile_aftermath(g, &before, true);
}

static int case_features_not_offered(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int bit;

	TRY(hostile_begin(g, socket, &before));
	for (bit = 0; bit < 64; bit++) {
		struct fe_message m = { .header = { FE_SET_FEATURES, 0, 8 } };

		if (g->fe.offered & FE_BIT(bit))
			continue;
		m.payload.value = g->fe.features | FE_BIT(bit);
		TRY(refused(g, fe_tell(&g->fe, &m, NULL, 0)));
	}
	return hostile_aftermath(g, &before, true);
}

static int case_wild_config(struct guest *g, const char *socket)
{
	static const u32 numbers[] = { 0, 1, 63, 64, 65, 256, 257, 0x7fffffff, 0xffffffff };
	struct hostile_census before;
	unsigned int i, k;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		for (k = 0; k < ARRAY_SIZE(numbers); k++) {
			struct fe_message m = { .header = { FE_GET_CONFIG, 0, 12 + 64 } };

			m.payload.config.offset = numbers[i];
			m.payload.config.bytes = numbers[k];
			TRY_FE(g, fe_ask(&g->fe, &m));
			EXPECT(g, m.header.bytes == 0 || m.header.bytes == 12 + 64,
			       "an answer of %u bytes", m.header.bytes);
		}
	}
	return hostile_aftermath(g, &before, true);
}

/* --- what is in hand --- */

static int case_inflight_while_away(struct guest *g, const char *socket)
{
	return die_while_any_is_away(g, socket, true, false);
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static int hand_back(struct guest *g, int fd, u64 bytes, u64 offset)
{
	struct fe_message m = {
		.header = { FE_SET_INFLIGHT_FD, 0, sizeof(m.payload.inflight) },
	};

	m.payload.inflight.bytes = bytes;
	m.payload.inflight.offset = offset;
	return fe_tell(&g->fe, &m, &fd, fd >= 0);
}

/* A file like the one that was given, but for what the caller makes of it. */
static int forge(off_t bytes, int seals)
{
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (ftruncate(fd, bytes) || (seals && fcntl(fd, F_ADD_SEALS, seals)))
		return -1;
	return fd;
}

static int refused_file(struct guest *g, off_t bytes, int seals)
{
	int fd = forge(bytes, seals);

	TRY(refused(g, hand_back(g, fd, g->fe.inflight_bytes, 0)));
	close(fd);
	return 0;
}

/* Another connection, with a file that says that nothing is in hand. */
static int begin_anew(struct guest *g)
{
	fe_forget_inflight(&g->fe);
	TRY_FE(g, fe_reconnect(&g->fe, g->path, &g->options.frontend));
	TRY_FE(g, fe_start(&g->fe));
	return 0;
}

/* Connected, with the file at hand, and no ring running. */
static int begin_inflight(struct guest *g, const char *socket, struct hostile_census *before)
{
	struct guest_options o = { .frontend.inflight = true, .pairs = 2, .slots = 4096 };

	TRY(hostile_begin_with(g, socket, before, &o));
	TRY(begin_anew(g));
	if (g->fe.protocol & FE_BIT(FE_PROTOCOL_INFLIGHT))
		return 0;
	guest_fail(g, "not offered without a file for the store");
	return SUITE_SKIP;
}

static int case_bad_inflight(struct guest *g, const char *socket)
{
	struct hostile_census before;
	int rc = begin_inflight(g, socket, &before);
	u64 bytes = g->fe.inflight_bytes;

	if (rc)
		return rc;
	TRY(refused(g, hand_back(g, -1, bytes, 0)));
	TRY(refused(g, hand_back(g, g->fe.inflight_fd, bytes, 4096)));
	TRY(refused(g, hand_back(g, g->fe.inflight_fd, bytes - 1, 0)));
	TRY(refused(g, hand_back(g, g->fe.inflight_fd, UINT64_MAX, 0)));
	TRY(refused(g, hand_back(g, g->fe.memory_fd, bytes, 0)));
	TRY(refused(g, hand_back(g, g->control.kick_fd, bytes, 0)));
	TRY(refused_file(g, bytes, 0));
	TRY(refused_file(g, bytes, F_SEAL_GROW));
	TRY(refused_file(g, bytes / 2, SEALS));
	TRY(refused_file(g, bytes, SEALS));
	TRY(refused_file(g, bytes, SEALS | F_SEAL_WRITE));
	/* Nothing of that has changed the one in use. */
	TRY(guest_start_control(g));
	TRY(guest_start_pair(g, 0));
	TRY(guest_start_pair(g, 1));
	TRY(guest_check_pair(g, 0, 0));
	TRY(refused(g, hand_back(g, g->fe.inflight_fd, bytes, 0)));
	return hostile_aftermath(g, &before, false);
}

/* Behind the header; small numbers, if @mask is small, mean something. */
static int scribble(struct guest *g, u64 *random, u8 mask)
{
	u8 *map = mmap(NULL, g->fe.inflight_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		       g->fe.inflight_fd, 0);
	u64 i;

	EXPECT(g, map != MAP_FAILED, "the file can't be mapped");
	for (i = 16; i < g->fe.inflight_bytes; i++) {
		*random ^= *random << 13;
		*random ^= *random >> 7;
		*random ^= *random << 17;
		if (*random % 8 == 0)
			map[i] = *random >> 32 & mask;
	}
	munmap(map, g->fe.inflight_bytes);
	return 0;
}

/* It's the front end's to write to: its guest may suffer, and nobody else. */
static int case_inflight_rewritten(struct guest *g, const char *socket)
{
	struct hostile_census before;
	u64 random = 88172645463325252ull;
	int rc = begin_inflight(g, socket, &before);
	unsigned int round;

	if (rc)
		return rc;
	for (round = 0; round < 50; round++) {
		TRY(guest_start_control(g));
		TRY(guest_start_pair(g, 0));
		TRY(guest_start_pair(g, 1));
		TRY(scribble(g, &random, round & 1 ? 3 : 255));
		fe_hang_up(&g->fe);
		/* Rings that can't go on are refused, and that's all. */
		(void)guest_come_back(g, false);
		TRY(begin_anew(g));
	}
	return hostile_aftermath(g, &before, false);
}

/* All rings, with requests behind them. */
static int serve_inflight(struct guest *g)
{
	enum io_result result;

	TRY(guest_start_control(g));
	TRY(guest_start_pair(g, 0));
	TRY(guest_start_pair(g, 1));
	TRY(guest_check_pair(g, 0, 0));
	TRY(guest_store(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "a store: result %d", result);
	return 0;
}

/* While rings run, the file is asked for again: the one in use stays so, and is the one that is given. */
static int case_inflight_asked_again(struct guest *g, const char *socket)
{
	struct hostile_census before;
	int rc = begin_inflight(g, socket, &before);
	enum io_result result;

	if (rc)
		return rc;
	TRY(serve_inflight(g));
	TRY_FE(g, fe_get_inflight(&g->fe));
	TRY(lose_worker(g, &before));
	TRY_FE(g, fe_get_inflight(&g->fe));
	TRY(guest_check_pair(g, 0, 1));
	fe_hang_up(&g->fe);
	TRY(guest_come_back(g, false));
	TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "after the connection: result %d", result);
	return hostile_aftermath(g, &before, true);
}

/*
 * The rings have stopped: another file is given. It isn't handed back, so the daemon notes by itself what is in hand,
 * from what was noted before on.
 */
static int case_inflight_not_handed_back(struct guest *g, const char *socket)
{
	struct hostile_census before;
	int rc = begin_inflight(g, socket, &before);

	if (rc)
		return rc;
	TRY(serve_inflight(g));
	TRY(guest_stop(g));
	TRY_FE(g, fe_get_inflight(&g->fe));
	TRY(guest_resume(g));
	TRY(guest_check_pair(g, 0, 1));
	TRY(lose_worker(g, &before));
	TRY(guest_check_pair(g, 0, 2));
	return hostile_aftermath(g, &before, true);
}

/* Others may wait for their turn, and needn't wait to be let wait. */
static int case_queue(struct guest *g, const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct hostile_census before;
	int fd[8];
	unsigned int i;

	TRY(hostile_begin(g, socket_path, &before));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		EXPECT(g, !connect(fd[i], (struct sockaddr *)&address, sizeof(address)),
		       "connection %u: %m", i);
	}
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	return hostile_aftermath(g, &before, true);
}

static int case_come_and_go(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	/* One guest at a time: while it is there, others wait to be accepted. */
	fe_hang_up(&g->fe);
	for (i = 0; i < 200; i++) {
		struct frontend fe = { .memory_fd = -1 };

		TRY_FE(g, fe_connect_raw(&fe, socket));
		if (i % 2)
			send_bytes(&fe, "\x01\x00\x00", 3, 0);
		fe_disconnect(&fe);
	}
	return hostile_aftermath(g, &before, false);
}

static const struct suite_case cases[] = {
	{ "messages cut short", case_truncated_header },
	{ "payloads too large", case_sizes },
	{ "wrong protocol versions", case_versions },
	{ "every request in every size", case_every_request_every_size },
	{ "800 random messages", case_random },
	{ "unknown requests", case_unknown_requests },
	{ "half a message, and nobody who serves", case_half_a_message },
	{ "replies that nobody reads, and nobody who serves", case_replies_unread },
	{ "a message without end", case_trickle },
	{ "descriptors that nobody asked for", case_unwanted_descriptors },
	{ "descriptors in the middle of messages", case_late_descriptors },
	{ "descriptors that are missing", case_missing_descriptors },
	{ "/dev/zero as ring descriptor", case_odd_zero },
	{ "a directory as ring descriptor", case_odd_directory },
	{ "a memfd as ring descriptor", case_odd_memfd },
	{ "a socket as ring descriptor", case_odd_socket },
	{ "a full eventfd as ring descriptor", case_odd_full_eventfd },
	{ "a pipe without reader as ring descriptor", case_odd_pipe_end },
	{ "regions empty, wrapping, overlapping, beyond their file", case_bad_regions },
	{ "thousands of regions", case_too_many_regions },
	{ "500 regions", case_many_regions },
	{ "memory tables malformed", case_bad_tables },
	{ "memory removed under load", case_regions_removed_under_load },
	{ "memory removed, and the same added", case_regions_come_again },
	{ "rings stopped while their memory is away", case_rings_stop_while_away },
	{ "the worker dies while memory is away", case_worker_dies_while_away },
	{ "rings stopped after that", case_rings_stop_after_death_while_away },
	{ "memory moved under load", case_table_moved_under_load },
	{ "memory cut short under load", case_memory_vanishes_under_load },
	{ "resets under load", case_reset_under_load },
	{ "configuration written under load", case_config_written },
	{ "messages in the wrong order", case_wrong_order },
	{ "rings of no size, in no memory", case_bad_rings },
	{ "virtqueues that don't exist", case_bad_indices },
	{ "features that are not offered", case_features_not_offered },
	{ "configuration out of range", case_wild_config },
	{ "files that aren't what was in hand", case_bad_inflight },
	{ "what was in hand rewritten", case_inflight_rewritten },
	{ "the file of what is in hand asked for again", case_inflight_asked_again },
	{ "what is in hand while memory is away", case_inflight_while_away },
	{ "the file of what is in hand not handed back", case_inflight_not_handed_back },
	{ "connections that wait", case_queue },
	{ "connections that come and go", case_come_and_go },
};

static const struct suite_case end_cases[] = {
	{ "SIGTERM in the middle of a message", case_end_in_a_message },
};

/* After which there is no daemon any more. */
int run_hostile_end(const char *socket, const char *filter)
{
	return suite_run(socket, filter, end_cases, ARRAY_SIZE(end_cases));
}

int run_hostile_vmm(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}
