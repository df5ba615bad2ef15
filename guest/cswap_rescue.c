// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_rescue.c - takes blocks back without the balloon's worker.
 *
 * Theory of operation: a guest that is out of memory doesn't ask the device. The OOM notifier has
 * a thread, which exists already, take blocks back, of those that aren't on their way to the
 * device, and waits for the thread a tenth of a second. Nothing on this path allocates, or waits
 * for the host. When memory goes offline, the kernel's notifier takes back the blocks in it. The
 * worker then looks at everything again, and tells the device.
 */
#include <linux/cpuset.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/oom.h>

#include "compat.h"
#include "cswap.h"

/* What a guest that is out of memory gets at a time. */
#define RESCUE_PAGES		(8 * CSWAP_BLOCK_PAGES)
/* Conversions take the longer the less of a CPU the host gives. */
#define RESCUE_WAIT		(HZ / 2)

/* --- out of memory --- */

/* Blocks of a kind of memory that is short for a task that may use @nodes. */
struct short_memory {
	struct cswap_blocks_wanted wanted;
	nodemask_t nodes;
};

static bool is_of_short_memory(const struct cswap_blocks_wanted *wanted, u64 pfn)
{
	return cswap_mem_is_short(pfn, &container_of(wanted, struct short_memory, wanted)->nodes);
}

/*
 * No stop waits for this. It uses no ring, and takes no block that is RELEASING (I5); what it has
 * in hand is on no list, so no reset finds that; work that it queues after a stop does nothing.
 * Removal ends the notifier and this thread before it takes the rest. Nor does a shutdown end it:
 * on its way down a guest without it would kill tasks, or panic. A kernel that makes all memory
 * private for kexec waits for conversions, and refuses later ones; what it refused stays marked,
 * as lost.
 */
static void rescue(struct cswap_balloon *balloon)
{
	struct short_memory memory = { .wanted.is_wanted = is_of_short_memory };
	struct cswap_mem_range range;
	unsigned int asked;
	u64 done = 0;

	/* a task that asks after this names its own nodes, and has us run again */
	spin_lock(&balloon->lock);
	memory.nodes = balloon->rescue_nodes;
	asked = balloon->rescues_asked;
	spin_unlock(&balloon->lock);
	while (done < RESCUE_PAGES &&
	       cswap_balloon_get(balloon, true, RESCUE_PAGES - done, &memory.wanted, &range)) {
		cswap_balloon_give_back(balloon, &range);
		done += range.pages;
		atomic64_add(range.pages, &balloon->rescued);
	}
	WRITE_ONCE(balloon->rescues_done, asked);
	wake_up(&balloon->rescue_done);
	if (done)
		cswap_balloon_look(balloon);
}

static bool rescue_is_wanted(const struct cswap_balloon *balloon)
{
	return READ_ONCE(balloon->rescues_asked) != READ_ONCE(balloon->rescues_done);
}

static int rescuer(void *arg)
{
	struct cswap_balloon *balloon = arg;

	while (!kthread_should_stop()) {
		wait_event_idle(balloon->rescue_wait, rescue_is_wanted(balloon) ||
				kthread_should_stop());
		if (rescue_is_wanted(balloon))
			rescue(balloon);
	}
	return 0;
}

/*
 * Called with the OOM killer waiting, one at a time, by the task that lacks memory. A
 * cpuset or a policy may keep it to some nodes. Where its nodes have plenty something
 * else is its limit, and what others gave up wouldn't help.
 */
