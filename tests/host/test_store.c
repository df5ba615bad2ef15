// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_store.c - the stores: what was written comes back, and failures are told.
 *
 * Files lie in TMPDIR. Where the kernel lets us (root, or user namespaces) a
 * small tmpfs of our own is the disk that runs full.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "store/owed.h"
#include "store/store_files.h"
#include "store/store_slots.h"
#include "store/tags_room.h"
#include "store_fault.h"

#define SLOTS 4096
#define PAGE STORE_SLOT_SIZE
#define SMALL_DISK_BYTES (1 << 20)

static char directory[256];		/* for files, removed at the end */
static char small_disk[300];		/* a tmpfs, "" if we may not mount one */

static struct store_files held = STORE_FILES_NONE;

/* A lane with a ring of its own, as a worker has it. */
struct bench {
	struct store *store;
	struct io_uring ring;
	struct store_lane *lane;
	unsigned int done;
	/* What the kernel said is replaced by @lie the first @lies times. */
	int lie;
	unsigned int lies;
	enum store_part lie_part;
	uint8_t *pages;
	struct store_op op;
};

static void count_done(void *context, struct store_op *op)
{
	struct bench *b = context;

	(void)op;
	b->done++;
}

static void bench_open(struct bench *b, struct store *store)
{
	memset(b, 0, sizeof(*b));
	assert_non_null(store);
	b->store = store;
	assert_int_equal(io_uring_queue_init(64, &b->ring, 0), 0);
	b->lane = store->ops->lane_open(store, &b->ring, 1, count_done, b);
	assert_non_null(b->lane);
	b->pages = mmap(NULL, STORE_MAX_PAGES * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void bench_close(struct bench *b)
{
	b->store->ops->lane_close(b->lane);
	io_uring_queue_exit(&b->ring);
	munmap(b->pages, STORE_MAX_PAGES * PAGE);
}

static const char *path_of(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void remove_files(const char *name)
{
	char tags[700];

	snprintf(tags, sizeof(tags), "%s.tags", path_of(name));
	unlink(tags);
	unlink(path_of(name));
}

static struct store *activated(struct store *store)
{
	assert_non_null(store);
	if (store->ops->activate(store))
		return store;
	store_close(store);
	return NULL;
}

/* As a daemon does that has only this process. One store's files are held at a time. */
static struct store *open_store(const char *data, const char *tags, uint64_t slots,
				bool format)
{
	const struct store_request request = {
		.data_path = data, .tags_path = tags, .slots = slots, .format = format,
	};

	store_files_close(&held);
	if (!store_files_open(&held, &request))
		return NULL;
	return activated(store_open(&held, slots));
}

static struct store *open_memory(void)
{
	return activated(store_open(NULL, SLOTS));
}

/* With the tags in a file beside it. */
static struct store *open_file(const char *name)
{
	char tags[700];

	snprintf(tags, sizeof(tags), "%s.tags", path_of(name));
	return open_store(path_of(name), tags, SLOTS, false);
}

static struct store *open_untagged(const char *name)
{
	return open_store(path_of(name), NULL, SLOTS, false);
}

static void reap_one(struct bench *b)
{
	struct io_uring_cqe *cqe;
	uint64_t data;
	int result;

	assert_int_equal(io_uring_wait_cqe(&b->ring, &cqe), 0);
	data = cqe->user_data;
	result = cqe->res;
	io_uring_cqe_seen(&b->ring, cqe);
	if (b->lies && (data & STORE_PART_MASK) == b->lie_part) {
		b->lies--;
		result = b->lie;
	}
	b->store->ops->complete(b->lane,
		(struct store_op *)(uintptr_t)(data & ~(uint64_t)STORE_PART_MASK),
		data & STORE_PART_MASK, result);
}

/* Run the bench's operation to its end; returns its outcome. */
static int run(struct bench *b, enum store_kind kind, uint64_t slot,
	       uint64_t count)
{
	uint64_t i;

	b->op.kind = kind;
	b->op.slot = slot;
	b->op.count = count;
	for (i = 0; kind < STORE_DISCARD && i < count; i++)
		b->op.data[i] = (struct iovec) { b->pages + i * PAGE, PAGE };
	b->done = 0;
	store_submit(b->lane, &b->op);
	while (!b->done) {
		io_uring_submit(&b->ring);
		reap_one(b);
	}
	assert_int_equal(b->done, 1);
	return b->op.error;
}

static void fill(struct bench *b, uint64_t count, int seed)
{
	uint64_t i;

	for (i = 0; i < count; i++) {
		memset(b->pages + i * PAGE, seed + (int)i, PAGE);
		memset(&b->op.tag[i], seed + (int)i + 100, STORE_TAG_SIZE);
		/* What is sealed is never all zeros. */
		b->pages[i * PAGE + 1] = 0xa5;
		b->op.tag[i].b[1] = 0xa5;
	}
}

static void expect(struct bench *b, uint64_t count, int seed)
{
	uint64_t i;

	for (i = 0; i < count; i++) {
		assert_int_equal(b->pages[i * PAGE], (uint8_t)(seed + i));
		assert_int_equal(b->pages[i * PAGE + PAGE - 1],
				 (uint8_t)(seed + i));
		assert_int_equal(b->op.tag[i].b[0], (uint8_t)(seed + i + 100));
		assert_int_equal(b->op.tag[i].b[15], (uint8_t)(seed + i + 100));
	}
}

static void wipe(struct bench *b)
{
	memset(b->pages, 0xee, STORE_MAX_PAGES * PAGE);
	memset(b->op.tag, 0xee, sizeof(b->op.tag));
}

/* --- what any store does --- */

static void round_trips(struct store *store)
{
	struct bench b;

	bench_open(&b, store);
	fill(&b, STORE_MAX_PAGES, 1);
	assert_int_equal(run(&b, STORE_WRITE, SLOTS - STORE_MAX_PAGES,
			     STORE_MAX_PAGES), 0);
	fill(&b, 1, 200);
	assert_int_equal(run(&b, STORE_WRITE, 5, 1), 0);
	wipe(&b);
	assert_int_equal(run(&b, STORE_READ, SLOTS - STORE_MAX_PAGES,
			     STORE_MAX_PAGES), 0);
	expect(&b, STORE_MAX_PAGES, 1);
	wipe(&b);
	assert_int_equal(run(&b, STORE_READ, SLOTS - 3, 3), 0);
	expect(&b, 3, 1 + STORE_MAX_PAGES - 3);
	assert_int_equal(run(&b, STORE_READ, 5, 1), 0);
	expect(&b, 1, 200);
	/* Never written: it may fail, and must end. */
	run(&b, STORE_READ, 100, 2);
	bench_close(&b);
}

static void discards_spare_neighbours(struct store *store)
{
	struct bench b;

	bench_open(&b, store);
	fill(&b, 8, 50);
	assert_int_equal(run(&b, STORE_WRITE, 252, 8), 0);
	fill(&b, 2, 90);
	assert_int_equal(run(&b, STORE_WRITE, 1022, 2), 0);
	/* Ends inside blocks of tags on both sides, covers one between. */
	assert_int_equal(run(&b, STORE_DISCARD, 254, 1023 - 254), 0);
	assert_int_equal(run(&b, STORE_READ, 252, 2), 0);
	expect(&b, 2, 50);
	assert_int_equal(run(&b, STORE_READ, 1023, 1), 0);
	expect(&b, 1, 91);
	/* Nothing, or an error. */
	if (!run(&b, STORE_READ, 255, 1))
		assert_int_equal(b.pages[0], 0);
	if (!run(&b, STORE_READ, 256, 1))
		assert_int_equal(b.op.tag[0].b[0], 0);
	bench_close(&b);
}

static void mem_round_trips(void **state)
{
	struct store *store = open_memory();

	(void)state;
	round_trips(store);
	discards_spare_neighbours(store);
	store_close(store);
}

static void file_round_trips(void **state)
{
	struct store *store = open_file("round");

	(void)state;
	round_trips(store);
	discards_spare_neighbours(store);
	store_close(store);
	remove_files("round");
}

static void tags_in_memory_round_trip(void **state)
{
	struct store *store = open_untagged("untagged");
	struct stat st;
	char tags[700];

	(void)state;
	round_trips(store);
	discards_spare_neighbours(store);
	snprintf(tags, sizeof(tags), "%s.tags", path_of("untagged"));
	assert_int_equal(stat(tags, &st), -1);
	store_close(store);
	remove_files("untagged");
}

/* --- files --- */

/* The places of data and tags are what the documentation says. */
static void files_are_laid_out_plainly(void **state)
{
	struct store *store = open_file("layout");
	char tags_path[700];
	uint8_t page[PAGE], tag[16];
	struct bench b;
	struct stat st;
	int fd;

	(void)state;
	bench_open(&b, store);
	fill(&b, 2, 7);
	assert_int_equal(run(&b, STORE_WRITE, 33, 2), 0);
	bench_close(&b);
	store_close(store);
	fd = open(path_of("layout"), O_RDONLY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, STORE_DATA_OFFSET + (off_t)SLOTS * PAGE);
	assert_true(st.st_blocks * 512 < st.st_size / 16);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(pread(fd, page, PAGE, STORE_DATA_OFFSET + 34 * PAGE), PAGE);
	assert_int_equal(page[17], 8);
	close(fd);
	snprintf(tags_path, sizeof(tags_path), "%s.tags", path_of("layout"));
	fd = open(tags_path, O_RDONLY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, STORE_TAGS_OFFSET + SLOTS * 16);
	assert_int_equal(pread(fd, tag, 16, STORE_TAGS_OFFSET + 34 * 16), 16);
	assert_int_equal(tag[3], 108);
	close(fd);
	/* And it's all there again when opened the next time. */
	store = open_file("layout");
	bench_open(&b, store);
	assert_int_equal(run(&b, STORE_READ, 33, 2), 0);
	expect(&b, 2, 7);
	bench_close(&b);
	store_close(store);
	remove_files("layout");
}

static blkcnt_t blocks_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(path_of(name), &st), 0);
	return st.st_blocks;
}

/* Checks: device-discard-free */
static void discard_gives_the_disk_back(void **state)
{
	struct store *store = open_file("punch");
	blkcnt_t before;
	struct bench b;
	int i;

	(void)state;
	bench_open(&b, store);
	before = blocks_of("punch");
	fill(&b, 64, 1);
	for (i = 0; i < 16; i++)
		assert_int_equal(run(&b, STORE_WRITE, (uint64_t)i * 64, 64), 0);
	assert_true(blocks_of("punch") - before >= 16 * 64 * 8);
	assert_int_equal(run(&b, STORE_DISCARD, 0, SLOTS), 0);
	assert_true(blocks_of("punch") - before < 64);
	bench_close(&b);
	store_close(store);
	remove_files("punch");
}

/* Two threads write tags that share blocks: none may be lost. */
struct neighbour {
	struct store *store;
	uint64_t first;
};

#define NEIGHBOUR_ROUNDS 8
#define NEIGHBOUR_SLOTS 512

static void *write_every_other(void *arg)
{
	const struct neighbour *n = arg;
	struct bench b;
	uint64_t slot;
	int round;

	bench_open(&b, n->store);
	for (round = 0; round < NEIGHBOUR_ROUNDS; round++) {
		for (slot = n->first; slot < NEIGHBOUR_SLOTS; slot += 2) {
			fill(&b, 1, (int)slot + round);
			if (run(&b, STORE_WRITE, slot, 1))
				return (void *)1;
		}
	}
	bench_close(&b);
	return NULL;
}

/* Checks: device-store-unit */
static void neighbouring_tags_survive(void **state)
{
	struct store *store = open_file("neighbours");
	struct neighbour n[2] = { { store, 0 }, { store, 1 } };
	pthread_t thread[2];
	struct bench b;
	uint64_t slot;
	void *failed;
	int i;

	(void)state;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
						write_every_other, &n[i]), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(thread[i], &failed), 0);
		assert_null(failed);
	}
	bench_open(&b, store);
	for (slot = 0; slot < NEIGHBOUR_SLOTS; slot++) {
		assert_int_equal(run(&b, STORE_READ, slot, 1), 0);
		expect(&b, 1, (int)slot + NEIGHBOUR_ROUNDS - 1);
	}
	bench_close(&b);
	store_close(store);
	remove_files("neighbours");
}

