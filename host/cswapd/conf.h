/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conf.h - the command line.
 */
#ifndef CSWAPD_CONF_H
#define CSWAPD_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "life/sandbox.h"
#include "frontend/vhost_user.h"

#define CONF_MEDIUM_AUTO 0xff

/* What becomes of memory that the guest releases. */
enum conf_release {
	CONF_RELEASE_CONVERT,		/* the guest's conversion of it frees it */
	CONF_RELEASE_PUNCH,		/* we discard what is behind it */
	CONF_RELEASE_OFF,		/* no balloon */
};

struct conf {
	const char *socket_path;
	int fd;				/* -1: none was given */
	const char *store_path;		/* NULL: anonymous memory */
	const char *tags_path;		/* NULL: in memory */
	unsigned int connections;	/* to a server, in all */
	bool format;			/* make a store of whatever is there */
	bool incoming;			/* a guest comes from another daemon, with this store */
	uint64_t slots;
	unsigned int queue_pairs;
	unsigned int workers;
	uint8_t medium;			/* VIRTIO_CSWAP_MEDIUM_*, or AUTO */
	unsigned int poll_us;
	enum vhost_user_access access;
	enum conf_release release;
	uint32_t block_bytes;
	unsigned int report_period_ms;	/* 0: no reports */
	const char *control_path;	/* NULL: no control socket */
	unsigned int watchdog_s;	/* 0: no process is watched */
	const char *cgroup;		/* of the VMM; NULL: find it out */
	enum sandbox_mode sandbox;
	int log_level;
	bool one_shot;
};

/* Options that another program made of the same parts has besides. */
struct conf_extra {
	const char *program;
	const char *help;
	/* Takes "--@name", @value NULL if none; NULL or what is wrong. */
	const char *(*option)(const char *name, const char *value);
	/* Names and whether they take a value, up to a NULL name. */
	const struct conf_extra_option {
		const char *name;
		bool has_value;
	} *options;
};

enum conf_result { CONF_OK, CONF_EXIT_0, CONF_EXIT_USAGE };

enum conf_result conf_parse(struct conf *conf, int argc, char **argv,
			    const struct conf_extra *extra);

/* "64G" -> bytes; 0 if it isn't a size, or none we could use. */
uint64_t conf_parse_size(const char *text);

#endif
