// SPDX-License-Identifier: GPL-2.0-only
/*
 * sandbox.c - what the daemon gives up before it looks at anything of a guest's.
 *
 * Theory of operation: an attacker who takes this process over by a request or a message shall
 * have nothing but the guest's own pages. The process first opens what it needs, by the rights it
 * was started with; then it gives up, in this order:
 *   1. descriptors that it inherited and has no use for;
 *   2. privileges: supplementary groups, all capabilities, and by no_new_privs the way back;
 *   3. the network, System V IPC and the host's name, by empty namespaces, where it may make them
 *      (as root). It makes no user namespace to be allowed to: in one, each peer of the control
 *      socket has the user id of "nobody", and the daemon couldn't tell root from others;
 *   4. the file system, by Landlock, but for the few paths that the caller names: it can open
 *      nothing for writing and run nothing. This is what an empty mount namespace would do, and
 *      needs no privilege;
 *   5. in each io_uring: all but the operations in @uring_ops, which no filter of system calls
 *      can see, and every kind of registration but its end;
 *   6. all system calls but those in @calls. Others fail with EPERM: a C library that has learned
 *      something new shall not be the end of a guest's swap. No process can be made, signalled or
 *      traced, nothing connected to, no memory be made executable. That other processes are
 *      visible at all is left to the unit (ProtectProc=): a PID namespace is for children.
 * 2 to 4 happen while there is one thread, which the others inherit from; 6 when all is open, for
 * all threads at once.
 *
 * The process that makes those that serve (monitor.c) can give up only what they don't need when
 * they begin, because they inherit what it has given up: it can gain nothing by running another
 * program, and the calls in @never fail, which neither it nor its children make at any time.
 *
 * The process logs each stage that the host doesn't allow and leaves it out; with --sandbox strict
 * it ends instead.
 *
 * Under AddressSanitizer all of these stages let pass what its leak check needs, which is more than the daemon
 * should have: such a build is for tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

/* --- what is left: system calls --- */

#define ANY_ARGUMENT UINT32_MAX

struct call {
	int number;
	unsigned int argument;		/* ANY_ARGUMENT, or the one that has */
	uint64_t bits;			/* none of these */
};

#define CALL(name) { SCMP_SYS(name), ANY_ARGUMENT, 0 }
#define CALL_WITHOUT(name, argument, bits) { SCMP_SYS(name), argument, bits }

static const struct call calls[] = {
	/* The front end, and the operator. */
	CALL(accept4), CALL(recvmsg), CALL(recvfrom), CALL(sendmsg), CALL(sendto),
	CALL(getsockopt), CALL(setsockopt), CALL(shutdown),
	/* Waiting: for them, for signals, for the workers. */
	CALL(poll), CALL(ppoll), CALL(futex), CALL(sched_yield), CALL(restart_syscall),
	CALL(nanosleep), CALL(clock_nanosleep), CALL(clock_gettime), CALL(gettimeofday),
	/* The store, and whatever else is open. */
	CALL(io_uring_enter), CALL(io_uring_register), CALL(read), CALL(write), CALL(pread64), CALL(pwrite64),
	CALL(readv), CALL(writev), CALL(lseek), CALL(fallocate), CALL(close), CALL(fcntl),
	CALL(sync_file_range), CALL(fdatasync), CALL(fstat), CALL(newfstatat), CALL(statx), CALL(fstatfs), CALL(flock),
	CALL(memfd_create),
	/* By name: the cgroup of a VMM, and the sockets at the end. Landlock says which. */
	CALL(openat), CALL(unlink), CALL(unlinkat), CALL(rename), CALL(renameat), CALL(renameat2),
	/* The guest's memory and our own; none of it to be run. */
	CALL_WITHOUT(mmap, 2, PROT_EXEC), CALL_WITHOUT(mprotect, 2, PROT_EXEC),
	CALL(munmap), CALL(mremap), CALL(madvise), CALL(brk),
	/* Threads that run, and end; what the C library asks. */
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigaltstack),
	CALL(set_robust_list), CALL(rseq), CALL(exit), CALL(exit_group),
	CALL(getpid), CALL(gettid), CALL(geteuid), CALL(getrandom), CALL(sched_getaffinity),
#ifdef HAVE_ASAN
	CALL(clone), CALL(clone3), CALL(ptrace), CALL(wait4), CALL(prctl), CALL(getppid),
	CALL(readlink), CALL(readlinkat), CALL(getdents), CALL(getdents64), CALL(getrlimit), CALL(prlimit64),
	CALL(tgkill), CALL(process_vm_readv), CALL(mincore), CALL(pipe2), CALL(dup), CALL(uname),
	CALL(mmap), CALL(mprotect), CALL(open), CALL(stat), CALL(getuid), CALL(kill),
	CALL(sysinfo), CALL(access), CALL(faccessat), CALL(set_tid_address),
