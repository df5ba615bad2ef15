/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ctl.h - the control socket: an operator's requests, a line each.
 */
#ifndef CSWAPD_CTL_H
#define CSWAPD_CTL_H

#include <poll.h>
#include <stddef.h>

#define CTL_MAX_CLIENTS 16
/* A request is shorter; the answer has no limit, as it's ours. */
#define CTL_LINE_BYTES 1024
/* What the caller's loop polls at most. */
#define CTL_MAX_POLLS (1 + CTL_MAX_CLIENTS)

#define CTL_HOLDS (1U << 31)

struct ctl_ops {
	/*
	 * The answer to a request: text without the line's end, to be freed, or
	 * NULL if there is no memory. If *@watch_ms is set, watch() is sent each
	 * so many milliseconds afterwards, until the next request. With CTL_HOLDS in it
	 * let_go() is called then, or when the client has gone, whatever it died of.
	 */
	char *(*answer)(void *context, const char *request,
			unsigned int *watch_ms);
	char *(*watch)(void *context);
	void (*let_go)(void *context);	/* NULL: there is nothing to hold */
};

struct ctl;

/* Listen at @path, for root and our own user. NULL (logged) if that fails. */
struct ctl *ctl_open(const char *path, const struct ctl_ops *ops,
		     void *context);
void ctl_close(struct ctl *ctl);

/* Fill in what to poll for; returns how many. */
size_t ctl_prepare_poll(const struct ctl *ctl, struct pollfd *fds);
/* How long to poll at most; -1: for ever. */
int ctl_timeout_ms(const struct ctl *ctl);
/* Do what there is to do; never waits. @fds are those prepared, polled. */
void ctl_run(struct ctl *ctl, const struct pollfd *fds);

#endif
