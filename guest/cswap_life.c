// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_life.c - the life of a device's rings: made, started, stopped, deleted, made again.
 *
 * Theory of operation: after probe, rings are made and deleted only here, under @life, whatever
 * the cause is: a reset (which the device, the guest or the PCI bus wants), sleep, removal,
 * shutdown. Each step may be repeated: two tasks that reset the device at once only have it done
 * twice, and the rings that were made last are good.
 *
 * Nothing here waits for a request, because a request may end only by what is done here. For the
 * same reason no allocation here reclaims to this disk (memalloc_noio_save()).
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/virtio_ring.h>

#include "compat.h"
#include "cswap.h"
#include "cswap_trace.h"

/* The host's requests for a reset are granted no more often than this. */
#define RESET_INTERVAL		(5 * HZ)
/* The code that has frozen the device restores it within this time, or never. */
#define RESTART_WAIT		(10 * HZ)
/*
 * Rings that couldn't be made for want of memory are tried again after these delays, and for so
 * long at least.
 */
#define LEAST_RESTART_DELAY	(HZ / 4)
#define MOST_RESTART_DELAY	(4 * HZ)
#define LEAST_RESTART_S		30U

/* --- rings --- */

int cswap_life_find_rings(struct cswap_dev *dev)
{
	unsigned int i, nr = VIRTIO_CSWAP_NUM_VQS(dev->nr_queues);
	struct virtqueue_info *info;
	struct virtqueue **vqs;
	int rc = -ENOMEM;

	info = kcalloc(nr, sizeof(*info), GFP_KERNEL);
	vqs = kcalloc(nr, sizeof(*vqs), GFP_KERNEL);
	if (!info || !vqs)
		goto out;
	info[VIRTIO_CSWAP_VQ_CONTROL].name = "control";
	info[VIRTIO_CSWAP_VQ_CONTROL].callback = cswap_control_interrupt;
	for (i = 0; i < dev->nr_queues; i++) {
		info[VIRTIO_CSWAP_VQ_REQUEST(i)].name = "request";
		info[VIRTIO_CSWAP_VQ_RESPONSE(i)].name = "response";
		info[VIRTIO_CSWAP_VQ_RESPONSE(i)].callback = cswap_queue_interrupt;
	}
	rc = cswap_find_vqs(dev->vdev, nr, vqs, info);
	if (rc)
		goto out;

	dev->control.vq = vqs[VIRTIO_CSWAP_VQ_CONTROL];
	for (i = 0; i < dev->nr_queues; i++) {
		dev->queues[i].request_vq = vqs[VIRTIO_CSWAP_VQ_REQUEST(i)];
		dev->queues[i].response_vq = vqs[VIRTIO_CSWAP_VQ_RESPONSE(i)];
	}
	for (i = 0; i < dev->nr_queues && !rc; i++) {
		struct cswap_queue *queue = &dev->queues[i];
		struct device *dma_dev = cswap_dma_dev(dev->vdev, queue->request_vq);

		rc = cswap_vq_premap(queue->request_vq, dma_dev) ?:
		     cswap_vq_premap(queue->response_vq, dma_dev);
	}
	if (rc) {
		dev->vdev->config->del_vqs(dev->vdev);
		dev->control.vq = NULL;
	}
out:
	kfree(info);
	kfree(vqs);
	return rc;
}

/* The shortest ring there is. */
unsigned int cswap_life_ring_size(const struct cswap_dev *dev)
{
	unsigned int i, size = UINT_MAX;

	for (i = 0; i < dev->nr_queues; i++)
		size = min3(size, virtqueue_get_vring_size(dev->queues[i].request_vq),
			    virtqueue_get_vring_size(dev->queues[i].response_vq));
	return size;
}

/* --- starting and stopping --- */

static unsigned int life_lock(struct cswap_dev *dev)
{
	mutex_lock(&dev->life);
	return memalloc_noio_save();
}

static void life_unlock(struct cswap_dev *dev, unsigned int noio)
{
	memalloc_noio_restore(noio);
	mutex_unlock(&dev->life);
}

int cswap_life_start(struct cswap_dev *dev)
{
	unsigned int i;
	int rc;

	/* two tasks that restore the device at once have agreed on the same features */
	if (!(dev->vdev->config->get_status(dev->vdev) & VIRTIO_CONFIG_S_DRIVER_OK))
		virtio_device_ready(dev->vdev);
	for (i = 0; i < dev->nr_queues; i++) {
		rc = cswap_queue_start(&dev->queues[i]);
		if (rc)
			return rc;
	}
	/* whoever sees it sees what cswap_discard_forget() set, too */
	smp_store_release(&dev->state, CSWAP_RUNNING);
	trace_cswap_reset(dev->number, true);
	cswap_control_start(dev);
	cswap_discard_start(dev);
	cswap_balloon_start(dev);
	cswap_report_start(dev);
	cswap_tick_soon(dev);
	return 0;
}

