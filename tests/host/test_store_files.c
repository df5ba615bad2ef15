// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_store_files.c - which files become a store, and what happens to them afterwards.
 *
 * Files lie in TMPDIR. As root, and with losetup, a block device is tried as well.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/signature.h"
#include "store/store_files.h"

#define SLOTS 1024
#define USER "/run/test"
#define DATA_BYTES (STORE_DATA_OFFSET + (off_t)SLOTS * STORE_SLOT_SIZE)
#define TAGS_BYTES (STORE_TAGS_OFFSET + (off_t)SLOTS * STORE_TAG_SIZE)

static char directory[256];

/* In a ring of buffers, so that an expression may have several. */
static const char *path_of(const char *name)
{
	static char path[4][512];
	static unsigned int next;
	char *to = path[next++ % 4];

	snprintf(to, sizeof(path[0]), "%s/%s", directory, name);
	return to;
}

static bool shell(const char *format, ...)
{
	char command[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return !system(command);
}

static void remove_all(void)
{
	assert_true(shell("rm -rf %s/*", directory));
}

static bool open_as(struct store_files *files, const char *data, const char *tags, bool format)
{
	const struct store_request request = {
		.data_path = data, .tags_path = tags, .slots = SLOTS, .format = format,
		.user = USER,
	};

	return store_files_open(files, &request);
}

static bool can_open(const char *data, const char *tags, bool format)
{
	struct store_files files;
	bool opened = open_as(&files, data, tags, format);

	if (opened)
		store_files_close(&files);
	return opened;
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st;
}

static bool begins_with(const char *path, const char *text)
{
	char found[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(read(fd, found, strlen(text)) >= 0);
	close(fd);
	return !strcmp(found, text);
}

/* --- what becomes a store --- */

static void files_are_made_and_found_again(void **state)
{
	struct store_files one, two;
	struct stat st;

	(void)state;
	assert_true(open_as(&one, path_of("store"), path_of("store.tags"), false));
	st = stat_of(path_of("store"));
	assert_int_equal(st.st_size, DATA_BYTES);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_blocks * 512 <= 64 * 1024);
	assert_int_equal(stat_of(path_of("store.tags")).st_size, TAGS_BYTES);
	assert_true(begins_with(path_of("store"), "virtio-cswap\n"));
	assert_true(begins_with(path_of("store.tags"), "virtio-cswap\n"));
	assert_true(store_files_is_signed(&one, STORE_DATA_FILE));
	assert_true(store_files_is_signed(&one, STORE_TAGS_FILE));
	assert_true(open_as(&two, path_of("store"), path_of("store.tags"), false));
	assert_memory_equal(&one.identity, &two.identity, sizeof(one.identity));
	store_files_close(&two);
	/* --format is for what is no store. */
	assert_true(open_as(&two, path_of("store"), path_of("store.tags"), true));
	assert_memory_equal(&one.identity, &two.identity, sizeof(one.identity));
	store_files_close(&two);
	store_files_close(&one);
	remove_all();
}

static void what_is_empty_is_taken(void **state)
{
	static const char *const makers[] = {
		": >%s", "truncate -s 64M %s", "fallocate -l 4M %s",
		"dd if=/dev/zero of=%s bs=64K count=3 status=none",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		assert_true(shell(makers[i], path_of("store")));
		assert_true(shell(makers[i], path_of("store.tags")));
		assert_true(can_open(path_of("store"), path_of("store.tags"), false));
		remove_all();
	}
}

/* Refused, and nothing of it is changed. */
static void what_has_content_is_refused(void **state)
{
	static const char *const makers[] = {
		"printf hello >%1$s", "head -c 100000 /dev/zero >%1$s && printf x >>%1$s",
		"truncate -s 64M %1$s && printf x >>%1$s",
		"truncate -s 64M %1$s && mkfs.ext4 -qF %1$s",
		"head -c 20M /dev/zero >%1$s",
	};
	static const char *const names[] = { "store", "store.tags" };
	struct stat before, after;
	unsigned int i, j;

	(void)state;
	for (i = 0; i < sizeof(makers) / sizeof(makers[0]) * 2; i++) {
		char victim[300];

		snprintf(victim, sizeof(victim), "%s", path_of(names[i & 1]));

		assert_true(shell(makers[i / 2], victim));
		before = stat_of(victim);
		for (j = 0; j < 2; j++)
			assert_false(can_open(path_of("store"), path_of("store.tags"), false));
		after = stat_of(victim);
		assert_int_equal(before.st_size, after.st_size);
		assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
		assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
		assert_true(can_open(path_of("store"), path_of("store.tags"), true));
		after = stat_of(victim);
		assert_int_equal(after.st_size, i & 1 ? TAGS_BYTES : DATA_BYTES);
		assert_true(after.st_blocks * 512 <= 64 * 1024);
		assert_true(can_open(path_of("store"), path_of("store.tags"), false));
		remove_all();
	}
}

/* Tags in memory are one's that has their descriptor. Without them what the file has is nothing. */
static void tags_in_memory_are_kept_or_gone(void **state)
{
	char path[300];
	const struct store_request request = { .data_path = path, .slots = SLOTS };
	struct store_files one, two;
	char wrong[STORE_WRONG_BYTES];
	int kept[STORE_NUM_FILES];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s", path_of("store"));
	assert_true(open_as(&one, path, NULL, false));
	assert_true(one.tags_in_memory);
	assert_int_equal(fstat(one.fd[STORE_TAGS_FILE], &st), 0);
	assert_int_equal(st.st_size, SLOTS * 16);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(stat(path_of("store.tags"), &st), -1);
	assert_int_equal(store_files_state(&one, STORE_TAGS_FILE), STORE_WHOLE);
	assert_true(store_files_is_signed(&one, STORE_TAGS_FILE));
	assert_true(shell("head -c 8M /dev/urandom | dd of=%s bs=1M seek=2 conv=notrunc status=none",
			  path_of("store")));
	/* Kept, the next one goes on, and nothing is lost. */
	memcpy(kept, one.fd, sizeof(kept));
	assert_true(store_files_go_on(&two, &request, &one.identity, &one.names, kept, wrong));
	assert_true(stat_of(path_of("store")).st_blocks * 512 >= 8 << 20);
	/* With the data alone it's another store. */
	kept[STORE_TAGS_FILE] = -1;
	assert_false(store_files_go_on(&two, &request, &one.identity, &one.names, kept, wrong));
	assert_non_null(strstr(wrong, "memory"));
	store_files_close(&one);
	assert_true(open_as(&two, path_of("store"), NULL, false));
	assert_memory_not_equal(&one.identity, &two.identity, sizeof(one.identity));
	assert_true(stat_of(path_of("store")).st_blocks * 512 <= 64 * 1024);
	store_files_close(&two);
	remove_all();
}

static void tags_belong_to_their_store(void **state)
{
	struct store_files one, two;

	(void)state;
	assert_true(open_as(&one, path_of("a"), path_of("a.tags"), false));
	store_files_close(&one);
	assert_true(can_open(path_of("b"), path_of("b.tags"), false));
	assert_false(can_open(path_of("a"), path_of("b.tags"), false));
	/* One for the other. */
	assert_false(can_open(path_of("a.tags"), path_of("a"), false));
	assert_true(open_as(&two, path_of("a"), path_of("a.tags"), false));
	assert_memory_equal(&one.identity, &two.identity, sizeof(one.identity));
	store_files_close(&two);
	/* Without its tags, or with others, it is another store. */
	assert_int_equal(unlink(path_of("a.tags")), 0);
	assert_true(open_as(&two, path_of("a"), path_of("a.tags"), false));
	assert_memory_equal(one.identity.id[0], two.identity.id[0], STORE_ID_BYTES);
	assert_memory_not_equal(one.identity.id[1], two.identity.id[1], STORE_ID_BYTES);
	store_files_close(&two);
	assert_true(can_open(path_of("a"), path_of("b.tags"), true));
	assert_false(can_open(path_of("b"), path_of("b.tags"), false));
	remove_all();
}

static void no_file_is_made_where_none_belongs(void **state)
{
	static const char *const names[] = {
		"/dev/cswap-nosuch", "/dev/shm/cswap-nosuch", "/proc/cswap-nosuch",
		"/sys/cswap-nosuch", "/dev/../dev/cswap-nosuch",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_false(can_open(names[i], path_of("tags"), false));
		assert_false(can_open(names[i], path_of("tags"), true));
		assert_false(can_open(path_of("store"), names[i], false));
		assert_int_equal(access(names[i], F_OK), -1);
	}
	assert_false(can_open("/dev/null", path_of("tags"), true));
	assert_false(can_open(directory, path_of("tags"), true));
	assert_false(can_open(path_of("store"), "/dev/null", true));
	remove_all();
}

/* What is swapped out shall leave the host's memory. */
static void a_store_in_memory_is_warned_of(void **state)
{
	char text[1024] = "";
	int ends[2], status;
	size_t n = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(path_of("memory"), 0700), 0);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("tmpfs", path_of("memory"), "tmpfs", 0, "size=8m"))
			_exit(77);
		dup2(ends[1], STDERR_FILENO);
		log_init(LOG_WARNING);
		_exit(!can_open(path_of("memory/store"), NULL, false));
	}
	close(ends[1]);
	while (n < sizeof(text) - 1 && (status = (int)read(ends[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)status;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	remove_all();
	if (WEXITSTATUS(status) == 77) {
		print_message("SKIP: may not mount a tmpfs here\n");
		skip();
	}
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, "is in the host's memory"));
}

