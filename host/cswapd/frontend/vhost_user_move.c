// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_user_move.c - the front end's messages about a guest that moves: the dirty log, and the state
 * that goes to the other daemon or comes from it (handover.h).
 *
 * A front end that copies memory reads all of it, so that released blocks have pages again: while a
 * log is set, when the log ends and when a guest has come, the guest is asked to release these blocks again.
 */

#include "common/clock.h"
#include "common/log.h"
#include "vhost_user_parts.h"

/* While memory is read by a front end: so often the guest is asked to release anew. */
#define AGAIN_MS	1000

/* --- handlers: the dirty log --- */

const char *vu_use_dirty_log(struct vhost_user *vu, int fd, uint64_t bytes, uint64_t offset)
{
	const char *wrong;

	worker_pause_table(vu->config.workers);
	wrong = dirty_log_use(&vu->config.memory->dirty, fd, bytes, offset);
	worker_resume(vu->config.workers);
	vu->agreed.log_lost = wrong;
	return wrong;
}

/*
 * The protocol has no answer that says no, and a guest whose front end is dropped loses its swap. So the
 * answer is the same, and the move fails when the state is asked for.
 */
const char *vu_handle_set_log_base(struct vhost_user *vu, struct vu_message *msg)
{
	const char *wrong;
	struct vu_log log;

	memcpy(&log, msg->payload, sizeof(log));
	wrong = vu_use_dirty_log(vu, msg->num_fds ? msg->fd[0] : -1, log.mmap_size,
			      log.mmap_offset);
	if (wrong)
		log_err("front end: dirty log: %s: the guest can't move", wrong);
	else
		take_fd(msg);
	msg->header.size = 0;
	return NULL;
}

/* --- handlers: the guest moves --- */

static const char *begin_transfer(struct vhost_user *vu, const struct vu_message *msg)
{
	struct vu_state_fd what;

	memcpy(&what, msg->payload, sizeof(what));
	if (what.direction > 1 || what.phase)
		return "no such direction or phase";
	if (vu_any_ring_runs(vu))
		return "virtqueues are running";
	if (!what.direction && vu->agreed.log_lost)
		return "not all that was written to memory was logged";
	return handover_begin(&vu->handover, what.direction, msg->num_fds ? msg->fd[0] : -1);
}

/* A refusal is told in the answer; the guest goes on where it is. */
const char *vu_handle_set_device_state_fd(struct vhost_user *vu, struct vu_message *msg)
{
	const char *wrong = begin_transfer(vu, msg);

	if (wrong)
		log_err("the guest doesn't move: %s", wrong);
	else
		take_fd(msg);
	reply_u64(msg, wrong ? VU_VRING_NOFD | 1 : VU_VRING_NOFD);
	return NULL;
}

const char *vu_handle_check_device_state(struct vhost_user *vu, struct vu_message *msg)
{
	reply_u64(msg, handover_check(&vu->handover) ? 0 : 1);
	return NULL;
}

struct pollfd vhost_user_state_poll(const struct vhost_user *vu)
{
	return handover_poll(&vu->handover);
}

void vhost_user_move_state(struct vhost_user *vu)
{
	handover_run(&vu->handover);
}

bool vhost_user_leaves(const struct vhost_user *vu)
{
	return handover_leaves(&vu->handover);
}

/* --- what is released and filled again --- */

int vhost_user_again_ms(const struct vhost_user *vu)
{
	uint64_t now;

	if (!accepted(vu, VIRTIO_CSWAP_F_AGAIN) || !vu->config.memory->dirty.bits)
		return -1;
	now = clock_now_ms();
	return vu->again_at_ms > now ? (int)(vu->again_at_ms - now) : 0;
}

void vhost_user_ask_again(struct vhost_user *vu)
{
	vu->again_at_ms = clock_now_ms() + AGAIN_MS;
	balloon_want_again(vu->config.balloon);
	worker_tell_target(vu->config.workers);
}
