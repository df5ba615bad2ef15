// SPDX-License-Identifier: GPL-2.0-only
/*
 * move.c - a guest at work that moves between two daemons with one store.
 *
 * Theory of operation: what a VMM does with its device when it moves, without the VMM: the rings stop, the one
 * daemon's state is read and the other's is written, and the rings start there. The guest's memory stays
 * what it is, and what a VMM would have copied of it is checked as well: all that the daemons write must be in the
 * log (dirty.c).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dirty.h"
#include "hostile.h"
#include "killer.h"
#include "suite.h"
#include "suites.h"

#define MIB		(1024 * 1024ull)

bool move_unlogged;

static const char *home;
static char other[256];
static size_t state_bytes;	/* of the last move */

static int check_log(struct guest *g, struct dirty_count *sum)
{
	struct dirty_count count;

	TRY(dirty_end(g, &count));
	if (move_unlogged)
		return 0;
	sum->logged += count.logged;
	sum->written += count.written;
	EXPECT(g, !count.missing, "%llu of %llu pages that the daemon wrote aren't in the log",
	       count.missing, count.written);
	return 0;
}

static int move_once(struct killer *k, u64 *random, struct dirty_count *sum)
{
	struct guest *g = k->g;

	TRY(dirty_begin(g, true));
	killer_let_live(k, random);
	TRY(guest_stop(g));
	TRY(check_log(g, sum));
	free(g->state);
	TRY_FE(g, fe_save_state(&g->fe, &g->state, &g->state_bytes));
	state_bytes = g->state_bytes;
	g->path = g->path == home ? other : home;
	return guest_come_back(g, true);
}

void *move_guest(void *arg)
{
	struct killer *k = arg;
	struct dirty_count sum = { 0 };
	u64 random = 0x9e3779b97f4a7c15ull ^ k->wanted;

	home = k->g->path;
	snprintf(other, sizeof(other), "%s.other", home);
	while (!killer_stops(k) && k->kills < k->wanted) {
		k->lost = move_once(k, &random, &sum) != 0;
		if (k->lost)
			printf("# move %u: %s\n", k->kills, k->g->error);
		__atomic_fetch_add(&k->kills, k->lost ? k->wanted : 1, __ATOMIC_RELAXED);
	}
	/* The next case begins where this one did. */
	while (!k->lost && k->g->path != home)
		k->lost = move_once(k, &random, &sum) != 0;
	printf("# %llu pages written by the daemons alone, all of them logged; %zu bytes of state\n",
	       sum.written, state_bytes);
	free(k->g->state);
	k->g->state = NULL;
	return NULL;
}

/* --- the suite "handover": either daemon is harmed at every step of a move --- */

#define SLOTS		48u
#define STATE_ROOM	(4 * MIB)

enum step {
	STEP_ASKED,			/* the source was asked for its state */
	STEP_HALF,			/* some of it was read */
	STEP_READ,			/* all of it */
	STEP_CHECKED,			/* and the source says that it's right */
	STEP_LOADING,			/* the other daemon was told to take a state */
	STEP_WRITTEN,			/* it was written */
	STEP_LOADED,			/* the other one says that it's right: the store is its */
	NUM_STEPS
};

enum harm { HARM_NONE, HARM_KILL, HARM_STOP, HARM_CUT, NUM_HARMS };

static const char *const step_names[] = { "asked", "half read", "read", "checked", "loading", "written",
	"loaded" };
static const char *const harm_names[] = { "nobody", "SIGKILL", "SIGSTOP", "hang up" };

/* A daemon, as the front end has it; the one that the guest talks to is in g->fe. */
struct side {
	int socket;
	int backend_request_fd;
	int monitor;
};

struct move {
	struct guest *g;
	struct side side[2];		/* source, other */
	unsigned int now;		/* which is in g->fe */
	int pipe_fd;			/* our end of the one under way; -1 */
	char *state;
	size_t bytes;
};

static void use_side(struct move *m, unsigned int which)
{
	struct frontend *fe = &m->g->fe;

	m->side[m->now].socket = fe->socket;
	m->side[m->now].backend_request_fd = fe->backend_request_fd;
	fe->socket = m->side[which].socket;
	fe->backend_request_fd = m->side[which].backend_request_fd;
	m->now = which;
}

static int open_side(struct move *m, unsigned int which, const char *path)
{
	struct hostile_census census;

	use_side(m, which);
	TRY_FE(m->g, fe_reconnect(&m->g->fe, path, &m->g->options.frontend));
	TRY(hostile_census(m->g, &census));
	m->side[which].monitor = census.pid;
	return 0;
}