/* --- what happens to them --- */

static bool is_locked(int fd)
{
	bool locked = flock(fd, LOCK_EX | LOCK_NB);

	if (!locked)
		flock(fd, LOCK_UN);
	return locked;
}

/* Whatever happens to the name, it's the same inode; nothing is made or extended. */
static void names_dont_matter_afterwards(void **state)
{
	static const char *const changes[] = {
		"true", "rm %1$s/store", "mv %1$s/store %1$s/moved",
		"mv %1$s/store %1$s/moved && cp %1$s/moved %1$s/store",
		"cp %1$s/store %1$s/other && mv %1$s/other %1$s/store",
		"truncate -s 8192 %1$s/store",
		"truncate -s 0 %1$s/store && truncate -s 64M %1$s/store",
	};
	static const enum store_state states[] = {
		STORE_WHOLE, STORE_DELETED, STORE_MOVED, STORE_MOVED, STORE_DELETED,
		STORE_CUT, STORE_WHOLE,
	};
	struct store_files files;
	struct stat held, st;
	unsigned int i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		assert_true(open_as(&files, path_of("store"), NULL, false));
		assert_true(shell(changes[i], directory));
		assert_int_equal(fstat(files.fd[STORE_DATA_FILE], &held), 0);
		/* It can't be written by what is held, and isn't locked by it. */
		assert_int_equal(pwrite(files.fd[STORE_DATA_FILE], "x", 1, 0), -1);
		fd = store_files_reopen(&files, STORE_DATA_FILE, O_DIRECT);
		assert_true(fd >= 0);
		assert_true(is_locked(files.fd[STORE_DATA_FILE]));
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_ino, held.st_ino);
		assert_int_equal(st.st_size, held.st_size);
		assert_int_equal(store_files_state(&files, STORE_DATA_FILE), states[i]);
		assert_int_equal(store_files_state(&files, STORE_TAGS_FILE), STORE_WHOLE);
		assert_int_equal(store_files_is_signed(&files, STORE_DATA_FILE), i != 6);
		close(fd);
		assert_false(is_locked(files.fd[STORE_DATA_FILE]));
		store_files_close(&files);
		remove_all();
	}
}

