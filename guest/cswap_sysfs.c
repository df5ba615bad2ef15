// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_sysfs.c - /sys/block/cswapN/cswap/: what the owner may want to know.
 *
 * One value a file. Counters count pages since the device was probed, added up
 * over the queue pairs.
 */
#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/sysfs.h>

#include "cswap.h"

static struct cswap_dev *to_cswap(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

static u64 sum(struct cswap_dev *dev, size_t offset)
{
	unsigned int i;
	u64 total = 0;

	for (i = 0; i < dev->nr_queues; i++)
		total += READ_ONCE(*(u64 *)((u8 *)&dev->queues[i].stats + offset));
	return total;
}

#define CSWAP_STAT(_name)							\
static ssize_t _name##_show(struct device *device,				\
			    struct device_attribute *attr, char *buf)		\
{										\
	return sysfs_emit(buf, "%llu\n",					\
			  sum(to_cswap(device),					\
			      offsetof(struct cswap_stats, _name)));		\
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

/* Copies in the pool: all there are, over the queue pairs. */
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

static ssize_t synchronous_show(struct device *device, struct device_attribute *attr,
				char *buf)
{
	return sysfs_emit(buf, "%d\n", to_cswap(device)->synchronous);
}
static DEVICE_ATTR_RO(synchronous);

static struct attribute *cswap_attrs[] = {
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
	&dev_attr_keys.attr,
	&dev_attr_cipher.attr,
	&dev_attr_queue_pairs.attr,
	&dev_attr_synchronous.attr,
	NULL
};

static const struct attribute_group cswap_group = {
	.name = "cswap",
	.attrs = cswap_attrs,
};

const struct attribute_group *cswap_disk_groups[] = { &cswap_group, NULL };
