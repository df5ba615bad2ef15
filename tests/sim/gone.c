// SPDX-License-Identifier: GPL-2.0-only
/*
 * gone.c - a guest at work while its store's files go: removed, renamed, replaced, cut.
 *
 * A thread does that at random moments, to the names and to what the daemon has open, and
 * kills the process that serves the guest as well. Pages may be lost, and then their loads
 * fail. What must never be is a load that succeeds with anything but the page that was
 * stored: then the page doesn't open (forged), or is another (wrong).
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "load.h"
#include "operator.h"
#include "suites.h"

#define PAGES		2048
#define DEPTH		16
#define BLOCK		4096
#define MAX_PAUSE_US	4000
#define STATUS_TRIES	1000

enum deed { REMOVE, RENAME, REPLACE, CUT, CUT_AND_EXTEND, PUNCH, NUM_DEEDS };

struct file {
	char path[256];
	int fd;				/* of what the daemon has open */
	off_t bytes;
};

struct vandal {
	pthread_t thread;
	struct file file[2];		/* data, tags */
	unsigned int files;		/* 1: the tags are in memory */
	int monitor;
	const char *socket;
	unsigned int kinds;		/* of deeds: those before */
	unsigned int deeds, kills;
	bool done;			/* atomic */
};

static unsigned int next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

static void sleep_us(unsigned int us)
{
	const struct timespec t = { 0, us * 1000l };

	nanosleep(&t, NULL);
}

/* As another daemon's, or a copy: something of the same size. */
static void replace(const struct file *f)
{
	char path[sizeof(f->path) + 8];
	int fd;

	snprintf(path, sizeof(path), "%s.new", f->path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && (ftruncate(fd, f->bytes) || rename(path, f->path)))
		unlink(path);
	close(fd);
}

static void do_harm(const struct file *f, enum deed deed, u64 *random)
{
	off_t at = next_random(random) % (unsigned int)(f->bytes / BLOCK) * (off_t)BLOCK;
	char path[sizeof(f->path) + 8];
	bool failed = false;

	switch (deed) {
	case REMOVE:
		unlink(f->path);
		break;
	case RENAME:
		snprintf(path, sizeof(path), "%s.old", f->path);
		failed = rename(f->path, path);
		break;
	case REPLACE:
		replace(f);
		break;
	case CUT:
		failed = ftruncate(f->fd, at);
		break;
	case CUT_AND_EXTEND:
		failed = ftruncate(f->fd, at) || ftruncate(f->fd, f->bytes);
		break;
	default:
		failed = fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				   64 * BLOCK);
	}
	/* A name may be gone by now, and a file system may not know how to punch. */
	(void)failed;
}

/* As soon as the process that serves the guest answers its operator. */
static void await_service(const struct vandal *v)
{
	static struct guest nobody;
	char reply[OPERATOR_REPLY_BYTES];

	while (operator_ask(&nobody, v->socket, "{\"request\":\"status\"}", reply) &&
	       !kill(v->monitor, 0))
		sleep_us(500);
}

/*
 * Kill the process that serves the guest, and see the next one come. Every other one lives until it
 * serves: the daemon would let a second pass before each of many that don't.
 */
static void kill_worker(struct vandal *v)
{
	int worker = census_worker(v->monitor), next;

	if (!worker || kill(worker, SIGKILL))
		return;
	v->kills++;
	do {
		sleep_us(500);
		next = census_worker(v->monitor);
	} while ((!next || next == worker) && !kill(v->monitor, 0));
	if (v->kills % 2)
		await_service(v);
}

