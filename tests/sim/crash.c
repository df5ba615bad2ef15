// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash.c - a guest at work whose daemon dies again and again.
 *
 * A thread kills the process that serves the guest, at any moment of its life, and
 * the next, while a case goes on as if nothing had happened. What must hold is what
 * a daemon owes that lives: every request answered once, every page the last one
 * stored, nothing discarded that was stored after.
 *
 * The suite "restart" does the same to the whole daemon, with a front end that keeps
 * what is in hand and connects to the next one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <asm/byteorder.h>

#include "dirty.h"
#include "hostile.h"
#include "killer.h"
#include "load.h"
#include "operator.h"
#include "suites.h"

#define MIB		(1024 * 1024ull)
#define PAGES		2048
#define DEPTH		32
/* A worker lives up to so long after it was seen, if it isn't let do something first. */
#define LIFE_US		20000

unsigned int crash_kills = 200;

static void *kill_workers(void *arg);
static void *kill_daemons(void *arg);
static void *(*harm)(void *) = kill_workers;

static void sleep_us(unsigned int us)
{
	const struct timespec t = { us / 1000000, us % 1000000 * 1000l };

	nanosleep(&t, NULL);
}

unsigned int killer_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

static void killer_step(struct killer *k)
{
	__atomic_fetch_add(&k->steps, 1, __ATOMIC_RELAXED);
}

bool killer_stops(const struct killer *k)
{
	return __atomic_load_n(&k->stop, __ATOMIC_RELAXED);
}

static u64 progress(const struct killer *k)
{
	u64 sum = __atomic_load_n(&k->steps, __ATOMIC_RELAXED);
	unsigned int i;

	for (i = 0; i < k->g->pairs; i++)
		sum += __atomic_load_n(&k->g->pair[i].answers, __ATOMIC_RELAXED);
	return sum;
}

/* At birth, at work, or before or after either: the machine's load decides which. */
void killer_let_live(const struct killer *k, u64 *random)
{
	u64 before = progress(k);

	switch (killer_random(random) % 4) {
	case 0:
		return;
	case 1:
		break;
	default:
		while (progress(k) == before && !killer_stops(k))
			sleep_us(200);
	}
	sleep_us(killer_random(random) % LIFE_US);
}

