// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_nbd.c - what an NBD server says: before it has admitted us, and afterwards.
 *
 * An input begins with a byte: even, what follows is heard as a server's hello; odd, it's a
 * series of steps, of a byte each and what belongs to it:
 *   0  an operation: kind, slot (2 bytes), count - 1
 *   1  as much of what there is to send leaves (2 bytes)
 *   2  a reply to the request that was begun so many requests ago: error, pages that follow
 *   3  bytes as they are: how many (2 bytes)
 * What can't be is held to be so: an operation ends once, as long as it isn't over, and
 * after all of it has left.
 */
#include "fuzz.h"
#include "store/nbd_bytes.h"
#include "store/nbd_conn.h"
#include "store/nbd_hello.h"

#define OPS 16

static struct nbd_conn conn;
static struct store_op ops[OPS];
static bool busy[OPS];
static uint8_t pages[OPS][STORE_MAX_PAGES * STORE_SLOT_SIZE];
static unsigned int lately[256];	/* cookies, newest at @last */
static unsigned int last;

static void op_ends(void *context, struct store_op *op)
{
	size_t i = (size_t)(op - ops);

	(void)context;
	FUZZ_CHECK(i < OPS && busy[i] && op->error <= 0);
	busy[i] = false;
}

static void hear_hello(struct fuzz_input *in)
{
	static const struct nbd_want want = {
		.export_name = "export", .bytes = 1 << 20, .request_bytes = 1 << 18, .block_bytes = 4096,
	};
	struct nbd_hello hello;

	nbd_hello_begin(&hello);
	while (in->left && hello.phase < NBD_ADMITTED) {
		size_t room = sizeof(hello.in) - hello.filled, n = 1 + fuzz_u8(in);

		FUZZ_CHECK(room);
		n = n < room ? n : room;
		n = n < in->left ? n : in->left;
		fuzz_take(in, hello.in + hello.filled, n);
		nbd_hello_received(&hello, &want, n);
		FUZZ_CHECK(hello.out_bytes <= sizeof(hello.out));
		FUZZ_CHECK(hello.phase <= NBD_ADMITTED || hello.wrong);
	}
}

static void begin_op(struct fuzz_input *in)
{
	unsigned int i = 0, page;
	struct store_op *op;

	while (i < OPS && busy[i])
		i++;
	if (i == OPS)
		return;
	op = &ops[i];
	op->kind = fuzz_u8(in) % 3;
	op->slot = fuzz_u16(in);
	op->count = 1 + fuzz_u8(in) % STORE_MAX_PAGES;
	if (op->kind == STORE_DISCARD)
		op->count <<= 16;
	for (page = 0; op->kind != STORE_DISCARD && page < op->count; page++)
		op->data[page] = (struct iovec){ pages[i] + page * STORE_SLOT_SIZE, STORE_SLOT_SIZE };
	busy[i] = true;
	nbd_conn_queue(&conn, op);
}

static void send_some(size_t bytes)
{
	unsigned int i;

	if (!nbd_conn_gather(&conn))
		return;
	for (i = conn.next_sending; i < conn.num_sending; i++)
		lately[last++ % 256] = conn.sending[i];
	for (i = conn.iov_done; i < conn.iov_count && bytes; i++) {
		size_t n = conn.iov[i].iov_len < bytes ? conn.iov[i].iov_len : bytes;

		nbd_conn_sent(&conn, n);
		bytes -= n;
	}
}

static bool hear(const uint8_t *from, size_t bytes)
{
	size_t room, n;
	uint8_t *to;

	for (; bytes && !conn.wrong; bytes -= n, from += n) {
		to = nbd_conn_room(&conn, &room);
		FUZZ_CHECK(room);
		n = bytes < room ? bytes : room;
		memcpy(to, from, n);
		if (!nbd_conn_received(&conn, n))
			return false;
	}
	return true;
}

static bool hear_reply(struct fuzz_input *in)
{
	static uint8_t reply[16 + 256 * STORE_SLOT_SIZE];
	unsigned int back = fuzz_u8(in);

	nbd_put32(reply, 0x67446698);
	nbd_put32(reply + 4, fuzz_u8(in));
	nbd_put64(reply + 8, lately[(last - 1 - back) % 256]);
	return hear(reply, 16 + fuzz_u8(in) * STORE_SLOT_SIZE);
}

static bool hear_bytes(struct fuzz_input *in)
{
	static uint8_t bytes[UINT16_MAX];
	size_t n = fuzz_u16(in);

	n = n < in->left ? n : in->left;
	fuzz_take(in, bytes, n);
	return hear(bytes, n);
}

static bool step(struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 4) {
	case 0:
		begin_op(in);
		return true;
	case 1:
		send_some(fuzz_u16(in));
		return true;
	case 2:
		return hear_reply(in);
	default:
		return hear_bytes(in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (!(fuzz_u8(&in) & 1)) {
		hear_hello(&in);
		return 0;
	}
	memset(busy, 0, sizeof(busy));
	last = 0;
	FUZZ_CHECK(nbd_conn_init(&conn, op_ends, NULL));
	while (in.left && step(&in))
		continue;
	nbd_conn_free(&conn);
	return 0;
}
