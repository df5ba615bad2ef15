// SPDX-License-Identifier: GPL-2.0-only
/*
 * answer_fault.c - what the worker tells the guest, by a host that lies: cswapd-faulty only.
 *
 * Theory of operation: the linker puts us around what the worker calls to make and to
 * give answers (--wrap), so the worker itself is cswapd's. store_fault.c and
 * balloon_fault.c say which answer is a lie, and of which kind.
 *
 * A control request is judged before the worker begins with it. One that is held up has
 * no ranges meanwhile, and something under way: so the worker neither begins nor answers
 * it, and waits for it when the queue is to stand still.
 */
#include <endian.h>
#include <string.h>

#include "balloon_fault.h"
#include "serve/worker_parts.h"
#include "store_fault.h"

struct virtio_cswap_ack __real_device_make_ack(const struct device_request *request);
struct virtio_cswap_ack __wrap_device_make_ack(const struct device_request *request);
unsigned int __real_device_ack_room(const struct vring_chain *chain);
unsigned int __wrap_device_ack_room(const struct vring_chain *chain);
uint32_t __real_device_put_acks(const struct vring_chain *chain,
				const struct virtio_cswap_ack *ack, unsigned int count);
uint32_t __wrap_device_put_acks(const struct vring_chain *chain,
				const struct virtio_cswap_ack *ack, unsigned int count);
uint32_t __real_device_put_data(const struct vring_chain *chain,
				const struct virtio_cswap_ack *ack,
				const struct virtio_cswap_tag *tag, unsigned int count);
uint32_t __wrap_device_put_data(const struct vring_chain *chain,
				const struct virtio_cswap_ack *ack,
				const struct virtio_cswap_tag *tag, unsigned int count);
uint32_t __real_device_put_control(const struct vring_chain *chain,
				   const struct device_control *control, uint32_t status);
uint32_t __wrap_device_put_control(const struct vring_chain *chain,
				   const struct device_control *control, uint32_t status);
struct virtio_cswap_event __real_device_make_event(uint32_t status, uint64_t target_bytes);
struct virtio_cswap_event __wrap_device_make_event(uint32_t status, uint64_t target_bytes);
uint32_t __real_device_put_event(const struct vring_chain *chain,
				 const struct virtio_cswap_event *event);
uint32_t __wrap_device_put_event(const struct vring_chain *chain,
				 const struct virtio_cswap_event *event);
void __real_answer_control(struct worker *worker, const struct control_request *request);
void __wrap_answer_control(struct worker *worker, const struct control_request *request);
bool __real_answer_event(struct worker *worker, uint16_t head, uint64_t target_bytes, uint32_t flags);
bool __wrap_answer_event(struct worker *worker, uint16_t head, uint64_t target_bytes, uint32_t flags);
unsigned int __real_control_begin(struct worker *worker);
unsigned int __wrap_control_begin(struct worker *worker);
unsigned int __real_control_answer(struct worker *worker);
unsigned int __wrap_control_answer(struct worker *worker);
uint64_t __real_balloon_get_wanted(const struct balloon *balloon);
uint64_t __wrap_balloon_get_wanted(const struct balloon *balloon);
void __real_worker_hurry(struct worker_set *set);
void __wrap_worker_hurry(struct worker_set *set);

/* --- acks --- */

/* Of the answer that this thread makes now. */
static __thread struct {
	unsigned int lies;		/* FAULT_ACK_* */
	unsigned int num_extra;
	struct virtio_cswap_ack extra[DEVICE_MAX_ACKS];
} acks;

struct virtio_cswap_ack __wrap_device_make_ack(const struct device_request *request)
{
	struct fault_ack ack = {
		.slot = request->slot,
		.load = request->load,
		.ack = __real_device_make_ack(request),
	};
	unsigned int lies = store_fault_ack(&ack, &acks.extra[acks.num_extra]);

