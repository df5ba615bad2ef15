// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_user.c - the protocol with the front end (the VMM).
 *
 * Theory of operation: a message's size and the number of its descriptors are
 * compared with the table in this file, and only then its handler
 * runs. A handler returns NULL, or in words what is wrong: then the daemon tells a
 * front end that wants replies, and closes the connection of another.
 *
 * Descriptors that a handler doesn't take out of the message are closed after
 * it. A ring's descriptors are lent to the worker while the ring is attached.
 *
 * A descriptor can change under a ring that runs, and memory can be added to what
 * there is; for all else that changes something in use, the table says what has to
 * stand still first. The caller may ask for the standstill beforehand, and do other
 * things until it comes; if not, the handler waits.
 *
 * A ring is served once it has a size, addresses, a kick descriptor and is
 * enabled, in whatever order the front end says so: user-mode Linux sends no
 * status and no reset, QEMU no DRIVER_OK. The daemon never sends anything to the front
 * end unasked: the configuration is static.
 *
 * All that was agreed on is in struct vhost_user_saved and the descriptors that
 * go with it, so that another process can go on (keep.h). Handling a message a
 * second time, after a death in the middle of it, has the same outcome.
 *
 * A front end may connect again to another daemon, after the first one is gone with all
 * it knew. The front end then says all of it again, but for the requests that were in hand.
 * It may keep these for the daemon (INFLIGHT_SHMFD): it gets a file, whose content it
 * doesn't look at, and hands the file back before it starts the rings. The file is the
 * daemon's own log of what is in hand (inflight.c), which has the rings' indices, too; the
 * protocol's example of such a log couldn't hold a LOAD whose chain is back. When such a
 * connection ends the rings don't: they are left in the log as if the daemon had died.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "vhost_user_parts.h"

/* --- handlers: features --- */

static bool offer_access_platform(const struct vhost_user *vu)
{
	switch (vu->config.access) {
	case ACCESS_ON:
		return true;
	case ACCESS_OFF:
		return false;
	case ACCESS_AUTO:
		break;
	}
	/*
	 * User-mode Linux accepts the bit and then fails for want of a DMA API.
	 * It differs from QEMU in that it takes ownership first of all.
	 */
	return !vu->agreed.owned_before_features;
}

static uint64_t offered(const struct vhost_user *vu)
{
	uint64_t features = BIT64(VIRTIO_F_VERSION_1) |
			    BIT64(VIRTIO_RING_F_EVENT_IDX) |
			    BIT64(VU_F_PROTOCOL_FEATURES) | BIT64(VU_F_LOG_ALL) |
			    BIT64(VIRTIO_CSWAP_F_DISCARD);

	if (vu->config.limits.release_method != VIRTIO_CSWAP_RELEASE_NONE)
		features |= BIT64(VIRTIO_CSWAP_F_BALLOON);
	/* Converted memory isn't the front end's to read, so nothing fills it. */
	if (vu->config.limits.release_method == VIRTIO_CSWAP_RELEASE_DISCARD)
		features |= BIT64(VIRTIO_CSWAP_F_AGAIN);
	if (vu->config.limits.report_period_ms)
		features |= BIT64(VIRTIO_CSWAP_F_REPORT);
	if (offer_access_platform(vu))
		features |= BIT64(VIRTIO_F_ACCESS_PLATFORM);
	return vu->config.lies ? vu->config.lies->features(features) : features;
}

static const char *vu_handle_get_features(struct vhost_user *vu, struct vu_message *msg)
{
	if (!vu->agreed.asked_features)
		vu->agreed.owned_before_features = vu->agreed.owned;
	vu->agreed.asked_features = true;
	reply_u64(msg, offered(vu));
	return NULL;
}

static void settle_features(struct vhost_user *vu)
{
	worker_set_features(vu->config.workers,
			    accepted(vu, VIRTIO_CSWAP_F_DISCARD),
			    accepted(vu, VIRTIO_CSWAP_F_BALLOON),
			    accepted(vu, VIRTIO_CSWAP_F_REPORT),
			    accepted(vu, VIRTIO_CSWAP_F_AGAIN));
}

