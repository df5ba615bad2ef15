// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_user_ring.c - the front end's messages about rings, and about the log of what is in hand.
 *
 * A ring is served once it has a size, addresses, a kick descriptor and is enabled, in whatever order
 * the front end says so (vhost_user.c).
 */
#include <linux/virtio_ring.h>

#include "common/log.h"
#include "vhost_user_parts.h"

/* --- rings --- */

static const char no_ring[] =
	"no such virtqueue: the VMM has more than 1 + 2 x --queues of them (its num_vqs, and --queues, must agree)";

/* Let a worker serve the ring if all it takes is known. */
const char *vu_start_ring(struct vhost_user *vu, struct vu_ring *ring)
{
	const char *wrong;

	if (ring->attached || !ring->has_addr || !ring->worker.setup.num ||
	    ring->worker.kick_fd < 0 || !ring->enabled)
		return NULL;
	if (!handover_is_ours(&vu->handover)) {
		/* First: who dies after it isn't followed by one that knows that the guest has just come. */
		if (handover_is_loaded(&vu->handover))
			vhost_user_ask_again(vu);
		wrong = handover_end(&vu->handover);
		if (wrong)
			return wrong;
	}
	ring->worker.setup.event_idx = accepted(vu, VIRTIO_RING_F_EVENT_IDX);
	wrong = worker_attach(vu->config.workers, ring_index(vu, ring),
			      &ring->worker);
	if (wrong)
		return wrong;
	ring->attached = true;
	ring->worker.take_over = false;
	log_debug("virtqueue %u runs: %u descriptors from %u",
		  ring_index(vu, ring), ring->worker.setup.num,
		  ring->worker.setup.base);
	return NULL;
}

void vu_stop_ring(struct vhost_user *vu, struct vu_ring *ring)
{
	if (!ring->attached)
		return;
	ring->worker.setup.base = worker_detach(vu->config.workers,
						ring_index(vu, ring));
	ring->attached = false;
	log_debug("virtqueue %u stops at %u", ring_index(vu, ring),
		  ring->worker.setup.base);
}

void vu_reset_device(struct vhost_user *vu)
{
	unsigned int i;

	for (i = 0; i < vu->num_rings; i++) {
		vu_stop_ring(vu, &vu->ring[i]);
		vu->ring[i].worker.take_over = false;
		vu->ring[i].enabled = false;
		vu->ring[i].has_addr = false;
		vu->ring[i].worker.setup.base = 0;
	}
	worker_forget(vu->config.workers);
	vu->agreed.status = 0;
}

/* --- handlers: rings --- */

const char *vu_handle_set_vring_num(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_vring_state state;
	struct vu_ring *ring;

	memcpy(&state, msg->payload, sizeof(state));
	ring = find_ring(vu, state.index);
	if (!ring)
		return no_ring;
	if (ring->attached)
		return "virtqueue is running";
	if (!state.num || state.num > VRING_MAX_NUM)
		return "ring size is not a power of two up to 1024";
	ring->worker.setup.num = (uint16_t)state.num;
	return NULL;
}

const char *vu_handle_set_vring_addr(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_vring_addr addr;
	struct vu_ring *ring;

	memcpy(&addr, msg->payload, sizeof(addr));
	ring = find_ring(vu, addr.index);
	if (!ring)
		return no_ring;
	vu_stop_ring(vu, ring);
	ring->worker.setup.log = addr.flags & VU_VRING_ADDR_F_LOG;
	ring->worker.setup.used_gpa = addr.log;
	ring->worker.setup.desc_uva = addr.desc;
	ring->worker.setup.avail_uva = addr.avail;
	ring->worker.setup.used_uva = addr.used;
	ring->has_addr = true;
	return vu_start_ring(vu, ring);
}

const char *vu_handle_set_vring_base(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_vring_state state;
	struct vu_ring *ring;

	memcpy(&state, msg->payload, sizeof(state));
	ring = find_ring(vu, state.index);
	if (!ring)
		return no_ring;
	if (ring->attached)
		return "virtqueue is running";
	if (state.num > UINT16_MAX)
		return "ring index out of range";
	ring->worker.setup.base = (uint16_t)state.num;
	return NULL;
}

const char *vu_handle_get_vring_base(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_vring_state state;
	struct vu_ring *ring;

	memcpy(&state, msg->payload, sizeof(state));
	ring = find_ring(vu, state.index);
	if (!ring)
		return no_ring;
	vu_stop_ring(vu, ring);
	/* It starts again with the next kick descriptor. */
	replace_fd(&ring->worker.kick_fd, -1);
	state.num = ring->worker.setup.base;
	set_reply(msg, &state, sizeof(state));
	return NULL;
}

/* Have the ring use another descriptor, also while it runs; the old one is closed. */
static void change_fd(struct vhost_user *vu, struct vu_ring *ring, int *which, int fd)
{
	int old = *which;

	*which = fd;
	if (ring->attached)
		worker_set_fds(vu->config.workers, ring_index(vu, ring),
			       &ring->worker);
	if (old >= 0)
		close(old);
}