/* --- tags in memory --- */

static uint64_t tags_bytes(const struct bench *b)
{
	return store_get_use(b->store).tags_bytes;
}

/* A page of them for 256 slots, as they come into use, until all of those are discarded. */
static void tags_take_memory_as_slots_do(void **state)
{
	struct store *store = open_untagged("taken");
	struct bench b;

	(void)state;
	bench_open(&b, store);
	assert_int_equal(tags_bytes(&b), 0);
	fill(&b, 64, 1);
	/* What was never stored needs none. */
	assert_int_equal(run(&b, STORE_READ, 2000, 1), -ENODATA);
	assert_int_equal(tags_bytes(&b), 0);
	assert_int_equal(run(&b, STORE_WRITE, 0, 64), 0);
	assert_int_equal(run(&b, STORE_WRITE, 192, 64), 0);
	assert_int_equal(tags_bytes(&b), PAGE);
	/* Across the border of two. */
	assert_int_equal(run(&b, STORE_WRITE, 500, 20), 0);
	assert_int_equal(tags_bytes(&b), 3 * PAGE);
	assert_int_equal(run(&b, STORE_DISCARD, 1, 600), 0);
	assert_int_equal(run(&b, STORE_READ, 0, 1), 0);
	expect(&b, 1, 1);
	assert_int_equal(run(&b, STORE_READ, 1, 1), -ENODATA);
	assert_int_equal(run(&b, STORE_READ, 500, 20), -ENODATA);
	bench_close(&b);
	/* Whoever comes next finds the same. */
	store->ops->deactivate(store);
	assert_true(store->ops->activate(store));
	bench_open(&b, store);
	assert_int_equal(run(&b, STORE_READ, 0, 1), 0);
	expect(&b, 1, 1);
	assert_int_equal(run(&b, STORE_READ, 500, 1), -ENODATA);
	bench_close(&b);
	store_close(store);
	remove_files("taken");
}

