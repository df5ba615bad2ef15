// SPDX-License-Identifier: GPL-2.0-only
/*
 * handover.c - the guest moves: its state goes to another daemon or comes from one, and the store with it.
 *
 * Theory of operation: two daemons have the same store open, and at any time at most one may write to it:
 * the one that has the engine's lock. Each of them also notes which one that may be (enum handover_holder):
 *
 *   source	The front end asks for the state when all rings have stopped. AWAY is noted first, then the
 *		state is written, without waiting; behind its last byte the lock is given up, and only then is
 *		the pipe closed. So a daemon that has read all of the state finds the lock free.
 *   other side	It reads the state, without waiting, and believes nothing. When the front end asks whether that went
 *		well, and the pipe is at its end, this side checks the state as a whole and tries the lock, once;
 *		if the lock is refused the move fails while the source can still go on. Then the state is LOADED.
 *   a move that fails: the source's rings are started again. The source takes the lock back before the first ring
 *		runs, and if it can't no ring does: the guest is at the other side, or its swap fails, which the guest
 *		is made for; rings on both sides at once would mean pages of two guests in one slot.
 *
 * Where the store takes time (at a server) both sides ask for the lock for a while, unless the store says that another
 * daemon has the lock for good: then the move fails at once. The state that comes is kept in
 * a file, so that another process may go on reading it, and taking the lock.
 *
 * A guest may move on from where it came to before it has run there: PASSED_ON is AWAY for everybody else, and if that
 * move fails the state here is LOADED again.
 *
 * A daemon that dies gives up the lock. If it noted AWAY its successor doesn't take the lock before a ring is
 * to run. Nor does the successor of one that died LOADED: the source may have the lock by then, and the guest. A lock
 * whose state is LOADED, and of which no ring ran, is given back when the front end goes away. At a server
 * that takes a while, so LEAVING is noted first: a process that dies on the way is followed by one that goes on.
 *
 * Nothing of this is new to the rings: they were stopped, in the log, and go on as after a death.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "handover.h"
#include "life/device_state.h"

/*
 * A guest whose move has failed waits so long for the other daemon to let go of the store; and the front end of one
 * that comes, for a server to admit us.
 */
#define BACK_MS 2000
#define COME_MS 10000

/* In front of a state that comes, in a page of its own. */
#define CAME_BYTES 4096

struct handover_came {
	uint64_t bytes;			/* that are there; those of a read that a death cut off are missing */
};

static enum handover_holder holder(const struct handover *handover)
{
	return *handover->config.holder;
}

/* One store to memory: a successor sees the old value or the new one. */
static void note_holder(struct handover *handover, enum handover_holder who)
{
	__atomic_store_n(handover->config.holder, who, __ATOMIC_RELEASE);
}

static const struct store_move_ops *move_ops(const struct handover *handover)
{
	return handover->config.store->ops->move;
}

static void drop_transfer(struct handover *handover, enum handover_phase phase)
{
	/* The store hasn't been given up. */
	if (handover->phase == HANDOVER_SAVING && phase != HANDOVER_SAVED && holder(handover) == HANDOVER_PASSED_ON)
		note_holder(handover, HANDOVER_LOADED);
	if (handover->fd >= 0)
		close(handover->fd);
	handover->fd = -1;
	if (handover->came)
		munmap(handover->came, CAME_BYTES + handover->room);
	else if (handover->state)
		munmap(handover->state, handover->room);
	if (handover->state_fd >= 0)
		close(handover->state_fd);
	handover->state_fd = -1;
	handover->came = NULL;
	handover->state = NULL;
	handover->wrong = NULL;
	handover->phase = phase;
}

static const char *fail(struct handover *handover, const char *wrong)
{
	drop_transfer(handover, HANDOVER_FAILED);
	handover->wrong = wrong;
	return wrong;
}

void handover_init(struct handover *handover, const struct handover_config *config)
{
	*handover = (struct handover) { .config = *config, .fd = -1, .state_fd = -1 };
}

bool handover_is_offered(const struct handover *handover)
{
	return handover->config.store && store_can_move(handover->config.store);
}

static struct device_state device_of(const struct handover *handover,
				     struct worker_counters *counters)
{
	const struct handover_config *config = &handover->config;

