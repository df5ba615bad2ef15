// SPDX-License-Identifier: GPL-2.0-only
/*
 * nbd_clients.c - random pages of an NBD server by cswapd's client, or by libnbd.
 *
 * Usage: nbd-clients SOCKET EXPORT own|libnbd|libnbd-simple read|write DEPTH SECONDS [CONNECTIONS]
 *
 * As many operations as DEPTH are always under way, by CONNECTIONS (default 1; libnbd: 1). One
 * JSON line: operations a second, and microseconds of this process's own CPU for each. libnbd
 * asks for structured replies unless it's told not to (libnbd-simple).
 */
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/log.h"
#include "store/nbd_dial.h"
#include "store/store_files.h"

#define SLOTS 32768
#define MAX_DEPTH 256
#define PAGE STORE_SLOT_SIZE

struct run {
	const char *path, *export_name, *client;
	bool write;
	unsigned int depth, connections;
	double seconds;
	uint64_t done;
	uint64_t random;
	uint8_t (*pages)[PAGE];
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "nbd-clients: %s\n", what);
	exit(1);
}

static uint64_t next_slot(struct run *run)
{
	run->random ^= run->random << 13;
	run->random ^= run->random >> 7;
	run->random ^= run->random << 17;
	return run->random % SLOTS;
}

/* --- our own --- */

static struct store_op ops[MAX_DEPTH], *ended;

static void note_end(void *context, struct store_op *op)
{
	(void)context;
	if (op->error)
		fail("an operation failed");
	op->next = ended;
	ended = op;
}

static void connect_all(struct run *run, struct store_server *server)
{
	const struct nbd_want want = {
		.export_name = run->export_name, .bytes = STORE_DATA_OFFSET + SLOTS * PAGE,
		.request_bytes = STORE_MAX_PAGES * PAGE, .block_bytes = PAGE,
	};
	static struct nbd_dial dial;
	struct pollfd fds[STORE_MAX_CONNECTIONS + 1];

	nbd_dial_init(&dial, run->path, &want, run->connections);
	nbd_dial_begin(&dial, 0, true);
	while (!nbd_dial_run(&dial, (uint64_t)(now() * 1000)))
		poll(fds, nbd_dial_poll(&dial, fds), 20);
	memcpy(server->fd, dial.fd, sizeof(server->fd));
	server->flags = dial.flags;
	server->count = run->connections;
	server->lanes = 1;
}

static void begin(struct run *run, struct store_lane *lane, struct store_op *op)
{
	op->kind = run->write ? STORE_WRITE : STORE_READ;
	op->slot = next_slot(run);
	op->count = 1;
	op->data[0] = (struct iovec){ run->pages[op - ops], PAGE };
	store_submit(lane, op);
}

static void reap(struct io_uring *ring, struct store_lane *lane)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_submit_and_wait(ring, 1);
	io_uring_for_each_cqe(ring, head, cqe) {
		lane->store->ops->complete(lane,
			(struct store_op *)(uintptr_t)(cqe->user_data & ~(uint64_t)STORE_PART_MASK),
			STORE_PART_DATA, cqe->res);
		n++;
	}
	io_uring_cq_advance(ring, n);
}

static void run_own(struct run *run)
{
	struct store_server_log log = { 0 };
	struct store_server server = { .log = &log };
	struct store_files files = STORE_FILES_NONE;
	struct io_uring ring;
	struct store_lane *lane;
	struct store *store;
	unsigned int i;
	double end;

	files.slots = SLOTS;
	files.server = &server;
	files.format = true;
	snprintf(files.paths.name[STORE_DATA_FILE], STORE_NAME_BYTES, "nbd:%s:%s", run->path,
		 run->export_name);
	connect_all(run, &server);
	store = store_nbd_ops.open(&files, SLOTS);
	if (!store || io_uring_queue_init(1024, &ring, 0))
		fail("no io_uring");
	lane = store->ops->lane_open(store, &ring, MAX_DEPTH, note_end, run);
	if (!lane)
		fail("no lane");
	for (i = 0; i < run->depth; i++)
		begin(run, lane, &ops[i]);
	for (end = now() + run->seconds; now() < end;) {
		reap(&ring, lane);
		while (ended) {
			struct store_op *op = ended;

			ended = op->next;
			run->done++;
			begin(run, lane, op);
		}
	}
}

/* --- libnbd --- */

struct request {
	struct run *run;
	unsigned int index;
	bool ended;
};

static int note_request_end(void *context, int *error)
{
	struct request *request = context;

	if (*error)
		fail("an operation failed");
	request->ended = true;
	return 1;
}

static void begin_request(struct nbd_handle *nbd, struct request *request)
{
	struct run *run = request->run;
	nbd_completion_callback done = { .callback = note_request_end, .user_data = request };
	uint64_t at = STORE_DATA_OFFSET + next_slot(run) * PAGE;
	void *page = run->pages[request->index];

	request->ended = false;
	if ((run->write ? nbd_aio_pwrite(nbd, page, PAGE, at, done, 0) :
			  nbd_aio_pread(nbd, page, PAGE, at, done, 0)) < 0)
		fail(nbd_get_error());
}

static void run_libnbd(struct run *run)
{
	static struct request requests[MAX_DEPTH];
	struct nbd_handle *nbd = nbd_create();
	unsigned int i;
	double end;

	if (!nbd || nbd_set_export_name(nbd, run->export_name) ||
	    (!strcmp(run->client, "libnbd-simple") && nbd_set_request_structured_replies(nbd, false)) ||
	    nbd_connect_unix(nbd, run->path))
		fail(nbd_get_error());
	for (i = 0; i < run->depth; i++) {
		requests[i] = (struct request){ run, i, false };
		begin_request(nbd, &requests[i]);
	}
	for (end = now() + run->seconds; now() < end;) {
		if (nbd_poll(nbd, -1) < 0)
			fail(nbd_get_error());
		for (i = 0; i < run->depth; i++) {
			if (!requests[i].ended)
				continue;
			run->done++;
			begin_request(nbd, &requests[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct run run = { .random = 88172645463325252ULL, .connections = 1 };
	double used;

	if (argc < 7)
		fail("usage: SOCKET EXPORT CLIENT read|write DEPTH SECONDS [CONNECTIONS]");
	log_init(LOG_ERR);
	run.path = argv[1];
	run.export_name = argv[2];
	run.client = argv[3];
	run.write = !strcmp(argv[4], "write");
	run.depth = (unsigned int)strtoul(argv[5], NULL, 10);
	run.seconds = strtod(argv[6], NULL);
	if (argc > 7)
		run.connections = (unsigned int)strtoul(argv[7], NULL, 10);
	if (!run.depth || run.depth > MAX_DEPTH || !run.connections ||
	    run.connections > STORE_MAX_CONNECTIONS)
		fail("DEPTH is up to 256, and CONNECTIONS up to 64");
	run.pages = aligned_alloc(PAGE, (size_t)run.depth * PAGE);
	if (!run.pages)
		fail("no memory");
	memset(run.pages, 0x5a, (size_t)run.depth * PAGE);
	used = cpu();
	if (!strcmp(run.client, "own"))
		run_own(&run);
	else
		run_libnbd(&run);
	printf("{\"iops\":%.0f,\"cpu_us\":%.2f}\n", (double)run.done / run.seconds,
	       (cpu() - used) * 1e6 / (double)run.done);
	/* The server hears it by our end. */
	return 0;
}