/* Without memory for its tag a page isn't stored, and that's all. Checks: device-store-nospc */
static void no_memory_for_tags_is_no_space(void **state)
{
	struct store *store = open_untagged("refused");
	struct bench b;

	(void)state;
	bench_open(&b, store);
	fill(&b, 2, 1);
	b.lie_part = STORE_PART_TAGS;
	b.lie = -ENOMEM;
	b.lies = 1;
	assert_int_equal(run(&b, STORE_WRITE, 10, 2), -ENOSPC);
	assert_int_equal(b.lies, 0);
	assert_int_equal(run(&b, STORE_READ, 10, 1), -ENODATA);
	b.lie = -EINTR;
	b.lies = 2;
	assert_int_equal(run(&b, STORE_WRITE, 10, 2), 0);
	assert_int_equal(b.lies, 0);
	assert_int_equal(run(&b, STORE_READ, 10, 2), 0);
	expect(&b, 2, 1);
	bench_close(&b);
	store_close(store);
	remove_files("refused");
}

/* As in a tmpfs that is full: nothing is touched that isn't there. */
static void tags_without_room_are_never_touched(void **state)
{
	struct store *store;
	char path[400];
	struct bench b;
	int fd;

	(void)state;
	if (!*small_disk) {
		print_message("SKIP: may not mount a tmpfs here\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/tags", small_disk);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 16 * SMALL_DISK_BYTES), 0);
	store = activated(store_slots_wrap(store_mem_ops.open(NULL, SMALL_DISK_BYTES), fd));
	bench_open(&b, store);
	fill(&b, 1, 1);
	for (b.op.slot = 0; !run(&b, STORE_WRITE, b.op.slot, 1); b.op.slot += 256)
		;
	assert_int_equal(b.op.error, -ENOSPC);
	assert_in_range(tags_bytes(&b), SMALL_DISK_BYTES / 2, SMALL_DISK_BYTES);
	assert_int_equal(run(&b, STORE_READ, b.op.slot, 1), 0);
	assert_int_equal(run(&b, STORE_DISCARD, 0, SMALL_DISK_BYTES), 0);
	assert_int_equal(tags_bytes(&b), 0);
	assert_int_equal(run(&b, STORE_WRITE, 4096, 1), 0);
	bench_close(&b);
	store_close(store);
	close(fd);
	unlink(path);
}

/* A cgroup as the kernel shows it: max, current, stat. */
static void put_cgroup(const char *name, const char *max, const char *current, const char *stat)
{
	static const char *const names[] = { "memory.max", "memory.current", "memory.stat" };
	const char *texts[] = { max, current, stat };
	char path[700];
	unsigned int i;
	FILE *file;

	mkdir(path_of(name), 0700);
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", path_of(name), names[i]);
		file = fopen(path, "we");
		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
	}
}

static void remove_cgroup(const char *name)
{
	char command[700];

	snprintf(command, sizeof(command), "rm -r %s", path_of(name));
	assert_int_equal(system(command), 0);
}

static bool has_room(uint64_t bytes)
{
	struct tags_room room;
	bool has;

	tags_room_open(&room, directory, "/slice/unit");
	has = tags_room_has(&room, bytes);
	tags_room_close(&room);
	return has;
}

/* Rather than that the kernel kills: no limit, one's own, one above, page cache. */
static void a_full_cgroup_gives_no_room(void **state)
{
	(void)state;
	assert_true(has_room(1 << 30));
	put_cgroup("slice", "max\n", "1048576\n", "anon 1\ninactive_file 0\nactive_file 0\n");
	put_cgroup("slice/unit", "max\n", "1048576\n", "anon 1\n");
	assert_true(has_room(1 << 30));
	put_cgroup("slice/unit", "67108864\n", "62910464\n", "anon 1\ninactive_file 0\nactive_file 0\n");
	assert_true(has_room(4096));
	assert_false(has_room(8192));
	put_cgroup("slice/unit", "67108864\n", "62910464\n", "anon 1\ninactive_file 4096\nactive_file 8192\n");
	assert_true(has_room(16384));
	assert_false(has_room(20480));
	put_cgroup("slice", "1048576\n", "1048576\n", "anon 1\ninactive_file 0\nactive_file 0\n");
	assert_false(has_room(4096));
	remove_cgroup("slice");
}

