// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_nbd.c - the engine whose pages are at an NBD server, behind a Unix socket.
 *
 * Theory of operation: the process that lives longest connects (nbd_dial.c); the one that
 * serves is born with connections that the server has admitted, or with none. Each lane
 * has some of them, and talks by the io_uring operations that files take; what is said is
 * nbd_conn.c's.
 *
 * A lane begins with a look at what the export has in front: our signature (store_files.c).
 * The lane holds all operations that come meanwhile; without connections it holds them until
 * the process ends.
 *
 * When a guest moves, its daemon hangs up; that the server admits the other daemon is what a lock is to a file. The
 * worker asks for connections by a word in the log (struct store_server_log), and they come with the next process.
 * Words in front of the export's slots (nbd_claim.c) say whether the export may be taken. They are read before any
 * lane has said a word: such lanes are cold, and begin with the first operation.
 *
 * When the server is lost this process ends, on purpose. There is one way to go on with what
 * is in hand, after the death of a worker, of a server or of the whole daemon: a process that
 * has the log. That process is born with its connections, so nothing in the sandbox can
 * connect to anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "nbd_claim.h"
#include "nbd_conn.h"
#include "nbd_hello.h"
#include "store_files.h"
#include "store_nbd.h"

/* What is looked at of an export: where file systems, partitions and such begin. */
#define LOOK_PAGES 32
/* One is to be looked at once; but a front end may go on cutting. */
#define MAX_FAULTS 16
/* So long the server may take to answer a claim, in all; and to admit a process that gives the export back. */
#define CLAIM_MS 4000
/* A process that waits looks at least so often, or was stopped: that time doesn't count. */
#define LOOK_MS 200
/* Slots before the first one: where the signature is. */
#define SIGNATURE_SLOT (0 - (uint64_t)STORE_DATA_OFFSET / STORE_SLOT_SIZE)

enum nbd_ours {
	NBD_IDLE,			/* there are no connections, or nothing is known of the export yet */
	NBD_OURS,
	NBD_LEFT,			/* hung up, on purpose */
};

/* What is left of the time for something. */
struct nbd_patience {
	uint64_t left_ms, seen_ms;
};

/* A claim that is under way, a block at a time. */
struct nbd_claiming {
	struct claim claim;
	struct nbd_conn conn;
	enum claim_place place;		/* of the block that the server was asked for, */
	bool writes;			/* or was given */
	struct claim_word word;
	struct store_op op;
	bool answered;
	uint8_t block[STORE_SLOT_SIZE];
	struct nbd_patience patience;
};

struct store_nbd {
	struct store store;
	enum nbd_ours ours;		/* the thread's that moves it; lanes look at it */
	bool cold;			/* lanes are, unless they have begun */
	bool asked;			/* for connections */
	struct nbd_claiming *claiming;	/* NULL: none is */
	struct nbd_patience leaving;	/* of this process, while it gives the export back */
	const struct store_files *files;
	char path[STORE_NBD_PATH_BYTES];
	uint8_t signature[STORE_SIGNATURE_BYTES]; /* which says what the sandbox wouldn't see */
	unsigned int lanes;		/* that were opened, */
	unsigned int ready;		/* and those that serve */
	unsigned int taken;		/* connections that lanes have */
};

/* A connection as the ring knows it: what its completions carry are two operations. */
struct nbd_link {
	struct nbd_conn conn;
	struct nbd_lane *lane;
	unsigned int index;		/* of its descriptor, */
	int fd;				/* which is the store's */
	bool sending, receiving;
	unsigned int faults;		/* in a row, of memory that vanished */
	struct store_op tx, rx;		/* nothing of them is used */
};

enum lane_phase {
	LANE_AWAY,			/* there is no server */
	LANE_COLD,			/* nothing was said yet: another daemon may be connected */
	LANE_LOOKS,			/* at what is in front */
	LANE_SIGNS,
	LANE_SERVES,
};

struct nbd_lane {
	struct store_lane lane;
	enum lane_phase phase;
	bool first;			/* of all lanes: the one that signs */
	bool signed_before;		/* the export was, when this lane looked */
	struct store_op *held, **last;	/* until it serves */
	struct store_op own;		/* to look, and to sign */
	uint8_t *front;			/* what is looked at */
	unsigned int num_links;
	struct nbd_link link[];
};

/* --- names --- */

