// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_found.c - what is in a file or a block device that is no store yet.
 *
 * Theory of operation: a file is empty if it has no data, but for a little that is all
 * zeros. A block device is empty if it begins and ends with zeros, as one does that was wiped;
 * this is quick to find out. libblkid knows what else there can be: file systems,
 * partition tables, volumes, wherever they have their signatures.
 */
#include <blkid/blkid.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "store_found.h"

#define CHUNK_BYTES (1024 * 1024)
/* Of a file: more data isn't looked at, and isn't nothing. */
#define MAX_ZERO_BYTES (16 * CHUNK_BYTES)

/* Is it all zeros in [begin, begin + CHUNK_BYTES), as far as there is something? */
static bool is_zero_chunk(int fd, off_t begin, uint8_t *chunk)
{
	ssize_t n = pread(fd, chunk, CHUNK_BYTES, begin);

	return n >= 0 && (!n || (!*chunk && !memcmp(chunk, chunk + 1, (size_t)n - 1)));
}

static bool is_empty_file(int fd, uint8_t *chunk)
{
	off_t seen = 0, at = 0;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		if (seen >= MAX_ZERO_BYTES || !is_zero_chunk(fd, at, chunk))
			return false;
		at += CHUNK_BYTES;
		seen += CHUNK_BYTES;
	}
	return true;
}

static bool is_empty_device(int fd, uint8_t *chunk)
{
	off_t end = lseek(fd, 0, SEEK_END);

	return is_zero_chunk(fd, 0, chunk) &&
	       (end <= CHUNK_BYTES || is_zero_chunk(fd, end - CHUNK_BYTES, chunk));
}

static blkid_probe begin_probe(int fd)
{
	blkid_probe probe = blkid_new_probe();

	if (probe && (blkid_probe_set_device(probe, fd, 0, 0) ||
		      blkid_probe_enable_superblocks(probe, 1) ||
		      blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE |
							BLKID_SUBLKS_LABEL |
							BLKID_SUBLKS_MAGIC) ||
		      blkid_probe_enable_partitions(probe, 1) ||
		      blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC))) {
		blkid_free_probe(probe);
		probe = NULL;
	}
	return probe;
}

static const char *lookup(blkid_probe probe, const char *name)
{
	const char *value = NULL;

	blkid_probe_lookup_value(probe, name, &value, NULL);
	return value;
}

/* Whether libblkid knows it. */
static bool describe(int fd, char *text, size_t bytes)
{
	blkid_probe probe = begin_probe(fd);
	const char *type, *label, *table;
	int found = probe ? blkid_do_safeprobe(probe) : 1;

	if (found == -2) {
		snprintf(text, bytes, "the signatures of several file systems");
	} else if (!found) {
		type = lookup(probe, "TYPE");
		label = lookup(probe, "LABEL");
		table = lookup(probe, "PTTYPE");
		if (type)
			snprintf(text, bytes, "%s%s%s%s", type, label ? " \"" : "",
				 label ? label : "", label ? "\"" : "");
		else
			snprintf(text, bytes, "a partition table (%s)",
				 table ? table : "unknown");
	}
	blkid_free_probe(probe);
	return !found || found == -2;
}

bool store_found_nothing(int fd, bool is_device, char *text, size_t bytes)
{
	uint8_t *chunk = malloc(CHUNK_BYTES);
	bool empty = chunk && (is_device ? is_empty_device(fd, chunk) :
					   is_empty_file(fd, chunk));

	free(chunk);
	/* What begins with zeros may be something all the same. */
	if ((!empty || is_device) && describe(fd, text, bytes))
		return false;
	if (!empty)
		snprintf(text, bytes, "data of no kind that is known (or a store of an earlier cswapd)");
	return empty;
}

void store_found_wipe(int fd)
{
	blkid_probe probe = begin_probe(fd);

	while (probe && !blkid_do_probe(probe))
		if (blkid_do_wipe(probe, 0))
			break;
	blkid_free_probe(probe);
}
