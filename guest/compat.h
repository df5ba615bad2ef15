/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - what differs between the kernels that the driver is built for, 6.1
 * to the newest. In a kernel tree only the last branch of each remains.
 */
#ifndef CSWAP_COMPAT_H
#define CSWAP_COMPAT_H

#include <linux/blkdev.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/version.h>
#include <linux/vmstat.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include <linux/virtio_cswap.h>

#include "confidential.h"

/*
 * Buffers mapped once, for life. To 6.12 a ring is premapped as a whole (in 6.1
 * only since a late stable release; Kbuild looks), since 6.13 it's said with
 * each buffer. A ring of a device that uses physical addresses needs neither.
 * Where a ring can't be premapped the core maps each buffer as it's sent.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define CSWAP_CAN_PREMAP	true
#elif defined(CSWAP_HAVE_VQ_PREMAP)
#define CSWAP_CAN_PREMAP	true
#else
#define CSWAP_CAN_PREMAP	false
#define virtqueue_set_dma_premapped(vq)	0
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline int cswap_vq_premap(struct virtqueue *vq, struct device *dma_dev)
{
	return dma_dev ? virtqueue_set_dma_premapped(vq) : 0;
}

static inline int cswap_vq_add_out(struct virtqueue *vq, struct scatterlist *sg,
				   unsigned int num, void *data)
{
	return virtqueue_add_outbuf(vq, sg, num, data, GFP_ATOMIC);
}

static inline int cswap_vq_add_in(struct virtqueue *vq, struct scatterlist *sg,
				  unsigned int num, void *data)
{
	return virtqueue_add_inbuf(vq, sg, num, data, GFP_ATOMIC);
}
#else
static inline int cswap_vq_premap(struct virtqueue *vq, struct device *dma_dev)
{
	return 0;
}

static inline int cswap_vq_add_out(struct virtqueue *vq, struct scatterlist *sg,
				   unsigned int num, void *data)
{
	return virtqueue_add_outbuf_premapped(vq, sg, num, data, GFP_ATOMIC);
}

static inline int cswap_vq_add_in(struct virtqueue *vq, struct scatterlist *sg,
				  unsigned int num, void *data)
{
	return virtqueue_add_inbuf_premapped(vq, sg, num, data, NULL, GFP_ATOMIC);
}
#endif

/* The device for the DMA API, NULL when buffers aren't mapped by us. */
static inline struct device *cswap_dma_dev(struct virtio_device *vdev,
					   struct virtqueue *vq)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	return CSWAP_CAN_PREMAP && virtio_has_feature(vdev, VIRTIO_F_ACCESS_PLATFORM) ?
	       vdev->dev.parent : NULL;
#else
	return virtqueue_dma_dev(vq);
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
};

static inline int cswap_find_vqs(struct virtio_device *vdev, unsigned int nr,
				 struct virtqueue **vqs, struct virtqueue_info *info)
{
	vq_callback_t **callbacks = kcalloc(nr, sizeof(*callbacks), GFP_KERNEL);
	const char **names = kcalloc(nr, sizeof(*names), GFP_KERNEL);
	unsigned int i;
	int rc = -ENOMEM;

	if (callbacks && names) {
		for (i = 0; i < nr; i++) {
			callbacks[i] = info[i].callback;
			names[i] = info[i].name;
		}
		rc = virtio_find_vqs(vdev, nr, vqs, callbacks, names, NULL);
	}
	kfree(names);
	kfree(callbacks);
	return rc;
}
#else
static inline int cswap_find_vqs(struct virtio_device *vdev, unsigned int nr,
				 struct virtqueue **vqs, struct virtqueue_info *info)
{
	return virtio_find_vqs(vdev, nr, vqs, info, NULL);
}
#endif

/* A disk of 4 KiB blocks whose pages must not change under writeback. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
static inline struct gendisk *cswap_alloc_disk(u32 max_discard)
{
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	blk_queue_logical_block_size(disk->queue, VIRTIO_CSWAP_SLOT_SIZE);
	blk_queue_physical_block_size(disk->queue, VIRTIO_CSWAP_SLOT_SIZE);
	blk_queue_io_min(disk->queue, VIRTIO_CSWAP_SLOT_SIZE);
	blk_queue_io_opt(disk->queue, VIRTIO_CSWAP_SLOT_SIZE);
	disk->queue->limits.discard_granularity = VIRTIO_CSWAP_SLOT_SIZE;
	blk_queue_max_discard_sectors(disk->queue, max_discard);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, disk->queue);
	blk_queue_flag_set(QUEUE_FLAG_IO_STAT, disk->queue);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, disk->queue);
	blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, disk->queue);
	blk_queue_dma_alignment(disk->queue, VIRTIO_CSWAP_SLOT_SIZE - 1);
	return disk;
}
#else
static inline struct gendisk *cswap_alloc_disk(u32 max_discard)
{
	struct queue_limits lim = {
		.logical_block_size = VIRTIO_CSWAP_SLOT_SIZE,
		.physical_block_size = VIRTIO_CSWAP_SLOT_SIZE,
		.io_min = VIRTIO_CSWAP_SLOT_SIZE,
		.io_opt = VIRTIO_CSWAP_SLOT_SIZE,
		.max_hw_discard_sectors = max_discard,
		.discard_granularity = VIRTIO_CSWAP_SLOT_SIZE,
		.dma_alignment = VIRTIO_CSWAP_SLOT_SIZE - 1,
		.features = BLK_FEAT_STABLE_WRITES | BLK_FEAT_IO_STAT,
	};

	return blk_alloc_disk(&lim, NUMA_NO_NODE);
}
#endif

/* An I/O of so many sectors begins, for the disk's statistics; when it did, for its end. */
static inline unsigned long cswap_account_begin(struct block_device *bdev, enum req_op op,
						unsigned int sectors)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	return bdev_start_io_acct(bdev, sectors, op, jiffies);