bool store_nbd_is_name(const char *name)
{
	return name && !strncmp(name, "nbd:", 4);
}

bool store_nbd_parse(const char *name, char socket_path[STORE_NBD_PATH_BYTES],
		     const char **export_name)
{
	const char *path = name + 4, *colon = strchr(path, ':');
	size_t n = colon ? (size_t)(colon - path) : strlen(path);

	*export_name = colon ? colon + 1 : "";
	if (!n || n >= STORE_NBD_PATH_BYTES || strlen(*export_name) >= NBD_EXPORT_BYTES)
		return false;
	memcpy(socket_path, path, n);
	socket_path[n] = '\0';
	return true;
}

/* --- the end --- */

static struct store_nbd *store_of(const struct nbd_lane *lane)
{
	return (struct store_nbd *)lane->lane.store;
}

/* All threads end here and now: nothing may be answered that the next process does again. */
static _Noreturn void leave(const struct nbd_lane *lane, const char *wrong, bool unfit)
{
	log_err("the store's server at %s %s%s", store_of(lane)->path, wrong,
		unfit ? ": it isn't used" : "; connecting again");
	_exit(unfit ? STORE_EXIT_UNFIT : STORE_EXIT_LOST);
}

/* --- sending and receiving --- */

static void send_some(struct nbd_link *link)
{
	struct nbd_conn *conn = &link->conn;
	struct io_uring_sqe *sqe;

	if (link->sending || !nbd_conn_gather(conn))
		return;
	sqe = store_get_sqe(link->lane->lane.ring);
	if (!sqe)
		return;
	io_uring_prep_writev(sqe, (int)link->index, conn->iov + conn->iov_done,
			     conn->iov_count - conn->iov_done, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, &link->tx, STORE_PART_DATA);
	link->sending = true;
}

static void receive_some(struct nbd_link *link)
{
	struct io_uring_sqe *sqe;
	uint8_t *to;
	size_t n;

	if (link->receiving)
		return;
	sqe = store_get_sqe(link->lane->lane.ring);
	if (!sqe)
		return;
	to = nbd_conn_room(&link->conn, &n);
	io_uring_prep_read(sqe, (int)link->index, to, (unsigned int)n, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, &link->rx, STORE_PART_DATA);
	link->receiving = true;
}

static void pump(struct nbd_link *link)
{
	send_some(link);
	receive_some(link);
}

/* --- the first words --- */

static void begin_own(struct nbd_lane *lane, enum lane_phase phase, enum store_kind kind,
		      unsigned int pages)
{
	struct store_op *own = &lane->own;
	unsigned int i;

	lane->phase = phase;
	own->kind = kind;
	own->slot = SIGNATURE_SLOT;
	own->count = pages;
	for (i = 0; i < pages; i++)
		own->data[i] = (struct iovec) {
			lane->front + i * STORE_SLOT_SIZE, STORE_SLOT_SIZE
		};
	nbd_conn_queue(&lane->link[0].conn, own);
	send_some(&lane->link[0]);
}

static bool is_claimed(const struct nbd_lane *lane)
{
	return __atomic_load_n(&store_of(lane)->files->server->log->claimed, __ATOMIC_ACQUIRE);
}

static void look(struct nbd_lane *lane)
{
	lane->signed_before = is_claimed(lane);
	begin_own(lane, LANE_LOOKS, STORE_READ, LOOK_PAGES);
}

static void warm_up(struct nbd_lane *lane)
{
	unsigned int i;

	for (i = 0; i < lane->num_links; i++)
		pump(&lane->link[i]);
	look(lane);
}

/* --- operations --- */

/* The connection that has the least to do. */
static struct nbd_link *find_link(struct nbd_lane *lane)
{
	struct nbd_link *best = lane->link;
	unsigned int i;

	for (i = 1; i < lane->num_links; i++)
		if (lane->link[i].conn.load < best->conn.load)
			best = &lane->link[i];
	return best;
}

static void submit(struct nbd_lane *lane, struct store_op *op)
{
	struct nbd_link *link = find_link(lane);

	nbd_conn_queue(&link->conn, op);
	send_some(link);
}

static void nbd_submit(struct store_lane *base, struct store_op *op)
{
	struct nbd_lane *lane = (struct nbd_lane *)base;

	if (lane->phase == LANE_COLD)
		warm_up(lane);
	if (lane->phase == LANE_SERVES) {
		submit(lane, op);
		return;
	}
	op->next = NULL;
	*lane->last = op;
	lane->last = &op->next;
}

