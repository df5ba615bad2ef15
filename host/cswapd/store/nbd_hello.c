// SPDX-License-Identifier: GPL-2.0-only
/*
 * nbd_hello.c - how a connection to an NBD server begins: up to its being admitted.
 *
 * Theory of operation: the fixed new style, and one NBD_OPT_GO. We don't ask for structured
 * replies: with them QEMU's server looks for holes before each read, which takes three
 * quarters of the reads. Servers refuse a connection that is one too many at different
 * points: some don't accept it, others close it, and nbdkit's limit answers the option with
 * an error. So a connection is admitted when the server acknowledges the option.
 *
 * All that a server says up to the acknowledgement passes nbd_hello_received(), which has no
 * I/O, and knows nothing but these bytes.
 */
#include <string.h>

#include "nbd_bytes.h"
#include "nbd_hello.h"

#define GREETING_MAGIC		0x4e42444d41474943ULL
#define OPTION_MAGIC		0x49484156454f5054ULL
#define OPTION_REPLY_MAGIC	0x0003e889045565a9ULL

/* The server's flags in the greeting, and ours. */
#define FIXED_NEWSTYLE		(1 << 0)
#define NO_ZEROES		(1 << 1)

#define OPTION_GO		7
#define ANSWER_ACK		1
#define ANSWER_INFO		3
#define ANSWER_IS_ERROR		(1U << 31)
#define INFO_EXPORT		0
#define INFO_BLOCK_SIZE		3

#define GREETING_BYTES		18
#define ANSWER_BYTES		20
/* More has no answer that we asked for. */
#define MAX_INFO_BYTES		512

/* One says what an export is, one its blocks; a server may say more. */
#define MAX_ANSWERS		16

_Static_assert(ANSWER_BYTES + MAX_INFO_BYTES < NBD_HELLO_IN_BYTES, "an answer has room");

void nbd_hello_begin(struct nbd_hello *hello)
{
	memset(hello, 0, sizeof(*hello));
}

/* These take what they can of @n bytes: how many that are; 0: they need more, or it's over. */

static size_t end(struct nbd_hello *hello, enum nbd_hello_phase phase, const char *wrong)
{
	hello->phase = phase;
	hello->wrong = wrong;
	return 0;
}

static size_t take_greeting(struct nbd_hello *hello, const struct nbd_want *want,
			    const uint8_t *bytes, size_t n)
{
	const uint32_t name_bytes = (uint32_t)strlen(want->export_name);
	uint8_t *at = hello->out;
	uint16_t flags;

	if (n < GREETING_BYTES)
		return 0;
	flags = nbd_get16(bytes + 16);
	if (nbd_get64(bytes) != GREETING_MAGIC || nbd_get64(bytes + 8) != OPTION_MAGIC ||
	    !(flags & FIXED_NEWSTYLE))
		return end(hello, NBD_UNFIT, "is no NBD server, or an old one");
	at = nbd_put32(at, FIXED_NEWSTYLE | (flags & NO_ZEROES));
	at = nbd_put64(at, OPTION_MAGIC);
	at = nbd_put32(at, OPTION_GO);
	at = nbd_put32(at, 4 + name_bytes + 2 + 2);
	at = nbd_put32(at, name_bytes);
	at = (uint8_t *)memcpy(at, want->export_name, name_bytes) + name_bytes;
	/* We ask for its blocks, and so promise to keep to them. */
	at = nbd_put16(at, 1);
	at = nbd_put16(at, INFO_BLOCK_SIZE);
	hello->out_bytes = (size_t)(at - hello->out);
	hello->phase = NBD_OPTION;
	return GREETING_BYTES;
}

/* NULL, or why this export is of no use. */
static const char *take_info(struct nbd_hello *hello, const struct nbd_want *want,
			     const uint8_t *info, uint32_t n)
{
	if (n == 14 && nbd_get16(info) == INFO_BLOCK_SIZE)
		return nbd_get32(info + 2) > want->block_bytes ||
		       nbd_get32(info + 10) < want->request_bytes ?
			       "doesn't take 4 KiB, or not 256 KiB at a time" : NULL;
	if (n != 12 || nbd_get16(info) != INFO_EXPORT)
		return NULL;
	if (nbd_get64(info + 2) < want->bytes)
		return "has an export that is too small: it needs --size and 1 MiB before it";
	hello->flags = nbd_get16(info + 10);
	return hello->flags & NBD_FLAG_READ_ONLY ? "has an export that is read-only" : NULL;
}

static size_t take_answer(struct nbd_hello *hello, const struct nbd_want *want,
			  const uint8_t *bytes, size_t n)
{
	const char *wrong = NULL;
	uint32_t type, length;

	if (n < ANSWER_BYTES)
		return 0;
	type = nbd_get32(bytes + 12);
	length = nbd_get32(bytes + 16);
	if (nbd_get64(bytes) != OPTION_REPLY_MAGIC || nbd_get32(bytes + 8) != OPTION_GO)
		return end(hello, NBD_UNFIT, "answers nothing that was asked");
	if (type & ANSWER_IS_ERROR)
		return end(hello, NBD_NOT_NOW, "doesn't admit us, or has no such export");
	if (length > MAX_INFO_BYTES)
		return end(hello, NBD_UNFIT, "answers nothing that was asked");
	if (n < ANSWER_BYTES + length)
		return 0;
	/* Who listens to it listens to nobody else. */
	if (++hello->answers > MAX_ANSWERS)
		return end(hello, NBD_UNFIT, "doesn't come to an end with what it says of its export");
	if (type == ANSWER_INFO)
		wrong = take_info(hello, want, bytes + ANSWER_BYTES, length);
	if (wrong)
		return end(hello, NBD_UNFIT, wrong);
	/* The first flag says that there are any. */
	if (type == ANSWER_ACK && !(hello->flags & 1))
		return end(hello, NBD_UNFIT, "says nothing of its export");
	if (type == ANSWER_ACK)
		hello->phase = NBD_ADMITTED;
	return ANSWER_BYTES + length;
}

static size_t take(struct nbd_hello *hello, const struct nbd_want *want,
		   const uint8_t *bytes, size_t n)
{
	switch (hello->phase) {
	case NBD_GREETING:
		return take_greeting(hello, want, bytes, n);
	case NBD_OPTION:
		return take_answer(hello, want, bytes, n);
	default:
		return 0;
	}
}

void nbd_hello_received(struct nbd_hello *hello, const struct nbd_want *want, size_t bytes)
{
	size_t at = 0, n;

	hello->filled += bytes;
	while ((n = take(hello, want, hello->in + at, hello->filled - at)) > 0)
		at += n;
	memmove(hello->in, hello->in + at, hello->filled - at);
	hello->filled -= at;
	if (hello->phase == NBD_ADMITTED && hello->filled)
		end(hello, NBD_UNFIT, "answers nothing that was asked");
}
