// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_sandbox.c - what the daemon can't do any more once it is in its sandbox.
 *
 * Each test is a child in a sandbox of its own. A stage that isn't possible here is a test that is
 * skipped.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "life/sandbox.h"
#include "serve/worker.h"

#define STATUS_SKIP 77
#define RING_ENTRIES 8

static char directory[] = "/tmp/test-sandbox.XXXXXX";
static char readable[64], removable[64], other[64];

/* A step of a child; the line of one that went wrong is told, and the child ends. */
#define STEP(condition) do { if (!(condition)) exit_at(__LINE__); } while (0)

static void exit_at(int line)
{
	fprintf(stderr, "test_sandbox.c:%d: %s\n", line, strerror(errno));
	_exit(1);
}

static void in_child(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == STATUS_SKIP)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void enter(void)
{
	const struct sandbox_path paths[] = {
		{ readable, SANDBOX_READ },
		{ removable, SANDBOX_UNLINK },
		{ NULL, SANDBOX_READ },
		{ "/nowhere/at/all", SANDBOX_UNLINK },
	};

	/* Who isn't root has no namespaces, and the rest all the same. */
	if (!sandbox_enter(geteuid() ? SANDBOX_AUTO : SANDBOX_STRICT, paths,
			   sizeof(paths) / sizeof(paths[0])))
		_exit(STATUS_SKIP);
}

static void seal(void)
{
	if (!sandbox_seal(SANDBOX_STRICT))
		_exit(STATUS_SKIP);
}

static bool refused(long result, int error)
{
	return result < 0 && errno == error;
}

static void has_no_paths(void)
{
	enter();
	STEP(open(readable, O_RDONLY) >= 0);
	STEP(refused(open(readable, O_RDWR), EACCES));
	STEP(refused(open(other, O_RDONLY), EACCES));
	STEP(refused(open("/etc/passwd", O_RDONLY), EACCES));
	STEP(refused(open("/", O_RDONLY | O_DIRECTORY), EACCES));
	STEP(refused(open("/tmp/test-sandbox.new", O_RDWR | O_CREAT, 0600), EACCES));
	STEP(refused(execl("/bin/true", "true", NULL), EACCES));
	STEP(!unlink(removable));
}

static void has_no_privileges(void)
{
	char line[128];
	unsigned int found = 0;
	FILE *file = fopen("/proc/self/status", "re");

	enter();
	/* It's opened before, and what it says is of now. */
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "CapPrm:", 7) || !strncmp(line, "CapEff:", 7) ||
		    !strncmp(line, "CapInh:", 7) || !strncmp(line, "CapAmb:", 7)) {
			STEP(!strcmp(line + 7, "\t0000000000000000\n"));
			found++;
		}
	STEP(found == 4);
	STEP(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	STEP(refused(setuid(geteuid() + 1), EPERM));
	STEP(refused(chroot("/"), EPERM));
}

static void calls_little(void)
{
	int ends[2];

	STEP(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	enter();
	seal();
	STEP(refused(socket(AF_UNIX, SOCK_STREAM, 0), EPERM));
	STEP(refused(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), EPERM));
	STEP(refused(connect(ends[0], NULL, 0), EPERM));
	STEP(refused(syscall(SYS_execve, "/bin/true", NULL, NULL), EPERM));
	STEP(refused(syscall(SYS_io_uring_setup, 1, NULL), EPERM));
	STEP(refused(syscall(SYS_bpf, 0, NULL, 0), EPERM));
	STEP(refused(syscall(SYS_unshare, 0), EPERM));
	STEP(refused(syscall(SYS_pidfd_open, 1, 0), EPERM));
	STEP(refused(ftruncate(ends[0], 1), EPERM));
#ifndef __SANITIZE_ADDRESS__
	STEP(refused(fork(), EPERM));
	STEP(refused(kill(getppid(), 0), EPERM));
	STEP(refused(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM));
	STEP(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	     MAP_FAILED);
#endif
	STEP(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	     MAP_FAILED);
	STEP(send(ends[0], "x", 1, 0) == 1);
}

static void *call_in_thread(void *arg)
{
	int *fd = arg;
	char byte;

	/* Begins before the sandbox, and goes on inside. */
	STEP(read(*fd, &byte, 1) == 1);
	STEP(refused(socket(AF_UNIX, SOCK_STREAM, 0), EPERM));
	return NULL;
}

static void seals_all_threads(void)
{
	pthread_t thread;
	int ends[2];

	enter();
	STEP(!pipe(ends));
	STEP(!pthread_create(&thread, NULL, call_in_thread, &ends[0]));
	seal();
	STEP(write(ends[1], "x", 1) == 1);
	STEP(!pthread_join(thread, NULL));
}

/* The outcome of one operation. */
static int uring_result(struct io_uring *uring)
{
	struct io_uring_cqe *cqe;
	int result;

	STEP(io_uring_submit_and_wait(uring, 1) >= 0);
	STEP(!io_uring_peek_cqe(uring, &cqe));
	result = cqe->res;
	io_uring_cqe_seen(uring, cqe);
	return result;
}