/* A server without trims has done all it can. */
static void nbd_trim(struct store_lane *base, struct store_op *op)
{
	struct nbd_lane *lane = (struct nbd_lane *)base;

	if (lane->phase == LANE_SERVES && !(store_of(lane)->files->server->flags & NBD_FLAG_SEND_TRIM))
		base->done(base->context, op);
	else
		nbd_submit(base, op);
}

static void nbd_hurry(struct store_lane *lane)
{
	(void)lane;
}

/* --- the beginning --- */

static void serve(struct nbd_lane *lane)
{
	struct store_nbd *store = store_of(lane);
	struct store_op *op = lane->held;

	lane->phase = LANE_SERVES;
	lane->held = NULL;
	lane->last = &lane->held;
	while (op) {
		struct store_op *next = op->next;

		if (op->kind == STORE_DISCARD)
			nbd_trim(&lane->lane, op);
		else
			submit(lane, op);
		op = next;
	}
	if (__atomic_add_fetch(&store->ready, 1, __ATOMIC_ACQ_REL) <
	    __atomic_load_n(&store->lanes, __ATOMIC_ACQUIRE))
		return;
	__atomic_store_n(&store->files->server->log->away_since_ms, 0, __ATOMIC_RELAXED);
	log_notice("the store's server at %s serves", store->path);
}

/* What the export has in front is known: is it ours? */
static void judge(struct nbd_lane *lane)
{
	const struct store_files *files = store_of(lane)->files;
	enum store_found found = store_files_judge(files, STORE_DATA_FILE, lane->front,
						   LOOK_PAGES * STORE_SLOT_SIZE);

	if (is_claimed(lane)) {
		/* What was seen may be what was there before another lane signed. */
		if (found != STORE_FOUND_OURS && !lane->signed_before) {
			look(lane);
			return;
		}
		if (found != STORE_FOUND_OURS)
			leave(lane, "has another export now than the one that the guest's pages are in", true);
		serve(lane);
		return;
	}
	if (found == STORE_FOUND_OTHER && !files->format)
		leave(lane, "has an export that is no store, and not empty: was another one meant? If it may be destroyed, start with --format", true);
	if (!lane->first) {
		serve(lane);
		return;
	}
	memcpy(lane->front, store_of(lane)->signature, STORE_SIGNATURE_BYTES);
	begin_own(lane, LANE_SIGNS, STORE_WRITE, 1);
}

static void own_done(struct nbd_lane *lane)
{
	if (lane->own.error)
		leave(lane, "can't read or write what is in front of its export", true);
	if (lane->phase == LANE_LOOKS) {
		judge(lane);
		return;
	}
	__atomic_store_n(&store_of(lane)->files->server->log->claimed, 1, __ATOMIC_RELEASE);
	serve(lane);
}

static void conn_done(void *context, struct store_op *op)
{
	struct nbd_lane *lane = context;

	if (op == &lane->own)
		own_done(lane);
	else
		lane->lane.done(lane->lane.context, op);
}

/* --- completions --- */

/*
 * The front end has cut its memory short, and what is to be sent isn't there any more. A read of it
 * gives zeros instead, and breaks the guest's rings (memory.h). These zeros are sent: without them
 * the server would take what follows for them.
 */
static void look_at_pages(const struct nbd_conn *conn)
{
	unsigned int i;

	for (i = conn->iov_done; i < conn->iov_count; i++) {
		const volatile uint8_t *byte = conn->iov[i].iov_base;

		(void)byte[0];
		(void)byte[conn->iov[i].iov_len - 1];
	}
}

static void sent(struct nbd_link *link, int result)
{
	link->sending = false;
	if (result == -EFAULT && link->faults++ < MAX_FAULTS) {
		look_at_pages(&link->conn);
	} else if (result > 0) {
		link->faults = 0;
		nbd_conn_sent(&link->conn, (size_t)result);
	} else if (result != -EAGAIN && result != -EINTR) {
		leave(link->lane, "has hung up", false);
	}
}

