/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * status.h - a daemon's status, taken from its JSON, and for the eye.
 */
#ifndef CSWAPCTL_STATUS_H
#define CSWAPCTL_STATUS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define STATUS_UNKNOWN UINT64_MAX

struct status {
	const char *balloon;		/* ready, absent, unsupported, declined, off, unknown */
	const char *release;		/* convert, punch, off, unknown */
	uint64_t memory;		/* bytes, as all of these; or UNKNOWN */
	uint64_t target;
	uint64_t told;
	uint64_t released;
	uint64_t files;
	uint64_t cgroup;
	const char *cgroup_path;	/* NULL: unknown */
	uint64_t kept;			/* discarded, and not free */
	uint64_t stored_pages;
	uint64_t loaded_pages;
	uint64_t tags_memory;		/* bytes */
	uint64_t owed;			/* bytes */
	const char *store_file;		/* NULL: memory, or unknown, as is the next */
	const char *store_state;	/* whole, moved, deleted, cut */
	uint64_t occupied;		/* bytes of the disk */
	uint64_t disk_free;		/* ... that are left there */
	uint64_t file_system_away_ms;	/* the store's: what is told of its files is as old */
	uint64_t server_away_ms;	/* UNKNOWN: the store is at none */
	uint64_t server_losses;
	uint64_t waits_ms;		/* the oldest request at the store */
	uint64_t errors_writeback;	/* requests, as is what follows */
	uint64_t errors_io;
	uint64_t errors_nospc;

	/* The guest's last report, if there was one. */
	bool reported;
	uint64_t report_number;
	uint64_t report_age_ms;
	uint64_t report_size;
	uint64_t report_target;
	uint64_t report_available;
	uint64_t report_lost;
	uint64_t report_tampered;
	uint64_t report_swap_in;	/* pages */
	uint64_t report_swap_in_ns;	/* ... that were waited for so long, in all */
	const char *stopped;		/* none, working, ...; unknown */
};

enum status_progress {
	STATUS_WORKING,
	STATUS_REACHED,
	STATUS_STOPPED,			/* and status.stopped says why */
};

/* Strings that aren't of a list are the answer's: @status is void when that is put. */
void status_read(struct json_object *answer, struct status *status);

/* How far the guest is with its target, by a report newer than @number. */
enum status_progress status_progress(const struct status *status,
				     uint64_t number);

/* In words, why the guest has stopped. */
const char *status_reason(const struct status *status);

/*
 * In words, why this guest can't be asked for memory, and what helps; NULL: it can. Not every
 * such reason lasts: a guest that boots has its driver later.
 */
const char *status_obstacle(const struct status *status);

/* What is wrong with the store, in two words; NULL: nothing that is known. */
const char *status_trouble(const struct status *status);

/*
 * In words, how long it takes at most to bring all that is stored back into the guest, by the guest's own measure of
 * its reads; NULL: how much is stored isn't known, or next to nothing. Void at the next call.
 */
const char *status_way_back(const struct status *status);

/* Many lines, and one. */
void status_print(const struct status *status);
void status_print_line(const struct status *status);

#endif