static void restricts_io_uring(void)
{
	struct io_uring uring;
	int fd = open("/dev/zero", O_RDONLY);
	char bytes[16];

	STEP(!io_uring_queue_init(RING_ENTRIES, &uring, IORING_SETUP_R_DISABLED));
	if (sandbox_enable_uring(SANDBOX_STRICT, &uring))
		_exit(STATUS_SKIP);
	io_uring_prep_read(io_uring_get_sqe(&uring), fd, bytes, sizeof(bytes), 0);
	STEP(uring_result(&uring) == sizeof(bytes));
	io_uring_prep_openat(io_uring_get_sqe(&uring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	STEP(uring_result(&uring) == -EACCES);
	io_uring_prep_send(io_uring_get_sqe(&uring), fd, bytes, 1, 0);
	STEP(uring_result(&uring) == -EACCES);
	io_uring_prep_read(io_uring_get_sqe(&uring), fd, bytes, sizeof(bytes), 0);
	io_uring_sqe_set_flags(uring.sq.sqes + (uring.sq.sqe_tail - 1) % RING_ENTRIES, IOSQE_IO_LINK);
	STEP(uring_result(&uring) == -EACCES);
	STEP(io_uring_register_files(&uring, &fd, 1) == -EACCES);
}

static void closes_what_it_inherits(void)
{
	int low = fcntl(STDERR_FILENO, F_DUPFD, 40), keep = fcntl(STDERR_FILENO, F_DUPFD, 50);
	int high = fcntl(STDERR_FILENO, F_DUPFD, 60);

	sandbox_close_inherited(keep);
	STEP(refused(fcntl(low, F_GETFD), EBADF));
	STEP(refused(fcntl(high, F_GETFD), EBADF));
	STEP(fcntl(keep, F_GETFD) >= 0);
	sandbox_close_inherited(-1);
	STEP(refused(fcntl(keep, F_GETFD), EBADF));
	STEP(fcntl(STDERR_FILENO, F_GETFD) >= 0);
}

/* What the process that makes the others gives up, which they have to live with. */
static void begins_with_less(void)
{
	if (!sandbox_begin(SANDBOX_STRICT))
		_exit(STATUS_SKIP);
	STEP(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
#ifndef __SANITIZE_ADDRESS__
	STEP(refused(execl("/bin/true", "true", NULL), EPERM));
#endif
	STEP(refused(syscall(SYS_bpf, 0, NULL, 0), EPERM));
	STEP(refused(chroot("/"), EPERM));
	STEP(open("/etc/passwd", O_RDONLY) >= 0);
	enter();
	seal();
}

static void off_is_off(void)
{
	STEP(sandbox_begin(SANDBOX_OFF));
	STEP(sandbox_enter(SANDBOX_OFF, NULL, 0));
	STEP(sandbox_seal(SANDBOX_OFF));
	STEP(open("/etc/passwd", O_RDONLY) >= 0);
	STEP(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
}

#define IN_CHILD(body) static void test_##body(void **state) { (void)state; in_child(body); }

IN_CHILD(has_no_paths)
IN_CHILD(has_no_privileges)
IN_CHILD(calls_little)
IN_CHILD(seals_all_threads)
IN_CHILD(restricts_io_uring)
IN_CHILD(closes_what_it_inherits)
IN_CHILD(begins_with_less)
IN_CHILD(off_is_off)

static char *make_file(char *path, const char *folder)
{
	char name[40];
	int fd;

	snprintf(name, sizeof(name), "%s/%s", directory, folder);
	mkdir(name, 0700);
	snprintf(path, sizeof(readable), "%s/file", name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	return path;
}

/* A host without io_uring: who starts the daemon there is told what it lacks, and what to do. */
static void without_uring(int error)
{
	struct memory memory = { 0 };
	struct balloon balloon;
	struct worker_config config = {
		.workers = 1, .limits = { .capacity = 16, .queue_pairs = 1, .block_bytes = 4096 },
		.memory = &memory, .balloon = &balloon, .store = store_open(NULL, 16),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int log = memfd_create("log", MFD_CLOEXEC), real = dup(STDERR_FILENO);
	char text[4096] = "";

	balloon_init(&balloon, 4096);
	STEP(config.store && filter);
	STEP(!seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)error), SCMP_SYS(io_uring_setup), 0));
	STEP(!seccomp_load(filter));
	STEP(dup2(log, STDERR_FILENO) == STDERR_FILENO);
	log_init(LOG_ERR);
	STEP(!worker_start(&config));
	STEP(dup2(real, STDERR_FILENO) == STDERR_FILENO);
	STEP(pread(log, text, sizeof(text) - 1, 0) > 0);
	STEP(strstr(text, "io_uring can't be used"));
	STEP(strstr(text, "kernel.io_uring_disabled"));
}

static void is_forbidden(void)
{
	without_uring(EPERM);
}

static void is_unknown(void)
{
	without_uring(ENOSYS);
}

static void test_names_io_uring(void **state)
{
	(void)state;
	in_child(is_forbidden);
	in_child(is_unknown);
}

static int setup(void **state)
{
	(void)state;
	log_init(LOG_CRIT);
	assert_non_null(mkdtemp(directory));
	make_file(readable, "read");
	make_file(removable, "remove");
	make_file(other, "other");
	return 0;
}

static int teardown(void **state)
{
	char *command = NULL;
	int status;

	(void)state;
	if (asprintf(&command, "rm -r %s", directory) < 0)
		return -1;
	status = system(command);
	free(command);
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_has_no_paths),
		cmocka_unit_test(test_has_no_privileges),
		cmocka_unit_test(test_calls_little),
		cmocka_unit_test(test_seals_all_threads),
		cmocka_unit_test(test_restricts_io_uring),
		cmocka_unit_test(test_names_io_uring),
		cmocka_unit_test(test_closes_what_it_inherits),
		cmocka_unit_test(test_begins_with_less),
		cmocka_unit_test(test_off_is_off),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