static int begin_transfer(struct move *m, bool load)
{
	int fd[2], rc;

	EXPECT(m->g, !pipe(fd), "pipe");
	rc = fe_begin_state(&m->g->fe, load, fd[!load]);
	close(fd[!load]);
	m->pipe_fd = fd[load];
	return rc;
}

static void end_transfer(struct move *m)
{
	if (m->pipe_fd >= 0)
		close(m->pipe_fd);
	m->pipe_fd = -1;
}

static int read_up_to(struct move *m, size_t room)
{
	ssize_t n;

	while (m->bytes < room && (n = read(m->pipe_fd, m->state + m->bytes, room - m->bytes)) > 0)
		m->bytes += (size_t)n;
	return m->bytes ? 0 : -1;
}

static int write_all(struct move *m)
{
	size_t at = 0;
	ssize_t n;

	while (at < m->bytes && (n = write(m->pipe_fd, m->state + at, m->bytes - at)) > 0)
		at += (size_t)n;
	end_transfer(m);
	return at == m->bytes ? 0 : -1;
}

/* -1: the move has failed. */
static int take_step(struct move *m, enum step step)
{
	int rc;

	use_side(m, step >= STEP_LOADING);
	switch (step) {
	case STEP_ASKED:
		return begin_transfer(m, false);
	case STEP_HALF:
		return read_up_to(m, 5000);
	case STEP_READ:
		rc = read_up_to(m, STATE_ROOM);
		end_transfer(m);
		return rc;
	case STEP_CHECKED:
		return fe_check_state(&m->g->fe);
	case STEP_LOADING:
		return begin_transfer(m, true);
	case STEP_WRITTEN:
		return write_all(m);
	default:
		return fe_check_state(&m->g->fe);
	}
}

static void signal_side(const struct move *m, unsigned int which, int number)
{
	int worker = census_worker(m->side[which].monitor);

	if (worker)
		kill(worker, number);
	if (number != SIGKILL)
		kill(m->side[which].monitor, number);
}

/* The monitor first: it starts another process in place of one that stands still. */
static void stop_side(const struct move *m, unsigned int which)
{
	int worker;

	stop_process(m->side[which].monitor);
	worker = census_worker(m->side[which].monitor);
	if (worker)
		stop_process(worker);
}

static void do_harm(struct move *m, unsigned int which, enum harm harm)
{
	if (harm == HARM_KILL)
		signal_side(m, which, SIGKILL);
	else if (harm == HARM_STOP)
		stop_side(m, which);
	if (harm != HARM_CUT)
		return;
	use_side(m, which);
	fe_hang_up(&m->g->fe);
}

/* May the guest run there? */
static int start_at(struct move *m, unsigned int which)
{
	struct guest *g = m->g;

	use_side(m, which);
	if (g->fe.socket < 0)
		return -1;
	if (which && fe_start(&g->fe))
		return -1;
	return guest_resume(g);
}

static int check_all(struct move *m, unsigned int which)
{
	unsigned int i;

	use_side(m, which);
	for (i = 0; i < m->g->pairs; i++) {
		vq_kick(&m->g->pair[i].response);
		vq_kick(&m->g->pair[i].request);
	}
	TRY(suite_load_all(m->g, SLOTS));
	return guest_check_pair(m->g, 0, 1);
}

/* Who has the guest in the end, and nobody else: @moved says who it should be. */
static int settle(struct move *m, enum step last, enum harm harm, unsigned int harmed, bool moved)
{
	bool runs;

	/* It stands still, and has the store all the same. */
	if (harm == HARM_STOP && harmed == moved) {
		EXPECT(m->g, start_at(m, !moved), "the guest runs where it isn't");
		signal_side(m, harmed, SIGCONT);
		harm = HARM_NONE;
	}
	runs = !start_at(m, moved);
	/* Only who hung up, or lost the descriptors of a state, has an excuse. */
	EXPECT(m->g, runs || (harm == HARM_CUT && harmed == moved), "the guest runs nowhere: %s, %s",
	       m->g->fe.error, m->g->error);
	if (harm == HARM_STOP)
		signal_side(m, harmed, SIGCONT);
	/*
	 * Before anything has happened on the rings: from then on they don't fit at the loser's. It asks for a
	 * while, so not after each step.
	 */
	if (runs && (last == STEP_CHECKED || last == STEP_LOADED))
		EXPECT(m->g, start_at(m, !moved), "the guest runs at both");
	return runs ? check_all(m, moved) : 0;
}