#endif
};

/* --- what no process here ever does --- */

static const int never[] = {
#ifndef HAVE_ASAN
	SCMP_SYS(execve), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
#endif
	/* Other programs, other processes' memory and descriptors. */
	SCMP_SYS(execveat), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(setns),
	/* The machine. */
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(open_by_handle_at),
	/* What the kernel has had the most holes in. */
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(add_key),
	SCMP_SYS(keyctl), SCMP_SYS(request_key),
};

/* --- what is left: io_uring --- */

static const uint8_t uring_ops[] = {
	/* The store's files, which are registered. */
	IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_READ, IORING_OP_WRITE,
	/* Discarding, of slots and of the guest's memory. */
	IORING_OP_FALLOCATE,
	/* Kicks. */
	IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
	/* For those that lie. */
	IORING_OP_TIMEOUT,
};

#define NUM_OPS (sizeof(uring_ops) / sizeof(uring_ops[0]))

/* --- stages --- */

/* A stage that isn't possible. Whether to go on. */
static bool without(enum sandbox_mode mode, const char *stage, int error)
{
	if (mode == SANDBOX_STRICT) {
		log_err("sandbox: no %s: %s", stage, strerror(error));
		return false;
	}
	log_notice("sandbox: does without %s: %s", stage, strerror(error));
	return true;
}

/* Or whatever is opened next would have their numbers, and get what is written to them: the store. */
static void have_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void sandbox_close_inherited(int keep_fd)
{
	int sockets = sd_listen_fds(0);
	unsigned int first = STDERR_FILENO + 1;

	if (sockets > 0)
		first = (unsigned int)(SD_LISTEN_FDS_START + sockets);
	if (keep_fd >= (int)first) {
		if (keep_fd > (int)first)
			close_range(first, (unsigned int)keep_fd - 1, 0);
		first = (unsigned int)keep_fd + 1;
	}
	close_range(first, ~0U, 0);
	have_standard_descriptors();
}

/* Two words: capabilities 0 to 31, and the others. */
static bool get_capabilities(struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	return !syscall(SYS_capget, &header, data);
}

static bool is_capable(unsigned int capability)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return get_capabilities(data) &&
	       data[capability / 32].effective & 1U << capability % 32;
}

/* A unit may have left none, and forbid the call that would drop them. */
static bool has_none(void)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return get_capabilities(data) &&
	       !(data[0].permitted | data[1].permitted | data[0].inheritable |
		 data[1].inheritable);
}

/* 0 or an error. */
static int refuse_forever(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int error = 0;
	size_t i;

	if (!filter)
		return ENOMEM;
	for (i = 0; i < sizeof(never) / sizeof(never[0]) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), never[i], 0);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return -error;
}

bool sandbox_begin(enum sandbox_mode mode)
{
	int error;

	if (mode == SANDBOX_OFF)
		return true;
	error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? errno : refuse_forever();
	return !error || without(mode, "a first filter of system calls", error);
}

static int drop_privileges(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	unsigned int i;

	if (is_capable(CAP_SETGID) && setgroups(0, NULL))
		return errno;
	/* Ends with the first number that is none. */
	if (is_capable(CAP_SETPCAP))
		for (i = 0; !prctl(PR_CAPBSET_DROP, i, 0, 0, 0); i++)
			;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return errno;
	return has_none() || !syscall(SYS_capset, &header, none) ? 0 : errno;
}

static int leave_namespaces(void)
{
	if (!is_capable(CAP_SYS_ADMIN))
		return EPERM;
	return unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) ? errno : 0;
}

/* --- paths --- */

/* The rights that each version of Landlock added; headers may be older than the kernel. */
#define FS_RIGHTS_1	((1ULL << 13) - 1)
#define FS_REFER	(1ULL << 13)
#define FS_TRUNCATE	(1ULL << 14)
#define FS_IOCTL_DEV	(1ULL << 15)

static uint64_t handled_rights(long version)
{
	return FS_RIGHTS_1 | (version >= 2 ? FS_REFER : 0) |
	       (version >= 3 ? FS_TRUNCATE : 0) |
	       (version >= 5 ? FS_IOCTL_DEV : 0);
}

static uint64_t rights_of(enum sandbox_right right)
{
	switch (right) {
	case SANDBOX_READ:
#ifdef HAVE_ASAN
		return LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
#else
		return LANDLOCK_ACCESS_FS_READ_FILE;
#endif
	case SANDBOX_UNLINK:
		return LANDLOCK_ACCESS_FS_REMOVE_FILE;
	case SANDBOX_REPLACE:
		return LANDLOCK_ACCESS_FS_REMOVE_FILE | FS_TRUNCATE |
		       LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_WRITE_FILE;
	}
	return 0;
}