static void *kill_workers(void *arg)
{
	struct killer *k = arg;
	u64 random = 0x9e3779b97f4a7c15ull ^ k->wanted;
	int last = 0;

	while (!killer_stops(k) && k->kills < k->wanted) {
		int pid = census_worker(k->monitor);

		if (!pid || pid == last) {
			sleep_us(500);
			continue;
		}
		killer_let_live(k, &random);
		if (kill(pid, SIGKILL))
			continue;
		last = pid;
		__atomic_fetch_add(&k->kills, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* How a front end loses its daemon: it's killed, ends in order, or was only left. */
static void lose_daemon(struct killer *k, u64 *random)
{
	int worker = census_worker(k->monitor);

	switch (killer_random(random) % 8) {
	case 0:
		fe_hang_up(&k->g->fe);
		return;
	case 1:
		kill(k->monitor, SIGTERM);
		break;
	case 2:
	case 3:
		/* The monitor sees it, and may have started another. */
		if (worker)
			kill(worker, SIGKILL);
		/* fallthrough */
	default:
		kill(k->monitor, SIGKILL);
	}
	if (!fe_wait_closed(&k->g->fe))
		guest_fail(k->g, "the connection outlives the daemon");
}

static int next_daemon(struct killer *k, bool stopped)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	TRY(guest_come_back(k->g, stopped));
	EXPECT(k->g, !getsockopt(k->g->fe.socket, SOL_SOCKET, SO_PEERCRED, &peer, &length),
	       "the daemon has no credentials");
	k->monitor = peer.pid;
	return 0;
}

static void *kill_daemons(void *arg)
{
	struct killer *k = arg;
	u64 random = 0x9e3779b97f4a7c15ull ^ k->wanted;

	while (!killer_stops(k) && k->kills < k->wanted) {
		bool stopped = killer_random(&random) % 4 == 0;

		killer_let_live(k, &random);
		k->lost = stopped && guest_stop(k->g);
		lose_daemon(k, &random);
		k->lost = k->lost || next_daemon(k, stopped);
		if (k->lost)
			printf("# it doesn't come back: %s\n", k->g->error);
		__atomic_fetch_add(&k->kills, k->lost ? k->wanted : 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int killer_begin(struct killer *k, struct guest *g, unsigned int kills)
{
	struct hostile_census census;

	TRY(hostile_census(g, &census));
	EXPECT(g, census_worker(census.pid), "nobody to kill");
	*k = (struct killer){ .g = g, .monitor = census.pid, .wanted = kills };
	EXPECT(g, !pthread_create(&k->thread, NULL, harm, k),
	       "no thread");
	return 0;
}

static bool killer_is_done(const struct killer *k)
{
	return __atomic_load_n(&k->kills, __ATOMIC_RELAXED) >= k->wanted;
}

static void killer_end(struct killer *k)
{
	__atomic_store_n(&k->stop, true, __ATOMIC_RELAXED);
	pthread_join(k->thread, NULL);
}

/* A part of the kills, and one at least. */
static unsigned int share(unsigned int percent)
{
	return crash_kills * percent / 100 + 1;
}

/* --- requests --- */

static int connect_pairs(struct guest *g, const char *socket)
{
	struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 },
		.pairs = 4, .slots = PAGES, .extra_bytes = 16 * MIB,
	};

	o.frontend.inflight = harm == kill_daemons;
	o.moves = harm == move_guest;
	return guest_connect(g, socket, &o);
}

/* One that is forgotten until something wakes it ends as unanswered, in guest_pair.c. */
static int run_phase(struct guest *g, struct load *l, enum load_phase phase)
{
	static struct load_report r;

	EXPECT(g, !load_run(l, phase, &r), "%s", l->error);
	EXPECT(g, !r.wrong && !r.forged, "%llu pages wrong, %llu forged", r.wrong,
	       r.forged);
	EXPECT(g, !r.store.failed && !r.load.failed, "%llu stores and %llu loads failed",
	       r.store.failed, r.load.failed);
	return 0;
}

static int load_while_killed(struct guest *g, struct load *l, unsigned int kills)
{
	struct killer killer;
	int rc = 0;

	TRY(run_phase(g, l, LOAD_FILL));
	TRY(killer_begin(&killer, g, kills));
	while (!rc && !killer_is_done(&killer))
		rc = run_phase(g, l, LOAD_RUN);
	killer_end(&killer);
	TRY(killer.lost);
	printf("# %u kills under load\n", killer.kills);
	return rc || run_phase(g, l, LOAD_VERIFY) ? -1 : suite_check_answers(g);
}

/* Stores and loads by all pairs: every answer comes once, every page is right. */
static int case_load(struct guest *g, const char *socket)
{
	const struct load_options options = {
		.pages = PAGES, .depth = DEPTH, .read_percent = 50, .ops = 2000,
	};
	struct load l;
	unsigned int i;
	int rc;

	TRY(connect_pairs(g, socket));
	EXPECT(g, !load_init(&l, &options, &g->records), "%s", l.error);
	l.queues = g->pairs;
	for (i = 0; i < g->pairs; i++)
		l.queue[i] = &g->pair[i].io;
	rc = load_while_killed(g, &l, share(50));
	load_free(&l);
	return rc;
}

/*
 * A slot is stored, discarded, and stored again at once: a DISCARD that was run
 * a second time, or an old store that landed late, would destroy the newer page.
 * Checks: device-discard-done
 */
static int discard_and_store(struct guest *g, u64 slot)
{
	const struct guest_range range = { slot, 1 };
	enum io_result result;
	u32 status;

	TRY(guest_store(g, slot, &result));
	EXPECT(g, result == IO_OK, "store of %llu: %u", slot, result);
	TRY(guest_discard(g, &range, 1, &status));
	EXPECT(g, !status, "discard of %llu: status %u", slot, status);
	TRY(guest_store(g, slot, &result));
	EXPECT(g, result == IO_OK, "store of %llu: %u", slot, result);
	return 0;
}

static int case_discard(struct guest *g, const char *socket)
{
	const u64 slots = 64;
	struct killer killer;
	u64 slot = 0;
	int rc = 0;

	TRY(connect_pairs(g, socket));
	TRY(killer_begin(&killer, g, share(20)));
	while (!rc && (!killer_is_done(&killer) || slot < slots)) {
		rc = discard_and_store(g, slot++ % slots);
		killer_step(&killer);
		if (!rc && slot % slots == 0)
			rc = suite_load_all(g, slots);
	}
	killer_end(&killer);
	TRY(killer.lost);
	printf("# %u kills under %llu discards\n", killer.kills, slot);
	return rc || suite_load_all(g, slots) ? -1 : suite_check_answers(g);
}

/* --- messages --- */

static int check_all_pairs(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->pairs; i++)
		TRY(guest_check_pair(g, i, i * GUEST_SHARD_SLOTS));
	return 0;
}

static int trouble(struct guest *g, unsigned int round)
{
	struct guest_pair *p = &g->pair[round % g->pairs];

	switch (round % 3) {
	case 0:
		TRY(guest_stop_pair(p));
		return guest_resume_pair(p);
	case 1:
		TRY_FE(g, fe_share_table(&g->fe, false));
		return 0;
	default:
		TRY_FE(g, fe_tell_call(&g->fe, &p->response));
		return 0;
	}
}

/* Rings stopped and started, memory shared anew, while nobody may be there. */
static int case_messages(struct guest *g, const char *socket)
{
	unsigned int round;
	struct killer killer;
	int rc = 0;

	TRY(connect_pairs(g, socket));
	TRY(killer_begin(&killer, g, share(15)));
	for (round = 0; !rc && !killer_is_done(&killer); round++) {
		rc = trouble(g, round) || check_all_pairs(g);
		killer_step(&killer);
	}
	killer_end(&killer);
	printf("# %u kills in %u rounds of messages\n", killer.kills, round);
	return rc ? -1 : suite_check_answers(g);
}

/* Front ends that come and go. */
static int case_connections(struct guest *g, const char *socket)
{
	unsigned int round;
	struct killer killer;
	int rc = 0;

	TRY(connect_pairs(g, socket));
	TRY(killer_begin(&killer, g, share(15)));
	for (round = 0; !rc && !killer_is_done(&killer); round++)
		rc = guest_reconnect(g) || check_all_pairs(g);
	killer_end(&killer);
	printf("# %u kills in %u connections\n", killer.kills, round);
	return rc ? -1 : suite_check_answers(g);
}

static int kill_one(struct guest *g)
{
	struct hostile_census census;
	int pid, next;

	TRY(hostile_census(g, &census));
	pid = census_worker(census.pid);
	EXPECT(g, pid && !kill(pid, SIGKILL), "nobody to kill");
	do {
		sleep_us(500);
		next = census_worker(census.pid);
	} while (!next || next == pid);
	return 0;
}

/* --- I/O that outlives its process --- */

static bool is_writable(int fd)
{
	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

/* The same open file as @pid's that is called @name and can be written; -1: it has none. */
static int share_file(int pid, const char *name)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), fd = -1;
	char path[64], target[4096];
	struct dirent *entry;
	ssize_t length;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		length = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (length < (ssize_t)strlen(name))
			continue;
		target[length] = '\0';
		if (strcmp(target + length - strlen(name), name))
			continue;
		fd = syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		if (fd >= 0 && !is_writable(fd)) {
			close(fd);
			fd = -1;
		}
	}
	if (dir)
		closedir(dir);
	if (pidfd >= 0)
		close(pidfd);
	return fd;
}

