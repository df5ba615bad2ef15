// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_sysfs.c - /sys/block/cswapN/cswap/: what the owner may want to know.
 *
 * One value a file. Counters count pages since the device was probed, added up
 * over the queue pairs. What only an engineer would look at is in debugfs: cswap_observe.c.
 */
#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/sizes.h>
#include <linux/sysfs.h>

#include "cswap.h"

static struct cswap_dev *to_cswap(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

/* --- settings of this device; "default" is what the module's parameter says --- */

static ssize_t setting_store(long *setting, const char *buf, size_t count, long least, long most)
{
	long value;

	if (sysfs_streq(buf, "default")) {
		WRITE_ONCE(*setting, CSWAP_UNSET);
		return count;
	}
	if (kstrtol(buf, 0, &value) || value < least || value > most)
		return -EINVAL;
	WRITE_ONCE(*setting, value);
	return count;
}

#define CSWAP_SETTING(_name, _value, _least, _most)				\
static ssize_t _name##_show(struct device *device,				\
			    struct device_attribute *attr, char *buf)		\
{										\
	return sysfs_emit(buf, "%u\n", _value(to_cswap(device)));		\
}										\
static ssize_t _name##_store(struct device *device,				\
			     struct device_attribute *attr,			\
			     const char *buf, size_t count)			\
{										\
	return setting_store(&to_cswap(device)->_name, buf, count, _least, _most); \
}										\
static DEVICE_ATTR_RW(_name)

CSWAP_SETTING(stall_ms, cswap_stall_ms_of, CSWAP_LEAST_STALL_MS, CSWAP_MOST_STALL_MS);
CSWAP_SETTING(load_timeout_s, cswap_load_timeout_of, 0, CSWAP_MOST_LOAD_TIMEOUT_S);

/* --- counters --- */

#define CSWAP_STAT(_name)							\
static ssize_t _name##_show(struct device *device,				\
			    struct device_attribute *attr, char *buf)		\
{										\
	return sysfs_emit(buf, "%llu\n",					\
			  cswap_stats_sum(to_cswap(device),			\
					  offsetof(struct cswap_stats, _name)));	\
}										\
static DEVICE_ATTR_RO(_name)

CSWAP_STAT(stores);
CSWAP_STAT(loads);
CSWAP_STAT(pool_loads);
CSWAP_STAT(store_errors);
CSWAP_STAT(store_refusals);
CSWAP_STAT(load_errors);
CSWAP_STAT(load_timeouts);
CSWAP_STAT(retries);
CSWAP_STAT(tampered);
CSWAP_STAT(protocol_errors);
CSWAP_STAT(load_ns);

static ssize_t discards_show(struct device *device, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%lld\n",
			  atomic64_read(&to_cswap(device)->discard.slots));
}
static DEVICE_ATTR_RO(discards);

/* Copies that the device has failed to store and that are kept for another try. */
static ssize_t kept_show(struct device *device, struct device_attribute *attr,
			 char *buf)
{
	struct cswap_dev *dev = to_cswap(device);
	unsigned int i, kept = 0;

	for (i = 0; i < dev->nr_queues; i++)
		kept += READ_ONCE(dev->queues[i].shard.failed);
	return sysfs_emit(buf, "%u\n", kept);
}
static DEVICE_ATTR_RO(kept);

/* All copies in the pool, over the queue pairs. */
static ssize_t copies_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	struct cswap_dev *dev = to_cswap(device);
	unsigned int i, copies = 0;

	for (i = 0; i < dev->nr_queues; i++)
		copies += dev->queues[i].shard.nr_copies;
	return sysfs_emit(buf, "%u\n", copies);
}
static DEVICE_ATTR_RO(copies);

/* The copies that aren't free: to be sent, on their way, kept, or being read or written. */
static ssize_t copies_used_show(struct device *device, struct device_attribute *attr,
				char *buf)
{
	struct cswap_dev *dev = to_cswap(device);
	unsigned int i, used = 0;

	for (i = 0; i < dev->nr_queues; i++)
		used += dev->queues[i].shard.nr_copies -
			READ_ONCE(dev->queues[i].shard.free.count);
	return sysfs_emit(buf, "%u\n", used);
}
static DEVICE_ATTR_RO(copies_used);

/* Memory that is shared with the device for life: copies, and buffers of reads and of headers. */
static ssize_t pool_kib_show(struct device *device, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  to_cswap(device)->pool.nr_pages * (PAGE_SIZE / SZ_1K));
}
static DEVICE_ATTR_RO(pool_kib);

/* Keys in use. */
static ssize_t keys_show(struct device *device, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%u\n", cswap_seal_epochs(&to_cswap(device)->seal));
}
static DEVICE_ATTR_RO(keys);

static ssize_t cipher_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", to_cswap(device)->seal.alg);
}
static DEVICE_ATTR_RO(cipher);

