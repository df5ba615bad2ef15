// SPDX-License-Identifier: GPL-2.0-only
/*
 * canary.c - commits the bug that it is asked for, to show that a debug kernel reports it.
 *
 *	insmod canary.ko bug=NAME
 *
 * A checker that was left out of the kernel's configuration says as little as one that found
 * nothing; this tells the two apart (see canary-check).
 */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *bug = "";
module_param(bug, charp, 0);
MODULE_PARM_DESC(bug, "overrun, use-after-free, leak, lock-order, atomic-sleep, list or bounds");

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);
static DEFINE_SPINLOCK(spin);
static volatile unsigned int eight = 8;
static unsigned char array[8];
static void *lost;

static void canary_overrun(void)
{
	volatile char *p = kmalloc(8, GFP_KERNEL);

	p[eight] = 1;
	kfree((void *)p);
}

static void canary_use_after_free(void)
{
	volatile char *p = kmalloc(8, GFP_KERNEL);

	kfree((void *)p);
	p[0] = 1;
}

/*
 * Many, because the allocator's sheaves (lists of free objects, Linux 6.18 and later) keep stale
 * pointers to what they gave away, and kmemleak takes those for references: the last hundred or
 * so objects of a size don't look lost.
 */
static void canary_leak(void)
{
	unsigned int i;

	for (i = 0; i < 1000; i++)
		WRITE_ONCE(lost, kmalloc(64, GFP_KERNEL));
	WRITE_ONCE(lost, NULL);
}

static void canary_lock_order(void)
{
	mutex_lock(&lock_a);
	mutex_lock(&lock_b);
	mutex_unlock(&lock_b);
	mutex_unlock(&lock_a);
	mutex_lock(&lock_b);
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	mutex_unlock(&lock_b);
}

static void canary_atomic_sleep(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

static void canary_list(void)
{
	struct list_head list, entry;

	INIT_LIST_HEAD(&list);
	list_add(&entry, &list);
	list.next = &list;
	list_del(&entry);
}

static void canary_bounds(void)
{
	array[eight] = 1;
}

static const struct {
	const char *name;
	void (*commit)(void);
} bugs[] = {
	{ "overrun", canary_overrun },
	{ "use-after-free", canary_use_after_free },
	{ "leak", canary_leak },
	{ "lock-order", canary_lock_order },
	{ "atomic-sleep", canary_atomic_sleep },
	{ "list", canary_list },
	{ "bounds", canary_bounds },
};

static int __init canary_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (strcmp(bugs[i].name, bug))
			continue;
		bugs[i].commit();
		return 0;
	}
	return -EINVAL;
}

static void __exit canary_exit(void)
{
}

module_init(canary_init);
module_exit(canary_exit);
MODULE_DESCRIPTION("Bugs on demand, for testing a debug kernel");
MODULE_LICENSE("GPL");