struct slow_io {
	int fd;
	bool over;			/* atomic */
};

static void *end_later(void *arg)
{
	struct slow_io *io = arg;

	sleep_us(300000);
	__atomic_store_n(&io->over, true, __ATOMIC_RELAXED);
	close(io->fd);
	return NULL;
}

/*
 * As long as the dead process's open file is in use (here by us, else by what the
 * disk hasn't done yet) its successor touches nothing.
 */
static int case_slow_io(struct guest *g, const char *socket)
{
	struct hostile_census census;
	enum io_result result;
	struct slow_io io = { 0 };
	pthread_t thread;
	bool over;
	int rc;

	TRY(connect_pairs(g, socket));
	TRY(guest_store(g, 5, &result));
	TRY(hostile_census(g, &census));
	io.fd = share_file(census_worker(census.pid), "/store");
	if (io.fd < 0) {
		guest_fail(g, "the store is no file");
		return SUITE_SKIP;
	}
	EXPECT(g, !kill(census_worker(census.pid), SIGKILL), "nobody to kill");
	EXPECT(g, !pthread_create(&thread, NULL, end_later, &io), "no thread");
	rc = guest_load(g, 5, &result);
	over = __atomic_load_n(&io.over, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TRY(rc);
	EXPECT(g, result == IO_OK, "load: %u", result);
	EXPECT(g, over, "it was served while I/O of the dead was under way");
	return suite_check_answers(g);
}

/* --- the balloon --- */

static int send_control(struct guest *g, u16 op, u64 address, u64 bytes)
{
	struct virtio_cswap_mem_range *range = (void *)(g->ctrl + 1);
	const struct vq_segment s[] = {
		{ fe_guest_address(&g->fe, g->ctrl), CSWAP_CTRL_BYTES(1), false },
		{ fe_guest_address(&g->fe, g->ctrl_response),
		  sizeof(*g->ctrl_response), true },
	};
	u32 used, status;

	*g->ctrl = (struct virtio_cswap_ctrl) { .op = cpu_to_le16(op), .count = cpu_to_le16(1) };
	*range = (struct virtio_cswap_mem_range) { cpu_to_le64(address), cpu_to_le64(bytes) };
	TRY(guest_control(g, s, 2, &used));
	status = cswap_wire_get_ctrl_status(g->ctrl_response, used);
	EXPECT(g, !status, "control request %u: status %u", op, status);
	return 0;
}

static int expect_status(struct guest *g, const char *socket, const char *key, u64 want)
{
	u64 value = ~0ull;
	unsigned int tries;

	/* A control socket of a daemon that isn't there yet refuses. */
	for (tries = 0; tries < 10000; tries++) {
		if (!operator_status(g, socket, key, &value))
			break;
		sleep_us(1000);
	}
	EXPECT(g, value == want, "%s is %llu, not %llu", key, value, want);
	return 0;
}

static int post_event(struct guest *g, struct virtio_cswap_ctrl *ctrl,
		      struct virtio_cswap_event *event)
{
	const struct vq_segment s[] = {
		{ fe_guest_address(&g->fe, ctrl), sizeof(*ctrl), false },
		{ fe_guest_address(&g->fe, event), sizeof(*event), true },
	};

	ctrl->op = cpu_to_le16(VIRTIO_CSWAP_CTRL_EVENT);
	EXPECT(g, !vq_add(&g->control, s, 2, event), "no room in the control queue");
	vq_publish(&g->control);
	return 0;
}

static int expect_event(struct guest *g, struct virtio_cswap_event *event, u64 target)
{
	void *token;
	u32 used;

	TRY(guest_await_control(g, &token, &used));
	EXPECT(g, token == event && le64_to_cpu(event->target) == target,
	       "target %llu, not %llu", le64_to_cpu(event->target), target);
	return 0;
}

/*
 * What is released, what was told and what is wanted outlive the daemon, and so
 * does an EVENT that it held. What was told isn't told again.
 */
static int case_balloon(struct guest *g, const char *socket)
{
	struct virtio_cswap_ctrl *ctrl;
	struct virtio_cswap_event *event;
	u8 *area;

	TRY(connect_pairs(g, socket));
	area = fe_alloc(&g->fe, 4 * MIB, MIB);
	ctrl = fe_alloc(&g->fe, sizeof(*ctrl), 64);
	event = fe_alloc(&g->fe, sizeof(*event), 64);
	EXPECT(g, area && ctrl && event, "%s", g->fe.error);
	TRY(operator_target(g, socket, 3 * MIB));
	TRY(post_event(g, ctrl, event));
	TRY(expect_event(g, event, 3 * MIB));
	TRY(send_control(g, VIRTIO_CSWAP_CTRL_RELEASE, fe_guest_address(&g->fe, area), 3 * MIB));
	TRY(post_event(g, ctrl, event));
	TRY(kill_one(g));
	TRY(expect_status(g, socket, "\"released_bytes\"", 3 * MIB));
	TRY(expect_status(g, socket, "\"told_bytes\"", 3 * MIB));
	TRY(expect_status(g, socket, "\"target_bytes\"", 3 * MIB));
	/* Anything due would come first. */
	TRY(kill_one(g));
	TRY(expect_status(g, socket, "\"told_bytes\"", 3 * MIB));
	TRY(operator_target(g, socket, 0));
	TRY(expect_event(g, event, 0));
	TRY(send_control(g, VIRTIO_CSWAP_CTRL_RECLAIM, fe_guest_address(&g->fe, area), MIB));
	return expect_status(g, socket, "\"released_bytes\"", 2 * MIB);
}

/* What was counted goes on. */
static int case_counters(struct guest *g, const char *socket)
{
	enum io_result result;
	u64 stored;

	TRY(connect_pairs(g, socket));
	TRY(guest_store(g, 5, &result));
	EXPECT(g, result == IO_OK, "store: %u", result);
	EXPECT(g, !operator_status(g, socket, "\"stored_pages\"", &stored) && stored,
	       "nothing is counted");
	TRY(kill_one(g));
	return expect_status(g, socket, "\"stored_pages\"", stored);
}

/* Blocks released, used again, and released: what is in use is never discarded. */
static int case_release(struct guest *g, const char *socket)
{
	struct killer killer;
	unsigned int round;
	u64 address;
	int rc = 0;
	u8 *area;

	TRY(connect_pairs(g, socket));
	area = fe_alloc(&g->fe, 4 * MIB, MIB);
	EXPECT(g, area, "%s", g->fe.error);
	address = fe_guest_address(&g->fe, area);
	TRY(killer_begin(&killer, g, share(10)));
	for (round = 0; !rc && !killer_is_done(&killer); round++) {
		rc = send_control(g, VIRTIO_CSWAP_CTRL_RELEASE, address, 4 * MIB) ||
		     send_control(g, VIRTIO_CSWAP_CTRL_RECLAIM, address, 4 * MIB);
		memset(area, round | 1, 4 * MIB);
		sleep_us(1000);
		if (!rc && (*area != (u8)(round | 1) || memcmp(area, area + 1, 4 * MIB - 1)))
			rc = guest_fail(g, "memory in use was discarded");
		killer_step(&killer);
	}
	killer_end(&killer);
	TRY(killer.lost);
	printf("# %u kills in %u releases\n", killer.kills, round);
	return rc ? -1 : suite_check_answers(g);
}

static const struct suite_case cases[] = {
	{ "stores and loads", case_load },
	{ "discards", case_discard },
	{ "messages", case_messages },
	{ "connections", case_connections },
	{ "releases", case_release },
	{ "the balloon's state", case_balloon },
	{ "counters", case_counters },
	{ "I/O that outlives its process", case_slow_io },
};

int run_crash(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}

static const struct suite_case restart_cases[] = {
	{ "stores and loads", case_load },
	{ "discards", case_discard },
	{ "releases", case_release },
};

#define READ_MIB 4u

static u64 used_bytes(const struct guest *g)
{
	struct stat st;

	return fstat(g->fe.memory_fd, &st) ? 0 : (u64)st.st_blocks * 512;
}

/* Memory as a front end reads it that copies all of it: that fills what was discarded. */
static void read_all(const volatile u8 *area, u64 bytes)
{
	u64 at;

	for (at = 0; at < bytes; at += 4096)
		(void)area[at];
}

/*
 * The guest hears that it is to release again what it still does without, and does so: that is empty then. What is
 * released, READ_MIB, counts all the time.
 */
static int release_when_asked(struct guest *g, const char *socket, struct virtio_cswap_ctrl *ctrl,
			      struct virtio_cswap_event *event, u8 *area, u64 bytes)
{
	u64 filled;

	TRY(post_event(g, ctrl, event));
	TRY(expect_event(g, event, 0));
	EXPECT(g, le32_to_cpu(event->flags) == VIRTIO_CSWAP_EVENT_AGAIN, "flags %u", le32_to_cpu(event->flags));
	TRY(expect_status(g, socket, "\"released_bytes\"", READ_MIB * MIB));
	filled = used_bytes(g);
	TRY(send_control(g, VIRTIO_CSWAP_CTRL_RELEASE, fe_guest_address(&g->fe, area), bytes));
	EXPECT(g, used_bytes(g) + bytes <= filled, "%llu KiB of %llu are left",
	       (used_bytes(g) + bytes - filled) / 1024, bytes / 1024);
	return expect_status(g, socket, "\"released_bytes\"", READ_MIB * MIB);
}

enum log_end { LOG_ENDS, LOG_AND_DEATH, LOG_LOST };

/*
 * A front end that copies memory reads all of it, which fills what was released. Only the guest knows what it does
 * without now: it may use a block before it says so. So while a log is set and when it ends, the guest is asked to
 * release again, also if the process dies that noticed the end; and memory that the guest uses without a word is never
 * discarded.
 *
 * Checks: device-event-again-counts, device-release-outstanding
 */
static int read_released(struct guest *g, const char *socket, enum log_end end)
{
	struct virtio_cswap_event *event;
	struct virtio_cswap_ctrl *ctrl;
	struct dirty_count count;
	unsigned int round;
	u8 *area;

	TRY(connect_pairs(g, socket));
	area = fe_alloc(&g->fe, READ_MIB * MIB, MIB);
	ctrl = fe_alloc(&g->fe, sizeof(*ctrl), 64);
	event = fe_alloc(&g->fe, sizeof(*event), 64);
	EXPECT(g, area && ctrl && event, "%s", g->fe.error);
	memset(area, 1, READ_MIB * MIB);
	TRY(send_control(g, VIRTIO_CSWAP_CTRL_RELEASE, fe_guest_address(&g->fe, area), READ_MIB * MIB));
	TRY(dirty_begin(g, true));
	memset(area, 7, MIB);
	for (round = 0; round < 3; round++) {
		read_all(area, READ_MIB * MIB);
		TRY(release_when_asked(g, socket, ctrl, event, area + MIB, (READ_MIB - 1) * MIB));
	}
	TRY(dirty_end(g, &count));
	read_all(area, READ_MIB * MIB);
	if (end == LOG_LOST)
		TRY(dirty_lose_log(g));
	TRY(dirty_stop_logging(g));
	if (end == LOG_AND_DEATH)
		TRY(kill_one(g));
	TRY(release_when_asked(g, socket, ctrl, event, area + MIB, (READ_MIB - 1) * MIB));
	EXPECT(g, *area == 7 && !memcmp(area, area + 1, MIB - 1), "memory in use was discarded");
	return 0;
}

static int case_read_released(struct guest *g, const char *socket)
{
	return read_released(g, socket, LOG_ENDS);
}

static int case_read_and_dead(struct guest *g, const char *socket)
{
	return read_released(g, socket, LOG_AND_DEATH);
}

/* The last log of a move is one that the daemon refuses. */
static int case_read_and_refused(struct guest *g, const char *socket)
{
	return read_released(g, socket, LOG_LOST);
}

static const struct suite_case log_cases[] = {
	{ "what is released is released again", case_read_released },
	{ "the same, and a death when the log has ended", case_read_and_dead },
	{ "the same, and a log that is refused", case_read_and_refused },
	{ "stores and loads", case_load },
	{ "discards", case_discard },
	{ "without a log it's seen", dirty_case_unlogged },
};

static int case_move_release(struct guest *g, const char *socket)
{
	int rc;

	move_unlogged = true;
	rc = case_release(g, socket);
	move_unlogged = false;
	return rc;
}

static const struct suite_case move_cases[] = {
	{ "stores and loads", case_load },
	{ "discards", case_discard },
	{ "releases", case_move_release },
};

int run_move(const char *socket, const char *filter)
{
	harm = move_guest;
	return suite_run(socket, filter, move_cases, ARRAY_SIZE(move_cases));
}

int run_log(const char *socket, const char *filter)
{
	harm = dirty_log_rounds;
	return suite_run(socket, filter, log_cases, ARRAY_SIZE(log_cases));
}

int run_restart(const char *socket, const char *filter)
{
	harm = kill_daemons;
	return suite_run(socket, filter, restart_cases, ARRAY_SIZE(restart_cases));
}