static void drop_dirty_log(struct vhost_user *vu)
{
	const bool was_read = vu->config.memory->dirty.bits || vu->agreed.log_lost;

	vu->agreed.log_lost = false;
	if (!was_read)
		return;
	worker_pause_table(vu->config.workers);
	dirty_log_drop(&vu->config.memory->dirty);
	worker_resume(vu->config.workers);
	/* The front end that had a log, or wanted one, has read all of memory, and reading a hole fills it. */
	vhost_user_ask_again(vu);
}

static const char *vu_handle_set_features(struct vhost_user *vu, struct vu_message *msg)
{
	uint64_t features = get_u64(msg);
	unsigned int i;

	if (features & ~offered(vu))
		return "features that were not offered";
	vu->agreed.features = features;
	settle_features(vu);
	log_debug("features %#jx", (uintmax_t)features);
	if (!accepted(vu, VU_F_LOG_ALL))
		drop_dirty_log(vu);
	if (accepted(vu, VU_F_PROTOCOL_FEATURES))
		return NULL;
	/* Without that feature there is no VRING_ENABLE. */
	for (i = 0; i < vu->num_rings; i++)
		vu->ring[i].enabled = true;
	return NULL;
}

static uint64_t offered_protocol(const struct vhost_user *vu)
{
	uint64_t features = VU_PROTOCOL_FEATURES;

	if (vu->config.inflight)
		features |= BIT64(VU_PROTOCOL_F_INFLIGHT_SHMFD);
	if (handover_is_offered(&vu->handover))
		features |= BIT64(VU_PROTOCOL_F_DEVICE_STATE);
	return features;
}

static const char *vu_handle_get_protocol_features(struct vhost_user *vu, struct vu_message *msg)
{
	reply_u64(msg, offered_protocol(vu));
	return NULL;
}

static const char *vu_handle_set_protocol_features(struct vhost_user *vu, struct vu_message *msg)
{
	uint64_t features = get_u64(msg);

	if (features & ~offered_protocol(vu))
		return "protocol features that were not offered";
	vu->agreed.protocol_features = features;
	log_debug("protocol features %#jx", (uintmax_t)features);
	return NULL;
}

static const char *vu_handle_set_owner(struct vhost_user *vu, struct vu_message *msg)
{
	(void)msg;
	vu->agreed.owned = true;
	return NULL;
}

static const char *vu_handle_reset(struct vhost_user *vu, struct vu_message *msg)
{
	(void)msg;
	vu_reset_device(vu);
	return NULL;
}

static const char *vu_handle_get_queue_num(struct vhost_user *vu, struct vu_message *msg)
{
	reply_u64(msg, vu->num_rings);
	return NULL;
}

static const char *vu_handle_set_status(struct vhost_user *vu, struct vu_message *msg)
{
	vu->agreed.status = (uint8_t)get_u64(msg);
	if (!vu->agreed.status)
		vu_reset_device(vu);
	return NULL;
}

static const char *vu_handle_get_status(struct vhost_user *vu, struct vu_message *msg)
{
	reply_u64(msg, vu->agreed.status);
	return NULL;
}

/* --- handlers: configuration --- */

static const char *vu_handle_get_config(struct vhost_user *vu, struct vu_message *msg)
{
	struct virtio_cswap_config config;
	uint8_t space[VU_CONFIG_BYTES] = { 0 };
	struct vu_config_header header;

	memcpy(&header, msg->payload, sizeof(header));
	if (header.size > VU_CONFIG_BYTES ||
	    header.offset > VU_CONFIG_BYTES - header.size ||
	    header.size != msg->header.size - sizeof(header)) {
		/* The protocol's way of saying no to this one. */
		msg->header.size = 0;
		return NULL;
	}
	device_fill_config(&vu->config.limits, &config);
	if (vu->config.lies)
		vu->config.lies->config(&config);
	memcpy(space, &config, sizeof(config));
	memcpy(msg->payload + sizeof(header), space + header.offset,
	       header.size);
	return NULL;
}