static void *do_all_harm(void *arg)
{
	struct vandal *v = arg;
	u64 random = 0x2545f4914f6cdd1dull ^ crash_kills;

	for (v->deeds = 0; v->deeds < crash_kills; v->deeds++) {
		do_harm(&v->file[next_random(&random) % v->files],
			next_random(&random) % v->kinds, &random);
		sleep_us(next_random(&random) % MAX_PAUSE_US);
		if (next_random(&random) % 2)
			kill_worker(v);
		sleep_us(next_random(&random) % MAX_PAUSE_US);
	}
	__atomic_store_n(&v->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool find_file(struct file *f, const char *socket, const char *name)
{
	const char *base = strrchr(socket, '/');
	struct stat st;

	snprintf(f->path, sizeof(f->path), "%.*s/%s", base ? (int)(base - socket) : 1,
		 base ? socket : ".", name);
	f->fd = open(f->path, O_RDWR | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st))
		return false;
	f->bytes = st.st_size;
	return true;
}

static int open_file(struct guest *g, struct file *f, const char *socket, const char *name)
{
	EXPECT(g, find_file(f, socket, name), "can't open %s", f->path);
	return 0;
}

static int vandal_open(struct vandal *v, struct guest *g, const char *socket)
{
	struct hostile_census census;

	TRY(hostile_census(g, &census));
	*v = (struct vandal){ .monitor = census.pid, .socket = socket };
	TRY(open_file(g, &v->file[0], socket, "store"));
	v->files = 1;
	if (find_file(&v->file[1], socket, "store.tags"))
		v->files = 2;
	return 0;
}

/* Adds to *@lost the loads that failed. */
static int run_phase(struct guest *g, struct load *l, enum load_phase phase, u64 *lost)
{
	static struct load_report r;

	EXPECT(g, !load_run(l, phase, &r), "%s", l->error);
	EXPECT(g, !r.wrong && !r.forged, "%llu pages wrong, %llu forged", r.wrong, r.forged);
	EXPECT(g, !r.store.failed, "%llu stores failed", r.store.failed);
	*lost += r.load.failed;
	return 0;
}

static int load_meanwhile(struct guest *g, struct load *l, struct vandal *v,
			  unsigned int kinds, u64 *lost)
{
	int rc = 0;

	v->kinds = kinds;
	v->kills = 0;
	v->done = false;
	*lost = 0;
	EXPECT(g, !pthread_create(&v->thread, NULL, do_all_harm, v), "no thread");
	while (!rc && !__atomic_load_n(&v->done, __ATOMIC_ACQUIRE))
		rc = run_phase(g, l, LOAD_RUN, lost);
	pthread_join(v->thread, NULL);
	TRY(rc || run_phase(g, l, LOAD_VERIFY, lost));
	printf("# %u deeds, %u kills, %llu loads failed\n", v->deeds, v->kills, *lost);
	return 0;
}

static bool is_told(const char *reply)
{
	return strstr(reply, "\"state\":\"moved\"") || strstr(reply, "\"state\":\"deleted\"") ||
	       strstr(reply, "\"state\":\"cut\"");
}

/* Whatever was done, the operator can see it, as soon as the file system has answered. */
static int expect_told(struct guest *g, const char *socket)
{
	char reply[OPERATOR_REPLY_BYTES];
	unsigned int tries = 0;

	do {
		/* A daemon that is being born doesn't listen yet. */
		while (operator_ask(g, socket, "{\"request\":\"status\"}", reply))
			sleep_us(1000);
	} while (!is_told(reply) && tries++ < STATUS_TRIES);
	EXPECT(g, is_told(reply), "the status says nothing: %s", reply);
	return 0;
}

static int suffer(struct guest *g, const char *socket, struct load *l, struct vandal *v)
{
	u64 lost = 0, told;

	TRY(run_phase(g, l, LOAD_FILL, &lost));
	TRY(load_meanwhile(g, l, v, CUT, &lost));
	EXPECT(g, !lost, "%llu loads failed because a name was another's", lost);
	TRY(expect_told(g, socket));
	TRY(load_meanwhile(g, l, v, NUM_DEEDS, &lost));
	EXPECT(g, lost, "nothing was lost: no harm was done");
	TRY(expect_told(g, socket) || operator_status(g, socket, "\"errors_io\"", &told));
	EXPECT(g, told >= lost, "%llu errors counted of %llu", told, lost);
	/* What is stored now is as good as ever. */
	lost = 0;
	TRY(run_phase(g, l, LOAD_FILL, &lost) || run_phase(g, l, LOAD_VERIFY, &lost));
	EXPECT(g, !lost, "%llu pages are lost of those stored after that", lost);
	return suite_check_answers(g);
}

/* Checks: device-store-unit, device-load-whole */
static int case_gone(struct guest *g, const char *socket)
{
	const struct guest_options guest = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 },
		.pairs = 4, .slots = PAGES,
	};
	const struct load_options options = {
		.pages = PAGES, .depth = DEPTH, .read_percent = 70, .ops = 500,
	};
	struct vandal v;
	struct load l;
	unsigned int i;
	int rc;

	TRY(guest_connect(g, socket, &guest));
	EXPECT(g, !load_init(&l, &options, &g->records), "%s", l.error);
	l.queues = g->pairs;
	for (i = 0; i < g->pairs; i++)
		l.queue[i] = &g->pair[i].io;
	rc = vandal_open(&v, g, socket) || suffer(g, socket, &l, &v) ? -1 : 0;
	close(v.file[0].fd);
	close(v.file[1].fd);
	load_free(&l);
	return rc;
}