/* KiB of the mapping at @address that are locked. */
static unsigned long locked_kib(const void *address)
{
	unsigned long at, begin = 0, end, kib = 0;
	char line[512];
	FILE *file = fopen("/proc/self/smaps", "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &at, &end) == 2)
			begin = at;
		if (begin == (uintptr_t)address && sscanf(line, "Locked: %lu kB", &kib) == 1)
			break;
	}
	fclose(file);
	return kib;
}

static void lock_tags(const struct tags_mem *tags, size_t bytes)
{
	if (!mlock2(tags->tag, bytes, MLOCK_ONFAULT))
		return;
	print_message("SKIP: nothing may be locked here\n");
	skip();
}

static void put_tag(struct tags_mem *tags, uint64_t slot)
{
	assert_int_equal(fallocate(tags->fd, FALLOC_FL_KEEP_SIZE, (off_t)tags_mem_offset(slot), TAGS_MEM_PAGE), 0);
	tags_mem_note(tags, slot, 1);
	tags->tag[slot] = tag_owed;
}

/* What comes with a guest, into the sandbox, is locked as what was there, and the cgroup's limit counts. */
static void tags_that_come_are_as_any_others(void **state)
{
	const uint64_t slots = 16 * TAGS_MEM_SLOTS;
	struct tags_mem tags;
	int fd = tags_mem_create(slots);

	(void)state;
	assert_true(tags_mem_map(&tags, fd, slots));
	tags_room_close(&tags.room);
	put_cgroup("slice", "67108864\n", "62910464\n", "anon 1\ninactive_file 0\nactive_file 0\n");
	tags_room_open(&tags.room, directory, "/slice");
	lock_tags(&tags, slots * STORE_TAG_SIZE);
	put_tag(&tags, 1);
	assert_int_equal(locked_kib(tags.tag), 4);
	assert_true(tags_mem_forget(&tags));
	assert_int_equal(tags.pages, 0);
	assert_int_equal(tags_mem_state(&tags, 1), TAG_NONE);
	assert_int_equal(locked_kib(tags.tag), 0);
	/* Of the room that is left it's one page's. */
	assert_true(tags_mem_may_grow(&tags, 0, TAGS_MEM_SLOTS));
	assert_false(tags_mem_may_grow(&tags, 0, 2 * TAGS_MEM_SLOTS));
	put_tag(&tags, 5 * TAGS_MEM_SLOTS);
	assert_int_equal(locked_kib(tags.tag), 4);
	assert_int_equal(tags.pages, 1);
	tags_mem_unmap(&tags);
	close(fd);
	remove_cgroup("slice");
}

/* --- what is owed --- */

/* A file, whatever the file system is in memory or not: discards are owed. */
static struct store *open_owing(const char *name, uint32_t trim_bytes)
{
	const struct store_request request = {
		.data_path = path_of(name), .slots = SLOTS, .format = true,
	};
	struct store *engine;

	store_files_close(&held);
	assert_true(store_files_open(&held, &request));
	engine = store_file_ops.open(&held, SLOTS);
	engine->facts.medium = VIRTIO_CSWAP_MEDIUM_FLASH;
	engine->facts.trim_bytes = trim_bytes;
	return activated(store_slots_wrap(engine, held.fd[STORE_TAGS_FILE]));
}

static uint64_t owed(const struct bench *b)
{
	return store_get_use(b->store).owed_slots;
}

static void write_all(struct bench *b, uint64_t begin, uint64_t end)
{
	for (; begin < end; begin += STORE_MAX_PAGES) {
		fill(b, STORE_MAX_PAGES, (int)begin);
		assert_int_equal(run(b, STORE_WRITE, begin, STORE_MAX_PAGES), 0);
	}
}

/* Give back all that can be; returns how many slots that touched. */
static uint64_t give_all(struct bench *b, uint64_t most)
{
	uint64_t given = 0;

	do {
		assert_int_equal(run(b, STORE_GIVE_BACK, 0, most), 0);
		given += b->op.count;
	} while (b->op.count);
	return given;
}

/* A discard is no I/O, and reads as one all the same. Checks: device-discard-free */
static void discards_are_owed(void **state)
{
	struct store *store = open_owing("owed", PAGE);
	blkcnt_t full, empty;
	struct bench b;

	(void)state;
	bench_open(&b, store);
	empty = blocks_of("owed");
	write_all(&b, 0, 1024);
	full = blocks_of("owed");
	assert_true(full - empty >= 1024 * 8);
	assert_int_equal(owed(&b), 0);
	/* Of what was never stored nothing is owed. */
	assert_int_equal(run(&b, STORE_DISCARD, 100, SLOTS - 100), 0);
	assert_int_equal(owed(&b), 924);
	assert_int_equal(blocks_of("owed"), full);
	assert_int_equal(run(&b, STORE_READ, 100, 1), -ENODATA);
	assert_int_equal(run(&b, STORE_READ, 99, 2), -ENODATA);
	assert_int_equal(run(&b, STORE_DISCARD, 100, 50), 0);
	assert_int_equal(owed(&b), 924);
	/* A slot that is used again is owed no longer. */
	fill(&b, 4, 7);
	assert_int_equal(run(&b, STORE_WRITE, 510, 4), 0);
	assert_int_equal(owed(&b), 920);
	bench_close(&b);
	/* Who comes next owes the same. */
	store->ops->deactivate(store);
	assert_true(store->ops->activate(store));
	bench_open(&b, store);
	assert_int_equal(owed(&b), 920);
	assert_int_equal(give_all(&b, 300), 920);
	assert_int_equal(owed(&b), 0);
	assert_true(blocks_of("owed") - empty <= 128 * 8);
	/* The four share a page of tags each with what is gone. */
	assert_int_equal(tags_bytes(&b), 3 * PAGE);
	assert_int_equal(run(&b, STORE_READ, 510, 4), 0);
	expect(&b, 4, 7);
	assert_int_equal(run(&b, STORE_READ, 64, 36), 0);
	expect(&b, 36, 64);
	assert_int_equal(run(&b, STORE_READ, 514, 1), -ENODATA);
	bench_close(&b);
	store_close(store);
	remove_files("owed");
}

