// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec_now.c - the guest goes on with another kernel, at once or when it crashes.
 *
 * The two calls that kexec(8) makes for it, without the rest of that program: the kernel
 * checks and places the image (kexec_file_load(2)), shuts devices down as for a reboot, and
 * jumps. Nothing is unmounted, and nobody is asked to end: a test wants it that way. With
 * --crash the image is only placed, where a kernel that panics finds it.
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		perror(path);
	return fd;
}

int main(int argc, char **argv)
{
	bool crash = argc > 1 && !strcmp(argv[1], "--crash");
	int kernel, initramfs;

	argc -= crash;
	argv += crash;
	if (argc != 4) {
		fputs("Usage: kexec_now [--crash] KERNEL INITRAMFS COMMAND-LINE\n"
		      "Goes on with that kernel. Returns only if it can't, and says why; with --crash\n"
		      "when the kernel is in its place.\n", stderr);
		return 2;
	}
	kernel = open_file(argv[1]);
	initramfs = open_file(argv[2]);
	if (kernel < 0 || initramfs < 0)
		return 1;
	if (syscall(SYS_kexec_file_load, kernel, initramfs, strlen(argv[3]) + 1, argv[3],
		    crash ? (unsigned long)KEXEC_FILE_ON_CRASH : 0UL)) {
		perror("kexec_file_load");
		return 1;
	}
	if (crash)
		return 0;
	reboot((int)LINUX_REBOOT_CMD_KEXEC);
	perror("reboot");
	return 1;
}
