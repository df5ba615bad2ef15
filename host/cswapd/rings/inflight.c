// SPDX-License-Identifier: GPL-2.0-only
/*
 * inflight.c - what the device has in hand, kept where a successor finds it.
 *
 * Theory of operation: a process may die between any two stores to memory, and
 * what it had stored before is there. So each change of state is one store, and
 * whatever the state stands for is stored earlier:
 *
 *   a chain is fetched: its record becomes HELD. The position at which the ring
 *	goes on isn't recorded: it's the used index and as many more as are held,
 *	so that position and records can't disagree.
 *   a chain is given back: what is still to be answered (a LOAD's slot, a
 *	STORE's outcome) is recorded, then the chain is PUSHED.
 *   what was pushed is shown: the used index that will be is recorded (@to),
 *	the guest's used index is set, which shows all of it at one moment,
 *	then states change to SHOWN or FREE, and @from follows.
 *
 * The successor compares the guest's used index with @from and @to. If it's @from,
 * the guest has seen nothing of what is PUSHED; if it's @to, the guest has seen all
 * of it. Only the guest itself can make a third case: then its ring is broken.
 *
 * So a request whose end the guest has seen is never run again. DISCARD and RELEASE
 * need this: the guest uses the slot or the block for something else from then on. A
 * request whose end the guest hasn't seen is run again from its beginning, which is
 * right for all of them: the guest changes nothing meanwhile (I1, I5), a STORE's data
 * and tag are in the guest's pool until then, and the two halves of a torn write are
 * both written again.
 *
 * The front end may write to its file while the successor reads it. So which heads are held is
 * fetched once, here; the position and what the successor keeps both follow from that copy.
 */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/sealed_file.h"
#include "inflight.h"

/* Changed whenever the layout or its meaning is. */
#define FILE_MAGIC 0x33304c4657534355ULL

static uint64_t log_bytes(unsigned int pairs)
{
	return offsetof(struct inflight, pair) + pairs * sizeof(struct inflight_pair);
}

void inflight_copy(struct inflight *to, const struct inflight *from, unsigned int pairs)
{
	memcpy(to, from, log_bytes(pairs));
}

/* --- a file that the front end keeps --- */

uint64_t inflight_file_bytes(unsigned int pairs)
{
	return offsetof(struct inflight_file, log) + log_bytes(pairs);
}