/*
 * All of it is read-only. QEMU writes the whole space whatever the guest
 * touched, so a write is not an error.
 */
static const char *vu_handle_set_config(struct vhost_user *vu, struct vu_message *msg)
{
	(void)vu;
	(void)msg;
	return NULL;
}

static const char *vu_handle_set_backend_req_fd(struct vhost_user *vu, struct vu_message *msg)
{
	replace_fd(&vu->backend_fd, take_fd(msg));
	return NULL;
}

/* --- handlers: memory --- */

/* Parts of a page are zeroed, and take as much memory as before. */
static void check_pages(struct vhost_user *vu,
			const struct memory_region *region)
{
	const struct device_limits *limits = &vu->config.limits;

	if (limits->release_method == VIRTIO_CSWAP_RELEASE_DISCARD &&
	    region->page_bytes > limits->block_bytes)
		log_limited(&vu->pages_rate, LOG_WARNING,
			    "memory has pages of %ju KiB: --block-size %juK, or what the guest releases may free nothing",
			    (uintmax_t)region->page_bytes / 1024,
			    (uintmax_t)region->page_bytes / 1024);
}

static const char *add_region(struct vhost_user *vu,
			      const struct vu_region *region, int fd)
{
	struct memory *memory = vu->config.memory;
	const char *wrong;

	log_debug("memory at %#jx: %ju KiB", (uintmax_t)region->gpa,
		  (uintmax_t)region->size / 1024);
	wrong = memory_add(memory, region->gpa, region->uva, region->size,
			   region->offset, fd);
	if (!wrong)
		check_pages(vu, &memory->region[memory->count - 1]);
	return wrong;
}

static const char *vu_handle_set_mem_table(struct vhost_user *vu, struct vu_message *msg)
{
	const size_t head = offsetof(struct vu_mem_table, region);
	const char *wrong = NULL;
	struct vu_mem_table table;
	unsigned int i;

	memset(&table, 0, sizeof(table));
	memcpy(&table, msg->payload, msg->header.size < sizeof(table) ?
	       msg->header.size : sizeof(table));
	if (table.count > VU_MAX_FDS ||
	    msg->header.size < head + table.count * sizeof(table.region[0]))
		return "memory table is malformed";
	if (!table.count || !msg->num_fds)
		return "front end shares no memory (QEMU: memory-backend-memfd,share=on)";
	if (msg->num_fds != table.count)
		return "memory table has more regions than descriptors";
	worker_pause(vu->config.workers);
	memory_clear(vu->config.memory);
	for (i = 0; i < table.count && !wrong; i++)
		wrong = add_region(vu, &table.region[i], msg->fd[i]);
	worker_resume(vu->config.workers);
	return wrong;
}

static const char *vu_handle_get_max_mem_slots(struct vhost_user *vu, struct vu_message *msg)
{
	(void)vu;
	reply_u64(msg, MEMORY_MAX_REGIONS);
	return NULL;
}

static const char *vu_handle_add_mem_reg(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_mem_reg reg;
	const char *wrong;

	memcpy(&reg, msg->payload, sizeof(reg));
	/* What is there stays where it is. */
	worker_pause_table(vu->config.workers);
	wrong = add_region(vu, &reg.region, msg->num_fds ? msg->fd[0] : -1);
	worker_resume(vu->config.workers);
	return wrong;
}

static const char *vu_handle_rem_mem_reg(struct vhost_user *vu, struct vu_message *msg)
{
	struct vu_mem_reg reg;
	const char *wrong;

	memcpy(&reg, msg->payload, sizeof(reg));
	worker_pause(vu->config.workers);
	wrong = memory_remove(vu->config.memory, reg.region.gpa, reg.region.uva,
			      reg.region.size);
	worker_resume(vu->config.workers);
	return wrong;
}

/* --- the message table --- */

