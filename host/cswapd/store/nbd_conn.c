// SPDX-License-Identifier: GPL-2.0-only
/*
 * nbd_conn.c - one connection to an NBD server: what is said, and what is believed.
 *
 * Theory of operation: the connection has been admitted (nbd_hello.c), with simple replies.
 * Requests that wait are gathered, and leave by one system call, pages straight from where
 * they are; answers are received many at a time into a buffer, and pages copied from
 * there: which request is answered next can't be known, so there's no better place to
 * receive into.
 *
 * All that a server says passes nbd_conn_received(), and is checked there. The server can
 * answer a request that it has, once, with an error or with as many bytes as were asked
 * for. A request's name is an index into a table. A name that isn't in the table, or is of
 * no request under way, ends the connection, and so does anything else that makes no sense.
 * There is no I/O here, so that tests and fuzzers can be the server.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nbd_bytes.h"
#include "nbd_conn.h"
#include "store_files.h"

#define REQUEST_MAGIC		0x25609513U
#define REPLY_MAGIC		0x67446698U

#define REPLY_BYTES		16

enum { COMMAND_READ = 0, COMMAND_WRITE = 1, COMMAND_TRIM = 4 };

/* The server's, which are Linux's. */
enum { NBD_ENOMEM = 12, NBD_EINVAL = 22, NBD_ENOSPC = 28, NBD_ENOTSUP = 95, NBD_ESHUTDOWN = 108 };

/* A request's length has 32 bits, and servers stop at less. */
#define MAX_TRIM_SLOTS		(1U << 17)

/* --- to the server --- */

bool nbd_conn_init(struct nbd_conn *conn, store_done_fn *done, void *context)
{
	unsigned int i;

	memset(conn, 0, sizeof(*conn));
	conn->done = done;
	conn->context = context;
	conn->last = &conn->first;
	for (i = 0; i < NBD_IN_FLIGHT; i++)
		conn->cookie[conn->num_free++] = (uint16_t)(NBD_IN_FLIGHT - 1 - i);
	conn->in = malloc(NBD_IN_BYTES);
	return conn->in;
}

void nbd_conn_free(struct nbd_conn *conn)
{
	free(conn->in);
	conn->in = NULL;
}

static void append(struct nbd_conn *conn, struct store_op *op)
{
	op->next = NULL;
	*conn->last = op;
	conn->last = &op->next;
	conn->load++;
}

void nbd_conn_queue(struct nbd_conn *conn, struct store_op *op)
{
	op->slots_done = 0;
	append(conn, op);
}

static struct store_op *shift(struct nbd_conn *conn)
{
	struct store_op *op = conn->first;

	conn->first = op->next;
	if (!conn->first)
		conn->last = &conn->first;
	return op;
}

/* How many slots the request is about that comes next of @op. */
static uint64_t piece_of(const struct store_op *op)
{
	uint64_t left = op->count - op->slots_done;

	return op->kind == STORE_DISCARD && left > MAX_TRIM_SLOTS ? MAX_TRIM_SLOTS : left;
}

static void fill_header(struct nbd_header *header, const struct store_op *op,
			unsigned int cookie)
{
	static const uint16_t commands[] = {
		[STORE_WRITE] = COMMAND_WRITE,
		[STORE_READ] = COMMAND_READ,
		[STORE_DISCARD] = COMMAND_TRIM,
	};
	uint8_t *at = header->b;

	at = nbd_put32(at, REQUEST_MAGIC);
	at = nbd_put16(at, 0);
	at = nbd_put16(at, commands[op->kind]);
	at = nbd_put64(at, cookie);
	at = nbd_put64(at, STORE_DATA_OFFSET + (op->slot + op->slots_done) * STORE_SLOT_SIZE);
	nbd_put32(at, (uint32_t)(piece_of(op) * STORE_SLOT_SIZE));
}

static void add_request(struct nbd_conn *conn, struct store_op *op)
{
	unsigned int cookie = conn->cookie[--conn->num_free];

	conn->op[cookie] = op;
	fill_header(&conn->header[cookie], op, cookie);
	conn->iov[conn->iov_count++] = (struct iovec) {
		&conn->header[cookie], sizeof(conn->header[cookie])
	};
	if (op->kind == STORE_WRITE) {
		memcpy(&conn->iov[conn->iov_count], op->data,
		       op->count * sizeof(op->data[0]));
		conn->iov_count += (unsigned int)op->count;
	}
	conn->request[cookie].iov_end = (uint16_t)conn->iov_count;
	conn->request[cookie].unsent = true;
	conn->request[cookie].answered = false;
	conn->sending[conn->num_sending++] = (uint16_t)cookie;
}

