// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_cswap.c - virtio cooperative swap: parameters, and a device from probe to removal.
 *
 * Theory of operation: a confidential guest seals its cold pages with a key of
 * its own and hands them to the host. The pieces, from the disk to the rings:
 *
 *	cswap_blk.c	the disk; what a read and a write are
 *	cswap_epochs.c	the counter of stores and its ranges; pure
 *	cswap_seal.c	keys; sealing and opening
 *	cswap_slots.c	what each slot holds, what is in flight (pure)
 *	cswap_queue.c	a pair of rings
 *	cswap_clock.c	how long the guest has waited for the device
 *	cswap_life.c	rings made and deleted: reset, sleep, removal, shutdown
 *	cswap_wire.c	building requests, checking answers (pure)
 *	cswap_control.c	the control ring
 *	cswap_discard.c	DISCARD
 *	cswap_balloon.c	the balloon: a target, and steps toward it
 *	cswap_rescue.c	the same without the worker: out of memory, memory offline
 *	cswap_policy.c	how large it may be (pure)
 *	cswap_blocks.c	what state each block of memory is in (pure)
 *	cswap_take.c	memory that the guest can do without
 *	cswap_mem.c	memory taken from the guest, and back
 *	cswap_dump.c	what of it a crash kernel mustn't read
 *	cswap_report.c	reports to the host
 *	cswap_pool.c	memory shared with the device
 *	cswap_observe.c	tracepoints, a histogram, counters, a uevent
 *
 * Probe builds them from the bottom up, and the disk appears last. Whatever the
 * device says is checked; what it has once said of itself is not asked again.
 */
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/virtio_ring.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "cswap.h"
#include "cswap_trace.h"

/*
 * Size of the pool: POOL_BYTES and POOL_PAIR_BYTES for each pair, but at most 1/POOL_RAM_SHARE of
 * memory.
 */
#define POOL_BYTES		SZ_2M
#define POOL_PAIR_BYTES		SZ_512K
#define POOL_RAM_SHARE		128
#define POOL_MIN_PAIR_BYTES	SZ_256K
/* The records, 8 bytes a slot, may take at most 1/RECORDS_RAM_SHARE of memory. */
#define RECORDS_RAM_SHARE	8
#define DEFAULT_PAIRS		4U

static unsigned int queues;
module_param(queues, uint, 0444);
MODULE_PARM_DESC(queues, "Queue pairs at most (default 0: a pair for each CPU, up to 4)");

/* A parameter with bounds; other values are refused with a message that names the bounds. */
struct bounded {
	ulong *number;
	ulong least, most;
};

static int bounded_set(const char *value, const struct kernel_param *param)
{
	const struct bounded *bounded = param->arg;
	ulong number;

	if (kstrtoul(value, 0, &number) || number < bounded->least || number > bounded->most) {
		pr_err(CSWAP_NAME ": %s=%.*s is refused: it must be %lu to %lu\n", param->name,
		       (int)strcspn(value, "\n"), value, bounded->least, bounded->most);
		return -EINVAL;
	}
	WRITE_ONCE(*bounded->number, number);
	return 0;
}

static int bounded_get(char *buffer, const struct kernel_param *param)
{
	const struct bounded *bounded = param->arg;

	return scnprintf(buffer, PAGE_SIZE, "%lu\n", *bounded->number);
}

static const struct kernel_param_ops bounded_ops = { .set = bounded_set, .get = bounded_get };

