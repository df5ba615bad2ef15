// SPDX-License-Identifier: GPL-2.0-only
/*
 * frontend.c - a vhost-user front end: what QEMU and user-mode Linux do for a
 * guest, without the guest.
 *
 * Theory of operation: guest memory is one memfd, told to the backend as some
 * regions with holes between their guest addresses, so that a backend which
 * forgets to translate is found at once. All messages are synchronous; what is
 * asked of a backend that doesn't answer fails after FE_PATIENCE_MS, which only
 * a broken backend ever reaches.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#include "frontend.h"

#define PAGE		4096u
#define GUEST_BASE	UINT64_C(0x100000)
#define USER_BASE	UINT64_C(0x7a0000000000)
/* Between the starts of two regions, in both address spaces. */
#define REGION_STRIDE	UINT64_C(0x40000000)
#define USER_MOVE	UINT64_C(0x10000000000)

#define WANTED_PROTOCOL \
	(FE_BIT(FE_PROTOCOL_MQ) | FE_BIT(FE_PROTOCOL_LOG_SHMFD) | FE_BIT(FE_PROTOCOL_REPLY_ACK) | \
	 FE_BIT(FE_PROTOCOL_BACKEND_REQ) | FE_BIT(FE_PROTOCOL_CONFIG) | \
	 FE_BIT(FE_PROTOCOL_RESET))
#define WANTED_PROTOCOL_QEMU \
	(WANTED_PROTOCOL | FE_BIT(FE_PROTOCOL_MEM_SLOTS) | FE_BIT(FE_PROTOCOL_STATUS) | \
	 FE_BIT(FE_PROTOCOL_STATE))

int fe_fail(struct frontend *fe, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fe->error, sizeof(fe->error), format, args);
	va_end(args);
	return -1;
}

/* --- messages --- */