#define ANY_SIZE UINT32_MAX

struct vu_entry {
	const char *name;
	vu_handler *handle;
	uint32_t size;			/* of the payload, or ANY_SIZE */
	uint32_t min_size;		/* if ANY_SIZE */
	unsigned int max_fds;
	bool replies;			/* the handler made the reply */
	enum worker_still still;	/* what has to be; RING: the one in the message */
};

#define ENTRY(request, function, bytes, ...) \
	[VU_##request] = { .name = #request, .handle = vu_handle_##function, \
			   .size = (bytes), __VA_ARGS__ }

static const struct vu_entry vu_table[VU_NUM_REQUESTS] = {
	ENTRY(GET_FEATURES, get_features, 0, .replies = true),
	ENTRY(SET_FEATURES, set_features, sizeof(uint64_t)),
	ENTRY(SET_OWNER, set_owner, 0),
	ENTRY(RESET_OWNER, reset, 0, .still = WORKER_ALL),
	ENTRY(SET_MEM_TABLE, set_mem_table, ANY_SIZE, .min_size = 8,
	      .max_fds = VU_MAX_FDS, .still = WORKER_MEMORY),
	ENTRY(SET_LOG_BASE, set_log_base, sizeof(struct vu_log), .max_fds = 1,
	      .replies = true, .still = WORKER_TABLE),
	ENTRY(SET_VRING_NUM, set_vring_num, sizeof(struct vu_vring_state)),
	ENTRY(SET_VRING_ADDR, set_vring_addr, sizeof(struct vu_vring_addr),
	      .still = WORKER_RING),
	ENTRY(SET_VRING_BASE, set_vring_base, sizeof(struct vu_vring_state)),
	ENTRY(GET_VRING_BASE, get_vring_base, sizeof(struct vu_vring_state),
	      .replies = true, .still = WORKER_RING),
	ENTRY(SET_VRING_KICK, set_vring_kick, sizeof(uint64_t), .max_fds = 1),
	ENTRY(SET_VRING_CALL, set_vring_call, sizeof(uint64_t), .max_fds = 1),
	ENTRY(SET_VRING_ERR, set_vring_err, sizeof(uint64_t), .max_fds = 1),
	ENTRY(GET_PROTOCOL_FEATURES, get_protocol_features, 0, .replies = true),
	ENTRY(SET_PROTOCOL_FEATURES, set_protocol_features, sizeof(uint64_t)),
	ENTRY(GET_QUEUE_NUM, get_queue_num, 0, .replies = true),
	ENTRY(SET_VRING_ENABLE, set_vring_enable, sizeof(struct vu_vring_state),
	      .still = WORKER_RING),
	ENTRY(SET_BACKEND_REQ_FD, set_backend_req_fd, ANY_SIZE, .max_fds = 1),
	ENTRY(GET_CONFIG, get_config, ANY_SIZE,
	      .min_size = sizeof(struct vu_config_header), .replies = true),
	ENTRY(SET_CONFIG, set_config, ANY_SIZE,
	      .min_size = sizeof(struct vu_config_header)),
	ENTRY(GET_INFLIGHT_FD, get_inflight_fd, ANY_SIZE,
	      .min_size = VU_INFLIGHT_BYTES, .replies = true),
	ENTRY(SET_INFLIGHT_FD, set_inflight_fd, ANY_SIZE,
	      .min_size = VU_INFLIGHT_BYTES, .max_fds = 1),
	ENTRY(RESET_DEVICE, reset, 0, .still = WORKER_ALL),
	ENTRY(GET_MAX_MEM_SLOTS, get_max_mem_slots, 0, .replies = true),
	ENTRY(ADD_MEM_REG, add_mem_reg, sizeof(struct vu_mem_reg),
	      .max_fds = 1),
	ENTRY(REM_MEM_REG, rem_mem_reg, sizeof(struct vu_mem_reg),
	      .max_fds = 1, .still = WORKER_MEMORY),
	ENTRY(SET_STATUS, set_status, sizeof(uint64_t), .still = WORKER_ALL),
	ENTRY(GET_STATUS, get_status, 0, .replies = true),
	ENTRY(SET_DEVICE_STATE_FD, set_device_state_fd, sizeof(struct vu_state_fd),
	      .max_fds = 1, .replies = true, .still = WORKER_ALL),
	ENTRY(CHECK_DEVICE_STATE, check_device_state, 0, .replies = true,
	      .still = WORKER_ALL),
};

