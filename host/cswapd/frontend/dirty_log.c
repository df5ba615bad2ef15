// SPDX-License-Identifier: GPL-2.0-only
/*
 * dirty_log.c - which pages of guest memory the device has written to.
 *
 * Theory of operation: dirty_log_mark() has two callers, one for what is written to the rings (vring.c) and
 * one for what is written to the guest's buffers (worker_ring.c); no operation of the store knows that there
 * is a log. The file outlives the worker as all descriptors do (keep.c), so a worker that begins in the
 * middle of a move goes on with the log.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "dirty_log.h"
#include "sealed_file.h"

void dirty_log_drop(struct dirty_log *log)
{
	if (!log->bits)
		return;
	munmap(log->bits - log->offset, log->offset + log->bytes);
	close(log->fd);
	*log = (struct dirty_log) { .fd = -1 };
}

const char *dirty_log_use(struct dirty_log *log, int fd, uint64_t bytes, uint64_t offset)
{
	static uint64_t serial;
	uint64_t size;
	const char *wrong;
	void *map;

	dirty_log_drop(log);
	wrong = sealed_file_check(fd, &size);
	if (wrong)
		return wrong;
	if (!bytes || offset > size || bytes > size - offset)
		return "larger than its file, or empty";
	/* From offset 0: it may be unaligned. */
	map = mmap(NULL, offset + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return "can't be mapped";
	*log = (struct dirty_log) {
		.bits = (uint8_t *)map + offset,
		.bytes = bytes,
		.offset = offset,
		.fd = fd,
		.serial = ++serial,
	};
	return NULL;
}
