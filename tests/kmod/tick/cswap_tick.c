// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_tick.c - takes the tick away from the driver of a disk, @disk.
 *
 * Theory of operation: once a second the driver wakes whoever waits, needed or not, so a wake-up that
 * was forgotten costs a second and is never noticed. While "stopped" is set the tick doesn't run: the
 * driver takes it for due already, so it doesn't ask for another. Then nobody is woken but by what he
 * waits for, and time doesn't pass: no wait is too long. Set it while nothing is on its way. When it's
 * unset, or this goes, the tick comes at once, and takes the time between for one in which the guest
 * stood still.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/version.h>

#include "cswap.h"

static char *disk = "/dev/cswap0";
module_param(disk, charp, 0444);
MODULE_PARM_DESC(disk, "a disk of the device's");

static struct cswap_dev *dev;
static bool stopped;

static void tick_stop(void)
{
	/* it may have been running, and then it has said that it's not due any more */
	cancel_delayed_work_sync(&dev->tick);
	while (test_and_set_bit(CSWAP_TICKING, &dev->ticking)) {
		/* asked for meanwhile */
		clear_bit(CSWAP_TICKING, &dev->ticking);
		msleep(20);
		cancel_delayed_work_sync(&dev->tick);
	}
}

static void tick_go_on(void)
{
	queue_delayed_work(dev->wq, &dev->tick, 0);
}

static int stopped_set(const char *value, const struct kernel_param *param)
{
	bool before = stopped;
	int rc = param_set_bool(value, param);

	if (rc || !dev || stopped == before)
		return rc;
	if (stopped)
		tick_stop();
	else
		tick_go_on();
	return 0;
}

static const struct kernel_param_ops stopped_ops = { .set = stopped_set, .get = param_get_bool };
module_param_cb(stopped, &stopped_ops, &stopped, 0644);
MODULE_PARM_DESC(stopped, "the tick doesn't run");

static int __init tick_init(void)
{
	struct file *file = bdev_file_open_by_path(disk, BLK_OPEN_READ, NULL, NULL);

	if (IS_ERR(file))
		return PTR_ERR(file);
	dev = file_bdev(file)->bd_disk->private_data;
	bdev_fput(file);
	stopped = false;
	return 0;
}
module_init(tick_init);

static void __exit tick_exit(void)
{
	if (stopped)
		tick_go_on();
}
module_exit(tick_exit);

MODULE_DESCRIPTION("Takes a virtio-cswap driver's tick away, for tests");
MODULE_LICENSE("GPL");