	return (struct device_state) {
		.limits = config->limits,
		.identity = config->identity,
		.store = config->store,
		.balloon = config->balloon,
		.memory = config->memory,
		.log = worker_log(config->workers),
		.counters = counters,
	};
}

/*
 * Taken for a guest that came, maybe by a process that has died since; as the guest stays, or moves on, it's to be
 * taken again.
 */
static bool keep_loaded(struct handover *handover)
{
	return holder(handover) != HANDOVER_LOADED ||
	       move_ops(handover)->take(handover->config.store, NULL) == STORE_TAKEN;
}

/* --- the state goes --- */

static const char *begin_saving(struct handover *handover)
{
	struct worker_counters counters;
	struct device_state device = device_of(handover, &counters);

	if (!handover_take(handover) || !keep_loaded(handover)) {
		move_ops(handover)->yield(handover->config.store);
		return "another daemon has the store";
	}
	memcpy(device.ticket.id, device.identity->id[STORE_DATA_FILE], STORE_ID_BYTES);
	if (move_ops(handover)->offer &&
	    !move_ops(handover)->offer(handover->config.store, &device.ticket))
		return "there is no ticket for the store";
	worker_count(handover->config.workers, &counters);
	handover->bytes = device_state_write(&device, handover->state);
	if (!handover->bytes)
		return "the tags can't be read";
	note_holder(handover, holder(handover) == HANDOVER_LOADED ? HANDOVER_PASSED_ON : HANDOVER_AWAY);
	handover->phase = HANDOVER_SAVING;
	return NULL;
}

static void end_saving(struct handover *handover)
{
	if (!move_ops(handover)->yield(handover->config.store)) {
		log_err("the store can't be written to the medium (%s): the guest doesn't move", strerror(errno));
		move_ops(handover)->take(handover->config.store, NULL);
		drop_transfer(handover, HANDOVER_FAILED);
		return;
	}
	log_notice("the guest's state has left, %ju bytes: another daemon may use the store",
		   (uintmax_t)handover->bytes);
	drop_transfer(handover, HANDOVER_SAVED);
}