/* Returns whether the guest has moved, or -1. */
static int run_steps(struct move *m, enum step last, unsigned int harmed, enum harm harm)
{
	bool moved = true;
	unsigned int step;

	for (step = 0; step < NUM_STEPS && moved; step++) {
		/* Who stands still answers nobody. */
		if (step > last && harm == HARM_STOP && harmed == (step >= STEP_LOADING)) {
			signal_side(m, harmed, SIGCONT);
			harm = HARM_NONE;
		}
		moved = !take_step(m, step);
		if (step == last)
			do_harm(m, harmed, harm);
	}
	end_transfer(m);
	/* The other side's front end ends when it hears that the move has failed. */
	if (!moved) {
		use_side(m, 1);
		fe_hang_up(&m->g->fe);
	}
	return settle(m, last, harm, harmed, moved) ? -1 : moved;
}

static const char *ends[2];		/* who has the store, and who hasn't */

static void find_ends(const char *socket)
{
	if (ends[0])
		return;
	snprintf(other, sizeof(other), "%s.other", socket);
	ends[0] = socket;
	ends[1] = other;
}

static void swap_ends(void)
{
	const char *was = ends[0];

	ends[0] = ends[1];
	ends[1] = was;
}

/* From ends[0] to ends[1]. Returns whether the guest has moved, or -1. */
static int try_harm(struct guest *g, enum step last, unsigned int harmed, enum harm harm)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 },
		.pairs = 2, .slots = 1024, .extra_bytes = MIB, .moves = true,
	};
	struct move m = { .g = g, .side = { { .socket = -1, .backend_request_fd = -1 },
					    { .socket = -1, .backend_request_fd = -1 } }, .pipe_fd = -1 };
	struct hostile_census census;
	enum io_result result;
	u64 slot;
	int moved;

	m.state = malloc(STATE_ROOM);
	TRY(guest_connect(g, ends[0], &o));
	TRY(hostile_census(g, &census));
	m.side[0].monitor = census.pid;
	for (slot = 0; slot < SLOTS; slot++)
		TRY(guest_store(g, slot, &result));
	TRY(guest_stop(g));
	TRY(open_side(&m, 1, ends[1]));
	moved = run_steps(&m, last, harmed, harm);
	if (moved < 0)
		printf("# %s, %s of the %s\n", step_names[last], harm_names[harm],
		       harmed ? "other daemon" : "source");
	use_side(&m, 1);
	fe_hang_up(&g->fe);
	use_side(&m, 0);
	free(m.state);
	return moved;
}

/* Where the guest ended the next one begins, and so does the next case. */
static int harm_at_steps(struct guest *g, const char *socket, enum step first, unsigned int harmed,
			 enum harm harm)
{
	unsigned int step;

	find_ends(socket);
	for (step = first; step < NUM_STEPS; step++) {
		int moved = try_harm(g, step, harmed, harm);

		TRY(moved < 0);
		if (moved)
			swap_ends();
		guest_disconnect(g);
	}
	return 0;
}

static int case_nobody(struct guest *g, const char *socket)
{
	return harm_at_steps(g, socket, STEP_LOADED, 0, HARM_NONE);
}

static int case_kill_source(struct guest *g, const char *socket)
{
	return harm_at_steps(g, socket, STEP_ASKED, 0, HARM_KILL);
}

static int case_kill_other(struct guest *g, const char *socket)
{
	return harm_at_steps(g, socket, STEP_ASKED, 1, HARM_KILL);
}

static int case_stop_source(struct guest *g, const char *socket)
{
	return harm_at_steps(g, socket, STEP_ASKED, 0, HARM_STOP);
}

static int case_stop_other(struct guest *g, const char *socket)
{
	return harm_at_steps(g, socket, STEP_ASKED, 1, HARM_STOP);
}

static int case_cut_source(struct guest *g, const char *socket)
{
	return harm_at_steps(g, socket, STEP_ASKED, 0, HARM_CUT);
}

static int case_cut_other(struct guest *g, const char *socket)
{
	return harm_at_steps(g, socket, STEP_ASKED, 1, HARM_CUT);
}

/* A guest with pages at one daemon; the other one has all, and the guest doesn't run there yet. */
static int move_all(struct move *m, struct guest *g, const char *socket)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 },
		.pairs = 2, .slots = 1024, .extra_bytes = MIB, .moves = true,
	};
	enum io_result result;
	enum step step;
	u64 slot;

	*m = (struct move){ .g = g, .side = { { .socket = -1, .backend_request_fd = -1 },
					      { .socket = -1, .backend_request_fd = -1 } }, .pipe_fd = -1 };
	find_ends(socket);
	m->state = malloc(STATE_ROOM);
	TRY(guest_connect(g, ends[0], &o));
	for (slot = 0; slot < SLOTS; slot++)
		TRY(guest_store(g, slot, &result));
	TRY(guest_stop(g));
	TRY(open_side(m, 1, ends[1]));
	for (step = STEP_ASKED; step < NUM_STEPS; step++)
		EXPECT(g, !take_step(m, step), "%s: %s", step_names[step], g->fe.error);
	return 0;
}