#define BOUNDED_PARAM(_name, _number, _least, _most, _mode)				\
	static const struct bounded _name##_bounds = { &(_number), _least, _most };	\
	module_param_cb(_name, &bounded_ops, (void *)&_name##_bounds, _mode)

static ulong rekey_pages = CSWAP_MAX_REKEY;
BOUNDED_PARAM(rekey_pages, rekey_pages, 1, CSWAP_MAX_REKEY, 0444);
MODULE_PARM_DESC(rekey_pages, "Make a new key after so many stores (default 2^40, which is also the most)");

static ulong pool_kib;
BOUNDED_PARAM(pool_kib, pool_kib, 0, 1024 * 1024, 0444);
MODULE_PARM_DESC(pool_kib, "Share so much memory with the device, in KiB (up to 1048576; default 0: 2 MiB and 512 KiB for each queue pair, but no more than 1/128 of all memory). From 2 MiB on it's whole blocks of 2 MiB, rounded up; but the default is rounded down where that would be more than 1/128");

ulong cswap_stall_ms = 2000;
BOUNDED_PARAM(stall_ms, cswap_stall_ms, CSWAP_LEAST_STALL_MS, CSWAP_MOST_STALL_MS, 0644);
MODULE_PARM_DESC(stall_ms, "Refuse stores when the device has not moved for so long, in milliseconds (50 to 600000, default 2000)");

ulong cswap_load_timeout_s = 180;
BOUNDED_PARAM(load_timeout_s, cswap_load_timeout_s, 0, CSWAP_MOST_LOAD_TIMEOUT_S, 0644);
MODULE_PARM_DESC(load_timeout_s, "Give a page up when the device has not returned it for so long, in seconds (up to 86400, default 180, 0: never)");

bool cswap_balloon_enabled = true;
module_param_named(balloon, cswap_balloon_enabled, bool, 0644);
MODULE_PARM_DESC(balloon, "Give memory back to the host when it asks for it (default 1); 0: keep it, and take back what it has");

ulong cswap_brake_percent = 30;
BOUNDED_PARAM(brake_percent, cswap_brake_percent, 0, 100, 0644);
MODULE_PARM_DESC(brake_percent, "Take memory back from the host when tasks wait for pages for so much of the time, in percent (up to 100, default 30, 0: no brakes at all)");

bool cswap_reclaim_enabled = true;
module_param_named(reclaim, cswap_reclaim_enabled, bool, 0644);
MODULE_PARM_DESC(reclaim, "Make room by reclaim when the host wants memory and none is free (default 1); 0: leave that to others, like the unit cswap-reclaim");

bool cswap_single_pages;
module_param_named(single_pages, cswap_single_pages, bool, 0444);
MODULE_PARM_DESC(single_pages, "Give back single pages when there are no blocks of 2 MiB; it makes memory slower for ever (default 0)");

bool cswap_reports_enabled = true;
module_param_named(reports, cswap_reports_enabled, bool, 0644);
MODULE_PARM_DESC(reports, "Tell the host how the guest is, if it wants to know (default 1)");

struct cswap_floor cswap_floor = { .percent = 25 };

/* The value in @text, whose end it may change. */
static int floor_parse(char *text, struct cswap_floor *floor)
{
	char *percent = strchr(strim(text), '%');
	u32 number;

	if (percent)
		*percent++ = '\0';
	if ((percent && *percent) || kstrtou32(strim(text), 10, &number))
		return -EINVAL;
	if (percent ? !number || number > 100 : number < CSWAP_LEAST_FLOOR_MIB)
		return -EINVAL;
	floor->percent = percent ? number : 0;
	floor->mib = percent ? 0 : number;
	return 0;
}

static int floor_set(const char *value, const struct kernel_param *param)
{
	struct cswap_floor floor;
	char text[16];

	if (strscpy(text, value, sizeof(text)) < 0 || floor_parse(text, &floor)) {
		pr_err(CSWAP_NAME ": %s=%.*s is refused: it must be %u or more (MiB), or 1%% to 100%%\n",
		       param->name, (int)strcspn(value, "\n"), value, CSWAP_LEAST_FLOOR_MIB);
		return -EINVAL;
	}
	if (floor.percent)
		WRITE_ONCE(cswap_floor.percent, floor.percent);
	WRITE_ONCE(cswap_floor.mib, floor.mib);
	return 0;
}

static int floor_get(char *buffer, const struct kernel_param *param)
{
	if (cswap_floor.mib)
		return scnprintf(buffer, PAGE_SIZE, "%u\n", cswap_floor.mib);
	return scnprintf(buffer, PAGE_SIZE, "%u%%\n", cswap_floor.percent);
}

static const struct kernel_param_ops floor_ops = { .set = floor_set, .get = floor_get };
module_param_cb(floor, &floor_ops, NULL, 0644);
MODULE_PARM_DESC(floor, "What the guest keeps whatever the host asks for, in MiB (16 or more), or in percent of its memory (64 MiB or more; default 25%)");

static DEFINE_IDA(cswap_ida);

/* --- features and configuration --- */

/* Don't accept a balloon that this guest can't use, so that the host knows, and can say why. */
static void balloon_decline(struct virtio_device *vdev)
{
	const char *why;
	u32 block_size;
	u8 method;

	if (!virtio_has_feature(vdev, VIRTIO_CSWAP_F_BALLOON)) {
		__virtio_clear_bit(vdev, VIRTIO_CSWAP_F_AGAIN);
		return;
	}
	virtio_cread_le(vdev, struct virtio_cswap_config, block_size, &block_size);
	virtio_cread_le(vdev, struct virtio_cswap_config, release_method, &method);
	why = cswap_balloon_unusable(block_size, method);
	if (!why)
		return;
	dev_info(&vdev->dev, "balloon off: %s\n", why);
	__virtio_clear_bit(vdev, VIRTIO_CSWAP_F_BALLOON);
	__virtio_clear_bit(vdev, VIRTIO_CSWAP_F_AGAIN);
	cswap_features_anew(vdev);
}

static int cswap_validate(struct virtio_device *vdev)
{
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "the device doesn't offer VIRTIO_F_VERSION_1: not used\n");
		return -ENODEV;
	}
	if (cswap_guest_is_confidential() &&
	    !virtio_has_feature(vdev, VIRTIO_F_ACCESS_PLATFORM)) {
		dev_err(&vdev->dev, "the device doesn't offer VIRTIO_F_ACCESS_PLATFORM, which a confidential guest needs: not used\n");
		return -ENODEV;
	}
	if (cswap_guest_is_confidential() && !CSWAP_CAN_PREMAP) {
		dev_err(&vdev->dev, "this kernel can't map rings' buffers beforehand, which a confidential guest needs: not used (6.1.192 or later can)\n");
		return -ENODEV;
	}
	/* an indirect table would be allocated and mapped for each request */
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	/* response buffers are used by kind, and an EVENT is held */
	__virtio_clear_bit(vdev, VIRTIO_F_IN_ORDER);
	/* without a DMA API there is nothing but physical addresses */
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	balloon_decline(vdev);
	return 0;
}