static int oom_notify(struct notifier_block *nb, unsigned long unused, void *freed)
{
	struct cswap_balloon *balloon = container_of(nb, struct cswap_balloon, oom_notifier);
	u64 before = atomic64_read(&balloon->rescued);

	if (!cswap_mem_are_short(&cpuset_current_mems_allowed))
		return NOTIFY_OK;
	/* the worker frees what it gathers */
	atomic64_inc(&balloon->ooms);
	if (!cswap_balloon_pages(balloon))
		return NOTIFY_OK;
	spin_lock(&balloon->lock);
	balloon->rescue_nodes = cpuset_current_mems_allowed;
	WRITE_ONCE(balloon->rescues_asked, balloon->rescues_asked + 1);
	spin_unlock(&balloon->lock);
	wake_up(&balloon->rescue_wait);
	/* the rescue of a task that waits no longer may be under way: ours comes after it */
	wait_event_timeout(balloon->rescue_done, !rescue_is_wanted(balloon), RESCUE_WAIT);
	*(unsigned long *)freed += atomic64_read(&balloon->rescued) - before;
	return NOTIFY_OK;
}

/* --- memory that goes offline --- */

/* Blocks in a part of memory. */
struct part_of_memory {
	struct cswap_blocks_wanted wanted;
	u64 start, end;
};

static bool is_of_part(const struct cswap_blocks_wanted *wanted, u64 pfn)
{
	const struct part_of_memory *part = container_of(wanted, struct part_of_memory, wanted);

	return pfn >= part->start && pfn < part->end;
}

/*
 * First give back to the guest what the balloon has of this memory, so that it goes offline as the
 * guest's memory, and comes online again as such. False if some of it can't go back.
 */
static bool part_vacate(struct cswap_balloon *balloon, u64 start, u64 pages)
{
	struct part_of_memory part = {
		.wanted.is_wanted = is_of_part, .start = start, .end = start + pages,
	};
	struct cswap_mem_range range;
	bool releasing;

	spin_lock(&balloon->lock);
	releasing = cswap_blocks_is_releasing(&balloon->blocks, &part.wanted);
	spin_unlock(&balloon->lock);
	/* I5; and before kexec only rescue() converts */
	if (releasing || READ_ONCE(balloon->shut_down))
		return false;
	while (cswap_balloon_get(balloon, true, part.end, &part.wanted, &range)) {
		cswap_balloon_give_back(balloon, &range);
		cond_resched();
	}
	return true;
}

/*
 * Meanwhile the worker may have blocks in hand, and begin a RELEASE. Then the kernel finds marked
 * pages that are in use, and refuses to go offline itself.
 */
static int memory_changes(struct notifier_block *nb, unsigned long action, void *arg)
{
	struct cswap_balloon *balloon = container_of(nb, struct cswap_balloon, memory_notifier);
	const struct memory_notify *memory = arg;
	bool vacated = true;

	if (action == MEM_GOING_OFFLINE)
		vacated = part_vacate(balloon, memory->start_pfn, memory->nr_pages);
	/* the guest has another size, or the device is owed something */
	if (action != MEM_GOING_ONLINE)
		cswap_balloon_look(balloon);
	return notifier_from_errno(vacated ? 0 : -EBUSY);
}

/* --- life cycle --- */

void cswap_rescue_prepare(struct cswap_balloon *balloon)
{
	init_waitqueue_head(&balloon->rescue_wait);
	init_waitqueue_head(&balloon->rescue_done);
}

int cswap_rescue_init(struct cswap_dev *dev)
{
	struct cswap_balloon *balloon = &dev->balloon;
	struct task_struct *task;

	task = kthread_run(rescuer, balloon, "cswap%d_rescue", dev->number);
	if (IS_ERR(task))
		return PTR_ERR(task);
	balloon->rescuer = task;
	balloon->oom_notifier.notifier_call = oom_notify;
	balloon->memory_notifier.notifier_call = memory_changes;
	return register_oom_notifier(&balloon->oom_notifier) ?:
	       register_memory_notifier(&balloon->memory_notifier);
}

void cswap_rescue_exit(struct cswap_dev *dev)
{
	struct cswap_balloon *balloon = &dev->balloon;

	if (!balloon->rescuer)
		return;
	unregister_memory_notifier(&balloon->memory_notifier);
	unregister_oom_notifier(&balloon->oom_notifier);
	kthread_stop(balloon->rescuer);
	balloon->rescuer = NULL;
}