/* --- block devices --- */

static char loop[64];

/* A loop device of 16 MiB. */
static bool make_loop(void)
{
	FILE *pipe;
	char *end;

	assert_true(shell("truncate -s 16M %s", path_of("disk")));
	if (geteuid() || !shell("losetup -f --show %s >%s 2>/dev/null", path_of("disk"), path_of("loop")))
		return false;
	pipe = fopen(path_of("loop"), "re");
	*loop = '\0';
	end = pipe ? fgets(loop, sizeof(loop), pipe) : NULL;
	if (pipe)
		fclose(pipe);
	if (end)
		loop[strcspn(loop, "\n")] = '\0';
	return *loop;
}

static void end_loop(void)
{
	assert_true(shell("losetup -d %s", loop));
	remove_all();
}

#define NEED_LOOP() do { \
	if (!make_loop()) { \
		print_message("SKIP: no loop devices here\n"); \
		remove_all(); \
		skip(); \
	} \
} while (0)

static void devices_are_taken_if_they_are_empty(void **state)
{
	static const char *const makers[] = {
		"mkfs.ext4 -qF %s", "printf x >%s", "mkswap %s >/dev/null",
		"printf x | dd of=%s bs=1 seek=16777215 status=none",
	};
	unsigned int i;

	(void)state;
	NEED_LOOP();
	assert_true(can_open(loop, NULL, false));
	assert_true(can_open(loop, path_of("tags"), false));
	assert_true(can_open(loop, path_of("tags"), false));
	for (i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		assert_true(shell("dd if=/dev/zero of=%s bs=1M count=16 status=none", loop));
		assert_true(shell(makers[i], loop));
		assert_true(shell("sync %s; md5sum <%s >%s", loop, loop, path_of("sum")));
		assert_false(can_open(loop, path_of("tags"), false));
		assert_true(shell("md5sum <%s | cmp -s - %s", loop, path_of("sum")));
		assert_true(can_open(loop, path_of("tags"), true));
		/* Nothing of it is left. */
		assert_false(shell("blkid -p %s", loop));
		assert_true(can_open(loop, path_of("tags"), false));
	}
	end_loop();
}