static int open_path(const struct sandbox_path *path)
{
	char name[4096];
	int length = snprintf(name, sizeof(name), "%s", path->path);

	if (length < 0 || (size_t)length >= sizeof(name))
		return -1;
	return open(path->right == SANDBOX_READ ? name : dirname(name),
		    O_PATH | O_CLOEXEC);
}

/* What isn't there needs no rule. */
static int allow_path(int ruleset, const struct sandbox_path *path, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights_of(path->right) & handled,
	};
	struct stat st;
	int error = 0;

	if (!path->path)
		return 0;
	rule.parent_fd = open_path(path);
	if (rule.parent_fd < 0)
		return 0;
	/* A right to folders can't be given for a file. */
	if (!fstat(rule.parent_fd, &st) && !S_ISDIR(st.st_mode))
		rule.allowed_access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		error = errno;
	close(rule.parent_fd);
	return error;
}

static int restrict_paths(const struct sandbox_path *paths, size_t count)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = { 0 };
	int ruleset, error = 0;
	size_t i;

	if (version < 0)
		return errno;
	attr.handled_access_fs = handled_rights(version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return errno;
	for (i = 0; i < count && !error; i++)
		error = allow_path(ruleset, &paths[i], attr.handled_access_fs);
	if (!error && syscall(SYS_landlock_restrict_self, ruleset, 0))
		error = errno;
	close(ruleset);
	return error;
}

bool sandbox_enter(enum sandbox_mode mode, const struct sandbox_path *paths,
		   size_t count)
{
	int error;

	if (mode == SANDBOX_OFF) {
		log_notice("sandbox: off");
		return true;
	}
	/* The namespaces first: they take a privilege. */
	error = leave_namespaces();
	if (error && !without(mode, "namespaces of its own", error))
		return false;
	error = drop_privileges();
	if (error && !without(mode, "dropping privileges", error))
		return false;
	error = restrict_paths(paths, count);
	return !error || without(mode, "Landlock", error);
}

/* --- io_uring --- */

/* By the system call: liburing 2.3 declares both functions, and has neither. */
static int uring_register(const struct io_uring *uring, unsigned int what,
			  const void *argument, unsigned int count)
{
	return syscall(SYS_io_uring_register, uring->ring_fd, what, argument, count) < 0 ?
		       -errno : 0;
}

int sandbox_enable_uring(enum sandbox_mode mode, struct io_uring *uring)
{
	/* Kicks come by descriptors that aren't registered: so it can't be demanded of all. */
	struct io_uring_restriction rules[NUM_OPS + 2] = {
		[NUM_OPS] = { .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
			      .sqe_flags = IOSQE_FIXED_FILE },
		/* At the end, or the store's files stay in use until the kernel has cleaned up. */
		[NUM_OPS + 1] = { .opcode = IORING_RESTRICTION_REGISTER_OP,
				  .register_op = IORING_UNREGISTER_FILES },
	};
	unsigned int i;
	int error;

	for (i = 0; i < NUM_OPS; i++) {
		rules[i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[i].sqe_op = uring_ops[i];
	}
	if (mode != SANDBOX_OFF) {
		error = uring_register(uring, IORING_REGISTER_RESTRICTIONS, rules,
				       NUM_OPS + 2);
		if (error && !without(mode, "restrictions of io_uring", -error))
			return error;
	}
	return uring_register(uring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* --- system calls --- */

static int add_call(scmp_filter_ctx filter, const struct call *call)
{
	if (call->argument == ANY_ARGUMENT)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 0);
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 1,
				SCMP_CMP(call->argument, SCMP_CMP_MASKED_EQ,
					 call->bits, 0));
}

static int load_filter(scmp_filter_ctx filter)
{
	int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]) && !error; i++) {
		error = add_call(filter, &calls[i]);
		/* Some of them aren't known everywhere, and aren't used there. */
		if (error == -EDOM || error == -EFAULT)
			error = 0;
	}
	return error ? error : seccomp_load(filter);
}

bool sandbox_seal(enum sandbox_mode mode)
{
	scmp_filter_ctx filter;
	int error = -ENOMEM;

	if (mode == SANDBOX_OFF)
		return true;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter) {
		error = load_filter(filter);
		seccomp_release(filter);
	}
	if (error)
		return without(mode, "a filter of system calls", -error);
	log_info("sandbox: sealed");
	return true;
}