int fe_send(struct frontend *fe, struct fe_message *m, const int *fds,
	    unsigned int nfds)
{
	char control[CMSG_SPACE(sizeof(int) * FE_MAX_FDS)] = { 0 };
	struct iovec iov[2] = {
		{ &m->header, sizeof(m->header) },
		{ &m->payload, m->header.bytes },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t sent;

	if (nfds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	}
	sent = sendmsg(fe->socket, &msg, MSG_NOSIGNAL);
	if (sent != (ssize_t)(sizeof(m->header) + m->header.bytes))
		return fe_fail(fe, "send of request %u: %s", m->header.request,
			       sent < 0 ? strerror(errno) : "short");
	return 0;
}

static int read_fully(struct frontend *fe, void *to, size_t bytes)
{
	size_t have = 0;

	while (have < bytes) {
		struct pollfd p = { .fd = fe->socket, .events = POLLIN };
		ssize_t n;

		n = poll(&p, 1, FE_PATIENCE_MS);
		if (n == 0)
			return fe_fail(fe, "the backend doesn't answer");
		n = recv(fe->socket, (char *)to + have, bytes - have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fe_fail(fe, "receive: %s", strerror(errno));
		if (n == 0)
			return fe_fail(fe, "the backend has hung up");
		have += n;
	}
	return 0;
}

int fe_receive(struct frontend *fe, struct fe_message *m)
{
	if (read_fully(fe, &m->header, sizeof(m->header)))
		return -1;
	if (m->header.bytes > sizeof(m->payload))
		return fe_fail(fe, "an answer of %u bytes", m->header.bytes);
	return read_fully(fe, &m->payload, m->header.bytes);
}

/* The header of an answer that brings a descriptor. */
static int receive_fd(struct frontend *fe, struct fe_message *m, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &m->header, sizeof(m->header) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct pollfd p = { .fd = fe->socket, .events = POLLIN };
	struct cmsghdr *c;

	if (poll(&p, 1, FE_PATIENCE_MS) <= 0)
		return fe_fail(fe, "the backend doesn't answer");
	if (recvmsg(fe->socket, &msg, MSG_CMSG_CLOEXEC) != sizeof(m->header))
		return fe_fail(fe, "the backend has hung up");
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return fe_fail(fe, "no descriptor came with the answer");
	memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return 0;
}

static int receive_answer(struct frontend *fe, struct fe_message *m,
			  uint32_t request)
{
	if (fe_receive(fe, m))
		return -1;
	if (m->header.request != request ||
	    m->header.flags != (FE_VERSION | FE_FLAG_REPLY))
		return fe_fail(fe, "request %u answered with request %u, flags 0x%x",
			       request, m->header.request, m->header.flags);
	return 0;
}

int fe_ask(struct frontend *fe, struct fe_message *m)
{
	uint32_t request = m->header.request;

	m->header.flags = FE_VERSION;
	if (fe_send(fe, m, NULL, 0))
		return -1;
	return receive_answer(fe, m, request);
}

int fe_tell(struct frontend *fe, struct fe_message *m, const int *fds,
	    unsigned int nfds)
{
	bool ack = fe->protocol & FE_BIT(FE_PROTOCOL_REPLY_ACK);
	uint32_t request = m->header.request;

	m->header.flags = FE_VERSION | (ack ? FE_FLAG_NEED_REPLY : 0);
	if (fe_send(fe, m, fds, nfds))
		return -1;
	if (!ack)
		return 0;
	if (receive_answer(fe, m, request))
		return -1;
	if (m->header.bytes != sizeof(m->payload.value) || m->payload.value)
		return fe_fail(fe, "request %u was refused", request);
	return 0;
}

static int tell_value(struct frontend *fe, uint32_t request, uint64_t value)
{
	struct fe_message m = { .header = { request, 0, sizeof(value) } };

	m.payload.value = value;
	return fe_tell(fe, &m, NULL, 0);
}

static int tell_state(struct frontend *fe, uint32_t request, uint32_t index,
		      uint32_t value)
{
	struct fe_message m = { .header = { request, 0, sizeof(m.payload.state) } };

	m.payload.state.index = index;
	m.payload.state.value = value;
	return fe_tell(fe, &m, NULL, 0);
}

static int tell_vring_fd(struct frontend *fe, uint32_t request, uint32_t index,
			 int fd)
{
	struct fe_message m = { .header = { request, 0, sizeof(uint64_t) } };

	m.payload.value = index | (fd < 0 ? FE_VRING_NOFD : 0);
	return fe_tell(fe, &m, &fd, fd >= 0);
}

static int ask_value(struct frontend *fe, uint32_t request, uint64_t *value)
{
	struct fe_message m = { .header = { request, 0, 0 } };

	if (fe_ask(fe, &m))
		return -1;
	if (m.header.bytes != sizeof(*value))
		return fe_fail(fe, "request %u answered with %u bytes", request,
			       m.header.bytes);
	*value = m.payload.value;
	return 0;
}

/* --- connection and negotiation --- */

int fe_connect_raw(struct frontend *fe, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return fe_fail(fe, "the socket's path is too long");
	strcpy(address.sun_path, path);
	fe->backend_request_fd = -1;
	fe->protocol = 0;
	fe->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fe->socket < 0)
		return fe_fail(fe, "socket: %s", strerror(errno));
	if (connect(fe->socket, (struct sockaddr *)&address, sizeof(address))) {
		fe_fail(fe, "%s: %s", path, strerror(errno));
		close(fe->socket);
		fe->socket = -1;
		return -1;
	}
	return 0;
}

static int give_backend_channel(struct frontend *fe)
{
	struct fe_message m = { .header = { FE_SET_BACKEND_REQ_FD, 0, 0 } };
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return fe_fail(fe, "socketpair: %s", strerror(errno));
	fe->backend_request_fd = pair[0];
	rc = fe_tell(fe, &m, &pair[1], 1);
	close(pair[1]);
	return rc;
}

static int negotiate_protocol(struct frontend *fe, const struct fe_options *options)
{
	uint64_t wanted = fe->style == FE_STYLE_QEMU ?
		WANTED_PROTOCOL_QEMU : WANTED_PROTOCOL;
	uint64_t queues;

	if (options->inflight)
		wanted |= FE_BIT(FE_PROTOCOL_INFLIGHT);
	if (!(fe->offered & FE_BIT(FE_F_PROTOCOL_FEATURES)))
		return fe_fail(fe, "no protocol features offered");
	if (ask_value(fe, FE_GET_PROTOCOL_FEATURES, &fe->protocol_offered))
		return -1;
	wanted &= fe->protocol_offered & ~options->refuse_protocol;
	if (tell_value(fe, FE_SET_PROTOCOL_FEATURES, wanted))
		return -1;
	fe->protocol = wanted;
	fe->queues_offered = 1;
	if (wanted & FE_BIT(FE_PROTOCOL_MQ)) {
		if (ask_value(fe, FE_GET_QUEUE_NUM, &queues))
			return -1;
		fe->queues_offered = queues;
	}
	if (wanted & FE_BIT(FE_PROTOCOL_BACKEND_REQ))
		return give_backend_channel(fe);
	return 0;
}

static int negotiate(struct frontend *fe, const struct fe_options *options)
{
	struct fe_message owner = { .header = { FE_SET_OWNER, 0, 0 } };

	/* UML takes ownership first of all, QEMU once it knows the protocol. */
	fe->style = options->style;
	if (fe->style == FE_STYLE_UML && fe_tell(fe, &owner, NULL, 0))
		return -1;
	if (ask_value(fe, FE_GET_FEATURES, &fe->offered) ||
	    negotiate_protocol(fe, options))
		return -1;
	if (fe->style == FE_STYLE_QEMU &&
	    (fe_tell(fe, &owner, NULL, 0) ||
	     ask_value(fe, FE_GET_FEATURES, &fe->offered)))
		return -1;
	/* A driver takes what it knows; packed rings and INDIRECT it doesn't. */
	fe->features = fe->offered & ~options->refuse_features &
		~FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) & ~FE_BIT(VIRTIO_F_RING_PACKED) &
		~FE_BIT(FE_F_LOG_ALL);
	return 0;
}