static ssize_t queue_pairs_show(struct device *device, struct device_attribute *attr,
				char *buf)
{
	return sysfs_emit(buf, "%u\n", to_cswap(device)->nr_queues);
}
static DEVICE_ATTR_RO(queue_pairs);

/* The kind of medium on which the device keeps pages, as the device says. */
static ssize_t medium_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	static const char * const names[] = {
		[VIRTIO_CSWAP_MEDIUM_UNKNOWN] = "unknown",
		[VIRTIO_CSWAP_MEDIUM_MEMORY] = "memory",
		[VIRTIO_CSWAP_MEDIUM_FLASH] = "flash",
		[VIRTIO_CSWAP_MEDIUM_DISK] = "disk",
	};

	return sysfs_emit(buf, "%s\n", names[to_cswap(device)->geometry.medium]);
}
static DEVICE_ATTR_RO(medium);

/* How often the driver has reset the device, because the device asked for it or didn't answer. */
static ssize_t resets_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(to_cswap(device)->resets));
}
static DEVICE_ATTR_RO(resets);

/* --- the balloon; memory in bytes --- */

#define CSWAP_BALLOON(_name, _value)						\
static ssize_t balloon_##_name##_show(struct device *device,			\
				      struct device_attribute *attr, char *buf)	\
{										\
	struct cswap_balloon *balloon = &to_cswap(device)->balloon;		\
										\
	return sysfs_emit(buf, "%llu\n", (u64)(_value));			\
}										\
static DEVICE_ATTR_RO(balloon_##_name)

CSWAP_BALLOON(target, READ_ONCE(balloon->target));
CSWAP_BALLOON(released, cswap_balloon_pages(balloon) << PAGE_SHIFT);
/* the part of what is released whose RELEASE the device hasn't answered */
CSWAP_BALLOON(releasing,
	      (u64)READ_ONCE(balloon->blocks.pages[CSWAP_BLOCK_RELEASING]) << PAGE_SHIFT);
CSWAP_BALLOON(floor, READ_ONCE(balloon->floor) << PAGE_SHIFT);
CSWAP_BALLOON(lost, (u64)atomic64_read(&balloon->lost) << PAGE_SHIFT);
/* since the device was probed */
CSWAP_BALLOON(rescued, (u64)atomic64_read(&balloon->rescued) << PAGE_SHIFT);
CSWAP_BALLOON(ooms, atomic64_read(&balloon->ooms));
CSWAP_BALLOON(brakes, READ_ONCE(balloon->policy.trips));

/* What crash_map= on a crash kernel's command line is to be: cswap_dump.c. */
static ssize_t balloon_crash_map_show(struct device *device,
				      struct device_attribute *attr, char *buf)
{
	return cswap_dump_print(&to_cswap(device)->balloon.mem, buf);
}
static DEVICE_ATTR_RO(balloon_crash_map);

/* Why the balloon isn't larger, in a word. */
static ssize_t balloon_stopped_show(struct device *device,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", cswap_balloon_stopped(&to_cswap(device)->balloon));
}
static DEVICE_ATTR_RO(balloon_stopped);

static ssize_t reports_show(struct device *device, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(to_cswap(device)->reporter.reports));
}
static DEVICE_ATTR_RO(reports);

static struct attribute *cswap_attrs[] = {
	&dev_attr_stall_ms.attr,
	&dev_attr_load_timeout_s.attr,
	&dev_attr_stores.attr,
	&dev_attr_loads.attr,
	&dev_attr_pool_loads.attr,
	&dev_attr_store_errors.attr,
	&dev_attr_store_refusals.attr,
	&dev_attr_load_errors.attr,
	&dev_attr_load_timeouts.attr,
	&dev_attr_retries.attr,
	&dev_attr_tampered.attr,
	&dev_attr_protocol_errors.attr,
	&dev_attr_load_ns.attr,
	&dev_attr_discards.attr,
	&dev_attr_kept.attr,
	&dev_attr_copies.attr,
	&dev_attr_copies_used.attr,
	&dev_attr_pool_kib.attr,
	&dev_attr_keys.attr,
	&dev_attr_cipher.attr,
	&dev_attr_queue_pairs.attr,
	&dev_attr_medium.attr,
	&dev_attr_resets.attr,
	&dev_attr_balloon_target.attr,
	&dev_attr_balloon_released.attr,
	&dev_attr_balloon_releasing.attr,
	&dev_attr_balloon_floor.attr,
	&dev_attr_balloon_lost.attr,
	&dev_attr_balloon_rescued.attr,
	&dev_attr_balloon_ooms.attr,
	&dev_attr_balloon_brakes.attr,
	&dev_attr_balloon_stopped.attr,
	&dev_attr_balloon_crash_map.attr,
	&dev_attr_reports.attr,
	NULL
};

static const struct attribute_group cswap_group = {
	.name = "cswap",
	.attrs = cswap_attrs,
};

const struct attribute_group *cswap_disk_groups[] = { &cswap_group, NULL };