bool nbd_conn_gather(struct nbd_conn *conn)
{
	if (conn->iov_done < conn->iov_count)
		return true;
	conn->iov_done = 0;
	conn->iov_count = 0;
	conn->num_sending = 0;
	conn->next_sending = 0;
	while (conn->first && conn->num_free &&
	       conn->iov_count + 1 + STORE_MAX_PAGES <= NBD_SEND_VECTORS)
		add_request(conn, shift(conn));
	return conn->iov_count;
}

/* --- both ways: a request's end --- */

static int error_of(uint32_t error)
{
	switch (error) {
	case 0:
		return 0;
	case NBD_ENOMEM:
		return -ENOMEM;
	case NBD_ENOSPC:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

static void end_request(struct nbd_conn *conn, unsigned int cookie, uint32_t error)
{
	struct store_op *op = conn->op[cookie];
	uint64_t piece = piece_of(op), done = op->slots_done + piece;

	conn->op[cookie] = NULL;
	conn->cookie[conn->num_free++] = (uint16_t)cookie;
	conn->load--;
	/* A server that gives nothing back has done all it can. */
	op->error = op->kind == STORE_DISCARD && (error == NBD_EINVAL || error == NBD_ENOTSUP) ?
			    0 : error_of(error);
	if (done == op->count || op->error) {
		conn->done(conn->context, op);
		return;
	}
	op->slots_done = done;
	append(conn, op);
}

/*
 * What has left all of it is the server's; an answer that came before counts from now on. Ended when all are noted:
 * a request's end may gather others, and @sending is theirs then.
 */
static void note_sent(struct nbd_conn *conn)
{
	uint16_t ended[NBD_IN_FLIGHT];
	unsigned int i, num_ended = 0;

	while (conn->next_sending < conn->num_sending) {
		unsigned int cookie = conn->sending[conn->next_sending];

		if (conn->request[cookie].iov_end > conn->iov_done)
			break;
		conn->next_sending++;
		conn->request[cookie].unsent = false;
		if (conn->request[cookie].answered)
			ended[num_ended++] = (uint16_t)cookie;
	}
	for (i = 0; i < num_ended; i++)
		end_request(conn, ended[i], conn->request[ended[i]].error);
}

void nbd_conn_sent(struct nbd_conn *conn, size_t bytes)
{
	while (bytes) {
		struct iovec *iov = &conn->iov[conn->iov_done];
		size_t n = bytes < iov->iov_len ? bytes : iov->iov_len;

		iov->iov_base = (uint8_t *)iov->iov_base + n;
		iov->iov_len -= n;
		bytes -= n;
		if (!iov->iov_len)
			conn->iov_done++;
	}
	note_sent(conn);
}

/* --- from the server --- */

static size_t end(struct nbd_conn *conn, const char *wrong)
{
	conn->wrong = wrong;
	return 0;
}

static void take_pages(const struct store_op *op, const uint8_t *from)
{
	uint64_t i;

	for (i = 0; i < op->count; i++, from += STORE_SLOT_SIZE)
		memcpy(op->data[i].iov_base, from, STORE_SLOT_SIZE);
}

static size_t take_reply(struct nbd_conn *conn, const uint8_t *bytes, size_t n)
{
	size_t need = REPLY_BYTES;
	struct store_op *op;
	uint64_t cookie;
	uint32_t error;

	if (n < REPLY_BYTES)
		return 0;
	error = nbd_get32(bytes + 4);
	cookie = nbd_get64(bytes + 8);
	if (nbd_get32(bytes) != REPLY_MAGIC || cookie >= NBD_IN_FLIGHT || !conn->op[cookie] ||
	    conn->request[cookie].answered)
		return end(conn, "answers nothing that was asked");
	if (error == NBD_ESHUTDOWN)
		return end(conn, "is about to end");
	op = conn->op[cookie];
	if (op->kind == STORE_READ && !error)
		need += op->count * STORE_SLOT_SIZE;
	if (n < need)
		return 0;
	if (need > REPLY_BYTES)
		take_pages(op, bytes + REPLY_BYTES);
	/* We may hear of the answer before we hear that the request has left. */
	conn->request[cookie].error = error;
	conn->request[cookie].answered = conn->request[cookie].unsent;
	if (!conn->request[cookie].unsent)
		end_request(conn, (unsigned int)cookie, error);
	return need;
}

bool nbd_conn_received(struct nbd_conn *conn, size_t bytes)
{
	size_t at = 0, n;

	conn->filled += bytes;
	while ((n = take_reply(conn, conn->in + at, conn->filled - at)) > 0)
		at += n;
	/* What is begun is less than half the buffer, so there's always room. */
	memmove(conn->in, conn->in + at, conn->filled - at);
	conn->filled -= at;
	return !conn->wrong;
}