/* The guest has moved, and the next case begins where it is. */
static void end_at_other(struct move *m)
{
	use_side(m, 0);
	fe_hang_up(&m->g->fe);
	use_side(m, 1);
	swap_ends();
	free(m->state);
}

/* A state that is loaded twice, as a snapshot may be: the second has no store. */
static int case_twice(struct guest *g, const char *socket)
{
	struct move m;

	TRY(move_all(&m, g, socket));
	use_side(&m, 0);
	EXPECT(g, fe_load_state(&g->fe, m.state, m.bytes), "the state is taken twice");
	EXPECT(g, !start_at(&m, 1), "the guest doesn't run: %s", g->fe.error);
	TRY(check_all(&m, 1));
	end_at_other(&m);
	return 0;
}

/* It leaves the other daemon before it has run there, nobody takes it, and it runs where it was last. */
static int case_passed_on(struct guest *g, const char *socket)
{
	struct move m;

	TRY(move_all(&m, g, socket));
	m.bytes = 0;
	use_side(&m, 1);
	EXPECT(g, !begin_transfer(&m, false), "the guest doesn't leave: %s", g->fe.error);
	EXPECT(g, !read_up_to(&m, STATE_ROOM), "no state");
	end_transfer(&m);
	EXPECT(g, !fe_check_state(&g->fe), "the state isn't right: %s", g->fe.error);
	EXPECT(g, !start_at(&m, 1), "the guest doesn't run: %s", g->fe.error);
	EXPECT(g, start_at(&m, 0), "the guest runs at both");
	TRY(check_all(&m, 1));
	end_at_other(&m);
	return 0;
}

/* The other daemon has all, and its front end is gone before the guest has run there: so the guest runs at the source. */
static int give_back(struct guest *g, const char *socket, enum harm before)
{
	unsigned int tries;
	struct move m;

	TRY(move_all(&m, g, socket));
	do_harm(&m, 1, before);
	do_harm(&m, 1, HARM_CUT);
	/* The source asks for a while each time. */
	for (tries = 0; tries < 30 && start_at(&m, 0); tries++)
		;
	EXPECT(g, tries < 30, "the guest doesn't run: %s", g->fe.error);
	TRY(check_all(&m, 0));
	free(m.state);
	return 0;
}

static int case_given_back(struct guest *g, const char *socket)
{
	return give_back(g, socket, HARM_NONE);
}

static int case_next_gives_back(struct guest *g, const char *socket)
{
	return give_back(g, socket, HARM_KILL);
}

/*
 * Of a file, whose lock is free when a process dies: the other daemon's dies when it has all, and the source has the
 * store before another process follows. So the guest runs at the source; at the other daemon, which answers, it
 * doesn't, and nor does it leave from there.
 */
static int case_taken_meanwhile(struct guest *g, const char *socket)
{
	struct move m;

	TRY(move_all(&m, g, socket));
	EXPECT(g, !stop_process(m.side[1].monitor), "the monitor doesn't stop");
	signal_side(&m, 1, SIGKILL);
	EXPECT(g, !start_at(&m, 0), "the guest doesn't run: %s", g->fe.error);
	kill(m.side[1].monitor, SIGCONT);
	use_side(&m, 1);
	EXPECT(g, begin_transfer(&m, false), "the guest leaves where it isn't");
	end_transfer(&m);
	EXPECT(g, start_at(&m, 1), "the guest runs at both");
	fe_hang_up(&g->fe);
	TRY(check_all(&m, 0));
	TRY(open_side(&m, 1, ends[1]));
	fe_hang_up(&g->fe);
	use_side(&m, 0);
	free(m.state);
	return 0;
}

static const struct suite_case cases[] = {
	{ "a state that is loaded twice", case_twice },
	{ "the guest leaves before it has run, and stays", case_passed_on },
	{ "the other daemon gives it back", case_given_back },
	{ "the other daemon is killed, and gives it back", case_next_gives_back },
	{ "the guest moves", case_nobody },
	{ "the source is killed", case_kill_source },
	{ "the other daemon is killed", case_kill_other },
	{ "the source is stopped", case_stop_source },
	{ "the other daemon is stopped", case_stop_other },
	{ "the source's front end is gone", case_cut_source },
	{ "the other daemon's front end is gone", case_cut_other },
};

int run_handover(const char *socket, const char *filter)
{
	signal(SIGPIPE, SIG_IGN);
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}

int run_handover_lock(const char *socket, const char *filter)
{
	static const struct suite_case lock_cases[] = {
		{ "the other daemon is killed, and the source has the store first", case_taken_meanwhile },
	};

	signal(SIGPIPE, SIG_IGN);
	return suite_run(socket, filter, lock_cases, ARRAY_SIZE(lock_cases));
}