static int config_read(struct cswap_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	struct virtio_cswap_config config;
	unsigned long limit = totalram_pages() / RECORDS_RAM_SHARE;
	const char *wrong;

	virtio_cread_bytes(vdev, 0, &config, sizeof(config));
	wrong = cswap_wire_check_config(&config, vdev->features, &dev->geometry);
	if (wrong) {
		dev_err(&vdev->dev, "the device's configuration makes no sense (%s): not used\n",
			wrong);
		return -EINVAL;
	}
	if (dev->geometry.capacity > limit * (PAGE_SIZE / sizeof(cswap_record_t))) {
		dev_err(&vdev->dev, "a capacity of %llu slots would take %llu MiB of memory to keep track of, more than 1/%u of all: not used\n",
			dev->geometry.capacity,
			dev->geometry.capacity * sizeof(cswap_record_t) >> 20,
			RECORDS_RAM_SHARE);
		return -E2BIG;
	}
	return 0;
}

/* --- memory --- */

/*
 * Whole blocks may be more than the pool's size: up to @most, unless the owner or the pairs want
 * that size.
 */
static unsigned int pool_pages(const struct cswap_dev *dev, unsigned int *most)
{
	u64 bytes = POOL_BYTES + (u64)POOL_PAIR_BYTES * dev->nr_queues;
	u64 least = (u64)POOL_MIN_PAIR_BYTES * dev->nr_queues;
	u64 share = (u64)totalram_pages() * PAGE_SIZE / POOL_RAM_SHARE;

	bytes = pool_kib ? (u64)pool_kib * SZ_1K : min(bytes, share);
	*most = pool_kib || bytes < least ? UINT_MAX : share >> PAGE_SHIFT;
	return max(bytes, least) >> PAGE_SHIFT;
}