/*
 * When this returns, nothing uses a ring, and no work that would is queued. A CPU that uses a ring,
 * or queues such work, has seen the state RUNNING under the ring's lock, and is in an RCU section
 * until it is done; hence synchronize_rcu().
 */
static void rings_stop(struct cswap_dev *dev, enum cswap_state state)
{
	unsigned int i;

	WRITE_ONCE(dev->state, state);
	for (i = 0; i < dev->nr_queues; i++)
		cswap_queue_stop(&dev->queues[i], state);
	cswap_control_stop(dev);
	synchronize_rcu();
	cswap_discard_stop(dev);
	cswap_balloon_stop(dev);
	cswap_report_stop(dev);
	/* readers of a stopped device need their clock */
	if (state == CSWAP_DEAD)
		cancel_delayed_work_sync(&dev->tick);
}

static bool rings_exist(const struct cswap_dev *dev)
{
	return dev->control.vq;
}

/*
 * Only from here on is nothing in flight: there are transports whose reset doesn't reach the
 * device, and del_vqs() does.
 */
static void rings_delete(struct cswap_dev *dev)
{
	unsigned int i;

	if (rings_exist(dev))
		dev->vdev->config->del_vqs(dev->vdev);
	dev->control.vq = NULL;
	for (i = 0; i < dev->nr_queues; i++) {
		dev->queues[i].request_vq = NULL;
		dev->queues[i].response_vq = NULL;
		cswap_queue_forget(&dev->queues[i]);
	}
	cswap_control_forget(dev);
	cswap_discard_forget(dev);
	cswap_balloon_forget(dev);
}

/* Stop everything, and reset the device, which may not have been reset yet. */
static void dev_stop(struct cswap_dev *dev, enum cswap_state state)
{
	if (dev->state == CSWAP_RUNNING) {
		dev->stopped_at = cswap_seconds(dev);
		trace_cswap_reset(dev->number, false);
	}
	rings_stop(dev, state);
	virtio_reset_device(dev->vdev);
	rings_delete(dev);
}

/* All requests that wait get an error, and so do all later ones. */
static void dev_kill(struct cswap_dev *dev)
{
	unsigned int noio = life_lock(dev);

	dev_stop(dev, CSWAP_DEAD);
	life_unlock(dev, noio);
}

/* The same, and no reset makes rings again: for remove, and a probe that fails. */
void cswap_life_end(struct cswap_dev *dev)
{
	dev_kill(dev);
	cancel_delayed_work_sync(&dev->reset_work);
	/* a reset that was under way may have set status bits */
	virtio_reset_device(dev->vdev);
}

/* --- reset --- */

/* Have reset_work() look at what there is to do, now or after @delay. Any context. */
static void reset_look(struct cswap_dev *dev, unsigned long delay)
{
	rcu_read_lock();
	if (READ_ONCE(dev->state) != CSWAP_DEAD)
		mod_delayed_work(dev->reset_wq, &dev->reset_work, delay);
	rcu_read_unlock();
}

/* The host asks for this reset, or causes it: RESET_INTERVAL limits how often it gets one. */
static void reset_ask(struct cswap_dev *dev)
{
	unsigned long now = jiffies, at = READ_ONCE(dev->reset_at);

	reset_look(dev, time_before(now, at) ? at - now : 0);
}

void cswap_reset_want(struct cswap_dev *dev)
{
	WRITE_ONCE(dev->reset_wanted, true);
	reset_ask(dev);
}

int cswap_life_freeze(struct virtio_device *vdev)
{
	struct cswap_dev *dev = vdev->priv;
	unsigned int noio = life_lock(dev);

	if (dev->state != CSWAP_DEAD)
		dev_stop(dev, CSWAP_STOPPED);
	life_unlock(dev, noio);
	/* a resume may fail before it calls us, and then nothing else would start the device */
	reset_look(dev, RESTART_WAIT);
	return 0;
}

static int rings_make(struct cswap_dev *dev)
{
	int rc = cswap_life_find_rings(dev);

	if (rc)
		return rc;
	/* the pool was divided for rings of that size */
	return cswap_life_ring_size(dev) < dev->ring_size ? -EINVAL : cswap_life_start(dev);
}

