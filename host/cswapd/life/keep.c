// SPDX-License-Identifier: GPL-2.0-only
/*
 * keep.c - what outlives the process that serves the guest.
 *
 * Theory of operation: what was agreed on with the front end is kept in two copies, of which one
 * counts. The worker handles a message, writes the other copy, and sends the answer with the
 * descriptors that are new. The monitor receives the answer as a whole or not at all; when it has
 * the answer, the other copy counts. If the worker dies before, the message counts as one that never
 * came: the next worker gets it again.
 *
 * What is in flight on the rings, what the guest released and what was counted is
 * written where it lies (inflight.c, balloon.c, COUNT() in worker_parts.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep.h"
#include "common/log.h"

/* Changed whenever the layout or its meaning is. */
#define KEEP_VERSION 11
#define KEEP_MAGIC (0x3030504157534355ULL + ((uint64_t)KEEP_VERSION << 48))

/* The monitor has one that is of no use. */
#define UNWANTED_FD (-2)

bool keep_send(int channel, const void *packet, size_t bytes, const int *fd,
	       unsigned int num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(VU_MAX_FDS * sizeof(int))];
	struct iovec iov = { (void *)(uintptr_t)packet, bytes };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (num_fds)
		vu_attach_fds(&header, control, fd, num_fds);
	do {
		n = sendmsg(channel, &header, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)bytes;
}

enum keep_packet keep_receive(int channel, void *packet, size_t bytes, int *fd,
			      unsigned int *num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(VU_MAX_FDS * sizeof(int))];
	struct iovec iov = { packet, bytes };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *rights;
	ssize_t n;

	do {
		n = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	*num_fds = 0;
	rights = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;
	if (rights && rights->cmsg_type == SCM_RIGHTS) {
		*num_fds = (unsigned int)((rights->cmsg_len - CMSG_LEN(0)) /
					  sizeof(int));
		memcpy(fd, CMSG_DATA(rights), *num_fds * sizeof(int));
	}
	return n == (ssize_t)bytes ? KEEP_WHOLE : n > 0 ? KEEP_BAD : KEEP_NONE;
}

/* --- the state --- */

const char *keep_layout(void)
{
	static char word[32];

	/* Both are what keep_map() compares of it. */
	snprintf(word, sizeof(word), "%u-%zu", KEEP_VERSION, sizeof(struct keep_state));
	return word;
}

static struct keep_state *map_state(int fd)
{
	void *map = mmap(NULL, sizeof(struct keep_state), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_NORESERVE, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

struct keep_state *keep_create(const struct conf *conf, const struct store_files *files,
			       int *fd)
{
	struct keep_state *state = NULL;

	*fd = memfd_create("cswapd-state", MFD_CLOEXEC);
	if (*fd >= 0 && !ftruncate(*fd, sizeof(*state)))
		state = map_state(*fd);
	if (!state) {
		log_err("no memory for what outlives a worker: %s",
			strerror(errno));
		return NULL;
	}
	state->kind = (struct keep_kind) {
		.magic = KEEP_MAGIC,
		.bytes = sizeof(struct keep_state),
		.slots = conf->slots,
		.queue_pairs = conf->queue_pairs,
		.block_bytes = conf->block_bytes,
		.report_period_ms = conf->report_period_ms,
		.release = conf->release,
	};
	state->holder = conf->incoming ? HANDOVER_AWAY : HANDOVER_OURS;
	state->server.side = conf->incoming ? SERVER_LEFT : SERVER_OURS;
	if (files) {
		state->kind.store = files->identity;
		state->names = files->names;
	}
	return state;
}

struct keep_state *keep_map(int fd)
{
	struct keep_state *state;
	struct stat st;
	unsigned int i;

	if (fstat(fd, &st) || st.st_size != sizeof(*state))
		return NULL;
	state = map_state(fd);
	if (!state)
		return NULL;
	if (state->kind.magic != KEEP_MAGIC || state->kind.bytes != sizeof(*state) ||
	    state->active >= 2 || state->holder > HANDOVER_PASSED_ON ||
	    state->server.side > SERVER_ASKED) {
		munmap(state, sizeof(*state));
		return NULL;
	}
	for (i = 0; i < STORE_NUM_FILES; i++)
		state->names.name[i][STORE_NAME_BYTES - 1] = '\0';
	return state;
}

const char *keep_find_difference(const struct keep_state *state, const struct conf *conf)
{
	const struct keep_kind *kind = &state->kind;

	return kind->slots != conf->slots ? "--size" :
	       kind->queue_pairs != conf->queue_pairs ? "--queues" :
	       kind->block_bytes != conf->block_bytes ? "--block-size" :
	       kind->report_period_ms != conf->report_period_ms ? "--report-period" :
	       kind->release != (uint32_t)conf->release ? "--release" : NULL;
}

/* --- the worker's side --- */

void keep_begin(struct keep *keep, const struct vhost_user *vu, const int fd[VHOST_USER_MAX_FDS])
{
	unsigned int i;

	/* The copy that doesn't count is as good a place as any. */
	vhost_user_save(vu, &keep->state->front[!keep->state->active],
			keep->kept);
	/* Another one than none: so the next answer tells the monitor. */
	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		if (fd[i] >= 0 && keep->kept[i].fd < 0)
			keep->kept[i].fd = UNWANTED_FD;
}

bool keep_next(struct keep *keep, struct keep_event *event)
{
	int fd[VU_MAX_FDS];
	unsigned int num_fds;
	bool got;

	got = keep_receive(keep->channel, event, sizeof(*event), fd, &num_fds) == KEEP_WHOLE;
	event->message.num_fds = num_fds;
	memcpy(event->message.fd, fd, num_fds * sizeof(fd[0]));
	return got;
}

bool keep_done(struct keep *keep, const struct vhost_user *vu, bool alive,
	       const struct vu_message *reply)
{
	struct keep_answer answer = { .kind = KEEP_DONE, .alive = alive };
	struct vhost_user_fd now[VHOST_USER_MAX_FDS];
	unsigned int i, num_fds = 0;
	int fd[VU_MAX_FDS];

	vhost_user_save(vu, &keep->state->front[!keep->state->active], now);
	for (i = 0; i < VHOST_USER_MAX_FDS; i++) {
		if (now[i].fd == keep->kept[i].fd &&
		    now[i].serial == keep->kept[i].serial)
			continue;
		answer.key[answer.num_keys++] =
			(uint16_t)(now[i].fd < 0 ? i : i | KEEP_HAS_FD);
		if (now[i].fd < 0)
			continue;
		/* No message brings more than fit into a packet. */
		if (num_fds == VU_MAX_FDS)
			return false;
		fd[num_fds++] = now[i].fd;
	}
	memcpy(keep->kept, now, sizeof(now));
	if (reply) {
		answer.reply = true;
		answer.message = *reply;
		for (i = 0; i < VHOST_USER_MAX_FDS && reply->reply_fd >= 0; i++)
			if (now[i].fd == reply->reply_fd)
				answer.reply_key = (uint16_t)(i | KEEP_HAS_FD);
	}
	return keep_send(keep->channel, &answer, sizeof(answer), fd, num_fds);
}

bool keep_ready(struct keep *keep)
{
	const struct keep_answer answer = { .kind = KEEP_READY };

	return keep_send(keep->channel, &answer, sizeof(answer), NULL, 0);
}