static void write_some(struct handover *handover)
{
	ssize_t n = write(handover->fd, handover->state + handover->done,
			  handover->bytes - handover->done);

	if (n > 0)
		handover->done += (uint64_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		drop_transfer(handover, HANDOVER_FAILED);
	if (handover->phase == HANDOVER_SAVING && handover->done == handover->bytes)
		end_saving(handover);
}

/* --- the state comes --- */

/* What there is of it. At its end the descriptor is closed; what is longer than any state is none. */
static void read_some(struct handover *handover)
{
	ssize_t n;

	while (handover->fd >= 0 && handover->came->bytes < handover->room) {
		n = read(handover->fd, handover->state + handover->came->bytes,
			 handover->room - handover->came->bytes);
		if (n > 0) {
			handover->came->bytes += (uint64_t)n;
		} else if (!n) {
			close(handover->fd);
			handover->fd = -1;
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			break;
		}
	}
	if (handover->fd >= 0)
		fail(handover, "it can't be read, or is longer than any");
}

static bool comes(const struct handover *handover)
{
	return handover->phase == HANDOVER_LOADING || handover->phase == HANDOVER_CHECKED;
}

/* Of a state that comes: all of it is there, and nothing is wrong with it. */
static const char *check_loaded(struct handover *handover, const struct device_state *device)
{
	const char *wrong;

	if (handover->phase == HANDOVER_CHECKED)
		return NULL;
	read_some(handover);
	if (handover->phase != HANDOVER_LOADING)
		return handover->wrong;
	if (handover->fd >= 0)
		return "it has no end";
	wrong = device_state_check(device, handover->state, handover->came->bytes);
	if (!wrong)
		handover->phase = HANDOVER_CHECKED;
	return wrong;
}

static enum store_taken take_by_ticket(struct handover *handover)
{
	const struct store_ticket ticket = device_state_ticket(handover->state);

	return move_ops(handover)->take(handover->config.store, &ticket);
}

static const char *fail_for_store(struct handover *handover)
{
	move_ops(handover)->yield(handover->config.store);
	return fail(handover, "another daemon has the store, or the guest's pages are in another one");
}

/* What was taken and isn't used. At a server that takes time, and goes on in the next process if this one dies. */
static void give_back(struct handover *handover)
{
	const struct store_move_ops *ops = move_ops(handover);

	note_holder(handover, HANDOVER_LEAVING);
	if (ops->give_back && !ops->give_back(handover->config.store))
		return;
	ops->yield(handover->config.store);
	note_holder(handover, HANDOVER_AWAY);
}

static const char *load(struct handover *handover)
{
	struct worker_counters counters;
	const struct device_state device = device_of(handover, &counters);
	const char *wrong = check_loaded(handover, &device);

	if (wrong)
		return wrong;
	if (take_by_ticket(handover) != STORE_TAKEN)
		return fail_for_store(handover);
	if (!device_state_apply(&device, handover->state)) {
		give_back(handover);
		return "the tags can't be written";
	}
	worker_set_counted(handover->config.workers, &counters);
	/* What is in hand is known to the log alone. */
	worker_use_log(handover->config.workers, worker_log(handover->config.workers));
	note_holder(handover, HANDOVER_LOADED);
	return NULL;
}

bool handover_check(struct handover *handover)
{
	const char *wrong = handover->wrong;
	bool went_well = handover->phase == HANDOVER_SAVED;
	uint64_t bytes = handover->came ? handover->came->bytes : 0;

	if (comes(handover)) {
		wrong = load(handover);
		went_well = !wrong;
	}
	if (wrong)
		log_err("the guest can't move here: its state: %s", wrong);
	else if (went_well && holder(handover) == HANDOVER_LOADED)
		log_notice("the guest's state is here, %ju bytes, and so is the store",
			   (uintmax_t)bytes);
	drop_transfer(handover, HANDOVER_NONE);
	return went_well;
}

unsigned int handover_waits_to_load(struct handover *handover)
{
	struct worker_counters counters;
	const struct device_state device = device_of(handover, &counters);

	if (!comes(handover) || check_loaded(handover, &device))
		return 0;
	switch (take_by_ticket(handover)) {
	case STORE_TAKEN:
		break;
	case STORE_NOT_YET:
		return COME_MS;
	case STORE_REFUSED:
		fail_for_store(handover);
		break;
	}
	return 0;
}

unsigned int handover_waits_to_run(struct handover *handover)
{
	return handover_take(handover) && keep_loaded(handover) ? 0 : BACK_MS;
}

/* Whatever the message comes to: what a store has under way for it is at its end. */
void handover_give_up(struct handover *handover)
{
	move_ops(handover)->yield(handover->config.store);
}

/* --- both --- */

static bool is_stream(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) &&
	       !fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* A file, so that another process may go on; as much of it exists as is written. */
static bool map_state_to_come(struct handover *handover)
{
	void *map = mmap(NULL, CAME_BYTES + handover->room, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_NORESERVE, handover->state_fd, 0);

	if (map == MAP_FAILED)
		return false;
	handover->came = map;
	handover->state = (uint8_t *)map + CAME_BYTES;
	return true;
}

static bool make_room(struct handover *handover, bool loads)
{
	int fd;

	handover->room = device_state_room(handover->config.limits);
	if (loads) {
		fd = memfd_create("cswapd-guest", MFD_CLOEXEC);
		handover->state_fd = fd;
		handover->serial++;
		/* As long as it has to be; ftruncate() isn't for us (sandbox.c). */
		return fd >= 0 && map_state_to_come(handover) &&
		       pwrite(fd, "", 1, (off_t)(CAME_BYTES + handover->room - 1)) == 1;
	}
	handover->state = mmap(NULL, handover->room, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (handover->state == MAP_FAILED)
		handover->state = NULL;
	return handover->state;
}

struct handover_transfer handover_save(const struct handover *handover)
{
	const struct handover_transfer nothing = { .fd = -1, .state_fd = -1 };

	if (!comes(handover))
		return nothing;
	return (struct handover_transfer) { handover->fd, handover->state_fd, handover->serial };
}

void handover_restore(struct handover *handover, const struct handover_transfer *transfer)
{
	struct stat st;

	handover->room = device_state_room(handover->config.limits);
	handover->fd = transfer->fd;
	handover->state_fd = transfer->state_fd;
	handover->serial = transfer->serial;
	if (transfer->state_fd < 0)
		drop_transfer(handover, HANDOVER_NONE);
	else if (fstat(transfer->state_fd, &st) ||
		 (uint64_t)st.st_size != CAME_BYTES + handover->room ||
		 !map_state_to_come(handover) ||
		 handover->came->bytes > handover->room)
		drop_transfer(handover, HANDOVER_FAILED);
	else
		handover->phase = HANDOVER_LOADING;
}

const char *handover_begin(struct handover *handover, bool loads, int fd)
{
	const char *wrong = NULL;

	drop_transfer(handover, HANDOVER_NONE);
	if (!handover_is_offered(handover))
		return "this store can't move";
	if (!is_stream(fd))
		return "neither a pipe nor a socket";
	if (loads && (!handover_is_away(holder(handover)) || handover_leaves(handover)))
		return "the daemon has a guest's pages already: start it with --incoming";
	if (!make_room(handover, loads)) {
		drop_transfer(handover, HANDOVER_FAILED);
		return "no memory for it";
	}
	handover->done = 0;
	if (loads)
		handover->phase = HANDOVER_LOADING;
	else
		wrong = begin_saving(handover);
	if (wrong)
		drop_transfer(handover, HANDOVER_FAILED);
	else
		handover->fd = fd;
	return wrong;
}

struct pollfd handover_poll(const struct handover *handover)
{
	if (handover->fd < 0 && handover_is_offered(handover))
		return store_move_poll(handover->config.store);
	return (struct pollfd) {
		.fd = handover->fd,
		.events = handover->phase == HANDOVER_SAVING ? POLLOUT : POLLIN,
	};
}

bool handover_leaves(const struct handover *handover)
{
	return holder(handover) == HANDOVER_LEAVING;
}

void handover_run(struct handover *handover)
{
	if (handover_leaves(handover))
		give_back(handover);
	else if (handover->phase == HANDOVER_SAVING)
		write_some(handover);
	else if (handover->phase == HANDOVER_LOADING)
		read_some(handover);
}

bool handover_is_ours(const struct handover *handover)
{
	return holder(handover) == HANDOVER_OURS && handover->phase == HANDOVER_NONE;
}

bool handover_is_loaded(const struct handover *handover)
{
	return holder(handover) == HANDOVER_LOADED || holder(handover) == HANDOVER_PASSED_ON;
}

bool handover_take(struct handover *handover)
{
	if (!handover_is_away(holder(handover)))
		return true;
	if (handover_leaves(handover))
		return false;
	/* A state that is on its way, in either direction, is worth nothing from now on. */
	if (handover->phase == HANDOVER_SAVING || comes(handover))
		drop_transfer(handover, HANDOVER_FAILED);
	if (move_ops(handover)->take(handover->config.store, NULL) != STORE_TAKEN)
		return false;
	note_holder(handover, holder(handover) == HANDOVER_AWAY ? HANDOVER_OURS : HANDOVER_LOADED);
	log_notice("the store is this daemon's");
	return true;
}

const char *handover_end(struct handover *handover)
{
	if (!handover_take(handover)) {
		move_ops(handover)->yield(handover->config.store);
		return "another daemon has the store";
	}
	if (handover->phase != HANDOVER_NONE)
		drop_transfer(handover, HANDOVER_NONE);
	if (holder(handover) != HANDOVER_LOADED)
		return NULL;
	/* The guest stays here: what the store does by itself may begin. */
	if (!keep_loaded(handover))
		return "another daemon has the store";
	worker_pause_table(handover->config.workers);
	balloon_restore(handover->config.balloon);
	worker_resume(handover->config.workers);
	note_holder(handover, HANDOVER_OURS);
	return NULL;
}

void handover_lose(struct handover *handover)
{
	drop_transfer(handover, HANDOVER_NONE);
	if (holder(handover) == HANDOVER_PASSED_ON)
		note_holder(handover, HANDOVER_AWAY);
	if (holder(handover) != HANDOVER_LOADED)
		return;
	log_notice("the guest that came here didn't start: another daemon may use the store");
	give_back(handover);
}