/* A mounted one is nobody's, by no option; one that is held can't be mounted. */
static void devices_have_one_user(void **state)
{
	struct store_files files;
	int fd;

	(void)state;
	NEED_LOOP();
	assert_true(open_as(&files, loop, path_of("tags"), false));
	fd = store_files_reopen(&files, STORE_DATA_FILE, O_DIRECT);
	assert_true(fd >= 0);
	assert_int_equal(open(loop, O_RDONLY | O_EXCL | O_CLOEXEC), -1);
	close(fd);
	/* Between two workers as well. */
	assert_int_equal(open(loop, O_RDONLY | O_EXCL | O_CLOEXEC), -1);
	store_files_close(&files);
	assert_true(shell("mkfs.ext4 -qF %s && mkdir %s && mount %s %s", loop,
			  path_of("mnt"), loop, path_of("mnt")));
	assert_false(can_open(loop, path_of("tags"), true));
	assert_true(shell("umount %s && fsck.ext4 -fn %s >/dev/null 2>&1",
			  path_of("mnt"), loop));
	end_loop();
}

/* The device may be held a while by what a dead process has under way. */
static void a_busy_device_is_waited_for(void **state)
{
	char text[512] = "";
	int ends[2], status, holder;
	ssize_t n;
	pid_t pid;

	(void)state;
	NEED_LOOP();
	holder = open(loop, O_RDWR | O_EXCL | O_CLOEXEC);
	assert_true(holder >= 0);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		close(holder);
		dup2(ends[1], STDERR_FILENO);
		log_init(LOG_NOTICE);
		_exit(!can_open(loop, path_of("tags"), false));
	}
	n = read(ends[0], text, sizeof(text) - 1);
	assert_true(n > 0 && strstr(text, "waiting for its user"));
	close(holder);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ends[0]);
	close(ends[1]);
	end_loop();
}

/* --- what an earlier boot has left --- */

#define LEFT_BYTES (2 * 1024 * 1024)

/* Who else may have used it last; text that isn't NULL, and a host's id unless it's 0. */
struct last_use {
	const char *boot_id, *user;
	int host;			/* -1: none that is known */
};

static void pretend(const char *path, const struct last_use *use)
{
	struct signature signature;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0 && signature_read(fd, &signature));
	if (use->boot_id)
		snprintf(signature.boot_id, sizeof(signature.boot_id), "%s", use->boot_id);
	if (use->user)
		snprintf(signature.user, sizeof(signature.user), "%s", use->user);
	if (use->host)
		memset(signature.host_id, use->host < 0 ? 0 : use->host,
		       sizeof(signature.host_id));
	assert_int_equal(pwrite(fd, &signature, sizeof(signature), 0), sizeof(signature));
	close(fd);
}

/* A store with pages in it, which somebody left. */
static void leave_store(const char *data, const char *tags, const struct last_use *use)
{
	struct store_files files;

	assert_true(open_as(&files, data, tags, false));
	store_files_close(&files);
	assert_true(shell("head -c %d /dev/urandom | dd of=%s bs=1M seek=1 conv=notrunc,fdatasync status=none",
			  LEFT_BYTES, data));
	assert_true(shell("printf tag | dd of=%s bs=4096 seek=1 conv=notrunc status=none", tags));
	pretend(data, use);
	pretend(tags, use);
}

static off_t occupied(const char *path)
{
	return stat_of(path).st_blocks * 512;
}

#define EARLIER "01234567-89ab-4def-8123-456789abcdef"

static bool has_host_id(void)
{
	struct signature mine;

	signature_begin(&mine, USER);
	snprintf(mine.boot_id, sizeof(mine.boot_id), EARLIER);
	return signature_origin(&mine) == SIGNATURE_EARLIER_BOOT;
}

