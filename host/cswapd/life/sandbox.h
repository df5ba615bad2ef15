/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox.h - what the daemon gives up before it looks at anything of a guest's.
 */
#ifndef CSWAPD_SANDBOX_H
#define CSWAPD_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <liburing.h>

enum sandbox_mode {
	SANDBOX_AUTO,			/* as far as the host allows */
	SANDBOX_STRICT,			/* all of it, or don't start */
	SANDBOX_OFF,
};

/* What is still done by name when guests are served. */
enum sandbox_right {
	SANDBOX_READ,			/* read the file, or files below the directory */
	SANDBOX_UNLINK,			/* remove files in the directory that @path is in, and below */
	SANDBOX_REPLACE,		/* write them as well */
};

struct sandbox_path {
	const char *path;		/* NULL: nothing */
	enum sandbox_right right;
};

/*
 * Close what was inherited, but for standard streams, systemd's sockets and @keep_fd (or -1). The
 * standard streams are there afterwards: those that weren't lead nowhere.
 */
void sandbox_close_inherited(int keep_fd);

/* The process that makes those that serve, and these with it. False: don't go on. */
bool sandbox_begin(enum sandbox_mode mode);

/* First: privileges, namespaces, paths. While there is one thread. False: don't go on. */
bool sandbox_enter(enum sandbox_mode mode, const struct sandbox_path *paths,
		   size_t count);

/* For each io_uring that was made with IORING_SETUP_R_DISABLED, once its files are registered. */
int sandbox_enable_uring(enum sandbox_mode mode, struct io_uring *uring);

/* Last: system calls, of all threads. Everything is open. False: don't go on. */
bool sandbox_seal(enum sandbox_mode mode);

#endif
