// SPDX-License-Identifier: GPL-2.0-only
/*
 * nbd_dial.c - connections to a server, until all of them are admitted.
 *
 * Theory of operation: a write that was on its way when a worker died must not land on a
 * newer page (I6). The lock of an open file tells when the I/O on the file has ended; a
 * server has no such lock, but it counts connections. The rule for servers: admit no more
 * connections than the daemon has, and count one until its last request has ended. So when
 * all of ours are admitted, no dead worker's request is under way: its connection would be
 * one too many.
 *
 * A connection is admitted when it gets the export (nbd_hello.c); the server doesn't accept
 * one that is too many, or closes it, or refuses it. What the server says after it has
 * admitted the connection is read only by the worker, which is in the sandbox.
 *
 * A server that admits one connection more doesn't keep the rule, and isn't used. The daemon
 * tries this when the server may be another one than before. A slow server may hide that it
 * breaks the rule, so the trial finds mistakes, and doesn't prove that there are none.
 *
 * All this runs in the process that lives longest: the worker can't connect to anything.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "nbd_dial.h"

/* Between two attempts. */
#define RETRY_MS 50
/*
 * Another daemon may wait for the connections that we have, and we for its: give up those that we
 * have.
 */
#define GIVE_UP_MS 5000
/* So long a server is given to admit one too many. */
#define PROBE_MS 300
/* So long one is left alone that is of no use. */
#define UNFIT_MS 5000

#define PROBE(dial) ((dial)->count)

static void close_one(struct nbd_dial *dial, unsigned int i)
{
	if (dial->fd[i] >= 0)
		close(dial->fd[i]);
	dial->fd[i] = -1;
}

static void close_all(struct nbd_dial *dial)
{
	unsigned int i;

	for (i = 0; i <= PROBE(dial); i++)
		close_one(dial, i);
}

void nbd_dial_init(struct nbd_dial *dial, const char *path, const struct nbd_want *want,
		   unsigned int count)
{
	memset(dial, 0, sizeof(*dial));
	memset(dial->fd, -1, sizeof(dial->fd));
	dial->path = path;
	dial->want = *want;
	dial->count = count;
}

void nbd_dial_end(struct nbd_dial *dial)
{
	close_all(dial);
	dial->state = DIAL_OFF;
}

void nbd_dial_begin(struct nbd_dial *dial, uint64_t at_ms, bool anew)
{
	close_all(dial);
	dial->state = DIAL_WAITS;
	dial->at_ms = at_ms;
	dial->give_up_ms = at_ms + GIVE_UP_MS;
	if (anew)
		dial->proven = false;
}

/* Once as long as it's the same. */
static void complain(struct nbd_dial *dial, const char *wrong)
{
	if (dial->told != wrong)
		log_warning("the store's server at %s %s; trying again", dial->path, wrong);
	dial->told = wrong;
}

/* --- one connection --- */

static void dial_one(struct nbd_dial *dial, unsigned int i)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(to.sun_path, dial->path, strlen(dial->path));
	nbd_hello_begin(&dial->hello[i]);
	dial->fd[i] = fd;
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return;
	/* The server is gone, and the next one may be another. EAGAIN: others wait, too. */
	if (errno != EAGAIN) {
		dial->proven = false;
		complain(dial, errno == EACCES ? "doesn't let us connect (permissions of the socket)" :
						 "isn't there");
	}
	close_one(dial, i);
}

/* Say what there is to say. It fits into the socket, or else the server is no server. */
static bool say(struct nbd_hello *hello, int fd)
{
	size_t left = hello->out_bytes - hello->out_done;
	ssize_t n = left ? send(fd, hello->out + hello->out_done, left, MSG_NOSIGNAL) : 0;

	if (n > 0)
		hello->out_done += (size_t)n;
	return hello->out_done == hello->out_bytes;
}

/* Hear what there is to hear. It's closed if there will be no more. */
static void listen_to(struct nbd_dial *dial, unsigned int i)
{
	struct nbd_hello *hello = &dial->hello[i];

	while (dial->fd[i] >= 0 && hello->phase < NBD_ADMITTED) {
		ssize_t n = recv(dial->fd[i], hello->in + hello->filled,
				 sizeof(hello->in) - hello->filled, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n > 0)
			nbd_hello_received(hello, &dial->want, (size_t)n);
		if (n <= 0 || hello->phase > NBD_ADMITTED || !say(hello, dial->fd[i]))
			close_one(dial, i);
	}
}

static bool is_admitted(const struct nbd_dial *dial, unsigned int i)
{
	return dial->fd[i] >= 0 && dial->hello[i].phase == NBD_ADMITTED;
}