	acks.lies |= lies;
	if (lies & FAULT_ACK_EXTRA && acks.num_extra < DEVICE_MAX_ACKS - 1)
		acks.num_extra++;
	return ack.ack;
}

/* Leave room for those that nobody has asked for. */
unsigned int __wrap_device_ack_room(const struct vring_chain *chain)
{
	unsigned int room = __real_device_ack_room(chain);

	return room > 1 ? room / 2 : room;
}

static uint32_t ack_length(uint32_t len)
{
	if (acks.lies & FAULT_ACK_LENGTH)
		len = FAULT_WILD_LENGTH;
	acks.lies = 0;
	acks.num_extra = 0;
	return len;
}

uint32_t __wrap_device_put_acks(const struct vring_chain *chain,
				const struct virtio_cswap_ack *ack, unsigned int count)
{
	unsigned int room = __real_device_ack_room(chain), i;
	struct virtio_cswap_ack all[DEVICE_MAX_ACKS];

	memcpy(all, ack, count * sizeof(all[0]));
	for (i = 0; i < acks.num_extra && count < room; i++)
		all[count++] = acks.extra[i];
	return ack_length(__real_device_put_acks(chain, all, count));
}

uint32_t __wrap_device_put_data(const struct vring_chain *chain,
				const struct virtio_cswap_ack *ack,
				const struct virtio_cswap_tag *tag, unsigned int count)
{
	return ack_length(__real_device_put_data(chain, ack, tag, count));
}

/* --- control requests: all of this is the one thread's that has the control queue --- */

static struct {
	bool judged;
	bool held;
	bool answered;			/* early */
	unsigned int count;		/* of its ranges, while it's held */
	uint64_t due_ns;		/* not before; 0: when somebody waits for its end */
	struct __kernel_timespec delay;
	struct control_lie lie;
} verdicts[CONTROL_REQUESTS];

static const struct control_lie *telling; /* in the answer that is made now */
static uint32_t told_len;		/* the true one */
static bool hurries;			/* what is stalled is to go on; any thread's */

/* @reserved: where such a field is. */
static uint32_t put_lie(const struct vring_chain *chain, uint32_t len, uint64_t reserved)
{
	const uint32_t one = htole32(1);

	told_len = len;
	if (telling && telling->reserved_bits)
		vring_copy_to(chain->segment + chain->readable, reserved, &one, sizeof(one));
	return telling && telling->used_bytes ? telling->used_bytes : len;
}

uint32_t __wrap_device_put_control(const struct vring_chain *chain,
				   const struct device_control *control, uint32_t status)
{
	return put_lie(chain, __real_device_put_control(chain, control, status),
		       offsetof(struct virtio_cswap_ctrl_response, reserved0));
}

/* Once more. */
static void push_again(struct worker *worker, uint16_t head)
{
	if (telling->twice && ring_live(&worker->control.ring))
		ring_push(worker, &worker->control.ring, head, told_len, head);
}

static void answer(struct worker *worker, const struct control_request *request,
		   const struct control_lie *lie)
{
	telling = lie;
	__real_answer_control(worker, request);
	push_again(worker, request->head);
	telling = NULL;
}

void __wrap_answer_control(struct worker *worker, const struct control_request *request)
{
	const size_t i = (size_t)(request - worker->control.requests);
	static const struct control_lie truth;

	if (!verdicts[i].judged)
		answer(worker, request, &truth);
	else if (!verdicts[i].lie.never && !verdicts[i].answered)
		answer(worker, request, &verdicts[i].lie);
	verdicts[i].judged = false;
}