static void what_an_earlier_boot_left_is_emptied(void **state)
{
	const struct last_use earlier = { .boot_id = EARLIER };
	struct store_files one, two;

	(void)state;
	if (!has_host_id()) {
		print_message("SKIP: this machine has no machine-id\n");
		skip();
	}
	assert_true(open_as(&one, path_of("store"), path_of("tags"), false));
	store_files_close(&one);
	leave_store(path_of("store"), path_of("tags"), &earlier);
	assert_true(occupied(path_of("store")) >= LEFT_BYTES);
	assert_true(open_as(&two, path_of("store"), path_of("tags"), false));
	assert_true(occupied(path_of("store")) <= 64 * 1024);
	assert_true(occupied(path_of("tags")) <= 64 * 1024);
	assert_int_equal(stat_of(path_of("store")).st_size, DATA_BYTES);
	assert_int_equal(stat_of(path_of("tags")).st_size, TAGS_BYTES);
	/* It's the same store, and ours from now on. */
	assert_memory_equal(one.identity.id, two.identity.id, sizeof(one.identity.id));
	store_files_close(&two);
	leave_store(path_of("store"), path_of("tags"), &(struct last_use){ 0 });
	assert_true(can_open(path_of("store"), path_of("tags"), false));
	assert_true(occupied(path_of("store")) >= LEFT_BYTES);
	remove_all();
}

/* Whoever else's it may be keeps it: nobody knows what of it is of use to whom. */
static void what_others_left_is_kept(void **state)
{
	static const struct last_use uses[] = {
		{ 0 },
		{ .boot_id = EARLIER, .user = "/run/other" },
		{ .boot_id = EARLIER, .user = "" },
		{ .boot_id = EARLIER, .host = 7 },
		{ .boot_id = EARLIER, .host = -1 },
		{ .boot_id = "" },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		leave_store(path_of("store"), path_of("tags"), &uses[i]);
		assert_true(can_open(path_of("store"), path_of("tags"), false));
		assert_true(occupied(path_of("store")) >= LEFT_BYTES);
		remove_all();
	}
}

/* Nor is it emptied while somebody has the lock, who isn't expected to be there. */
static void what_is_locked_is_kept(void **state)
{
	const struct last_use earlier = { .boot_id = EARLIER };
	int fd, status;
	pid_t pid;

	(void)state;
	leave_store(path_of("store"), path_of("tags"), &earlier);
	fd = open(path_of("store"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	pid = fork();
	if (!pid)
		_exit(can_open(path_of("store"), path_of("tags"), false));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(occupied(path_of("store")) >= LEFT_BYTES);
	close(fd);
	remove_all();
}

/* The loop device hands discards on to its file. */
static void what_is_left_on_a_device_is_discarded(void **state)
{
	const struct last_use earlier = { .boot_id = EARLIER };

	(void)state;
	if (!has_host_id()) {
		print_message("SKIP: this machine has no machine-id\n");
		skip();
	}
	NEED_LOOP();
	leave_store(loop, path_of("tags"), &(struct last_use){ .user = "/run/other" });
	assert_true(can_open(loop, path_of("tags"), false));
	assert_true(shell("sync %s", loop));
	assert_true(occupied(path_of("disk")) >= LEFT_BYTES);
	pretend(loop, &earlier);
	assert_true(can_open(loop, path_of("tags"), false));
	assert_true(shell("sync %s", loop));
	assert_true(occupied(path_of("disk")) <= 64 * 1024);
	assert_true(can_open(loop, path_of("tags"), false));
	end_loop();
}

/* --- a place for files --- */

static int make_place(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	log_init(LOG_CRIT);
	/* Not /tmp, which may be memory. */
	snprintf(directory, sizeof(directory), "%s/cswap-files-XXXXXX",
		 base ? base : "/var/tmp");
	return !mkdtemp(directory);
}

static int remove_place(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_made_and_found_again),
		cmocka_unit_test(what_is_empty_is_taken),
		cmocka_unit_test(what_has_content_is_refused),
		cmocka_unit_test(tags_in_memory_are_kept_or_gone),
		cmocka_unit_test(tags_belong_to_their_store),
		cmocka_unit_test(no_file_is_made_where_none_belongs),
		cmocka_unit_test(a_store_in_memory_is_warned_of),
		cmocka_unit_test(names_dont_matter_afterwards),
		cmocka_unit_test(devices_are_taken_if_they_are_empty),
		cmocka_unit_test(devices_have_one_user),
		cmocka_unit_test(a_busy_device_is_waited_for),
		cmocka_unit_test(what_an_earlier_boot_left_is_emptied),
		cmocka_unit_test(what_others_left_is_kept),
		cmocka_unit_test(what_is_locked_is_kept),
		cmocka_unit_test(what_is_left_on_a_device_is_discarded),
	};

	return cmocka_run_group_tests_name("store files", tests, make_place, remove_place);
}