static int queues_init(struct cswap_dev *dev)
{
	struct device *dma_dev = cswap_dma_dev(dev->vdev, dev->queues[0].request_vq);
	unsigned int i, ring = cswap_life_ring_size(dev), share, most;
	unsigned int pages = pool_pages(dev, &most);
	int rc;

	dev->ring_size = ring;
	rc = cswap_pool_alloc(&dev->pool, dma_dev, pages, most);
	if (rc)
		return rc;
	share = dev->pool.nr_pages / dev->nr_queues;
	for (i = 0; i < dev->nr_queues && !rc; i++)
		rc = cswap_queue_init(dev, &dev->queues[i], ring, i * share, share);
	if (rc == -ENOSPC)
		dev_err(&dev->vdev->dev, "rings of %u descriptors and a pool of %u pages are too small for %u queue pairs: not used\n",
			ring, dev->pool.nr_pages, dev->nr_queues);
	return rc;
}

static void queues_exit(struct cswap_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		cswap_queue_exit(&dev->queues[i]);
	cswap_pool_free(&dev->pool);
}

/* Locks, queues and work items come first, so that every error path can tear all of them down. */
static void queues_prepare(struct cswap_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++) {
		struct cswap_queue *queue = &dev->queues[i];

		queue->dev = dev;
		queue->index = i;
		spin_lock_init(&queue->lock);
		init_waitqueue_head(&queue->store_wait);
		init_waitqueue_head(&queue->load_wait);
		init_waitqueue_head(&queue->slot_wait);
		INIT_WORK(&queue->read_work, cswap_read_work);
	}
	cswap_balloon_prepare(dev);
	cswap_observe_init(dev);
	INIT_DELAYED_WORK(&dev->tick, cswap_tick);
	cswap_life_init(dev);
}

/* Which keys may still be needed; see cswap_seal.c. */
static void keys_in_use(struct cswap_seal *seal, const struct cswap_epochs *epochs,
			unsigned long *used)
{
	struct cswap_dev *dev = container_of(seal, struct cswap_dev, seal);
	u64 slot = 0, end, counter;

	while (slot < dev->geometry.capacity) {
		struct cswap_queue *queue = cswap_queue_of(dev, slot);

		end = min_t(u64, slot + CSWAP_SHARD_SLOTS, dev->geometry.capacity);
		spin_lock_irq(&queue->lock);
		for (; slot < end; slot++)
			if (cswap_slot_counter(&queue->shard, slot, &counter))
				cswap_epochs_mark(epochs, used, counter);
		spin_unlock_irq(&queue->lock);
		cond_resched();
	}
}

/* Per CPU and of normal priority: a write ends on the CPU of the task that wrote, after it. */
static bool wq_for_writes(struct cswap_dev *dev)
{
	spin_lock_init(&dev->written_lock);
	bio_list_init(&dev->written);
	INIT_WORK(&dev->written_work, cswap_written_work);
	if (!CSWAP_WRITES_ARE_GATHERED)
		return true;
	dev->written_wq = alloc_workqueue("virtio_cswap_written",
					  WQ_MEM_RECLAIM | CSWAP_WQ_PERCPU, 0);
	return dev->written_wq;
}