/* --- messages --- */

static const char *check_message(const struct vu_entry *entry,
				 const struct vu_message *msg)
{
	if (entry->size == ANY_SIZE ? msg->header.size < entry->min_size :
				      msg->header.size != entry->size)
		return "payload has the wrong size";
	if (msg->num_fds > entry->max_fds)
		return "too many descriptors";
	return NULL;
}

static const struct vu_entry *find_entry(uint32_t request)
{
	if (request >= VU_NUM_REQUESTS || !vu_table[request].handle)
		return NULL;
	return &vu_table[request];
}

/*
 * Asked for after the message was handled: UML wants the SET_PROTOCOL_FEATURES
 * that negotiates REPLY_ACK to be answered as well.
 */
static bool needs_reply(const struct vhost_user *vu, const struct vu_message *msg)
{
	return msg->header.flags & VU_FLAG_NEED_REPLY &&
	       vu->agreed.protocol_features & BIT64(VU_PROTOCOL_F_REPLY_ACK);
}

struct worker_need vhost_user_needs(const struct vhost_user *vu,
				    const struct vu_message *msg)
{
	const struct vu_entry *entry = find_entry(msg->header.request);
	const struct worker_need nothing = { .still = WORKER_RUNS };
	struct vu_vring_state state;

	if (!entry || entry->still == WORKER_RUNS || check_message(entry, msg))
		return nothing;
	/* A message about a ring begins with its index. */
	memcpy(&state, msg->payload, sizeof(state));
	if (entry->still == WORKER_RING &&
	    (state.index >= vu->num_rings || !vu->ring[state.index].attached ||
	     (entry->handle == vu_handle_set_vring_enable && state.num)))
		return nothing;
	if (entry->handle == vu_handle_set_status && (uint8_t)get_u64(msg))
		return nothing;
	return (struct worker_need){ .still = entry->still, .index = state.index };
}

/* Is it the last word that a ring needs to run? */
static bool completes_ring(const struct vhost_user *vu, const struct vu_entry *entry,
			   const struct vu_message *msg)
{
	const bool addr = entry->handle == vu_handle_set_vring_addr;
	const bool kick = entry->handle == vu_handle_set_vring_kick;
	const bool enable = entry->handle == vu_handle_set_vring_enable;
	struct vu_vring_state state;
	const struct vu_ring *ring;

	if (!addr && !kick && !enable)
		return false;
	memcpy(&state, msg->payload, sizeof(state));
	if (kick)
		state.index &= VU_VRING_INDEX_MASK;
	if (state.index >= vu->num_rings)
		return false;
	ring = &vu->ring[state.index];
	return (addr || ring->has_addr) && (kick || ring->worker.kick_fd >= 0) &&
	       (enable ? state.num : ring->enabled) && ring->worker.setup.num;
}

/* Do rings need the store for it, to run or to be saved? */
static bool needs_store(const struct vhost_user *vu, const struct vu_entry *entry,
			const struct vu_message *msg)
{
	struct vu_state_fd what;

	if (entry->handle == vu_handle_set_device_state_fd) {
		memcpy(&what, msg->payload, sizeof(what));
		return !what.direction && !vu_any_ring_runs(vu);
	}
	return completes_ring(vu, entry, msg);
}

unsigned int vhost_user_waits(struct vhost_user *vu, const struct vu_message *msg)
{
	const struct vu_entry *entry = find_entry(msg->header.request);

	if (!entry || check_message(entry, msg) || !handover_is_offered(&vu->handover))
		return 0;
	if (entry->handle == vu_handle_check_device_state)
		return handover_waits_to_load(&vu->handover);
	return needs_store(vu, entry, msg) ? handover_waits_to_run(&vu->handover) : 0;
}