/* --- all of them --- */

/* Go on with those that aren't admitted, and with new ones if it's time. True: all are. */
static bool ask(struct nbd_dial *dial, bool dials)
{
	bool all = true;
	unsigned int i;

	for (i = 0; i < dial->count; i++) {
		if (dial->fd[i] < 0 && dials)
			dial_one(dial, i);
		listen_to(dial, i);
		if (dial->fd[i] < 0 && dial->hello[i].phase == NBD_UNFIT)
			return false;
		all = all && is_admitted(dial, i);
	}
	return all;
}

/* The server is of no use as it is; it may be started anew. */
static void leave_alone(struct nbd_dial *dial, uint64_t now_ms, const char *wrong)
{
	complain(dial, wrong);
	nbd_dial_begin(dial, now_ms + UNFIT_MS, true);
	for (unsigned int i = 0; i <= PROBE(dial); i++)
		nbd_hello_begin(&dial->hello[i]);
}

static const char *find_unfit(const struct nbd_dial *dial)
{
	unsigned int i;

	for (i = 0; i < dial->count; i++)
		if (dial->hello[i].phase == NBD_UNFIT)
			return dial->hello[i].wrong;
	/* What was written by one is to be read by another. */
	for (i = 0; i < dial->count && dial->count > 1; i++)
		if (is_admitted(dial, i) && !(dial->hello[i].flags & NBD_FLAG_CAN_MULTI_CONN))
			return "doesn't promise that its connections see each other's writes: use one";
	return NULL;
}

static void give_up_if_late(struct nbd_dial *dial, uint64_t now_ms)
{
	if (now_ms < dial->give_up_ms)
		return;
	if (dial->hello[0].phase == NBD_NOT_NOW)
		complain(dial, dial->hello[0].wrong);
	else if (dial->fd[0] >= 0)
		complain(dial, "lets us wait");
	close_all(dial);
	dial->give_up_ms = now_ms + GIVE_UP_MS + now_ms % 97;
}

static void admit(struct nbd_dial *dial)
{
	dial->flags = dial->hello[0].flags;
	dial->proven = true;
	dial->told = NULL;
	dial->state = DIAL_ADMITTED;
}

static void run_asking(struct nbd_dial *dial, uint64_t now_ms)
{
	bool dials = now_ms >= dial->at_ms, all = ask(dial, dials);
	const char *unfit = find_unfit(dial);

	if (unfit) {
		leave_alone(dial, now_ms, unfit);
	} else if (!all) {
		give_up_if_late(dial, now_ms);
		if (dials)
			dial->at_ms = now_ms + RETRY_MS;
	} else if (dial->proven) {
		admit(dial);
	} else {
		dial->state = DIAL_PROBES;
		dial_one(dial, PROBE(dial));
		dial->at_ms = now_ms + PROBE_MS;
	}
}

static void run_probing(struct nbd_dial *dial, uint64_t now_ms)
{
	listen_to(dial, PROBE(dial));
	if (is_admitted(dial, PROBE(dial))) {
		leave_alone(dial, now_ms, "admits more connections than we have, so that a write of a worker that died could land on a newer page: it isn't used (see STORES AT A SERVER in cswapd(8))");
		return;
	}
	if (dial->fd[PROBE(dial)] >= 0 && now_ms < dial->at_ms)
		return;
	close_one(dial, PROBE(dial));
	admit(dial);
}

bool nbd_dial_run(struct nbd_dial *dial, uint64_t now_ms)
{
	if (dial->state == DIAL_WAITS && now_ms >= dial->at_ms)
		dial->state = DIAL_ASKS;
	if (dial->state == DIAL_ASKS)
		run_asking(dial, now_ms);
	else if (dial->state == DIAL_PROBES)
		run_probing(dial, now_ms);
	return dial->state == DIAL_ADMITTED;
}

unsigned int nbd_dial_poll(const struct nbd_dial *dial, struct pollfd *fds)
{
	unsigned int i, count = 0;

	if (dial->state != DIAL_ASKS && dial->state != DIAL_PROBES)
		return 0;
	for (i = 0; i <= PROBE(dial); i++)
		if (dial->fd[i] >= 0 && !is_admitted(dial, i))
			fds[count++] = (struct pollfd){ .fd = dial->fd[i], .events = POLLIN };
	return count;
}

uint64_t nbd_dial_next_ms(const struct nbd_dial *dial)
{
	return dial->state == DIAL_OFF || dial->state == DIAL_ADMITTED ? UINT64_MAX :
									dial->at_ms;
}