/* A guest that has come may go back, so nothing is given back before it stays. */
static void nothing_is_given_back_of_a_guest_that_comes(void **state)
{
	const struct store_ticket ticket = { .number = "a move" };
	struct store *store = open_owing("comes", PAGE);
	const struct store_move_ops *move = store->ops->move;
	struct bench b;

	(void)state;
	assert_true(store_can_move(store));
	bench_open(&b, store);
	write_all(&b, 0, 512);
	assert_int_equal(run(&b, STORE_DISCARD, 0, 512), 0);
	assert_int_equal(owed(&b), 512);
	assert_true(move->yield(store));
	assert_int_equal(move->take(store, &ticket), STORE_TAKEN);
	assert_int_equal(owed(&b), 0);
	assert_int_equal(give_all(&b, 512), 0);
	assert_int_equal(move->take(store, NULL), STORE_TAKEN);
	assert_int_equal(owed(&b), 512);
	assert_int_equal(give_all(&b, 512), 512);
	bench_close(&b);
	store_close(store);
	remove_files("comes");
}

/* A medium that gives back four pages at a time gets no less. */
static void whole_units_are_given_back(void **state)
{
	struct store *store = open_owing("units", 4 * PAGE);
	struct bench b;

	(void)state;
	bench_open(&b, store);
	write_all(&b, 0, 512);
	assert_int_equal(run(&b, STORE_DISCARD, 6, 9), 0);
	assert_int_equal(run(&b, STORE_GIVE_BACK, 0, 1), 0);
	assert_int_equal(b.op.slot, 8);
	assert_int_equal(b.op.count, 4);
	assert_int_equal(give_all(&b, 512), 0);
	assert_int_equal(owed(&b), 5);
	assert_int_equal(run(&b, STORE_READ, 5, 1), 0);
	assert_int_equal(run(&b, STORE_READ, 15, 1), 0);
	/* The rest goes when its units are free. */
	assert_int_equal(run(&b, STORE_DISCARD, 4, 2), 0);
	assert_int_equal(run(&b, STORE_DISCARD, 15, 1), 0);
	assert_int_equal(give_all(&b, 512), 12);
	assert_int_equal(owed(&b), 0);
	assert_int_equal(run(&b, STORE_READ, 3, 1), 0);
	assert_int_equal(run(&b, STORE_READ, 16, 1), 0);
	bench_close(&b);
	store_close(store);
	remove_files("units");
}

/* Where units are used in part everywhere, a look for what can be given back has a bound. */
static void a_look_has_a_bound(void **state)
{
	struct tags_mem tags;
	struct owed_run run;
	struct owed owed;
	unsigned int looks = 0;
	uint64_t slot;
	int fd = tags_mem_create(100 * OWED_CHUNK);

	(void)state;
	assert_true(tags_mem_map(&tags, fd, 100 * OWED_CHUNK));
	assert_int_equal(fallocate(fd, 0, 0, 100 * OWED_CHUNK * STORE_TAG_SIZE), 0);
	tags_mem_note(&tags, 0, 100 * OWED_CHUNK);
	assert_true(owed_open(&owed, &tags, 2 * PAGE));
	for (slot = 0; slot < 100 * OWED_CHUNK; slot += OWED_CHUNK) {
		memset(&tags.tag[slot], 1, 2 * STORE_TAG_SIZE);
		owed_discard(&owed, slot, 1);
	}
	assert_int_equal(owed_total(&owed), 100);
	for (looks = 0; looks < 10; looks++)
		assert_false(owed_pick(&owed, 512, &run));
	/* What can be isn't found by the first that looks, but by the fourth. */
	owed_discard(&owed, 90 * OWED_CHUNK, 2);
	owed.next = 0;
	assert_false(owed_pick(&owed, 512, &run));
	for (looks = 1; !owed_pick(&owed, 512, &run); looks++)
		assert_in_range(looks, 0, 3);
	assert_int_equal(run.slot, 90 * OWED_CHUNK);
	assert_int_equal(run.count, 2);
	owed_settle(&owed, &run, true);
	assert_int_equal(owed_total(&owed), 99);
	assert_int_equal(owed_given(&owed), 2);
	owed_close(&owed);
	tags_mem_unmap(&tags);
	close(fd);
}

/* Checks: device-store-nospc */
static void a_full_medium_is_given_back_to_first(void **state)
{
	struct store *store = open_owing("full", PAGE);
	struct bench b;

	(void)state;
	bench_open(&b, store);
	write_all(&b, 0, 2048);
	assert_int_equal(run(&b, STORE_DISCARD, 512, 1024), 0);
	b.lie_part = STORE_PART_DATA;
	b.lie = -ENOSPC;
	/* The medium is full once. */
	b.lies = 1;
	fill(&b, 3, 77);
	assert_int_equal(run(&b, STORE_WRITE, 3000, 3), 0);
	assert_int_equal(b.lies, 0);
	/* The STORE may have found room before what was given back for it is counted. */
	while (owed(&b) > 512) {
		io_uring_submit(&b.ring);
		reap_one(&b);
	}
	assert_int_equal(owed(&b), 512);
	assert_int_equal(run(&b, STORE_READ, 3000, 3), 0);
	expect(&b, 3, 77);
	/* A STORE into a chunk that is owed itself. */
	b.lies = 1;
	fill(&b, 3, 78);
	assert_int_equal(run(&b, STORE_WRITE, 1100, 3), 0);
	assert_int_equal(run(&b, STORE_READ, 1100, 3), 0);
	expect(&b, 3, 78);
	/* With nothing owed it fails, and what it held is discarded. */
	give_all(&b, 512);
	b.lies = 1;
	assert_int_equal(run(&b, STORE_WRITE, 3000, 3), -ENOSPC);
	assert_int_equal(run(&b, STORE_READ, 3000, 1), -ENODATA);
	assert_int_equal(owed(&b), 3);
	bench_close(&b);
	store_close(store);
	remove_files("full");
}

/* One stores and discards, another gives back all the time: nothing stored is destroyed. */
struct giver {
	struct store *store;
	bool done;			/* atomic */
	uint64_t given;
};

