// SPDX-License-Identifier: GPL-2.0-only
/*
 * watchdog.c - a daemon whose serving process hangs, without being dead.
 *
 * Of a daemon with a short --watchdog: the guest sees a pause, and nothing else.
 */
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "suites.h"

static int connect_watched(struct guest *g, const char *socket, struct hostile_census *census)
{
	enum io_result result;

	TRY(hostile_begin(g, socket, census));
	/* Pair 0 is idle from now on, and pair 1 has something to lose. */
	TRY(guest_store(g, HOSTILE_BYSTANDER + 1, &result));
	EXPECT(g, result == IO_OK, "store: result %d", result);
	return 0;
}

/* Served, and by another process than @pid. */
static int expect_replaced(struct guest *g, const struct hostile_census *census, int pid)
{
	enum io_result result;
	int next;

	TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "load: result %d", result);
	TRY(guest_load(g, HOSTILE_BYSTANDER + 1, &result));
	EXPECT(g, result == IO_OK, "load: result %d", result);
	next = census_worker(census->pid);
	EXPECT(g, next && next != pid, "process %d still serves", pid);
	return 0;
}

static int case_stopped(struct guest *g, const char *socket)
{
	struct hostile_census census;
	int pid;

	TRY(connect_watched(g, socket, &census));
	pid = census_worker(census.pid);
	EXPECT(g, pid && !stop_process(pid), "nobody to stop");
	TRY(expect_replaced(g, &census, pid));
	return hostile_aftermath(g, &census, true);
}

/* A pipe that is full, and that whoever writes to it has to wait for. */
static int full_pipe(int fds[2])
{
	static const char byte;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -1;
	while (write(fds[1], &byte, 1) == 1)
		continue;
	return 0;
}

static void drain(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		continue;
}

static int tell_error_fd(struct guest *g, const struct virtqueue *vq, int fd)
{
	struct fe_message m = { .header = { FE_SET_VRING_ERR, FE_VERSION, 8 } };

	m.payload.value = vq->index;
	return fe_tell(&g->fe, &m, &fd, 1);
}

/* The front end has made a descriptor of its own blocking again: a thread waits there for ever. */
static int case_stuck(struct guest *g, const char *socket)
{
	struct virtqueue *vq;
	struct hostile_census census;
	int fds[2], pid, rc;

	TRY(connect_watched(g, socket, &census));
	vq = &g->pair[0].request;
	EXPECT(g, !full_pipe(fds), "no pipe");
	TRY_FE(g, tell_error_fd(g, vq, fds[1]));
	fcntl(fds[1], F_SETFL, 0);
	pid = census_worker(census.pid);
	vq->avail->idx += 3 * vq->size;
	vq_kick(vq);
	while (census_worker(census.pid) == pid)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	/* The next one finds the ring as broken, and says so, too. */
	drain(fds[0]);
	rc = expect_replaced(g, &census, pid);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

static const struct suite_case cases[] = {
	{ "a process that is stopped", case_stopped },
	{ "a thread that is stuck", case_stuck },
};

int run_watchdog(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}