static void hold(struct worker *worker, struct control_request *request, size_t i)
{
	const uint64_t delay_ms = verdicts[i].lie.delay_ms;
	struct io_uring_sqe *sqe = delay_ms ? store_get_sqe(&worker->uring) : NULL;

	verdicts[i].held = true;
	verdicts[i].count = request->wire.count;
	verdicts[i].due_ns = delay_ms ? worker_now_ns() + delay_ms * 1000000 : 0;
	request->wire.count = 0;
	request->running++;
	if (!sqe)
		return;
	/* So that the thread wakes. */
	verdicts[i].delay.tv_sec = (long long)(delay_ms / 1000);
	verdicts[i].delay.tv_nsec = (long long)(delay_ms % 1000 * 1000000);
	io_uring_prep_timeout(sqe, &verdicts[i].delay, 0, 0);
	io_uring_sqe_set_data64(sqe, TOKEN_NONE);
}

static void let_go(struct control_request *request, size_t i)
{
	verdicts[i].held = false;
	request->wire.count = verdicts[i].count;
	request->running--;
}

static void judge(struct worker *worker, struct control_request *request, size_t i)
{
	struct control_lie *lie = &verdicts[i].lie;

	memset(&verdicts[i], 0, sizeof(verdicts[i]));
	verdicts[i].judged = true;
	balloon_fault_control(request->wire.op, lie);
	if (lie->status || lie->never) {
		request->status = lie->never ? VIRTIO_CSWAP_S_IOERR : lie->status;
		request->wire.count = 0;
	}
	if (lie->early) {
		answer(worker, request, lie);
		verdicts[i].answered = true;
	}
	if (lie->stall || lie->delay_ms)
		hold(worker, request, i);
}

unsigned int __wrap_control_begin(struct worker *worker)
{
	const bool ends = __atomic_exchange_n(&hurries, false, __ATOMIC_ACQUIRE) ||
			  worker_stands(worker, NULL);
	struct control_request *request;

	for (request = worker->control.busy; request; request = request->next) {
		const size_t i = (size_t)(request - worker->control.requests);

		if (!verdicts[i].judged && request->status == VIRTIO_CSWAP_S_OK)
			judge(worker, request, i);
		if (verdicts[i].held &&
		    (verdicts[i].due_ns ? worker_now_ns() >= verdicts[i].due_ns : ends))
			let_go(request, i);
	}
	return __real_control_begin(worker);
}

void __wrap_worker_hurry(struct worker_set *set)
{
	__atomic_store_n(&hurries, true, __ATOMIC_RELEASE);
	__real_worker_hurry(set);
}

/* --- EVENTs --- */

static __thread const uint64_t *false_target;

uint64_t __wrap_balloon_get_wanted(const struct balloon *balloon)
{
	return false_target ? *false_target : __real_balloon_get_wanted(balloon);
}

struct virtio_cswap_event __wrap_device_make_event(uint32_t status, uint64_t target_bytes)
{
	return __real_device_make_event(telling && telling->status ? telling->status : status,
					target_bytes);
}

uint32_t __wrap_device_put_event(const struct vring_chain *chain,
				 const struct virtio_cswap_event *event)
{
	return put_lie(chain, __real_device_put_event(chain, event),
		       offsetof(struct virtio_cswap_event, reserved1));
}

bool __wrap_answer_event(struct worker *worker, uint16_t head, uint64_t target_bytes,
			 uint32_t flags)
{
	struct control_lie lie;
	bool used;

	balloon_fault_control(DEVICE_EVENT, &lie);
	if (lie.never)
		return true;
	telling = &lie;
	used = __real_answer_event(worker, head, target_bytes, flags);
	if (used)
		push_again(worker, head);
	telling = NULL;
	return used;
}

unsigned int __wrap_control_answer(struct worker *worker)
{
	struct control *control = &worker->control;
	struct balloon *balloon = worker->set->config.balloon;
	uint64_t target = __real_balloon_get_wanted(balloon);
	unsigned int work;
	bool again;

	if (control->events.count && ring_live(&control->ring) &&
	    balloon_fault_target(control->told_bytes, &target, &again)) {
		control->told_known = false;
		if (again)
			balloon_want_again(balloon);
	}
	false_target = &target;
	work = __real_control_answer(worker);
	false_target = NULL;
	return work;
}