static void *give_all_the_time(void *arg)
{
	struct giver *giver = arg;
	struct bench b;

	bench_open(&b, giver->store);
	while (!__atomic_load_n(&giver->done, __ATOMIC_ACQUIRE)) {
		if (run(&b, STORE_GIVE_BACK, 0, 64))
			return (void *)1;
		giver->given += b.op.count;
	}
	bench_close(&b);
	return NULL;
}

#define GIVER_ROUNDS 300

static void giving_back_spares_what_is_stored(void **state)
{
	struct store *store = open_owing("giver", PAGE);
	struct giver giver = { .store = store };
	pthread_t thread;
	struct bench b;
	void *failed;
	int round;

	(void)state;
	bench_open(&b, store);
	assert_int_equal(pthread_create(&thread, NULL, give_all_the_time, &giver), 0);
	for (round = 0; round < GIVER_ROUNDS || giver.given < 100; round++) {
		uint64_t slot = 500 + (uint64_t)round % 16;

		fill(&b, 24, round);
		assert_int_equal(run(&b, STORE_WRITE, slot, 24), 0);
		wipe(&b);
		assert_int_equal(run(&b, STORE_READ, slot, 24), 0);
		expect(&b, 24, round);
		assert_int_equal(run(&b, STORE_DISCARD, slot + (uint64_t)round % 3, 20), 0);
		assert_int_equal(run(&b, STORE_READ, slot + 2, 1), -ENODATA);
	}
	__atomic_store_n(&giver.done, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_int_equal(run(&b, STORE_DISCARD, 0, SLOTS), 0);
	give_all(&b, 512);
	assert_int_equal(owed(&b), 0);
	assert_int_equal(tags_bytes(&b), 0);
	bench_close(&b);
	store_close(store);
	remove_files("giver");
}

/* --- kernels that do less than asked --- */

/* Checks: device-load-whole */
static void short_io_goes_on(void **state)
{
	static const struct {
		enum store_part part;
		int result;
		unsigned int times;
	} cases[] = {
		{ STORE_PART_DATA, PAGE, 2 },
		{ STORE_PART_DATA, 2 * PAGE, 1 },
		{ STORE_PART_TAGS, 16, 2 },
		{ STORE_PART_TAGS, 5, 9 },
		{ STORE_PART_DATA, -EAGAIN, 2 },
		{ STORE_PART_TAGS, -EINTR, 2 },
	};
	struct store *store = open_file("short");
	struct bench b;
	unsigned int i;

	(void)state;
	bench_open(&b, store);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int seed = 10 * (int)i;

		fill(&b, 3, seed);
		b.lie = cases[i].result;
		b.lie_part = cases[i].part;
		b.lies = cases[i].times;
		assert_int_equal(run(&b, STORE_WRITE, 20, 3), 0);
		assert_int_equal(b.lies, 0);
		wipe(&b);
		b.lies = cases[i].times;
		assert_int_equal(run(&b, STORE_READ, 20, 3), 0);
		assert_int_equal(b.lies, 0);
		expect(&b, 3, seed);
	}
	bench_close(&b);
	store_close(store);
	remove_files("short");
}

static void errors_are_told(void **state)
{
	static const int errors[] = { -EIO, -ENOSPC, -EDQUOT, 0 };
	struct store *store = open_file("errors");
	struct bench b;
	unsigned int i;

	(void)state;
	bench_open(&b, store);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		b.lie = errors[i];
		b.lies = 1;
		b.lie_part = STORE_PART_DATA;
		assert_int_equal(run(&b, STORE_WRITE, 1, 2),
				 errors[i] ? errors[i] : -EIO);
		b.lies = 1;
		b.lie_part = STORE_PART_TAGS;
		assert_int_equal(run(&b, STORE_READ, 1, 2),
				 errors[i] ? errors[i] : -EIO);
	}
	/* Trying again has an end. */
	b.lie = -EAGAIN;
	b.lies = 1000;
	assert_int_equal(run(&b, STORE_WRITE, 1, 1), -EAGAIN);
	b.lies = 0;
	assert_int_equal(run(&b, STORE_WRITE, 1, 1), 0);
	/* A medium that can't punch is no failure; one that fails is. */
	b.lie_part = STORE_PART_DATA;
	b.lie = -EOPNOTSUPP;
	b.lies = 1;
	assert_int_equal(run(&b, STORE_DISCARD, 1, 1), 0);
	b.lie = -EIO;
	b.lies = 1;
	assert_int_equal(run(&b, STORE_DISCARD, 1, 1), -EIO);
	bench_close(&b);
	store_close(store);
	remove_files("errors");
}

/* Checks: device-load-whole */
static void a_file_cut_short_is_an_error(void **state)
{
	struct store *store = open_file("cut");
	struct bench b;

	(void)state;
	bench_open(&b, store);
	assert_int_equal(truncate(path_of("cut"), STORE_DATA_OFFSET + PAGE), 0);
	fill(&b, 1, 1);
	assert_int_equal(run(&b, STORE_WRITE, 0, 1), 0);
	assert_int_equal(run(&b, STORE_READ, 0, 1), 0);
	assert_int_equal(run(&b, STORE_READ, 1, 1), -EIO);
	assert_int_equal(run(&b, STORE_READ, 0, 2), -EIO);
	bench_close(&b);
	store_close(store);
	remove_files("cut");
}

static void cut_and_extend(const char *path, off_t to)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, to), 0);
	assert_int_equal(truncate(path, st.st_size), 0);
}

