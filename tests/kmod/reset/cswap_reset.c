// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_reset.c - a virtio device that is reset at bad moments, from inside the guest.
 *
 * Theory of operation: neither User-Mode Linux nor QEMU lets a vhost-user device ask for a
 * reset (NEEDS_RESET). So this stands between the driver of a disk, @disk, and its
 * transport while it's loaded. What "ask" is set to happens:
 *
 *	1	the device asks for a reset, as a configuration change, until it has one
 *	2	the same, and the reset doesn't succeed: no features are agreed on afterwards
 *	3	the transport resets it, as PCI does for a function, and goes on with it
 *	4	the same, and doesn't come to the driver: no features are agreed on once
 *	0	nothing any more
 *
 * "failures" times making the rings ends with the error "failure" (12, ENOMEM). With "slow_us" each notification of
 * the device takes that long before it does anything: as if the CPU had been taken away
 * from the guest, or from the task if it can be preempted there. Who then finds that the
 * rings were deleted meanwhile is counted by "late", and "slowed" counts all. With
 * "hold" the rings have gone, which "gone" counts, and their deletion doesn't return
 * before it is 0 again. With "hungry" making the rings takes so many MiB first, and frees them again: where
 * there aren't as many, by reclaim in the context of whoever makes the rings. What is written to "fill" is the index of a ring that is
 * full until the next reset, of chains of which the device isn't notified.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/kmemleak.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

static char *disk = "/dev/cswap0";
module_param(disk, charp, 0444);
MODULE_PARM_DESC(disk, "a disk of the device's");

static unsigned int resets;
module_param(resets, uint, 0444);
MODULE_PARM_DESC(resets, "how often the device was reset");

static unsigned int failures;
module_param(failures, uint, 0644);
MODULE_PARM_DESC(failures, "how often making the rings shall fail from now on");

static unsigned int failure = ENOMEM;
module_param(failure, uint, 0644);
MODULE_PARM_DESC(failure, "the error that it fails with");

static unsigned int hungry;
module_param(hungry, uint, 0644);
MODULE_PARM_DESC(hungry, "MiB that making the rings takes first, and frees again");

static unsigned int starved;
module_param(starved, uint, 0444);
MODULE_PARM_DESC(starved, "times that there weren't as many");

static unsigned int slow_us;
module_param(slow_us, uint, 0644);
MODULE_PARM_DESC(slow_us, "how long a notification takes, in microseconds");

static bool hold;
module_param(hold, bool, 0644);
MODULE_PARM_DESC(hold, "deleting the rings takes as long as this is set");

static unsigned int gone;
module_param(gone, uint, 0444);
MODULE_PARM_DESC(gone, "times that the rings have gone");

static unsigned int slowed;
module_param(slowed, uint, 0444);
MODULE_PARM_DESC(slowed, "notifications that took so long");

static unsigned int late;
module_param(late, uint, 0444);
MODULE_PARM_DESC(late, "of these: the ring was deleted meanwhile");

static int result;
module_param(result, int, 0444);
MODULE_PARM_DESC(result, "what the transport's reset ended with");

static struct virtio_device *vdev;
static const struct virtio_config_ops *true_ops;
static struct virtio_config_ops ops;
static unsigned int asked;

/* --- notifications --- */

static bool (*true_notify)(struct virtqueue *vq);
static atomic_t deletions;

/* Whether the CPU could go to another task here. */
static bool may_be_preempted(void)
{
	return preemptible() && !rcu_preempt_depth();
}

static bool reset_notify(struct virtqueue *vq)
{
	unsigned int us = READ_ONCE(slow_us);
	int before = atomic_read(&deletions);

	if (us && may_be_preempted())
		usleep_range(us, us + 100);
	else if (us && !in_hardirq())
		udelay(min(us, 20000U));
	slowed += !!us;
	if (atomic_read(&deletions) != before) {
		late++;
		pr_err("cswap_reset: the device is notified by a ring that was deleted\n");
	}
	return true_notify(vq);
}

/*
 * The pointer lies in the ring's private part: it's the one that names the transport's
 * function. Returns where, or NULL.
 */
static void **notify_of(struct virtqueue *vq)
{
	void **at = (void **)(vq + 1), **end = at + 64;
	char name[64];

	for (; at < end; at++) {
		if (*at == reset_notify)
			return at;
		scnprintf(name, sizeof(name), "%ps", *at);
		if (!strncmp(name, "vu_notify", 9) || !strncmp(name, "vp_notify", 9))
			return at;
	}
	return NULL;
}

static int notify_hook(void)
{
	struct virtqueue *vq;
	void **at;

	list_for_each_entry(vq, &vdev->vqs, list) {
		at = notify_of(vq);
		if (!at)
			return -ENOENT;
		if (*at != reset_notify)
			true_notify = *at;
		WRITE_ONCE(*at, reset_notify);
	}
	return 0;
}

static void notify_unhook(void)
{
	struct virtqueue *vq;
	void **at;

	list_for_each_entry(vq, &vdev->vqs, list) {
		at = notify_of(vq);
		if (at && true_notify)
			WRITE_ONCE(*at, true_notify);
	}
}

/* --- between the driver and its transport --- */