static struct cswap_dev *dev_alloc(struct virtio_device *vdev)
{
	struct cswap_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	unsigned int most = queues ?: min(num_online_cpus(), DEFAULT_PAIRS);
	int rc;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	dev->vdev = vdev;
	dev->number = -1;
	dev->stall_ms = CSWAP_UNSET;
	dev->load_timeout_s = CSWAP_UNSET;
	rc = config_read(dev);
	if (rc)
		goto err;
	dev->nr_queues = min(dev->geometry.queue_pairs, most);
	rc = -ENOMEM;
	dev->queues = kcalloc(dev->nr_queues, sizeof(*dev->queues), GFP_KERNEL);
	dev->records = vzalloc(array_size(dev->geometry.capacity, sizeof(*dev->records)));
	if (!dev->queues || !dev->records)
		goto err;
	queues_prepare(dev);
	dev->wq = alloc_workqueue("virtio_cswap", WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_UNBOUND, 0);
	/* it waits for no other work that may wait for memory */
	dev->reset_wq = alloc_workqueue("virtio_cswap_reset",
					WQ_MEM_RECLAIM | WQ_FREEZABLE | WQ_UNBOUND, 1);
	if (!dev->wq || !dev->reset_wq || !wq_for_writes(dev))
		goto err;
	rc = ida_alloc(&cswap_ida, GFP_KERNEL);
	if (rc < 0)
		goto err;
	dev->number = rc;
	vdev->priv = dev;
	return dev;
err:
	cswap_dev_free(dev);
	return ERR_PTR(rc);
}

void cswap_dev_free(struct cswap_dev *dev)
{
	if (dev->wq)
		destroy_workqueue(dev->wq);
	if (dev->written_wq)
		destroy_workqueue(dev->written_wq);
	if (dev->reset_wq)
		destroy_workqueue(dev->reset_wq);
	if (dev->number >= 0)
		ida_free(&cswap_ida, dev->number);
	kvfree(dev->discard.clusters);
	vfree(dev->records);
	kfree(dev->queues);
	kfree(dev);
}

/* --- notices --- */

/*
 * The guest may have been cloned: its twin has the same key and counter. What
 * was stored before can be read by both; nothing more is sealed with that key.
 */
static int fork_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct cswap_dev *dev = container_of(nb, struct cswap_dev, fork_notifier);

	cswap_seal_rekey(&dev->seal);
	return NOTIFY_OK;
}

/* Refuse hibernation: its image would put the key, which is in memory only, on a disk. */
static int pm_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct cswap_dev *dev = container_of(nb, struct cswap_dev, pm_notifier);

	if (action != PM_HIBERNATION_PREPARE)
		return NOTIFY_OK;
	dev_err(&dev->vdev->dev, "hibernation is refused: swapped pages could not be read after it\n");
	return NOTIFY_BAD;
}

/* --- probe and remove --- */

static int cswap_probe(struct virtio_device *vdev)
{
	struct cswap_dev *dev = dev_alloc(vdev);
	int rc;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	rc = cswap_seal_init(&dev->seal, dev->number,
			     rekey_pages, keys_in_use);
	if (rc) {
		dev_err(&vdev->dev, "the kernel has no gcm(aes) that runs on the CPU, or no key can be made (%d): not used; modprobe gcm, or see CONFIG_CRYPTO_GCM\n",
			rc);
		goto err_dev;
	}
	/* from cswap_life_find_rings() on the device may interrupt, even before DRIVER_OK */
	rc = cswap_control_init(dev) ?: cswap_discard_init(dev) ?: cswap_balloon_init(dev);
	if (rc)
		goto err_control;
	cswap_report_init(dev);
	rc = cswap_life_find_rings(dev);
	if (rc)
		goto err_control;
	rc = queues_init(dev) ?: cswap_life_start(dev);
	if (rc)
		goto err_queues;

	dev->fork_notifier.notifier_call = fork_notify;
	register_random_vmfork_notifier(&dev->fork_notifier);
	dev->pm_notifier.notifier_call = pm_notify;
	register_pm_notifier(&dev->pm_notifier);
	rc = cswap_disk_add(dev);
	if (rc)
		goto err_notifiers;
	cswap_observe_begin(dev);
	dev_info(&vdev->dev, "cswap%d: %llu MiB, %u queue pairs, %u KiB shared, %s\n",
		 dev->number,
		 dev->geometry.capacity * VIRTIO_CSWAP_SLOT_SIZE >> 20, dev->nr_queues,
		 (unsigned int)(dev->pool.nr_pages * (PAGE_SIZE / 1024)),
		 dev->seal.alg);
	return 0;

err_notifiers:
	unregister_pm_notifier(&dev->pm_notifier);
	unregister_random_vmfork_notifier(&dev->fork_notifier);
err_queues:
	cswap_life_end(dev);
	queues_exit(dev);
err_control:
	cswap_balloon_exit(dev);
	cswap_control_exit(dev);
	cswap_seal_exit(&dev->seal);
err_dev:
	cswap_dev_free(dev);
	return rc;
}