void vhost_user_give_up(struct vhost_user *vu)
{
	handover_give_up(&vu->handover);
}

bool vhost_user_handle(struct vhost_user *vu, struct vu_message *msg,
		       bool *reply)
{
	const struct vu_entry *entry = find_entry(msg->header.request);
	const char *wrong;

	msg->reply_fd = -1;
	if (!entry) {
		/* Something that was not offered: the front end may do without. */
		log_limited(&vu->wrong_rate, LOG_NOTICE,
			    "front end: unknown message %u", msg->header.request);
		*reply = needs_reply(vu, msg);
		reply_u64(msg, 1);
		return true;
	}
	log_debug("front end: %s, %u bytes, %u descriptors", entry->name,
		  msg->header.size, msg->num_fds);
	wrong = check_message(entry, msg);
	if (!wrong)
		wrong = entry->handle(vu, msg);
	if (wrong)
		log_limited(&vu->wrong_rate, LOG_ERR, "front end: %s: %s",
			    entry->name, wrong);
	if (entry->replies) {
		*reply = !wrong;
		return !wrong;
	}
	*reply = needs_reply(vu, msg);
	reply_u64(msg, wrong ? 1 : 0);
	return *reply || !wrong;
}

int vhost_user_fd(const struct vhost_user *vu)
{
	return vu->fd;
}

static void await(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	poll(&poll_fd, 1, -1);
}

static bool receive_whole(int fd, struct vu_message *msg)
{
	enum vu_progress progress;
	size_t done = 0;

	msg->num_fds = 0;
	while ((progress = vu_message_read(fd, msg, &done)) == VU_MORE)
		await(fd, POLLIN);
	return progress == VU_DONE;
}

static bool reply_whole(int fd, struct vu_message *msg)
{
	enum vu_progress progress;
	size_t done = 0;

	while ((progress = vu_message_reply(fd, msg, &done)) == VU_MORE)
		await(fd, POLLOUT);
	return progress == VU_DONE;
}

bool vhost_user_receive(struct vhost_user *vu)
{
	struct vu_message msg;
	bool alive, reply = false;

	alive = receive_whole(vu->fd, &msg) &&
		vhost_user_handle(vu, &msg, &reply);
	vu_message_close_fds(&msg);
	return (!reply || reply_whole(vu->fd, &msg)) && alive;
}

bool vhost_user_has(const struct vhost_user *vu, unsigned int feature)
{
	return accepted(vu, feature);
}

/* --- connections --- */

static void clear_rings(struct vhost_user *vu)
{
	unsigned int i;

	for (i = 0; i < VU_MAX_RINGS; i++) {
		memset(&vu->ring[i], 0, sizeof(vu->ring[i]));
		vu->ring[i].worker.kick_fd = -1;
		vu->ring[i].worker.call_fd = -1;
		vu->ring[i].worker.err_fd = -1;
	}
}

struct vhost_user *vhost_user_new(const struct vhost_user_config *config)
{
	struct vhost_user *vu = calloc(1, sizeof(*vu));

	if (!vu)
		return NULL;
	vu->config = *config;
	memory_guard(config->memory);
	vu->fd = -1;
	vu->backend_fd = -1;
	vu->inflight_fd = -1;
	vu->num_rings = VIRTIO_CSWAP_NUM_VQS(config->limits.queue_pairs);
	clear_rings(vu);
	handover_init(&vu->handover, &(struct handover_config) {
		.store = config->movable,
		.identity = &vu->config.store,
		.limits = &vu->config.limits,
		.memory = config->memory,
		.balloon = config->balloon,
		.workers = config->workers,
		.holder = config->holder ? config->holder : &vu->own_holder,
	});
	return vu;
}