static void received(struct nbd_link *link, int result)
{
	link->receiving = false;
	if (result == -EAGAIN || result == -EINTR)
		return;
	if (result <= 0)
		leave(link->lane, "has hung up", false);
	if (!nbd_conn_received(&link->conn, (size_t)result))
		leave(link->lane, link->conn.wrong, false);
}

static void note_over(struct nbd_lane *lane, uint64_t token)
{
	const void *op = (const void *)(uintptr_t)(token & ~(uint64_t)STORE_PART_MASK);
	unsigned int i;

	for (i = 0; i < lane->num_links; i++) {
		if (op == &lane->link[i].tx)
			lane->link[i].sending = false;
		if (op == &lane->link[i].rx)
			lane->link[i].receiving = false;
	}
}

static void nbd_complete(struct store_lane *base, struct store_op *op,
			 enum store_part part, int result)
{
	struct nbd_lane *lane = (struct nbd_lane *)base;
	struct nbd_link *link = lane->link;

	(void)part;
	while (op != &link->tx && op != &link->rx)
		link++;
	if (result <= 0 && __atomic_load_n(&store_of(lane)->ours, __ATOMIC_ACQUIRE) == NBD_LEFT) {
		note_over(lane, (uintptr_t)op);
		return;
	}
	if (op == &link->tx)
		sent(link, result);
	else
		received(link, result);
	pump(link);
}

/* --- lanes --- */

static bool is_busy(const struct nbd_lane *lane)
{
	unsigned int i;

	for (i = 0; i < lane->num_links; i++)
		if (lane->link[i].sending || lane->link[i].receiving)
			return true;
	return false;
}

/* Nothing is under way but the wait for the next word. What else the ring has isn't needed. */
static void hang_up(struct nbd_lane *lane)
{
	struct io_uring_cqe *cqe;
	unsigned int i;

	for (i = 0; i < lane->num_links; i++)
		shutdown(lane->link[i].fd, SHUT_RDWR);
	while (is_busy(lane) && io_uring_submit_and_wait(lane->lane.ring, 1) >= 0 &&
	       !io_uring_peek_cqe(lane->lane.ring, &cqe)) {
		note_over(lane, cqe->user_data);
		io_uring_cqe_seen(lane->lane.ring, cqe);
	}
}

static void nbd_lane_close(struct store_lane *base)
{
	struct nbd_lane *lane = (struct nbd_lane *)base;
	unsigned int i;

	hang_up(lane);
	store_unregister_fds(lane->lane.ring);
	for (i = 0; i < lane->num_links; i++)
		nbd_conn_free(&lane->link[i].conn);
	free(lane->front);
	free(lane);
}

static int open_link(struct nbd_lane *lane, struct nbd_link *link, int fd)
{
	link->lane = lane;
	link->fd = fd;
	if (!nbd_conn_init(&link->conn, conn_done, lane))
		return -ENOMEM;
	/* The ring waits for us: it's to be told when there's something, and not that there isn't. */
	if (fcntl(fd, F_SETFL, 0))
		return -errno;
	return store_register_fd(lane->lane.ring, link->index, fd);
}

/* A lane's share: every so-manyth of them. */
static int open_links(struct nbd_lane *lane, unsigned int share)
{
	struct store_nbd *store = store_of(lane);
	const struct store_server *server = store->files->server;
	unsigned int i, at;
	int error = 0;

	for (i = 0; i < share && !error; i++) {
		at = __atomic_fetch_add(&store->taken, 1, __ATOMIC_RELAXED);
		lane->link[i].index = STORE_FD_DATA + i;
		lane->num_links++;
		error = open_link(lane, &lane->link[i], server->fd[at]);
	}
	return error;
}

static struct store_lane *nbd_lane_open(struct store *base, struct io_uring *ring,
					unsigned int depth, store_done_fn *done,
					void *context)
{
	struct store_nbd *store = (struct store_nbd *)base;
	const struct store_server *server = store->files->server;
	unsigned int share = server->fd[0] < 0 ? 0 : server->count / server->lanes;
	struct nbd_lane *lane = calloc(1, sizeof(*lane) + share * sizeof(lane->link[0]));
	int error = -ENOMEM;

	(void)depth;
	if (!lane)
		return NULL;
	lane->lane = (struct store_lane) { base, ring, done, context };
	lane->last = &lane->held;
	lane->first = !__atomic_fetch_add(&store->lanes, 1, __ATOMIC_ACQ_REL);
	lane->front = aligned_alloc(STORE_SLOT_SIZE, LOOK_PAGES * STORE_SLOT_SIZE);
	if (lane->front)
		error = open_links(lane, share);
	if (error) {
		nbd_lane_close(&lane->lane);
		errno = -error;
		return NULL;
	}
	lane->phase = !share ? LANE_AWAY : store->cold ? LANE_COLD : LANE_LOOKS;
	if (lane->phase == LANE_LOOKS)
		warm_up(lane);
	return &lane->lane;
}

