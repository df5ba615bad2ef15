// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_reset.c - a virtio device that asks to be reset (NEEDS_RESET), from inside the guest.
 *
 * Theory of operation: neither User-Mode Linux nor QEMU lets a vhost-user device say it.
 * So this stands between the driver of a disk, @disk, and its transport while it's
 * loaded. Writing to the parameter "ask" has the status say NEEDS_RESET until the device
 * is reset, and tells the driver as a configuration change, as a device would. With a
 * number of 2 the reset doesn't succeed: no features are agreed on afterwards.
 * "resets" counts the resets.
 */
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

static char *disk = "/dev/cswap0";
module_param(disk, charp, 0444);
MODULE_PARM_DESC(disk, "a disk of the device's");

static unsigned int resets;
module_param(resets, uint, 0444);
MODULE_PARM_DESC(resets, "how often the device was reset");

static struct virtio_device *vdev;
static const struct virtio_config_ops *true_ops;
static struct virtio_config_ops ops;
static unsigned int asked;

static u8 reset_get_status(struct virtio_device *dev)
{
	return true_ops->get_status(dev) | (READ_ONCE(asked) ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
}

static void reset_reset(struct virtio_device *dev)
{
	if (READ_ONCE(asked) == 1)
		WRITE_ONCE(asked, 0);
	resets++;
	true_ops->reset(dev);
}

/*
 * User-Mode Linux agrees on VHOST_USER_F_PROTOCOL_FEATURES with the device only the first
 * time; the rings, which it then can't disable, would go on as if there were no reset.
 */
#define PROTOCOL_FEATURES 30

static int reset_finalize_features(struct virtio_device *dev)
{
	if (IS_ENABLED(CONFIG_UML))
		__virtio_set_bit(dev, PROTOCOL_FEATURES);
	return READ_ONCE(asked) ? -ENODEV : true_ops->finalize_features(dev);
}

static int ask_set(const char *value, const struct kernel_param *param)
{
	unsigned int how;
	int rc = kstrtouint(value, 0, &how);

	if (rc)
		return rc;
	WRITE_ONCE(asked, how);
	if (how && vdev)
		virtio_config_changed(vdev);
	return 0;
}

static const struct kernel_param_ops ask_ops = { .set = ask_set };
module_param_cb(ask, &ask_ops, NULL, 0200);
MODULE_PARM_DESC(ask, "1: be reset; 2: be reset in vain; 0: not any more");

static int __init reset_init(void)
{
	struct file *file = bdev_file_open_by_path(disk, BLK_OPEN_READ, NULL, NULL);

	if (IS_ERR(file))
		return PTR_ERR(file);
	vdev = dev_to_virtio(disk_to_dev(file_bdev(file)->bd_disk)->parent);
	true_ops = vdev->config;
	ops = *true_ops;
	ops.get_status = reset_get_status;
	ops.reset = reset_reset;
	ops.finalize_features = reset_finalize_features;
	vdev->config = &ops;
	bdev_fput(file);
	return 0;
}
module_init(reset_init);

static void __exit reset_exit(void)
{
	vdev->config = true_ops;
}
module_exit(reset_exit);

MODULE_DESCRIPTION("Has a virtio device ask to be reset, for tests");
MODULE_LICENSE("GPL");