static int make_memory(struct frontend *fe, const struct fe_options *options)
{
	size_t bytes = (options->memory_bytes / options->regions + PAGE - 1) /
		PAGE * PAGE;
	unsigned int i;

	fe->spread = options->spread;
	fe->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	if (fe->memory_fd < 0 || ftruncate(fe->memory_fd, bytes * options->regions))
		return fe_fail(fe, "memfd: %s", strerror(errno));
	for (i = 0; i < options->regions; i++) {
		struct fe_region *r = &fe->region[i];

		r->bytes = bytes;
		r->offset = bytes * i;
		r->guest_address = GUEST_BASE + i * REGION_STRIDE;
		/* Descending, so that the two orders differ as well. */
		r->user_address = USER_BASE + (options->regions - i) * REGION_STRIDE;
		r->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fe->memory_fd, r->offset);
		if (r->base == MAP_FAILED)
			return fe_fail(fe, "mmap: %s", strerror(errno));
		fe->regions++;
	}
	return 0;
}

int fe_connect(struct frontend *fe, const char *path,
	       const struct fe_options *options)
{
	memset(fe, 0, sizeof(*fe));
	fe->socket = fe->memory_fd = fe->backend_request_fd = fe->inflight_fd = -1;
	if (make_memory(fe, options) || fe_connect_raw(fe, path))
		return -1;
	return negotiate(fe, options);
}

void fe_hang_up(struct frontend *fe)
{
	if (fe->backend_request_fd >= 0)
		close(fe->backend_request_fd);
	if (fe->socket >= 0)
		close(fe->socket);
	fe->socket = fe->backend_request_fd = -1;
}

int fe_reconnect(struct frontend *fe, const char *path,
		 const struct fe_options *options)
{
	fe_hang_up(fe);
	if (fe_connect_raw(fe, path))
		return -1;
	return negotiate(fe, options);
}

void fe_disconnect(struct frontend *fe)
{
	unsigned int i;

	fe_hang_up(fe);
	for (i = 0; i < fe->regions; i++)
		munmap(fe->region[i].base, fe->region[i].bytes);
	fe->regions = 0;
	if (fe->memory_fd >= 0)
		close(fe->memory_fd);
	fe->memory_fd = -1;
	fe_forget_inflight(fe);
}

