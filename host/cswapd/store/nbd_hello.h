/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nbd_hello.h - how a connection to an NBD server begins: up to its being admitted.
 */
#ifndef CSWAPD_NBD_HELLO_H
#define CSWAPD_NBD_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of an export's name, with its end. */
#define NBD_EXPORT_BYTES 256
/* The longest that a server has to say before it admits us. */
#define NBD_HELLO_IN_BYTES 1024

enum nbd_hello_phase {
	NBD_GREETING,			/* the server begins */
	NBD_OPTION,			/* we have named the export */
	NBD_ADMITTED,			/* requests may go */
	NBD_NOT_NOW,			/* not admitted: maybe later, */
	NBD_UNFIT,			/* or never: it's of no use as it is */
};

/* What is wanted of a server. */
struct nbd_want {
	const char *export_name;
	uint64_t bytes;
	uint32_t request_bytes;		/* in one request */
	uint32_t block_bytes;		/* all are multiples of it */
};

struct nbd_hello {
	enum nbd_hello_phase phase;
	const char *wrong;		/* NOT_NOW, UNFIT: what the server did */
	uint16_t flags;			/* ADMITTED: of the export, NBD_FLAG_* */
	unsigned int answers;		/* to the option, so far */
	uint8_t out[NBD_EXPORT_BYTES + 64];
	size_t out_bytes, out_done;	/* to be said */
	uint8_t in[NBD_HELLO_IN_BYTES];
	size_t filled;
};

#define NBD_FLAG_READ_ONLY	(1 << 1)
#define NBD_FLAG_SEND_TRIM	(1 << 5)
#define NBD_FLAG_CAN_MULTI_CONN	(1 << 8)

void nbd_hello_begin(struct nbd_hello *hello);

/*
 * @bytes more are in hello->in behind hello->filled, which isn't counted up yet. Looks at
 * all of it; there's always room for more unless it's over.
 */
void nbd_hello_received(struct nbd_hello *hello, const struct nbd_want *want, size_t bytes);

#endif
