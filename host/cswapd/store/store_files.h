/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_files.h - what a store is kept in, its data and its tags: found or made once, then held.
 */
#ifndef CSWAPD_STORE_FILES_H
#define CSWAPD_STORE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/signature.h"
#include "store.h"

/* Where the slots begin, behind the signature. */
#define STORE_DATA_OFFSET (1024 * 1024)
#define STORE_TAGS_OFFSET 4096

#define STORE_NAME_BYTES 1024
#define STORE_ID_BYTES SIGNATURE_ID_BYTES

enum { STORE_DATA_FILE, STORE_TAGS_FILE, STORE_NUM_FILES };

/* Which store it is; no other has all of this. */
struct store_identity {
	uint8_t id[STORE_NUM_FILES][STORE_ID_BYTES]; /* in the signatures */
	uint64_t device[STORE_NUM_FILES];
	uint64_t inode[STORE_NUM_FILES]; /* 0: a block device */
};

struct store_names {
	char name[STORE_NUM_FILES][STORE_NAME_BYTES];
};

/* Whose the export is, as far as we know. */
enum store_server_side {
	SERVER_OURS,			/* connections are wanted at all times */
	SERVER_LEFT,			/* another daemon's, maybe: none are */
	SERVER_ASKED,			/* nobody's yet: some are, to find out */
};

/* What is known of a server, whichever process serves (keep.h). */
struct store_server_log {
	uint64_t away_since_ms;		/* CLOCK_MONOTONIC; 0: it's there */
	uint64_t losses;
	uint8_t claimed;		/* its export has our signature */
	uint8_t side;			/* enum store_server_side */
	struct store_ticket ticket;	/* of the last move */
};

/* Data at a server: what the process that serves is born with. */
struct store_server {
	unsigned int count;		/* of connections, */
	unsigned int lanes;		/* and of lanes that share them evenly */
	uint16_t flags;			/* of the export, NBD_FLAG_* */
	int fd[STORE_MAX_CONNECTIONS];	/* -1: there are none */
	uint8_t id[STORE_TICKET_BYTES];	/* of its socket, on any host; 0: unknown */
	int wake_fd;			/* has the process that connects look at @log->side */
	struct store_server_log *log;
};

/* What an operator asks for. */
struct store_request {
	const char *data_path;
	const char *tags_path;		/* NULL: in memory */
	uint64_t slots;
	bool format;			/* whatever is there */
	bool incoming;			/* another process has it; none is made */
	const char *user;		/* who will use it, for the signature; or NULL */
	struct store_server *server;	/* if @data_path names one, and outlives the files */
};

/*
 * Held by the process that lives longest, by descriptors that can only be read and
 * that have no lock.
 */
struct store_files {
	uint64_t slots;
	bool is_device;			/* the data */
	bool tags_in_memory;		/* the tags' descriptor is memory (tags_mem.h) */
	bool format;
	struct store_server *server;	/* NULL: the data is a file */
	const char *user;
	int fd[STORE_NUM_FILES];	/* -1: none */
	uint8_t id[STORE_ID_BYTES];	/* what data and tags have in common */
	struct store_names paths;	/* as they were asked for */
	struct store_names names;	/* the same from the root on */
	struct store_identity identity;
	struct signature signature[STORE_NUM_FILES]; /* what a take writes */
};

#define STORE_FILES_NONE { .fd = { -1, -1 } }

/* Find or make what @request names, and make it a store. False: logged. */
bool store_files_open(struct store_files *files, const struct store_request *request);

/*
 * Go on with what another process held: @kept descriptors, -1 for none, which become
 * ours. False: what @request names is another store than @identity, which was called
 * @names; @wrong has it in words.
 */
#define STORE_WRONG_BYTES (2 * STORE_NAME_BYTES + 64)
bool store_files_go_on(struct store_files *files, const struct store_request *request,
		       const struct store_identity *identity,
		       const struct store_names *names, const int kept[STORE_NUM_FILES],
		       char wrong[STORE_WRONG_BYTES]);

void store_files_close(struct store_files *files);

/*
 * A new open file of the same inode, read and write, locked: as soon as nobody else
 * has the lock, nor I/O under way that had it. -1: logged.
 */
int store_files_reopen(const struct store_files *files, unsigned int which, int flags);

/* The same without the lock, which somebody else may have. */
int store_files_reopen_idle(const struct store_files *files, unsigned int which, int flags);

/*
 * Such an open file is this process's from now on, as its lock and its signature say. Tried once. False:
 * somebody else has it.
 */
bool store_files_take(const struct store_files *files, unsigned int which, int fd);
/* And no longer: other hosts see what was written. False: they may not. */
bool store_files_yield(int fd);

uint64_t store_files_bytes(const struct store_files *files, unsigned int which);

/* --- what becomes of them --- */

enum store_state {
	STORE_WHOLE,
	STORE_MOVED,			/* the name is no longer its */
	STORE_DELETED,			/* it has no name */
	STORE_CUT,			/* shorter than it was made, or overwritten */
};

const char *store_state_name(enum store_state state);

/* Looks at names and sizes, at nothing that a disk could keep waiting; but the server of a network's file system may. */
enum store_state store_files_state(const struct store_files *files, unsigned int which);

/* What bytes from a place's begin on say that it is. */
enum store_found { STORE_FOUND_NOTHING, STORE_FOUND_OURS, STORE_FOUND_STORE, STORE_FOUND_OTHER };

enum store_found store_files_judge(const struct store_files *files, unsigned int which,
				   const uint8_t *bytes, size_t n);

/* The block that belongs there. */
#define STORE_SIGNATURE_BYTES 4096
void store_files_sign(const struct store_files *files, unsigned int which,
		      uint8_t block[STORE_SIGNATURE_BYTES]);

/* Whose signature a block is; false: it's none. And the block of another daemon's export. */
bool store_files_read_id(const uint8_t *block, uint8_t id[STORE_ID_BYTES]);
void store_files_sign_as(const struct store_files *files, const uint8_t id[STORE_ID_BYTES],
			 uint8_t block[STORE_SIGNATURE_BYTES]);

/* Is the signature still there? May wait for the disk. */
bool store_files_is_signed(const struct store_files *files, unsigned int which);

/* 0, or an error of write-back that nobody was told yet. */
int store_files_take_error(const struct store_files *files, unsigned int which);

#endif