#else
	return bdev_start_io_acct(bdev, op, jiffies);
#endif
}

static inline void cswap_account_end(struct block_device *bdev, enum req_op op,
				     unsigned int sectors, unsigned long begun)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	bdev_end_io_acct(bdev, op, begun);
#else
	bdev_end_io_acct(bdev, op, sectors, begun);
#endif
}

/*
 * Take just these pages, moving what is in them elsewhere. Each has a reference of
 * its own then. Never calls the OOM killer.
 */
#ifdef CONFIG_CONTIG_ALLOC
#define CSWAP_CAN_TAKE_RANGE	true
static inline int cswap_take_range(unsigned long pfn, unsigned long pages)
{
	gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

#ifdef ACR_FLAGS_NONE
	return alloc_contig_range(pfn, pfn + pages, ACR_FLAGS_NONE, gfp);
#else
	return alloc_contig_range(pfn, pfn + pages, MIGRATE_MOVABLE, gfp);
#endif
}

/* And back: pages with one reference each. */
static inline void cswap_put_range(unsigned long pfn, unsigned long pages)
{
	free_contig_range(pfn, pages);
}
#else
#define CSWAP_CAN_TAKE_RANGE	false
static inline int cswap_take_range(unsigned long pfn, unsigned long pages)
{
	return -EOPNOTSUPP;
}

static inline void cswap_put_range(unsigned long pfn, unsigned long pages)
{
	while (pages--)
		__free_page(pfn_to_page(pfn++));
}
#endif

/* What balloons have taken: in /proc/meminfo since 6.16, and as it changes in /proc/vmstat. */
static inline void cswap_count_balloon_pages(struct page *page, long pages)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	mod_node_page_state(page_pgdat(page), NR_BALLOON_PAGES, pages);
#endif
#if defined(CONFIG_BALLOON) || defined(CONFIG_MEMORY_BALLOON)
	if (pages > 0)
		count_vm_events(BALLOON_INFLATE, pages);
	else
		count_vm_events(BALLOON_DEFLATE, -pages);
#endif
}

/* The largest order of the allocator's, and how many there are. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define CSWAP_ORDERS		MAX_ORDER
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define CSWAP_ORDERS		(MAX_ORDER + 1)
#else
#define CSWAP_ORDERS		NR_PAGE_ORDERS
#endif

/* Free memory that the guest hasn't accepted from its host yet. */
static inline unsigned long cswap_unaccepted_pages(struct zone *zone)
{
#ifdef CONFIG_UNACCEPTED_MEMORY
	return zone_page_state(zone, NR_UNACCEPTED);
#else
	return 0;
#endif
}

/*
 * The guest hasn't accepted the memory of the allocator's largest order that begins with @page.
 * Before 6.12 no page says so: then none is taken for accepted while its zone has some that isn't.
 */
static inline bool cswap_is_unaccepted(struct page *page)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return cswap_unaccepted_pages(page_zone(page));
#else
	return PageUnaccepted(page);
#endif
}

/* Since 7.3 the swap core gathers pages into one write. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define CSWAP_WRITES_ARE_GATHERED	false
#define CSWAP_WQ_PERCPU			0
#else
#define CSWAP_WRITES_ARE_GATHERED	true
#define CSWAP_WQ_PERCPU			WQ_PERCPU
#endif

/*
 * Stop the device by the driver's own freeze, and then reset it and go on with it by its
 * restore. They sleep; the second may be repeated when it fails.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define CSWAP_HAVE_RESET_PREPARE
#define CSWAP_CAN_RESET		true
#define cswap_reset_prepare(vdev)	virtio_device_reset_prepare(vdev)
#define cswap_core_reset_done(vdev)	virtio_device_reset_done(vdev)
#elif defined(CONFIG_PM_SLEEP)
#define CSWAP_CAN_RESET		true
#define cswap_reset_prepare(vdev)	virtio_device_freeze(vdev)
#define cswap_core_reset_done(vdev)	virtio_device_restore(vdev)
#else
#define CSWAP_CAN_RESET		false
#define cswap_reset_prepare(vdev)	(-EOPNOTSUPP)
#define cswap_core_reset_done(vdev)	(-EOPNOTSUPP)
#endif

#define CSWAP_VHOST_USER_F_PROTOCOL_FEATURES	30

/*
 * Features are agreed on anew. User-Mode Linux agrees on VHOST_USER_F_PROTOCOL_FEATURES with
 * the device only the first time, and without it can't stop a ring.
 */
static inline void cswap_features_anew(struct virtio_device *vdev)
{
	if (IS_ENABLED(CONFIG_UML))
		__virtio_set_bit(vdev, CSWAP_VHOST_USER_F_PROTOCOL_FEATURES);
}

static inline int cswap_reset_done(struct virtio_device *vdev)
{
	cswap_features_anew(vdev);
	return cswap_core_reset_done(vdev);
}

#endif /* CSWAP_COMPAT_H */