/* Data or tags that are zeros by now aren't what was stored. Checks: device-store-unit */
static void a_hole_is_an_error(void **state)
{
	struct store *store = open_file("hole");
	char tags[700];
	struct bench b;

	(void)state;
	snprintf(tags, sizeof(tags), "%s.tags", path_of("hole"));
	bench_open(&b, store);
	fill(&b, 4, 1);
	assert_int_equal(run(&b, STORE_WRITE, 300, 4), 0);
	assert_int_equal(run(&b, STORE_WRITE, 1300, 4), 0);
	cut_and_extend(path_of("hole"), STORE_DATA_OFFSET + (off_t)PAGE * 1000);
	assert_int_equal(run(&b, STORE_READ, 1300, 1), -ENODATA);
	assert_int_equal(run(&b, STORE_READ, 300, 4), 0);
	expect(&b, 4, 1);
	cut_and_extend(tags, STORE_TAGS_OFFSET + PAGE);
	assert_int_equal(run(&b, STORE_READ, 300, 1), -ENODATA);
	assert_int_equal(run(&b, STORE_READ, 303, 1), -ENODATA);
	/* What is stored from now on is there. */
	fill(&b, 1, 1);
	assert_int_equal(run(&b, STORE_WRITE, 301, 1), 0);
	assert_int_equal(run(&b, STORE_READ, 301, 1), 0);
	assert_int_equal(run(&b, STORE_READ, 300, 3), -ENODATA);
	bench_close(&b);
	store_close(store);
	remove_files("hole");
}

/* Checks: device-store-nospc */
static void a_full_disk_is_an_error(void **state)
{
	char path[400];
	struct store *store;
	struct bench b;
	uint64_t slot;
	int error = 0;

	(void)state;
	if (!*small_disk) {
		print_message("SKIP: may not mount a tmpfs here\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/store", small_disk);
	store = open_store(path, NULL, SLOTS, false);
	bench_open(&b, store);
	fill(&b, 1, 1);
	for (slot = 0; slot < SLOTS && !error; slot++)
		error = run(&b, STORE_WRITE, slot, 1);
	assert_int_equal(error, -ENOSPC);
	assert_true(slot > SMALL_DISK_BYTES / PAGE / 2);
	/* What was stored is still there, and a discard makes room. */
	assert_int_equal(run(&b, STORE_READ, 0, 1), 0);
	expect(&b, 1, 1);
	assert_int_equal(run(&b, STORE_DISCARD, 0, 64), 0);
	assert_int_equal(run(&b, STORE_WRITE, slot, 1), 0);
	bench_close(&b);
	store_close(store);
}

/* --- stores that can't be --- */

static void bad_stores_are_refused(void **state)
{
	struct store *store;
	char tags[700];

	(void)state;
	assert_null(open_store(directory, NULL, SLOTS, false));
	assert_null(open_store("/dev/null", NULL, SLOTS, false));
	assert_null(open_store("/nonexistent/store", NULL, SLOTS, false));
	store = open_file("twice");
	assert_non_null(store);
	assert_null(open_file("twice"));
	/* Nor may two stores share their tags. */
	snprintf(tags, sizeof(tags), "%s.tags", path_of("twice"));
	assert_null(open_store(path_of("other"), tags, SLOTS, false));
	store_close(store);
	remove_files("twice");
	remove_files("other");
}

/* One is active at a time, and what one has written the next one reads: a move on one host. */
static void one_is_active_at_a_time(void **state)
{
	struct store *store = open_file("moves"), *other;
	struct bench b;

	(void)state;
	assert_non_null(store);
	other = store_open(&held, SLOTS);
	assert_non_null(other);
	bench_open(&b, store);
	fill(&b, 3, 40);
	assert_int_equal(run(&b, STORE_WRITE, 70, 3), 0);
	bench_close(&b);
	assert_false(other->ops->activate(other));
	store->ops->deactivate(store);
	assert_true(other->ops->activate(other));
	assert_false(store->ops->activate(store));
	bench_open(&b, other);
	assert_int_equal(run(&b, STORE_READ, 70, 3), 0);
	expect(&b, 3, 40);
	bench_close(&b);
	/* It may come back. */
	other->ops->deactivate(other);
	assert_true(store->ops->activate(store));
	store_close(other);
	store_close(store);
	remove_files("moves");
}

/* What is known without any I/O. */
static void facts_are_known_before_use(void **state)
{
	struct store *memory = store_open(NULL, SLOTS), *file = open_file("facts");

	(void)state;
	assert_int_equal(memory->facts.medium, VIRTIO_CSWAP_MEDIUM_MEMORY);
	assert_false(memory->facts.flags & STORE_READS_ZEROS);
	assert_int_equal(memory->facts.slots, SLOTS);
	assert_int_equal(file->facts.slots, SLOTS);
	assert_true(file->facts.flags & STORE_READS_ZEROS);
	assert_true(file->facts.trim_bytes >= 512);
	assert_int_equal(file->facts.merge_pages, STORE_MAX_PAGES);
	store_close(memory);
	store_close(file);
	remove_files("facts");
}

/* A larger file keeps its size: it may be that the operator erred. */
static void a_larger_file_is_not_cut(void **state)
{
	struct store *store = open_file("large");
	struct stat st;

	(void)state;
	assert_non_null(store);
	store_close(store);
	store = open_store(path_of("large"), NULL, SLOTS / 2, false);
	assert_non_null(store);
	assert_int_equal(stat(path_of("large"), &st), 0);
	assert_int_equal(st.st_size, STORE_DATA_OFFSET + (off_t)SLOTS * PAGE);
	store_close(store);
	remove_files("large");
}

/* --- the malicious host --- */

static void write_versions(struct bench *b, uint64_t slot, int versions)
{
	int i;

	for (i = 0; i < versions; i++) {
		fill(b, 1, 10 * i);
		assert_int_equal(run(b, STORE_WRITE, slot, 1), 0);
	}
}

static void read_slot(struct bench *b, uint64_t slot)
{
	wipe(b);
	assert_int_equal(run(b, STORE_READ, slot, 1), 0);
}

/* Each fault has slots of its own; slot n is hit if it's even. */
static void faults_do_what_they_say(void **state)
{
	struct store *store;
	struct bench b;
	uint64_t slot;

	(void)state;
	assert_null(store_fault_add("flip:slots=0-9:every=2"));
	assert_null(store_fault_add("flip-tag:slots=10-19:every=2"));
	assert_null(store_fault_add("stale:slots=20-29:every=2"));
	assert_null(store_fault_add("stale-data:slots=30-39:every=2"));
	assert_null(store_fault_add("swap-slot:slots=40-49:every=2"));
	assert_null(store_fault_add("zero:slots=50-59:every=2:times=2"));
	assert_null(store_fault_add("short:slots=60-69:every=2"));
	assert_null(store_fault_add("eio-load:slots=70-79:every=2"));
	assert_null(store_fault_add("eio-store:slots=80-89:every=2"));
	assert_null(store_fault_add("nospc-store:slots=90-99:every=2"));
	assert_null(store_fault_add("lose-store:slots=100-109:every=2"));
	assert_null(store_fault_add("delay-load:slots=110-119:every=2:ms=1:jitter=1"));
	store = store_fault_wrap(open_memory());
	bench_open(&b, store);
	for (slot = 0; slot < 120; slot++)
		write_versions(&b, slot, 2);
	/* Disarmed, nothing happens. */
	for (slot = 0; slot < 120; slot++) {
		read_slot(&b, slot);
		expect(&b, 1, 10);
	}
	store_fault_arm(true);
	for (slot = 1; slot < 120; slot += 2) {
		read_slot(&b, slot);
		expect(&b, 1, 10);
	}
	read_slot(&b, 2);
	assert_int_equal(b.pages[2 * 37], 10 ^ 1 << 2);
	assert_int_equal(b.op.tag[0].b[0], 110);
	read_slot(&b, 12);
	assert_int_equal(b.pages[0], 10);
	assert_int_equal(b.op.tag[0].b[12], 110 ^ 1 << 4);
	read_slot(&b, 20);
	expect(&b, 1, 0);
	read_slot(&b, 30);
	assert_int_equal(b.pages[9], 0);
	assert_int_equal(b.op.tag[0].b[0], 110);
	store_fault_arm(false);
	fill(&b, 1, 77);
	assert_int_equal(run(&b, STORE_WRITE, 41, 1), 0);
	store_fault_arm(true);
	read_slot(&b, 40);
	expect(&b, 1, 77);
	read_slot(&b, 50);
	assert_int_equal(b.pages[0] | b.op.tag[0].b[0], 0);
	read_slot(&b, 50);
	assert_int_equal(b.pages[0], 0);
	read_slot(&b, 50);
	expect(&b, 1, 10);
	read_slot(&b, 60);
	assert_int_equal(b.pages[PAGE / 2 - 1], 10);
	assert_int_equal(b.pages[PAGE / 2], 0);
	assert_int_equal(run(&b, STORE_READ, 70, 1), -EIO);
	assert_int_equal(run(&b, STORE_WRITE, 80, 1), -EIO);
	assert_int_equal(run(&b, STORE_WRITE, 90, 1), -ENOSPC);
	fill(&b, 1, 55);
	assert_int_equal(run(&b, STORE_WRITE, 100, 1), 0);
	read_slot(&b, 100);
	expect(&b, 1, 10);
	read_slot(&b, 110);
	expect(&b, 1, 10);
	bench_close(&b);
	store_close(store);
	store_fault_arm(false);
}

static void bad_faults_are_refused(void **state)
{
	static const char *const specs[] = {
		"", "flop", "flip:", "flip:slots", "flip:slots=3",
		"flip:slots=3-", "flip:every=0", "flip:every=x",
		"flip:every=1x", "flip:wat=1", "flip:times=65535",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		assert_non_null(store_fault_add(specs[i]));
}

/* --- a place for files --- */

static bool write_file(const char *path, const char *format, unsigned int id)
{
	char text[64];
	int n = snprintf(text, sizeof(text), format, id);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A mount namespace of our own; without root, as root of a user namespace. */
static bool enter_namespace(void)
{
	unsigned int uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWNS)) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
		    !write_file("/proc/self/setgroups", "deny", 0) ||
		    !write_file("/proc/self/uid_map", "0 %u 1", uid) ||
		    !write_file("/proc/self/gid_map", "0 %u 1", gid))
			return false;
	}
	return !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int make_places(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	log_init(LOG_CRIT);
	snprintf(directory, sizeof(directory), "%s/cswap-store-XXXXXX",
		 base ? base : "/tmp");
	assert_non_null(mkdtemp(directory));
	snprintf(small_disk, sizeof(small_disk), "%s/small", directory);
	assert_int_equal(mkdir(small_disk, 0700), 0);
	if (!enter_namespace() ||
	    mount("tmpfs", small_disk, "tmpfs", 0, "size=1m"))
		*small_disk = '\0';
	return 0;
}

