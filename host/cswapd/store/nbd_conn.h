/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nbd_conn.h - one connection to an NBD server that has admitted it: what is said, and what is believed.
 */
#ifndef CSWAPD_NBD_CONN_H
#define CSWAPD_NBD_CONN_H

#include "store.h"

/* Operations that may be at the server by one connection. */
#define NBD_IN_FLIGHT 256
/* Room for what a server says: more than the largest answer, so one receive takes many. */
#define NBD_IN_BYTES (512 * 1024)
#define NBD_SEND_VECTORS 512
struct nbd_header {
	uint8_t b[28];			/* a request's, as it's sent */
};

struct nbd_conn {
	const char *wrong;		/* what the server did: nothing more of it is believed */
	store_done_fn *done;
	void *context;

	unsigned int load;		/* operations that it has, sent or not */

	/* To the server. */
	struct store_op *first, **last;	/* not sent yet, oldest first */
	unsigned int iov_count, iov_done;
	struct iovec iov[NBD_SEND_VECTORS];
	struct nbd_header header[NBD_IN_FLIGHT]; /* by cookie */

	uint16_t sending[NBD_IN_FLIGHT]; /* whose vectors these are, in this order */
	unsigned int num_sending, next_sending;

	/* At the server: by cookie; an index is all that it ever learns. */
	struct store_op *op[NBD_IN_FLIGHT];
	struct {
		uint16_t iov_end;	/* of its vectors */
		bool unsent;		/* it isn't known that all of it has left */
		bool answered;		/* nevertheless */
		uint32_t error;
	} request[NBD_IN_FLIGHT];
	uint16_t cookie[NBD_IN_FLIGHT];	/* that are free */
	unsigned int num_free;

	/* From the server. */
	uint8_t *in;
	size_t filled;
};

/* @done is told of operations that the server has answered. False: no memory. */
bool nbd_conn_init(struct nbd_conn *conn, store_done_fn *done, void *context);
void nbd_conn_free(struct nbd_conn *conn);

/* To be sent. Slot 0 is STORE_DATA_OFFSET bytes in. */
void nbd_conn_queue(struct nbd_conn *conn, struct store_op *op);

/* What to send next: up to @conn->iov_count vectors of @conn->iov, from @conn->iov_done on. */
bool nbd_conn_gather(struct nbd_conn *conn);
void nbd_conn_sent(struct nbd_conn *conn, size_t bytes);

/* Where the server's next bytes go. */
static inline uint8_t *nbd_conn_room(struct nbd_conn *conn, size_t *bytes)
{
	*bytes = NBD_IN_BYTES - conn->filled;
	return conn->in + conn->filled;
}

/* So many came. False: @conn->wrong. */
bool nbd_conn_received(struct nbd_conn *conn, size_t bytes);

#endif