/* --- the store --- */

static void end_claim(struct store_nbd *store)
{
	if (store->claiming)
		nbd_conn_free(&store->claiming->conn);
	free(store->claiming);
	store->claiming = NULL;
}

/* Connections were admitted, which is what a lock is to a file. */
static bool nbd_activate(struct store *base)
{
	((struct store_nbd *)base)->ours = NBD_OURS;
	return true;
}

static void nbd_deactivate(struct store *base)
{
	struct store_nbd *store = (struct store_nbd *)base;
	struct store_server *server = store->files->server;
	unsigned int i;

	end_claim(store);
	for (i = 0; i < server->count; i++) {
		if (server->fd[i] >= 0)
			close(server->fd[i]);
		server->fd[i] = -1;
	}
}

static void nbd_close(struct store *store)
{
	nbd_deactivate(store);
	free(store);
}

/* --- moving with the guest --- */

/* As a front block of the export has it, which is little-endian by being bytes. */
struct claim_block {
	char magic[16];
	struct claim_word word;
};

static const char claim_magic[16] = "cswap-claim\n\032\0\1";

static void encode_word(const struct store_nbd *store, enum claim_place place,
			const struct claim_word *word, uint8_t block[STORE_SLOT_SIZE])
{
	struct claim_block claim = { .word = *word };

	memset(block, 0, STORE_SLOT_SIZE);
	if (place == CLAIM_SIGNATURE) {
		store_files_sign_as(store->files, word->who, block);
		return;
	}
	memcpy(claim.magic, claim_magic, sizeof(claim.magic));
	memcpy(block, &claim, sizeof(claim));
}

/* What is no word says nothing. */
static void decode_word(enum claim_place place, const uint8_t *block, struct claim_word *word)
{
	struct claim_block claim;

	memset(word, 0, sizeof(*word));
	memcpy(&claim, block, sizeof(claim));
	if (place == CLAIM_SIGNATURE && !store_files_read_id(block, word->who))
		memset(word->who, 0, sizeof(word->who));
	else if (place != CLAIM_SIGNATURE && !memcmp(claim.magic, claim_magic, sizeof(claim_magic)))
		*word = claim.word;
}

static void note_answer(void *context, struct store_op *op)
{
	(void)op;
	*(bool *)context = true;
}

/* --- a claim: it's for who calls to wait --- */

static struct nbd_patience begin_patience(void)
{
	return (struct nbd_patience) { .left_ms = CLAIM_MS, .seen_ms = clock_now_ms() };
}

static bool is_patient(struct nbd_patience *patience)
{
	uint64_t now = clock_now_ms(), passed = now - patience->seen_ms;

	patience->seen_ms = now;
	if (passed > LOOK_MS)
		passed = LOOK_MS;
	patience->left_ms -= passed < patience->left_ms ? passed : patience->left_ms;
	return patience->left_ms;
}

/* The block that is read or written next, if the claim has no verdict yet. */
static enum claim_verdict ask_block(struct store_nbd *store)
{
	struct nbd_claiming *claiming = store->claiming;
	enum claim_verdict verdict = claim_next(&claiming->claim, &claiming->place,
						&claiming->writes, &claiming->word);

	if (verdict != CLAIM_UNDER_WAY)
		return verdict;
	encode_word(store, claiming->place, &claiming->word, claiming->block);
	claiming->op = (struct store_op) {
		.kind = claiming->writes ? STORE_WRITE : STORE_READ, .count = 1,
		.slot = SIGNATURE_SLOT + (uint64_t)claiming->place,
		.data = { { claiming->block, STORE_SLOT_SIZE } },
	};
	claiming->answered = false;
	nbd_conn_queue(&claiming->conn, &claiming->op);
	return verdict;
}