bool fe_is_closed(struct frontend *fe)
{
	char byte;

	return recv(fe->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ||
	       (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool fe_wait_closed(struct frontend *fe)
{
	char bytes[256];
	struct pollfd p = { .fd = fe->socket, .events = POLLIN };

	while (poll(&p, 1, FE_PATIENCE_MS) > 0)
		if (recv(fe->socket, bytes, sizeof(bytes), 0) <= 0)
			return true;
	return false;
}

/* --- start --- */

static void describe(const struct fe_region *r, struct fe_wire_region *to)
{
	to->guest_address = r->guest_address;
	to->user_address = r->user_address;
	to->bytes = r->bytes;
	to->mmap_offset = r->offset;
}

int fe_share_table(struct frontend *fe, bool move)
{
	struct fe_message m = { .header = { FE_SET_MEM_TABLE, 0, 0 } };
	int fds[FE_MAX_REGIONS];
	unsigned int i;

	m.header.bytes = 8 + fe->regions * sizeof(struct fe_wire_region);
	m.payload.table.regions = fe->regions;
	for (i = 0; i < fe->regions; i++) {
		if (move)
			fe->region[i].user_address += USER_MOVE;
		describe(&fe->region[i], &m.payload.table.region[i]);
		fds[i] = fe->memory_fd;
	}
	return fe_tell(fe, &m, fds, fe->regions);
}

static int add_region(struct frontend *fe, const struct fe_region *r)
{
	struct fe_message m = {
		.header = { FE_ADD_MEM_REG, 0, sizeof(m.payload.one) },
	};

	describe(r, &m.payload.one.region);
	return fe_tell(fe, &m, &fe->memory_fd, 1);
}

int fe_share_memory(struct frontend *fe)
{
	uint64_t slots;
	unsigned int i;

	if (!(fe->protocol & FE_BIT(FE_PROTOCOL_MEM_SLOTS)))
		return fe_share_table(fe, false);
	if (ask_value(fe, FE_GET_MAX_MEM_SLOTS, &slots))
		return -1;
	if (slots < fe->regions)
		return fe_fail(fe, "%u memory slots offered", (unsigned int)slots);
	for (i = 0; i < fe->regions; i++)
		if (add_region(fe, &fe->region[i]))
			return -1;
	return 0;
}

int fe_set_status(struct frontend *fe, uint8_t status)
{
	if (!(fe->protocol & FE_BIT(FE_PROTOCOL_STATUS)))
		return 0;
	return tell_value(fe, FE_SET_STATUS, status);
}

int fe_start_features(struct frontend *fe)
{
	if (tell_value(fe, FE_SET_FEATURES, fe->features))
		return -1;
	return fe_set_status(fe, VIRTIO_CONFIG_S_ACKNOWLEDGE |
			     VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
}

int fe_get_inflight(struct frontend *fe)
{
	struct fe_message m = {
		.header = { FE_GET_INFLIGHT_FD, FE_VERSION, sizeof(m.payload.inflight) },
	};
	int fd = -1;

	m.payload.inflight.queues = fe->queues_offered;
	m.payload.inflight.queue_size = 256;
	if (fe_send(fe, &m, NULL, 0) || receive_fd(fe, &m, &fd))
		return -1;
	if (fe->inflight_fd >= 0)
		close(fe->inflight_fd);
	fe->inflight_fd = fd;
	if (m.header.bytes != sizeof(m.payload.inflight) ||
	    read_fully(fe, &m.payload, m.header.bytes) || m.payload.inflight.offset)
		return fe_fail(fe, "a malformed answer about what is in flight");
	fe->inflight_bytes = m.payload.inflight.bytes;
	return 0;
}

int fe_set_inflight(struct frontend *fe)
{
	struct fe_message m = {
		.header = { FE_SET_INFLIGHT_FD, 0, sizeof(m.payload.inflight) },
	};

	m.payload.inflight.bytes = fe->inflight_bytes;
	m.payload.inflight.queues = fe->queues_offered;
	m.payload.inflight.queue_size = 256;
	return fe_tell(fe, &m, &fe->inflight_fd, 1);
}

void fe_forget_inflight(struct frontend *fe)
{
	if (fe->inflight_fd >= 0)
		close(fe->inflight_fd);
	fe->inflight_fd = -1;
}

static int keep_inflight(struct frontend *fe)
{
	if (!(fe->protocol & FE_BIT(FE_PROTOCOL_INFLIGHT)))
		return 0;
	if (fe->inflight_fd < 0 && fe_get_inflight(fe))
		return -1;
	return fe_set_inflight(fe);
}

/* --- the backend's state --- */

int fe_begin_state(struct frontend *fe, bool load, int fd)
{
	struct fe_message m = {
		.header = { FE_SET_DEVICE_STATE_FD, FE_VERSION, sizeof(m.payload.state) },
	};

	m.payload.state.index = load;
	m.payload.state.value = 0;
	if (fe_send(fe, &m, &fd, 1) || receive_answer(fe, &m, FE_SET_DEVICE_STATE_FD))
		return -1;
	return m.payload.value == FE_VRING_NOFD ? 0 :
		fe_fail(fe, "the state is refused: %llx", (unsigned long long)m.payload.value);
}

int fe_check_state(struct frontend *fe)
{
	struct fe_message m = { .header = { FE_CHECK_DEVICE_STATE, FE_VERSION, 0 } };

	if (fe_ask(fe, &m))
		return -1;
	return m.payload.value ? fe_fail(fe, "the state isn't right") : 0;
}

static int read_state(struct frontend *fe, int fd, void **state, size_t *bytes)
{
	size_t room = 1 << 16;
	char *to = malloc(room);
	ssize_t n;

	*bytes = 0;
	while (to && (n = read(fd, to + *bytes, room - *bytes)) > 0) {
		*bytes += (size_t)n;
		if (*bytes == room)
			to = realloc(to, room *= 2);
	}
	*state = to;
	return to ? 0 : fe_fail(fe, "no memory");
}

int fe_save_state(struct frontend *fe, void **state, size_t *bytes)
{
	int fd[2], rc;

	*state = NULL;
	if (pipe2(fd, O_CLOEXEC))
		return fe_fail(fe, "pipe: %s", strerror(errno));
	rc = fe_begin_state(fe, false, fd[1]);
	close(fd[1]);
	rc = rc || read_state(fe, fd[0], state, bytes);
	close(fd[0]);
	return rc || fe_check_state(fe) ? -1 : 0;
}

int fe_load_state(struct frontend *fe, const void *state, size_t bytes)
{
	int fd[2], rc;
	size_t at = 0;
	ssize_t n;

	if (pipe2(fd, O_CLOEXEC))
		return fe_fail(fe, "pipe: %s", strerror(errno));
	rc = fe_begin_state(fe, true, fd[0]);
	close(fd[0]);
	while (!rc && at < bytes) {
		n = write(fd[1], (const char *)state + at, bytes - at);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	close(fd[1]);
	return rc || fe_check_state(fe) ? -1 : 0;
}

int fe_start(struct frontend *fe)
{
	if (fe_start_features(fe) || fe_share_memory(fe))
		return -1;
	return keep_inflight(fe);
}

/* --- configuration --- */

int fe_read_config(struct frontend *fe, uint32_t offset, void *to, uint32_t bytes)
{
	struct fe_message m = { .header = { FE_GET_CONFIG, 0, 12 + bytes } };

	m.payload.config.offset = offset;
	m.payload.config.bytes = bytes;
	if (fe_ask(fe, &m))
		return -1;
	if (m.header.bytes != 12 + bytes || m.payload.config.bytes != bytes ||
	    m.payload.config.offset != offset)
		return fe_fail(fe, "config read refused");
	memcpy(to, m.payload.config.data, bytes);
	return 0;
}

int fe_write_config(struct frontend *fe, uint32_t offset, const void *from,
		    uint32_t bytes)
{
	struct fe_message m = { .header = { FE_SET_CONFIG, 0, 12 + bytes } };

	m.payload.config.offset = offset;
	m.payload.config.bytes = bytes;
	memcpy(m.payload.config.data, from, bytes);
	return fe_tell(fe, &m, NULL, 0);
}

/* --- memory --- */

void *fe_alloc(struct frontend *fe, size_t bytes, size_t align)
{
	unsigned int i, index;

	for (i = 0; i < fe->regions; i++) {
		struct fe_region *r;
		size_t at;

		index = (fe->next_region + i) % fe->regions;
		r = &fe->region[index];
		at = (r->taken + align - 1) / align * align;
		if (at > r->bytes || bytes > r->bytes - at)
			continue;
		r->taken = at + bytes;
		fe->next_region = fe->spread ? index + 1 : index;
		return r->base + at;
	}
	fe_fail(fe, "the guest has no more memory");
	return NULL;
}

static const struct fe_region *region_of(const struct frontend *fe,
					 const uint8_t *p)
{
	unsigned int i;

	for (i = 0; i < fe->regions; i++)
		if (p >= fe->region[i].base &&
		    p < fe->region[i].base + fe->region[i].bytes)
			return &fe->region[i];
	return NULL;
}

uint64_t fe_guest_address(const struct frontend *fe, const void *pointer)
{
	const struct fe_region *r = region_of(fe, pointer);

	return r ? r->guest_address + ((const uint8_t *)pointer - r->base) : 0;
}

uint64_t fe_user_address(const struct frontend *fe, const void *pointer)
{
	const struct fe_region *r = region_of(fe, pointer);

	return r ? r->user_address + ((const uint8_t *)pointer - r->base) : 0;
}

/* --- rings --- */

int fe_init_vq(struct frontend *fe, struct virtqueue *vq, unsigned int index,
		  unsigned int size)
{
	vq->index = index;
	vq->size = size;
	vq->event_idx = fe->features & FE_BIT(VIRTIO_RING_F_EVENT_IDX);
	vq->kicks = vq->interrupts = 0;
	vq->desc = fe_alloc(fe, VQ_DESC_BYTES(size), 16);
	vq->avail = fe_alloc(fe, VQ_AVAIL_BYTES(size), 2);
	vq->used = fe_alloc(fe, VQ_USED_BYTES(size), 4);
	if (!vq->desc || !vq->avail || !vq->used)
		return -1;
	vq->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vq->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vq->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vq->kick_fd < 0 || vq->call_fd < 0 || vq->error_fd < 0)
		return fe_fail(fe, "eventfd: %s", strerror(errno));
	vq_reset(vq, 0);
	return 0;
}

int fe_tell_call(struct frontend *fe, const struct virtqueue *vq)
{
	return tell_vring_fd(fe, FE_SET_VRING_CALL, vq->index, vq->call_fd);
}

int fe_enable_vq(struct frontend *fe, unsigned int index, bool enable)
{
	return tell_state(fe, FE_SET_VRING_ENABLE, index, enable);
}

int fe_tell_address(struct frontend *fe, const struct virtqueue *vq)
{
	struct fe_message m = {
		.header = { FE_SET_VRING_ADDR, 0, sizeof(m.payload.address) },
	};

	m.payload.address.index = vq->index;
	m.payload.address.desc = fe_user_address(fe, vq->desc);
	m.payload.address.avail = fe_user_address(fe, vq->avail);
	m.payload.address.used = fe_user_address(fe, vq->used);
	if (fe->logs_rings) {
		m.payload.address.flags = FE_VRING_ADDR_F_LOG;
		m.payload.address.log = fe_guest_address(fe, vq->used);
	}
	return fe_tell(fe, &m, NULL, 0);
}

int fe_start_known_vq(struct frontend *fe, struct virtqueue *vq)
{
	if (tell_state(fe, FE_SET_VRING_NUM, vq->index, vq->size) ||
	    tell_state(fe, FE_SET_VRING_BASE, vq->index, 0) ||
	    tell_vring_fd(fe, FE_SET_VRING_KICK, vq->index, vq->kick_fd))
		return -1;
	return fe_enable_vq(fe, vq->index, true);
}

int fe_start_vq(struct frontend *fe, struct virtqueue *vq, uint16_t base)
{
	/* UML gives the call fd first, QEMU last; no error fd in UML. */
	if (fe->style == FE_STYLE_UML &&
	    tell_vring_fd(fe, FE_SET_VRING_CALL, vq->index, vq->call_fd))
		return -1;
	if (tell_state(fe, FE_SET_VRING_NUM, vq->index, vq->size) ||
	    tell_state(fe, FE_SET_VRING_BASE, vq->index, base) ||
	    fe_tell_address(fe, vq))
		return -1;
	if (fe->style == FE_STYLE_QEMU &&
	    tell_vring_fd(fe, FE_SET_VRING_ERR, vq->index, vq->error_fd))
		return -1;
	if (tell_vring_fd(fe, FE_SET_VRING_KICK, vq->index, vq->kick_fd))
		return -1;
	if (fe->style == FE_STYLE_QEMU &&
	    tell_vring_fd(fe, FE_SET_VRING_CALL, vq->index, vq->call_fd))
		return -1;
	return fe_enable_vq(fe, vq->index, true);
}

int fe_stop_vq(struct frontend *fe, struct virtqueue *vq, uint16_t *base)
{
	struct fe_message m = {
		.header = { FE_GET_VRING_BASE, 0, sizeof(m.payload.state) },
	};
	uint64_t features;

	if (fe_enable_vq(fe, vq->index, false))
		return -1;
	if (fe->style == FE_STYLE_UML) {
		*base = __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE);
		return ask_value(fe, FE_GET_FEATURES, &features);
	}
	m.payload.state.index = vq->index;
	m.payload.state.value = 0;
	if (fe_ask(fe, &m))
		return -1;
	if (m.header.bytes != sizeof(m.payload.state) ||
	    m.payload.state.index != vq->index)
		return fe_fail(fe, "the ring's base came back malformed");
	*base = m.payload.state.value;
	return 0;
}