/* The front end and all that is its: descriptors, memory. No ring runs. */
static void close_all(struct vhost_user *vu)
{
	unsigned int i;

	for (i = 0; i < vu->num_rings; i++) {
		replace_fd(&vu->ring[i].worker.kick_fd, -1);
		replace_fd(&vu->ring[i].worker.call_fd, -1);
		replace_fd(&vu->ring[i].worker.err_fd, -1);
	}
	clear_rings(vu);
	drop_dirty_log(vu);
	worker_pause(vu->config.workers);
	memory_clear(vu->config.memory);
	worker_resume(vu->config.workers);
	replace_fd(&vu->backend_fd, -1);
	replace_fd(&vu->inflight_fd, -1);
	replace_fd(&vu->fd, -1);
}

/* If the front end keeps what is in hand it may go on from there, with whomever. */
static void leave_rings(struct vhost_user *vu)
{
	unsigned int i;

	if (vu->inflight)
		worker_leave(vu->config.workers);
	for (i = 0; i < vu->num_rings; i++)
		vu_stop_ring(vu, &vu->ring[i]);
	vu_drop_inflight(vu);
}

/* What was kept of the front end is for the next process: nothing is reset. */
void vhost_user_free(struct vhost_user *vu)
{
	if (vu->fd >= 0) {
		leave_rings(vu);
		close_all(vu);
	}
	memory_guard(NULL);
	free(vu);
}

void vhost_user_connect(struct vhost_user *vu, int fd)
{
	vu->fd = fd;
	vu->agreed = (struct vhost_user_agreed) { 0 };
}

void vhost_user_disconnect(struct vhost_user *vu)
{
	if (vu->fd < 0)
		return;
	leave_rings(vu);
	vu_reset_device(vu);
	handover_lose(&vu->handover);
	close_all(vu);
}

/* --- the successor --- */

static void save_ring(const struct vu_ring *ring,
		      struct vhost_user_saved_ring *to, struct vhost_user_fd *fd)
{
	to->setup = ring->worker.setup;
	to->has_addr = ring->has_addr;
	to->enabled = ring->enabled;
	to->attached = ring->attached;
	fd[0].fd = ring->worker.kick_fd;
	fd[1].fd = ring->worker.call_fd;
	fd[2].fd = ring->worker.err_fd;
}

void vhost_user_save(const struct vhost_user *vu, struct vhost_user_saved *to,
		     struct vhost_user_fd *fd)
{
	const struct memory *memory = vu->config.memory;
	struct handover_transfer transfer;
	unsigned int i;

	memset(to, 0, sizeof(*to));
	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		fd[i] = (struct vhost_user_fd) { .fd = -1 };
	if (vu->fd < 0)
		return;
	to->connected = true;
	to->inflight = vu->inflight;
	to->agreed = vu->agreed;
	to->num_regions = memory->count;
	fd[VHOST_USER_BACKEND_FD].fd = vu->backend_fd;
	fd[VHOST_USER_INFLIGHT_FD].fd = vu->inflight_fd;
	if (memory->dirty.bits) {
		to->log_bytes = memory->dirty.bytes;
		to->log_offset = memory->dirty.offset;
		fd[VHOST_USER_LOG_FD] = (struct vhost_user_fd) { memory->dirty.fd,
								 memory->dirty.serial };
	}
	transfer = handover_save(&vu->handover);
	to->state_serial = transfer.serial;
	fd[VHOST_USER_PIPE_FD] = (struct vhost_user_fd) { transfer.fd, transfer.serial };
	fd[VHOST_USER_STATE_FD] = (struct vhost_user_fd) { transfer.state_fd, transfer.serial };
	fd += VHOST_USER_FIXED_FDS;
	for (i = 0; i < memory->count; i++, fd++) {
		const struct memory_region *region = &memory->region[i];

		to->region[i].gpa = region->gpa;
		to->region[i].uva = region->uva;
		to->region[i].size = region->size;
		to->region[i].offset = region->offset;
		*fd = (struct vhost_user_fd) { region->fd, region->serial };
	}
	to->num_gone = memory->num_gone;
	memcpy(to->gone, memory->gone, memory->num_gone * sizeof(to->gone[0]));
	fd += MEMORY_MAX_REGIONS - memory->count;
	for (i = 0; i < vu->num_rings; i++, fd += 3)
		save_ring(&vu->ring[i], &to->ring[i], fd);
}