/* Before this the transport has reset the device and agreed on features again. */
int cswap_life_restore(struct virtio_device *vdev)
{
	struct cswap_dev *dev = vdev->priv;
	unsigned int noio = life_lock(dev);
	int rc = -ENODEV;

	if (dev->state != CSWAP_DEAD) {
		/* another caller has made rings, and this reset has made them invalid */
		if (rings_exist(dev)) {
			rings_stop(dev, CSWAP_STOPPED);
			rings_delete(dev);
		}
		rc = rings_make(dev);
		if (rc)
			dev_stop(dev, CSWAP_STOPPED);
	}
	life_unlock(dev, noio);
	if (rc)
		reset_look(dev, LEAST_RESTART_DELAY);
	return rc;
}

/* Say why the device is to be reset; false if it isn't. */
static bool reset_is_due(struct cswap_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	bool wanted = xchg(&dev->reset_wanted, false);

	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		dev_warn(&vdev->dev, "the device asks to be reset: it is reset, and keeps all that was stored\n");
	else if (wanted)
		dev_warn(&vdev->dev, "the device doesn't answer requests that pages wait for: it is reset, and keeps all that was stored\n");
	else
		return false;
	dev->reset_at = jiffies + RESET_INTERVAL;
	return true;
}

/* The rings have been tried for as long as readers may wait; never, if these may wait for ever. */
static bool restart_overdue(const struct cswap_dev *dev)
{
	u32 limit = cswap_load_timeout_of(dev);

	return limit && cswap_age_s(dev, dev->stopped_at) > max(limit, LEAST_RESTART_S);
}

/*
 * For want of memory, make the rings later: try again for as long as readers may wait, by the same
 * clock, which stands still while the guest does, and while nothing waits.
 */
static bool restart_later(struct cswap_dev *dev, int rc)
{
	if (rc != -ENOMEM || restart_overdue(dev))
		return false;
	if (!dev->restart_delay)
		dev_warn(&dev->vdev->dev, "no memory for the rings of the device: it is tried again; what isn't in the pool is waited for\n");
	dev->restart_delay = clamp(2 * dev->restart_delay, (unsigned long)LEAST_RESTART_DELAY,
				   (unsigned long)MOST_RESTART_DELAY);
	reset_look(dev, dev->restart_delay);
	return true;
}

/*
 * Reset the device because it asks for a reset (it has an error that nothing else ends), or because
 * it doesn't answer, and may answer when the requests are sent again. Key, slots and the copies in
 * the pool are the guest's, so they stay, and what was in flight is sent again. The same work
 * starts a device that other code has stopped and not started again.
 */
static void reset_work(struct work_struct *work)
{
	struct cswap_dev *dev = container_of(to_delayed_work(work),
					     struct cswap_dev, reset_work);
	unsigned int noio = memalloc_noio_save();
	int rc = 0;

	if (READ_ONCE(dev->state) == CSWAP_RUNNING && reset_is_due(dev))
		rc = cswap_reset_prepare(dev->vdev);
	if (!rc && READ_ONCE(dev->state) == CSWAP_STOPPED) {
		rc = cswap_reset_done(dev->vdev);
		if (!rc) {
			dev->resets++;
			dev->restart_delay = 0;
		}
	}
	if (rc && READ_ONCE(dev->state) != CSWAP_DEAD && !restart_later(dev, rc)) {
		dev_err(&dev->vdev->dev, "the device can't be used any more (%d): its slots can't be stored or loaded\n",
			rc);
		dev_kill(dev);
	}
	memalloc_noio_restore(noio);
}

void cswap_life_config_changed(struct virtio_device *vdev)
{
	reset_ask(vdev->priv);
}

void cswap_life_init(struct cswap_dev *dev)
{
	mutex_init(&dev->life);
	INIT_DELAYED_WORK(&dev->reset_work, reset_work);
	dev->reset_at = jiffies;
}

/* --- shutdown --- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
/*
 * Shutdown and kexec with swap in use: late readers fail at once. The rings stay as they
 * are, since no block that the device may still discard is used again: see rescue().
 */
void cswap_life_shutdown(struct virtio_device *vdev)
{
	struct cswap_dev *dev = vdev->priv;
	unsigned int i, noio = life_lock(dev);

	rings_stop(dev, CSWAP_DEAD);
	virtio_reset_device(vdev);
	for (i = 0; i < dev->nr_queues; i++)
		cswap_queue_forget(&dev->queues[i]);
	life_unlock(dev, noio);
	cancel_delayed_work_sync(&dev->reset_work);
	/* a reset that was under way has left its mark */
	virtio_reset_device(vdev);
}
#endif
