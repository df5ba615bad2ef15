// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_control.c - the control ring: one request of each kind at a time.
 *
 * Theory of operation: each part of the driver that uses the control queue has one request for its
 * kind, made at probe with its buffers. So sending never allocates anything of the driver's, the
 * ring can't be full, and a device that answers one kind late or never delays none of the others.
 * The interrupt notes an answer, and wakes the request's owner; the owner fetches the answer when
 * it runs.
 *
 * A ring that the transport has given up answers nothing more. The owners of requests on it are
 * woken as by an answer, and find none.
 *
 * The ring is touched while the control queue runs, under the lock, or behind it as
 * in cswap_queue.c.
 *
 * When the device goes away, the owners decide what becomes of requests in flight, and may do so
 * only when the rings are deleted: there are transports whose reset doesn't reach the device, but
 * deleting the rings does.
 */
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "compat.h"
#include "cswap.h"

static const struct {
	unsigned int request_bytes, response_bytes;
} sizes[CSWAP_CONTROL_KINDS] = {
	[CSWAP_CONTROL_DISCARD] = { CSWAP_CTRL_BYTES(VIRTIO_CSWAP_MAX_RANGES),
				    sizeof(struct virtio_cswap_ctrl_response) },
	[CSWAP_CONTROL_MEM] = { CSWAP_CTRL_BYTES(VIRTIO_CSWAP_MAX_RANGES),
				sizeof(struct virtio_cswap_ctrl_response) },
	[CSWAP_CONTROL_EVENT] = { CSWAP_CTRL_BYTES(0), sizeof(struct virtio_cswap_event) },
	[CSWAP_CONTROL_REPORT] = { CSWAP_REPORT_BYTES,
				   sizeof(struct virtio_cswap_ctrl_response) },
};

/* Ranges are of the same size, be they of slots or of memory. */
static_assert(sizeof(struct virtio_cswap_mem_range) == sizeof(struct virtio_cswap_range));

void cswap_control_interrupt(struct virtqueue *vq)
{
	struct cswap_dev *dev = vq->vdev->priv;
	struct cswap_control *control = &dev->control;
	struct cswap_control_request *request;
	unsigned long flags, answered = 0;
	unsigned int kind, used;

	spin_lock_irqsave(&control->lock, flags);
	while (control->running && (request = virtqueue_get_buf(vq, &used))) {
		request->state = CSWAP_REQUEST_ANSWERED;
		request->used = used;
		__set_bit(request - control->request, &answered);
	}
	/* no answer will come any more: owners that wait must see that */
	for (kind = 0; kind < CSWAP_CONTROL_KINDS && virtqueue_is_broken(vq); kind++)
		if (control->request[kind].state == CSWAP_REQUEST_SENT)
			__set_bit(kind, &answered);
	spin_unlock_irqrestore(&control->lock, flags);
	for_each_set_bit(kind, &answered, CSWAP_CONTROL_KINDS)
		control->request[kind].answered(dev);
}

int cswap_control_send(struct cswap_dev *dev, enum cswap_control_kind kind,
		       unsigned int bytes)
{
	struct cswap_control *control = &dev->control;
	struct cswap_control_request *request = &control->request[kind];
	struct scatterlist out, in, *sgs[] = { &out, &in };
	unsigned long flags;
	bool notify;
	int rc;

	sg_init_one(&out, request->request, bytes);
	sg_init_one(&in, request->response, sizes[kind].response_bytes);

	spin_lock_irqsave(&control->lock, flags);
	rc = control->running && request->state == CSWAP_REQUEST_IDLE ?
	     virtqueue_add_sgs(control->vq, sgs, 1, 1, request,
			       GFP_NOWAIT | __GFP_NOWARN) : -EBUSY;
	notify = !rc && virtqueue_kick_prepare(control->vq);
	if (!rc) {
		request->state = CSWAP_REQUEST_SENT;
		request->sent = jiffies;
	}
	/* from here on the ring isn't deleted before the RCU section's end; see rings_stop() */
	rcu_read_lock();
	spin_unlock_irqrestore(&control->lock, flags);
	if (notify)
		virtqueue_notify(control->vq);
	rcu_read_unlock();
	return rc;
}

const void *cswap_control_answer(struct cswap_dev *dev, enum cswap_control_kind kind,
				 u32 *used)
{
	struct cswap_control *control = &dev->control;
	struct cswap_control_request *request = &control->request[kind];
	const void *response = NULL;
	unsigned long flags;

	spin_lock_irqsave(&control->lock, flags);
	if (request->state == CSWAP_REQUEST_ANSWERED) {
		request->state = CSWAP_REQUEST_IDLE;
		*used = request->used;
		response = request->response;
	}
	spin_unlock_irqrestore(&control->lock, flags);
	return response;
}

bool cswap_control_is_sent(struct cswap_dev *dev, enum cswap_control_kind kind)
{
	return READ_ONCE(dev->control.request[kind].state) == CSWAP_REQUEST_SENT;
}

bool cswap_control_overdue(struct cswap_dev *dev, enum cswap_control_kind kind,
			   unsigned int ms)
{
	unsigned long sent = READ_ONCE(dev->control.request[kind].sent);

	return cswap_control_is_sent(dev, kind) && time_after(jiffies, sent + msecs_to_jiffies(ms));
}

bool cswap_control_is_broken(struct cswap_dev *dev)
{
	struct cswap_control *control = &dev->control;
	unsigned long flags;
	bool broken;

	spin_lock_irqsave(&control->lock, flags);
	broken = control->running && virtqueue_is_broken(control->vq);
	spin_unlock_irqrestore(&control->lock, flags);
	return broken;
}

bool cswap_control_is_idle(struct cswap_dev *dev, enum cswap_control_kind kind)
{
	return READ_ONCE(dev->control.request[kind].state) == CSWAP_REQUEST_IDLE;
}

void cswap_control_start(struct cswap_dev *dev)
{
	spin_lock_irq(&dev->control.lock);
	dev->control.running = true;
	spin_unlock_irq(&dev->control.lock);
}

void cswap_control_stop(struct cswap_dev *dev)
{
	spin_lock_irq(&dev->control.lock);
	dev->control.running = false;
	spin_unlock_irq(&dev->control.lock);
}

void cswap_control_forget(struct cswap_dev *dev)
{
	unsigned int kind;

	for (kind = 0; kind < CSWAP_CONTROL_KINDS; kind++)
		dev->control.request[kind].state = CSWAP_REQUEST_IDLE;
}

int cswap_control_init(struct cswap_dev *dev)
{
	struct cswap_control *control = &dev->control;
	unsigned int kind;

	spin_lock_init(&control->lock);
	for (kind = 0; kind < CSWAP_CONTROL_KINDS; kind++) {
		struct cswap_control_request *request = &control->request[kind];

		request->request = kzalloc(sizes[kind].request_bytes, GFP_KERNEL);
		request->response = kzalloc(sizes[kind].response_bytes, GFP_KERNEL);
		if (!request->request || !request->response)
			return -ENOMEM;
	}
	return 0;
}

void cswap_control_exit(struct cswap_dev *dev)
{
	unsigned int kind;

	for (kind = 0; kind < CSWAP_CONTROL_KINDS; kind++) {
		struct cswap_control_request *request = &dev->control.request[kind];

		kfree(request->request);
		kfree(request->response);
		request->request = NULL;
		request->response = NULL;
	}
}