/* --- another store --- */

/* Kill all of the daemon; whoever started it starts another. */
static int kill_daemon(struct guest *g)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	EXPECT(g, !getsockopt(g->fe.socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) &&
	       !kill(peer.pid, SIGKILL), "nobody to kill");
	EXPECT(g, fe_wait_closed(&g->fe), "the connection outlives the daemon");
	return 0;
}

static int move(struct guest *g, const struct file *f, bool away)
{
	char aside[sizeof(f->path) + 8] = "";

	strcat(strcpy(aside, f->path), ".aside");
	EXPECT(g, !rename(away ? f->path : aside, away ? aside : f->path),
	       "can't move %s", f->path);
	return 0;
}

/* Data, tags, or both. */
static int try_others(struct guest *g, const struct file *file, unsigned int which)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (which >> i & 1)
			TRY(move(g, &file[i], true));
	TRY(kill_daemon(g));
	EXPECT(g, guest_come_back(g, false), "a daemon goes on with another store");
	g->error[0] = '\0';
	for (i = 0; i < 2; i++)
		if (which >> i & 1)
			TRY(move(g, &file[i], false));
	TRY(kill_daemon(g));
	return guest_come_back(g, false);
}

/* A guest that keeps what is in hand itself gets its own store or none. */
static int case_other_store(struct guest *g, const char *socket)
{
	const struct guest_options guest = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2, .inflight = true },
		.pairs = 4, .slots = PAGES,
	};
	const u64 slots = 64;
	enum io_result result;
	struct file file[2];
	unsigned int which;
	u64 slot;

	TRY(guest_connect(g, socket, &guest));
	for (slot = 0; slot < slots; slot++) {
		TRY(guest_store(g, slot, &result));
		EXPECT(g, result == IO_OK, "store of %llu: %u", slot, result);
	}
	TRY(open_file(g, &file[0], socket, "store"));
	close(file[0].fd);
	TRY(open_file(g, &file[1], socket, "store.tags"));
	close(file[1].fd);
	for (which = 1; which <= 3; which++)
		TRY(try_others(g, file, which) || suite_load_all(g, slots));
	return suite_check_answers(g);
}

static const struct suite_case cases[] = {
	{ "files that go at any time", case_gone },
};

/* Of a daemon that is started again. */
static const struct suite_case other_cases[] = {
	{ "another store", case_other_store },
};

int run_other_store(const char *socket, const char *filter)
{
	return suite_run(socket, filter, other_cases, ARRAY_SIZE(other_cases));
}

int run_gone(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}