static void cswap_remove(struct virtio_device *vdev)
{
	struct cswap_dev *dev = vdev->priv;
	struct gendisk *disk = dev->disk;
	unsigned int i;

	unregister_pm_notifier(&dev->pm_notifier);
	unregister_random_vmfork_notifier(&dev->fork_notifier);
	cswap_life_end(dev);
	/* waits for all tasks that are in submit_bio */
	del_gendisk(disk);
	for (i = 0; i < dev->nr_queues; i++)
		cswap_wait_unplugged(&dev->queues[i]);
	/* readers' works, which end what is over by now */
	flush_workqueue(dev->wq);
	cswap_observe_end(dev);
	flush_work(&dev->written_work);
	cswap_balloon_exit(dev);
	cswap_control_exit(dev);
	queues_exit(dev);
	cswap_seal_exit(&dev->seal);
	/* the records stay for as long as a process has the disk open */
	put_disk(disk);
}

static const unsigned int cswap_features[] = {
	VIRTIO_CSWAP_F_DISCARD,
	VIRTIO_CSWAP_F_BALLOON,
	VIRTIO_CSWAP_F_REPORT,
	VIRTIO_CSWAP_F_AGAIN,
};

static const struct virtio_device_id cswap_id_table[] = {
	{ VIRTIO_ID_CSWAP, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static struct virtio_driver cswap_driver = {
	.driver.name = CSWAP_NAME,
	.driver.owner = THIS_MODULE,
	.feature_table = cswap_features,
	.feature_table_size = ARRAY_SIZE(cswap_features),
	.id_table = cswap_id_table,
	.validate = cswap_validate,
	.probe = cswap_probe,
	.remove = cswap_remove,
	.config_changed = cswap_life_config_changed,
	.freeze = pm_sleep_ptr(cswap_life_freeze),
	.restore = pm_sleep_ptr(cswap_life_restore),
#ifdef CSWAP_HAVE_RESET_PREPARE
	.reset_prepare = cswap_life_freeze,
	.reset_done = cswap_life_restore,
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	.shutdown = cswap_life_shutdown,
#endif
};

static int __init cswap_init(void)
{
	if (!cswap_dump_is_crash_kernel())
		return register_virtio_driver(&cswap_driver);
	cswap_dump_begin();
	return 0;
}
module_init(cswap_init);

static void __exit cswap_exit(void)
{
	if (cswap_dump_is_crash_kernel())
		cswap_dump_end();
	else
		unregister_virtio_driver(&cswap_driver);
}
module_exit(cswap_exit);

MODULE_DEVICE_TABLE(virtio, cswap_id_table);
MODULE_DESCRIPTION("Virtio cooperative swap: sealed swap for confidential guests");
MODULE_AUTHOR("The virtio-cswap maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.2.0");
MODULE_SOFTDEP("pre: gcm aesni_intel");