/* What we write to may be a pipe: a front end that doesn't read must not stop us. */
static void unblock(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* The ring that a message with a descriptor is about, and the descriptor. */
static const char *get_ring_fd(struct vhost_user *vu, struct vu_message *msg,
			       struct vu_ring **ring, int *fd)
{
	uint64_t value = get_u64(msg);

	*ring = find_ring(vu, value & VU_VRING_INDEX_MASK);
	if (!*ring)
		return no_ring;
	*fd = value & VU_VRING_NOFD ? -1 : take_fd(msg);
	if (*fd < 0 && !(value & VU_VRING_NOFD))
		return "no descriptor came along";
	return NULL;
}

const char *vu_handle_set_vring_kick(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_ring *ring;
	const char *wrong;
	int fd;

	wrong = get_ring_fd(vu, msg, &ring, &fd);
	if (wrong)
		return wrong;
	if (fd < 0)
		return "a virtqueue without kick descriptor would have to be polled for ever";
	change_fd(vu, ring, &ring->worker.kick_fd, fd);
	return vu_start_ring(vu, ring);
}

const char *vu_handle_set_vring_call(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_ring *ring;
	const char *wrong;
	int fd;

	wrong = get_ring_fd(vu, msg, &ring, &fd);
	if (wrong)
		return wrong;
	unblock(fd);
	change_fd(vu, ring, &ring->worker.call_fd, fd);
	return NULL;
}

const char *vu_handle_set_vring_err(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_ring *ring;
	const char *wrong;
	int fd;

	wrong = get_ring_fd(vu, msg, &ring, &fd);
	if (wrong)
		return wrong;
	unblock(fd);
	change_fd(vu, ring, &ring->worker.err_fd, fd);
	return NULL;
}

const char *vu_handle_set_vring_enable(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_vring_state state;
	struct vu_ring *ring;

	memcpy(&state, msg->payload, sizeof(state));
	ring = find_ring(vu, state.index);
	if (!ring)
		return no_ring;
	ring->enabled = state.num;
	if (ring->enabled)
		return vu_start_ring(vu, ring);
	vu_stop_ring(vu, ring);
	return NULL;
}

/* --- handlers: what is in hand --- */

bool vu_any_ring_runs(const struct vhost_user *vu)
{
	unsigned int i;

	for (i = 0; i < vu->num_rings; i++)
		if (vu->ring[i].attached)
			return true;
	return false;
}

/* No ring runs. What is in hand is noted in our own memory from now on. */
void vu_drop_inflight(struct vhost_user *vu)
{
	if (!vu->inflight)
		return;
	worker_use_log(vu->config.workers, NULL);
	inflight_unmap_file(vu->inflight, vu->config.limits.queue_pairs);
	vu->inflight = NULL;
}

/*
 * Nor does any ring run here: the front end asks for another file, and may start rings without handing
 * that back. What the one in use says is noted in our own memory from now on.
 */
static void take_back_inflight(struct vhost_user *vu)
{
	const unsigned int pairs = vu->config.limits.queue_pairs;

	worker_use_log(vu->config.workers, NULL);
	inflight_copy(worker_log(vu->config.workers), vu->inflight, pairs);
	inflight_unmap_file(vu->inflight, pairs);
	vu->inflight = NULL;
}

static const char *make_inflight(struct vhost_user *vu)
{
	unsigned int pairs = vu->config.limits.queue_pairs;
	int fd = inflight_create_file(pairs, &vu->config.store);

	if (fd >= 0 && handover_is_loaded(&vu->handover) &&
	    !inflight_fill_file(fd, pairs, worker_log(vu->config.workers)))
		replace_fd(&fd, -1);
	if (fd < 0)
		return "no memory for what is in hand";
	if (vu->inflight)
		take_back_inflight(vu);
	replace_fd(&vu->inflight_fd, fd);
	return NULL;
}

/*
 * The protocol: the back end "will" note what is in hand in the file that is asked for, and a front end asks for a
 * new one "when vm reset". So while rings run with a file in use, that one is the answer; else it's a new one.
 */
const char *vu_handle_get_inflight_fd(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_inflight inflight;
	const char *wrong = NULL;

	memcpy(&inflight, msg->payload, VU_INFLIGHT_BYTES);
	if (inflight.num_queues > vu->num_rings)
		return "more virtqueues than there are";
	if (!vu->inflight || !vu_any_ring_runs(vu))
		wrong = make_inflight(vu);
	if (wrong)
		return wrong;
	inflight.mmap_size = inflight_file_bytes(vu->config.limits.queue_pairs);
	inflight.mmap_offset = 0;
	memcpy(msg->payload, &inflight, VU_INFLIGHT_BYTES);
	msg->reply_fd = vu->inflight_fd;
	return NULL;
}

const char *vu_use_inflight(struct vhost_user *vu, int fd)
{
	struct inflight *log;
	const char *wrong;

	wrong = inflight_map_file(fd, vu->config.limits.queue_pairs, &vu->config.store,
				  &log);
	if (wrong)
		return wrong;
	vu_drop_inflight(vu);
	worker_use_log(vu->config.workers, log);
	vu->inflight = log;
	return NULL;
}

const char *vu_handle_set_inflight_fd(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_inflight inflight;
	const char *wrong;

	memcpy(&inflight, msg->payload, VU_INFLIGHT_BYTES);
	if (vu_any_ring_runs(vu))
		return "virtqueues are running";
	if (inflight.mmap_offset ||
	    inflight.mmap_size != inflight_file_bytes(vu->config.limits.queue_pairs))
		return "not of the size and offset that were given";
	wrong = vu_use_inflight(vu, msg->num_fds ? msg->fd[0] : -1);
	if (!wrong)
		replace_fd(&vu->inflight_fd, take_fd(msg));
	return wrong;
}