static u8 reset_get_status(struct virtio_device *dev)
{
	bool needs = READ_ONCE(asked) == 1 || READ_ONCE(asked) == 2;

	return true_ops->get_status(dev) | (needs ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
}

static void reset_reset(struct virtio_device *dev)
{
	if (READ_ONCE(asked) == 1)
		WRITE_ONCE(asked, 0);
	resets++;
	true_ops->reset(dev);
}

static void eat(unsigned int mib)
{
	unsigned long left = (unsigned long)mib << (20 - PAGE_SHIFT);
	struct page *page, *next;
	LIST_HEAD(pages);

	for (; left; left--) {
		/* it reclaims, but nobody is killed for it */
		page = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
		if (!page)
			break;
		list_add(&page->lru, &pages);
		cond_resched();
	}
	starved += !!left;
	list_for_each_entry_safe(page, next, &pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static int reset_find_vqs(struct virtio_device *dev, unsigned int nr, struct virtqueue *vqs[],
			  struct virtqueue_info info[], struct irq_affinity *affinity)
{
	int rc;

	eat(READ_ONCE(hungry));
	if (failures) {
		failures--;
		return -(int)failure;
	}
	rc = true_ops->find_vqs(dev, nr, vqs, info, affinity);
	return rc ?: notify_hook();
}

static void reset_del_vqs(struct virtio_device *dev)
{
	atomic_inc(&deletions);
	true_ops->del_vqs(dev);
	gone++;
	while (READ_ONCE(hold))
		msleep(20);
}

/*
 * User-Mode Linux agrees on VHOST_USER_F_PROTOCOL_FEATURES with the device only the first
 * time; the rings, which it then can't disable, would go on as if there were no reset.
 */
#define PROTOCOL_FEATURES 30

static int reset_finalize_features(struct virtio_device *dev)
{
	unsigned int how = READ_ONCE(asked);

	if (IS_ENABLED(CONFIG_UML))
		__virtio_set_bit(dev, PROTOCOL_FEATURES);
	if (how == 4)
		WRITE_ONCE(asked, 0);
	return how == 2 || how == 4 ? -ENODEV : true_ops->finalize_features(dev);
}

/* --- what is asked for --- */

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
/* It doesn't reset functions with a driver then, but puts them to sleep in the same way. */
#define virtio_device_reset_prepare virtio_device_freeze
#define virtio_device_reset_done virtio_device_restore
#endif

static int ask_set(const char *value, const struct kernel_param *param)
{
	unsigned int how;
	int rc = kstrtouint(value, 0, &how);

	if (rc)
		return rc;
	if (!vdev)
		return -EAGAIN;
	WRITE_ONCE(asked, how);
	if (how == 1 || how == 2)
		virtio_config_changed(vdev);
	if (how == 3 || how == 4)
		result = virtio_device_reset_prepare(vdev) ?: virtio_device_reset_done(vdev);
	return 0;
}

static int fill_set(const char *value, const struct kernel_param *param)
{
	struct virtqueue *vq;
	struct scatterlist sg;
	unsigned int index;
	unsigned long flags;
	void *chain;
	int rc = kstrtouint(value, 0, &index);

	if (rc)
		return rc;
	if (!vdev)
		return -EAGAIN;
	chain = kzalloc(SMP_CACHE_BYTES, GFP_KERNEL);
	if (!chain)
		return -ENOMEM;
	sg_init_one(&sg, chain, SMP_CACHE_BYTES);
	/* the driver's locks aren't ours: this is for a guest of one CPU */
	local_irq_save(flags);
	rc = -ENOENT;
	list_for_each_entry(vq, &vdev->vqs, list) {
		if (vq->index != index)
			continue;
		do
			rc = virtqueue_add_outbuf(vq, &sg, 1, chain, GFP_ATOMIC);
		while (!rc);
	}
	local_irq_restore(flags);
	/* it's the ring's until the device is reset, and nobody is told of that: it stays */
	kmemleak_not_leak(chain);
	return rc == -ENOSPC ? 0 : rc;
}

static const struct kernel_param_ops fill_ops = { .set = fill_set };
module_param_cb(fill, &fill_ops, NULL, 0200);
MODULE_PARM_DESC(fill, "the index of a ring that nothing more goes into");

static const struct kernel_param_ops ask_ops = { .set = ask_set };
module_param_cb(ask, &ask_ops, NULL, 0200);
MODULE_PARM_DESC(ask, "1: be reset; 2: be reset in vain; 3, 4: the same, by the transport; 0: not any more");

static int __init reset_init(void)
{
	struct file *file = bdev_file_open_by_path(disk, BLK_OPEN_READ, NULL, NULL);
	int rc;

	if (IS_ERR(file))
		return PTR_ERR(file);
	vdev = dev_to_virtio(disk_to_dev(file_bdev(file)->bd_disk)->parent);
	bdev_fput(file);
	rc = notify_hook();
	if (rc) {
		notify_unhook();
		return rc;
	}
	true_ops = vdev->config;
	ops = *true_ops;
	ops.get_status = reset_get_status;
	ops.reset = reset_reset;
	ops.find_vqs = reset_find_vqs;
	ops.del_vqs = reset_del_vqs;
	ops.finalize_features = reset_finalize_features;
	vdev->config = &ops;
	return 0;
}
module_init(reset_init);

static void __exit reset_exit(void)
{
	vdev->config = true_ops;
	notify_unhook();
	synchronize_rcu();
}
module_exit(reset_exit);

MODULE_DESCRIPTION("Resets a virtio device at bad moments, for tests");
MODULE_LICENSE("GPL");