/* All of it, or none: false. */
static bool restore_memory(struct vhost_user *vu,
			   const struct vhost_user_saved *from, const int *fd)
{
	const char *wrong;
	bool whole = true;
	unsigned int i;

	worker_pause(vu->config.workers);
	/* It's another process's word. */
	for (i = 0; i < from->num_regions && i < MEMORY_MAX_REGIONS; i++) {
		wrong = memory_add(vu->config.memory, from->region[i].gpa,
				   from->region[i].uva, from->region[i].size,
				   from->region[i].offset, fd[i]);
		if (wrong)
			log_err("memory that was shared is lost, so the guest can't go on: %s", wrong);
		whole &= !wrong;
		if (fd[i] >= 0)
			close(fd[i]);
	}
	for (i = 0; i < from->num_gone && i < MEMORY_MAX_REGIONS; i++)
		memory_expect(vu->config.memory, from->gone[i].gpa, from->gone[i].size);
	if (!whole)
		memory_clear(vu->config.memory);
	worker_resume(vu->config.workers);
	return whole;
}

static void restore_ring(struct vhost_user *vu, struct vu_ring *ring,
			 const struct vhost_user_saved_ring *from, const int *fd, bool goes_on)
{
	const char *wrong;

	ring->worker.setup = from->setup;
	ring->worker.kick_fd = fd[0];
	ring->worker.call_fd = fd[1];
	ring->worker.err_fd = fd[2];
	ring->has_addr = from->has_addr;
	ring->enabled = from->enabled;
	if (!from->attached || !goes_on)
		return;
	ring->worker.take_over = true;
	wrong = vu_start_ring(vu, ring);
	if (wrong)
		log_err("virtqueue %u can't go on: %s", ring_index(vu, ring),
			wrong);
}

static void restore_dirty_log(struct vhost_user *vu, const struct vhost_user_saved *from, int fd)
{
	const char *wrong;

	if (!from->log_bytes) {
		replace_fd(&fd, -1);
		return;
	}
	wrong = vu_use_dirty_log(vu, fd, from->log_bytes, from->log_offset);
	if (!wrong)
		return;
	log_err("the dirty log is lost (%s): the guest can't move", wrong);
	replace_fd(&fd, -1);
}

void vhost_user_restore(struct vhost_user *vu,
			const struct vhost_user_saved *from, int front_end,
			const int *fd)
{
	const char *wrong;
	unsigned int i;
	bool whole;

	if (!from->connected)
		return;
	vhost_user_connect(vu, front_end);
	vu->agreed = from->agreed;
	vu->backend_fd = fd[VHOST_USER_BACKEND_FD];
	vu->inflight_fd = fd[VHOST_USER_INFLIGHT_FD];
	settle_features(vu);
	restore_dirty_log(vu, from, fd[VHOST_USER_LOG_FD]);
	handover_restore(&vu->handover, &(struct handover_transfer) {
		fd[VHOST_USER_PIPE_FD], fd[VHOST_USER_STATE_FD], from->state_serial,
	});
	fd += VHOST_USER_FIXED_FDS;
	wrong = from->inflight ? vu_use_inflight(vu, vu->inflight_fd) : NULL;
	if (wrong)
		log_err("requests in flight are lost: the in-flight file is %s", wrong);
	whole = restore_memory(vu, from, fd);
	/* Then it's lost, as if the front end had hung up; the front end hears of it, too. */
	if (!whole)
		shutdown(vu->fd, SHUT_RDWR);
	fd += MEMORY_MAX_REGIONS;
	for (i = 0; i < vu->num_rings; i++, fd += 3)
		restore_ring(vu, &vu->ring[i], &from->ring[i], fd, whole);
}