int inflight_create_file(unsigned int pairs, const struct store_identity *store)
{
	const struct inflight_file head = {
		.magic = FILE_MAGIC,
		.bytes = inflight_file_bytes(pairs),
		.store = *store,
	};
	int fd = memfd_create("cswapd-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	/* By a write, since the sandbox allows no ftruncate(). */
	if (pwrite(fd, "", 1, (off_t)head.bytes - 1) != 1 ||
	    pwrite(fd, &head, offsetof(struct inflight_file, log), 0) !=
		    (ssize_t)offsetof(struct inflight_file, log) ||
	    fcntl(fd, F_ADD_SEALS, SEALED_FILE_SEALS | F_SEAL_SEAL)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool inflight_fill_file(int fd, unsigned int pairs, const struct inflight *log)
{
	return pwrite(fd, log, log_bytes(pairs), offsetof(struct inflight_file, log)) ==
	       (ssize_t)log_bytes(pairs);
}

const char *inflight_map_file(int fd, unsigned int pairs,
			      const struct store_identity *store,
			      struct inflight **log)
{
	const uint64_t bytes = inflight_file_bytes(pairs);
	struct inflight_file *file;
	const char *wrong;
	uint64_t size;

	wrong = sealed_file_check(fd, &size);
	if (wrong)
		return wrong;
	if (size != bytes)
		return "not of the size of the file that was given";
	file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return "can't be mapped";
	if (file->magic != FILE_MAGIC || file->bytes != bytes) {
		munmap(file, bytes);
		return "written by another version";
	}
	if (memcmp(&file->store, store, sizeof(*store))) {
		munmap(file, bytes);
		return "of a guest whose pages are in another store: start with that one";
	}
	*log = &file->log;
	return NULL;
}

void inflight_unmap_file(struct inflight *log, unsigned int pairs)
{
	munmap((uint8_t *)log - offsetof(struct inflight_file, log),
	       inflight_file_bytes(pairs));
}

/* --- rings --- */

void inflight_show(struct inflight_ring *ring, uint16_t used)
{
	INFLIGHT_SET(ring->to, used);
}

void inflight_shown(struct inflight_ring *ring)
{
	INFLIGHT_SET(ring->from, ring->to);
}

/* For what the front end may change meanwhile. */
#define FETCH(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

const char *inflight_seen(const struct inflight_ring *ring, uint16_t used,
			  bool *seen)
{
	*seen = used != FETCH(ring->from);
	if (*seen && used != FETCH(ring->to))
		return "used index was changed by somebody else";
	return NULL;
}

const char *inflight_last_shown(const struct inflight_ring *ring, uint16_t *used)
{
	*used = FETCH(ring->from);
	return *used == FETCH(ring->to) ? NULL : "nobody knows what the guest was shown";
}

static void settle_ring(struct inflight_ring *ring, bool seen)
{
	if (seen)
		INFLIGHT_SET(ring->from, ring->to);
	else
		INFLIGHT_SET(ring->to, ring->from);
}

/* Is the head with this state held? */
static bool settle_head(uint8_t *state, bool seen)
{
	uint8_t now = FETCH(*state);

	if (now == INFLIGHT_PUSHED) {
		now = seen ? INFLIGHT_FREE : INFLIGHT_HELD;
		INFLIGHT_SET(*state, now);
	}
	return now == INFLIGHT_HELD;
}

/* What was pushed and not seen stays so: it's to be pushed again. */
unsigned int inflight_settle_requests(struct inflight_pair *pair, bool seen)
{
	unsigned int i, held = 0;

	for (i = 0; i < INFLIGHT_REQUESTS; i++) {
		struct inflight_request *request = &pair->request[i];
		const uint8_t chain = FETCH(request->chain);

		if (chain == INFLIGHT_PUSHED && seen)
			INFLIGHT_SET(request->chain, INFLIGHT_SHOWN);
		else
			held += chain == INFLIGHT_HELD || chain == INFLIGHT_PUSHED;
	}
	settle_ring(&pair->request_ring, seen);
	return held;
}

void inflight_settle_responses(struct inflight_pair *pair, bool seen,
			       struct inflight_held *held)
{
	unsigned int i;

	/* Chains are shown before the answers that speak of them. */
	for (i = 0; i < INFLIGHT_REQUESTS; i++) {
		struct inflight_request *request = &pair->request[i];

		if (request->answer != INFLIGHT_PUSHED)
			continue;
		if (seen)
			INFLIGHT_SET(request->chain, INFLIGHT_FREE);
		INFLIGHT_SET(request->answer, INFLIGHT_FREE);
	}
	held->count = 0;
	for (i = 0; i < VRING_MAX_NUM; i++)
		if (settle_head(&pair->response[i], seen))
			held->head[held->count++] = (uint16_t)i;
	settle_ring(&pair->response_ring, seen);
}

/* Put @head, which came as @at, behind those that came before. @order is theirs. */
static void hold_in_order(struct inflight_held *held, uint64_t *order, uint16_t head,
			  uint64_t at)
{
	unsigned int i = held->count++;

	for (; i && order[i - 1] > at; i--) {
		order[i] = order[i - 1];
		held->head[i] = held->head[i - 1];
	}
	order[i] = at;
	held->head[i] = head;
}

void inflight_settle_control(struct inflight_control *control, bool seen,
			     struct inflight_held *held)
{
	uint64_t order[VRING_MAX_NUM];
	unsigned int i;

	held->count = 0;
	for (i = 0; i < VRING_MAX_NUM; i++)
		if (settle_head(&control->chain[i], seen))
			hold_in_order(held, order, (uint16_t)i, FETCH(control->order[i]));
	settle_ring(&control->ring, seen);
}