static int remove_places(void **state)
{
	char path[300];

	(void)state;
	store_files_close(&held);
	if (*small_disk)
		umount(small_disk);
	snprintf(path, sizeof(path), "%s/small", directory);
	rmdir(path);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mem_round_trips),
		cmocka_unit_test(file_round_trips),
		cmocka_unit_test(tags_in_memory_round_trip),
		cmocka_unit_test(tags_take_memory_as_slots_do),
		cmocka_unit_test(no_memory_for_tags_is_no_space),
		cmocka_unit_test(tags_without_room_are_never_touched),
		cmocka_unit_test(a_full_cgroup_gives_no_room),
		cmocka_unit_test(tags_that_come_are_as_any_others),
		cmocka_unit_test(discards_are_owed),
		cmocka_unit_test(nothing_is_given_back_of_a_guest_that_comes),
		cmocka_unit_test(whole_units_are_given_back),
		cmocka_unit_test(a_look_has_a_bound),
		cmocka_unit_test(a_full_medium_is_given_back_to_first),
		cmocka_unit_test(giving_back_spares_what_is_stored),
		cmocka_unit_test(files_are_laid_out_plainly),
		cmocka_unit_test(discard_gives_the_disk_back),
		cmocka_unit_test(neighbouring_tags_survive),
		cmocka_unit_test(short_io_goes_on),
		cmocka_unit_test(errors_are_told),
		cmocka_unit_test(a_file_cut_short_is_an_error),
		cmocka_unit_test(a_hole_is_an_error),
		cmocka_unit_test(a_full_disk_is_an_error),
		cmocka_unit_test(bad_stores_are_refused),
		cmocka_unit_test(one_is_active_at_a_time),
		cmocka_unit_test(facts_are_known_before_use),
		cmocka_unit_test(a_larger_file_is_not_cut),
		cmocka_unit_test(faults_do_what_they_say),
		cmocka_unit_test(bad_faults_are_refused),
	};

	return cmocka_run_group_tests_name("store", tests, make_places,
					   remove_places);
}