static bool begin_claim(struct store_nbd *store, enum claim_role role,
			const struct store_ticket *ticket)
{
	const struct store_files *files = store->files;
	struct nbd_claiming *claiming = calloc(1, sizeof(*claiming));

	store->claiming = claiming;
	if (!claiming || !nbd_conn_init(&claiming->conn, note_answer, &claiming->answered))
		return false;
	claiming->patience = begin_patience();
	claim_begin(&claiming->claim, role, ticket, files->identity.id[STORE_DATA_FILE],
		    files->server->id);
	ask_block(store);
	return true;
}

/* Another one that is under way has been given up by who asked for it. */
static bool is_claiming(const struct store_nbd *store, enum claim_role role,
			const struct store_ticket *ticket)
{
	const struct claim *claim = &store->claiming->claim;

	return claim->role == role && !memcmp(&claim->ticket, ticket, sizeof(*ticket));
}

/* Send and receive what can be at once. False: the server is gone, or makes no sense. */
static bool talk(struct nbd_conn *conn, int fd)
{
	struct msghdr out = { 0 };
	uint8_t *room;
	ssize_t n = 0;
	size_t size;

	if (nbd_conn_gather(conn)) {
		out.msg_iov = conn->iov + conn->iov_done;
		out.msg_iovlen = conn->iov_count - conn->iov_done;
		n = sendmsg(fd, &out, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			nbd_conn_sent(conn, (size_t)n);
	}
	if (n >= 0) {
		room = nbd_conn_room(conn, &size);
		n = recv(fd, room, size, MSG_DONTWAIT);
		if (n > 0)
			return nbd_conn_received(conn, (size_t)n);
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* What was asked is answered: to the next. */
static enum claim_verdict end_block(struct store_nbd *store)
{
	struct nbd_claiming *claiming = store->claiming;

	if (!claiming->writes)
		decode_word(claiming->place, claiming->block, &claiming->word);
	claim_done(&claiming->claim, &claiming->word);
	return ask_block(store);
}

/*
 * Begin a claim, or go on with it, by a connection that no lane uses. UNDER_WAY: to be called again. False: the
 * server is gone, or too slow, or says no.
 */
static bool run_claim(struct store_nbd *store, enum claim_role role,
		      const struct store_ticket *ticket, enum claim_verdict *verdict)
{
	bool well = store->claiming ? is_claiming(store, role, ticket) :
				      begin_claim(store, role, ticket);
	struct nbd_claiming *claiming = store->claiming;

	*verdict = CLAIM_UNDER_WAY;
	while (well && *verdict == CLAIM_UNDER_WAY) {
		well = is_patient(&claiming->patience) &&
		       talk(&claiming->conn, store->files->server->fd[0]);
		if (!well || !claiming->answered)
			break;
		well = !claiming->op.error;
		if (well)
			*verdict = end_block(store);
	}
	if (!well || *verdict != CLAIM_UNDER_WAY)
		end_claim(store);
	return well;
}

static struct pollfd nbd_poll(const struct store *base)
{
	const struct store_nbd *store = (const struct store_nbd *)base;
	struct pollfd poll_fd = { .fd = -1, .events = POLLIN };

	if (!store->claiming)
		return poll_fd;
	poll_fd.fd = store->files->server->fd[0];
	if (store->claiming->conn.iov_done < store->claiming->conn.iov_count)
		poll_fd.events |= POLLOUT;
	return poll_fd;
}

static void set_side(const struct store_nbd *store, enum store_server_side side)
{
	const struct store_server *server = store->files->server;
	const uint64_t one = 1;

	__atomic_store_n(&server->log->side, (uint8_t)side, __ATOMIC_RELEASE);
	if (side != SERVER_OURS)
		(void)!write(server->wake_fd, &one, sizeof(one));
}

/* Nothing is under way. The server hears it, and admits others. */
static void hang_up_all(struct store_nbd *store)
{
	const struct store_server *server = store->files->server;
	unsigned int i;

	end_claim(store);
	__atomic_store_n(&store->ours, NBD_LEFT, __ATOMIC_RELEASE);
	for (i = 0; i < server->count; i++)
		if (server->fd[i] >= 0)
			shutdown(server->fd[i], SHUT_RDWR);
	store->asked = false;
}

/* An idle thread finds out by its first claim. */
static bool nbd_idle(struct store *base)
{
	((struct store_nbd *)base)->cold = true;
	return true;
}

static bool nbd_offer(struct store *base, struct store_ticket *ticket)
{
	const struct store_files *files = ((struct store_nbd *)base)->files;

	memcpy(ticket->id, files->identity.id[STORE_DATA_FILE], STORE_TICKET_BYTES);
	if (getrandom(ticket->number, STORE_TICKET_BYTES, 0) != STORE_TICKET_BYTES)
		return false;
	files->server->log->ticket = *ticket;
	return true;
}

/* Connections come with the next process, and this one ends. */
static void ask_for_server(struct store_nbd *store)
{
	if (!store->asked)
		set_side(store, SERVER_ASKED);
	store->asked = true;
}

static enum store_taken nbd_take(struct store *base, const struct store_ticket *ticket)
{
	struct store_nbd *store = (struct store_nbd *)base;
	const struct store_server *server = store->files->server;
	enum claim_verdict verdict;

	if (store->ours == NBD_OURS)
		return STORE_TAKEN;
	if (store->ours == NBD_LEFT || server->fd[0] < 0) {
		ask_for_server(store);
		return STORE_NOT_YET;
	}
	if (!run_claim(store, ticket ? CLAIM_TAKES : CLAIM_TAKES_BACK,
		       ticket ? ticket : &server->log->ticket, &verdict))
		hang_up_all(store);
	if (verdict == CLAIM_LOST)
		return store_not_taken(ticket);
	if (verdict != CLAIM_WON)
		return STORE_NOT_YET;
	if (ticket)
		server->log->ticket = *ticket;
	__atomic_store_n(&server->log->claimed, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&server->log->away_since_ms, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&store->ours, NBD_OURS, __ATOMIC_RELEASE);
	set_side(store, SERVER_OURS);
	return STORE_TAKEN;
}

static bool nbd_yield(struct store *base)
{
	struct store_nbd *store = (struct store_nbd *)base;

	hang_up_all(store);
	set_side(store, SERVER_LEFT);
	return true;
}

/* By a connection that no lane has used: if there is none, the next process gets one. */
static bool nbd_give_back(struct store *base)
{
	struct store_nbd *store = (struct store_nbd *)base;
	const struct store_server *server = store->files->server;
	enum claim_verdict verdict;

	if (server->log->side == SERVER_LEFT)
		return true;
	if (!store->leaving.seen_ms)
		store->leaving = begin_patience();
	if (!store->cold && store->ours == NBD_OURS)
		hang_up_all(store);
	if (store->ours == NBD_LEFT || server->fd[0] < 0) {
		ask_for_server(store);
		return !is_patient(&store->leaving);
	}
	return !run_claim(store, CLAIM_GIVES_BACK, &server->log->ticket, &verdict) || verdict != CLAIM_UNDER_WAY;
}

static const struct store_move_ops nbd_move_ops = {
	.idle = nbd_idle,
	.offer = nbd_offer,
	.take = nbd_take,
	.yield = nbd_yield,
	.give_back = nbd_give_back,
	.poll = nbd_poll,
};

static struct store *nbd_open(const struct store_files *files, uint64_t slots)
{
	struct store_nbd *nbd = calloc(1, sizeof(*nbd));
	const char *export_name;

	if (!nbd)
		return NULL;
	nbd->store.ops = &store_nbd_ops;
	nbd->store.facts = (struct store_facts) {
		.slots = slots,
		.trim_bytes = STORE_SLOT_SIZE,
		.merge_pages = STORE_MAX_PAGES,
		.medium = VIRTIO_CSWAP_MEDIUM_DISK,
		.flags = STORE_READS_ZEROS | STORE_BY_TICKET,
	};
	nbd->files = files;
	store_files_sign(files, STORE_DATA_FILE, nbd->signature);
	store_nbd_parse(files->paths.name[STORE_DATA_FILE], nbd->path, &export_name);
	return &nbd->store;
}

const struct store_ops store_nbd_ops = {
	.name = "NBD",
	.open = nbd_open,
	.activate = nbd_activate,
	.deactivate = nbd_deactivate,
	.lane_open = nbd_lane_open,
	.read = nbd_submit,
	.write = nbd_submit,
	.trim = nbd_trim,
	.complete = nbd_complete,
	.hurry = nbd_hurry,
	.lane_close = nbd_lane_close,
	.close = nbd_close,
	.move = &nbd_move_ops,
};
