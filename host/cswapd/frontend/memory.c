// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c - the guest memory that the front end shares: addresses -> pointers.
 *
 * Every address that the front end or the guest names passes here once. Sums
 * of what they say may wrap, so ranges are compared as `len > size - off`.
 *
 * Not thread-safe: the table changes only while no worker runs.
 *
 * A front end can cut its file short, and huge pages can run out. A thread that touches a page
 * which is gone gets SIGBUS from the kernel. The handler maps a page of zeros in its place, so that
 * the thread goes on, and sets a mark, by which the workers know that what they do is void.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memory.h"

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

uint64_t memory_size(const struct memory *memory)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < memory->count; i++)
		bytes += memory->region[i].size;
	return bytes;
}

/* --- the order --- */

/* How many begin at @at or before. */
static unsigned int count_before(const struct memory *memory,
				 const struct memory_sorted *order, uint64_t at)
{
	unsigned int low = 0, high = memory->count;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (order->begin[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The one that @at may lie in, or NULL. */
static const struct memory_region *find_last(const struct memory *memory,
					     const struct memory_sorted *order,
					     uint64_t at)
{
	unsigned int before = count_before(memory, order, at);

	return before ? &memory->region[order->index[before - 1]] : NULL;
}

/* The next region begins at @begin. */
static void order_add(struct memory *memory, struct memory_sorted *order,
		      uint64_t begin)
{
	unsigned int at = count_before(memory, order, begin);
	unsigned int behind = memory->count - at;

	memmove(&order->begin[at + 1], &order->begin[at],
		behind * sizeof(order->begin[0]));
	memmove(&order->index[at + 1], &order->index[at],
		behind * sizeof(order->index[0]));
	order->begin[at] = begin;
	order->index[at] = (uint16_t)memory->count;
}

/* The region @index goes, and the last one takes its number. */
static void order_remove(struct memory *memory, struct memory_sorted *order,
			 unsigned int index)
{
	unsigned int last = memory->count - 1, from, to = 0;

	for (from = 0; from <= last; from++) {
		if (order->index[from] == index)
			continue;
		order->begin[to] = order->begin[from];
		order->index[to] = order->index[from] == last ?
					   (uint16_t)index : order->index[from];
		to++;
	}
}

/* --- regions --- */

static const char *check_region(const struct memory *memory, uint64_t gpa,
				uint64_t uva, uint64_t size)
{
	unsigned int i;

	if (memory->count == MEMORY_MAX_REGIONS)
		return "too many memory regions";
	if (!size)
		return "memory region is empty";
	if (size > UINT64_MAX - gpa || size > UINT64_MAX - uva)
		return "memory region wraps around";
	/* What is kept of each block would be larger than memory. */
	if (size > MEMORY_MAX_BYTES - memory_size(memory))
		return "memory is larger than any machine's";
	for (i = 0; i < memory->count; i++)
		if (overlap(gpa, size, memory->region[i].gpa,
			    memory->region[i].size))
			return "memory regions overlap";
	return NULL;
}

/* --- what was removed, and may come again --- */

/* All of it is there, or known to be gone. */
static void forget_gone(struct memory *memory, uint64_t gpa, uint64_t size)
{
	unsigned int i, kept = 0;

	for (i = 0; i < memory->num_gone; i++) {
		const struct memory_gone *gone = &memory->gone[i];

		if (gone->gpa >= gpa && gone->gpa - gpa < size &&
		    gone->size <= size - (gone->gpa - gpa))
			continue;
		memory->gone[kept++] = *gone;
	}
	memory->num_gone = kept;
}

void memory_expect(struct memory *memory, uint64_t gpa, uint64_t size)
{
	forget_gone(memory, gpa, size);
	if (memory->num_gone == MEMORY_MAX_REGIONS)
		memmove(memory->gone, memory->gone + 1,
			--memory->num_gone * sizeof(memory->gone[0]));
	memory->gone[memory->num_gone++] = (struct memory_gone) { gpa, size };
}

/* Was @gpa removed? If so, in *@len: how many of the *@len bytes wanted were, in one piece. */
static bool find_gone(const struct memory *memory, uint64_t gpa, uint64_t *len)
{
	unsigned int i;

	for (i = 0; i < memory->num_gone; i++) {
		const struct memory_gone *gone = &memory->gone[i];
		const uint64_t offset = gpa - gone->gpa;

		if (offset >= gone->size)
			continue;
		if (*len > gone->size - offset)
			*len = gone->size - offset;
		return true;
	}
	return false;
}

bool memory_is_gone(const struct memory *memory, uint64_t gpa)
{
	uint64_t len = 1;

	return find_gone(memory, gpa, &len) && !memory_find_region(memory, gpa, &len);
}

/* What vanished was of regions that are gone. */
static void note_empty(struct memory *memory)
{
	__atomic_store_n(&memory->vanished, false, __ATOMIC_RELEASE);
}

const char *memory_add_mapped(struct memory *memory, uint64_t gpa,
			      uint64_t uva, uint64_t size, void *host)
{
	const char *wrong = check_region(memory, gpa, uva, size);

	if (wrong)
		return wrong;
	/* So that what is aligned for the guest is aligned for O_DIRECT. */
	if ((gpa ^ (uintptr_t)host) & (MEMORY_PAGE_SIZE - 1))
		return "memory region is not page-aligned";
	forget_gone(memory, gpa, size);
	order_add(memory, &memory->by_gpa, gpa);
	order_add(memory, &memory->by_host, (uintptr_t)host);
	memory->region[memory->count++] = (struct memory_region) {
		.gpa = gpa,
		.uva = uva,
		.size = size,
		.host = host,
		.fd = -1,
		.page_bytes = MEMORY_PAGE_SIZE,
	};
	return NULL;
}

/* The least that can be given back. */
static uint64_t file_page_bytes(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC ?
		       (uint64_t)fs.f_bsize : MEMORY_PAGE_SIZE;
}

const char *memory_add(struct memory *memory, uint64_t gpa, uint64_t uva,
		       uint64_t size, uint64_t offset, int fd)
{
	static uint64_t serial;
	struct memory_region *region;
	const char *wrong;
	struct stat st;
	void *map;

	if (fd < 0)
		return "front end shares no memory (QEMU: memory-backend-memfd,share=on)";
	if (size > UINT64_MAX - offset || size + offset > PTRDIFF_MAX)
		return "memory region's offset wraps around";
	if (fstat(fd, &st))
		return "memory region's file can't be examined";
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < size + offset)
		return "memory region is larger than its file";
	/* From offset 0: an offset may be unaligned for a hugetlb file. */
	map = mmap(NULL, size + offset, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return "memory region can't be mapped";
	wrong = memory_add_mapped(memory, gpa, uva, size,
				  (uint8_t *)map + offset);
	if (wrong) {
		munmap(map, size + offset);
		return wrong;
	}
	/* A core of ours has no business with the guest's memory. */
	madvise(map, size + offset, MADV_DONTDUMP);
	region = &memory->region[memory->count - 1];
	region->map = map;
	region->map_size = size + offset;
	/* Without one there is nothing to punch or to measure, that's all. */
	region->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	region->serial = ++serial;
	region->offset = offset;
	region->page_bytes = file_page_bytes(fd);
	return NULL;
}

static void free_region(const struct memory_region *region)
{
	if (region->map)
		munmap(region->map, region->map_size);
	if (region->fd >= 0)
		close(region->fd);
}

const char *memory_remove(struct memory *memory, uint64_t gpa, uint64_t uva,
			  uint64_t size)
{
	struct memory_region *region;
	unsigned int i;

	for (i = 0; i < memory->count; i++) {
		region = &memory->region[i];
		if (region->gpa != gpa || region->uva != uva ||
		    region->size != size)
			continue;
		free_region(region);
		memory_expect(memory, gpa, size);
		order_remove(memory, &memory->by_gpa, i);
		order_remove(memory, &memory->by_host, i);
		*region = memory->region[--memory->count];
		if (!memory->count)
			note_empty(memory);
		return NULL;
	}
	return "no such memory region";
}

void memory_clear(struct memory *memory)
{
	while (memory->count)
		free_region(&memory->region[--memory->count]);
	memory->num_gone = 0;
	note_empty(memory);
}

/* --- pages that vanish --- */

static struct memory *guarded;

/* The region that the page at @at was mapped for, also outside of what is shared. */
static const struct memory_region *find_mapping(uintptr_t at)
{
	unsigned int i;

	for (i = 0; guarded && i < guarded->count; i++) {
		const struct memory_region *region = &guarded->region[i];

		if (region->map && at - (uintptr_t)region->map < region->map_size)
			return region;
	}
	return NULL;
}

/* Runs in the thread that touched the page, which sees the mark before the zeros. */
static void replace_page(int signal_number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	const struct memory_region *region = find_mapping(at);
	int error = errno;

	(void)context;
	if (region) {
		__atomic_store_n(&guarded->vanished, true, __ATOMIC_SEQ_CST);
		at &= ~(uintptr_t)(region->page_bytes - 1);
		if (mmap((void *)at, region->page_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
			 -1, 0) != MAP_FAILED) {
			errno = error;
			return;
		}
	}
	/* Not of our making: the access is repeated, and ends us as it should. */
	signal(signal_number, SIG_DFL);
}

void memory_guard(struct memory *memory)
{
	struct sigaction action = {
		.sa_sigaction = replace_page,
		.sa_flags = SA_SIGINFO,
	};

	guarded = memory;
	sigemptyset(&action.sa_mask);
	if (!memory)
		action.sa_handler = SIG_DFL;
	sigaction(SIGBUS, &action, NULL);
}

bool memory_has_vanished(const struct memory *memory)
{
	return __atomic_load_n(&memory->vanished, __ATOMIC_ACQUIRE);
}

/* --- addresses -> pointers --- */

const struct memory_region *memory_find_region(const struct memory *memory,
					       uint64_t gpa, uint64_t *len)
{
	const struct memory_region *region =
		find_last(memory, &memory->by_gpa, gpa);
	uint64_t offset;

	if (!region || gpa - region->gpa >= region->size)
		return NULL;
	offset = gpa - region->gpa;
	if (*len > region->size - offset)
		*len = region->size - offset;
	return region;
}

void *memory_from_gpa(const struct memory *memory, uint64_t gpa, uint64_t *len)
{
	const struct memory_region *region =
		memory_find_region(memory, gpa, len);

	return region ? region->host + (gpa - region->gpa) : NULL;
}

static bool has_all(const struct memory *memory, uint64_t gpa, uint64_t len, bool or_gone)
{
	uint64_t piece;

	if (len > UINT64_MAX - gpa)
		return false;
	for (; len; gpa += piece, len -= piece) {
		piece = len;
		if (!memory_find_region(memory, gpa, &piece) && !(or_gone && find_gone(memory, gpa, &piece)))
			return false;
	}
	return true;
}

bool memory_covers(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	return has_all(memory, gpa, len, false);
}

bool memory_knows(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	return has_all(memory, gpa, len, true);
}

bool memory_to_gpa(const struct memory *memory, const void *host, uint64_t *gpa)
{
	const struct memory_region *region =
		find_last(memory, &memory->by_host, (uintptr_t)host);
	uint64_t offset;

	if (!region)
		return false;
	offset = (uintptr_t)host - (uintptr_t)region->host;
	if (offset >= region->size)
		return false;
	*gpa = region->gpa + offset;
	return true;
}

void *memory_from_uva(const struct memory *memory, uint64_t uva, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < memory->count; i++) {
		const struct memory_region *region = &memory->region[i];
		uint64_t offset = uva - region->uva;

		if (uva < region->uva || offset >= region->size)
			continue;
		return len > region->size - offset ? NULL :
						     region->host + offset;
	}
	return NULL;
}
