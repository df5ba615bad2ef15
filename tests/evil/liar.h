/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * liar.h - the lies that a malicious device tells, and when it tells them.
 */
#ifndef EVIL_LIAR_H
#define EVIL_LIAR_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_cswap.h>

/* Where there is an opportunity for a lie. */
enum place {
	PLACE_ANSWER,			/* a response buffer is about to be used */
	PLACE_CHAIN,			/* a request chain is about to be given back */
	PLACE_REQUEST,			/* a request has just been seen */
	PLACE_CONTROL,			/* a control request is about to be answered */
	PLACE_CALL,			/* the guest may have to be interrupted */
	PLACE_CONFIG,			/* the guest reads the configuration */
};

enum lie {
	/* answers: their contents */
	LIE_STATUS, LIE_COOKIE, LIE_RESERVED, LIE_HEADER, LIE_LENGTH, LIE_FLIP, LIE_OLDER,
	/* answers: which and when */
	LIE_TWICE, LIE_FORGED, LIE_GARBAGE, LIE_EARLY, LIE_LATE, LIE_NEVER,
	/* memory that changes under the guest's eyes */
	LIE_SCRIBBLE, LIE_DESCRIPTORS, LIE_KICKS, LIE_REQUEST_BYTES,
	/* request chains */
	LIE_CHAIN_LENGTH, LIE_CHAIN_LATE, LIE_CHAIN_NEVER, LIE_CHAIN_SWAP,
	/* control */
	LIE_CONTROL_BYTES, LIE_CONTROL_LENGTH, LIE_CONTROL_LATE, LIE_CONTROL_NEVER,
	/* interrupts */
	LIE_MUTE, LIE_CALL,
	/* what ends a queue */
	LIE_WILD_ID, LIE_SAME_ID, LIE_INDEX, LIE_CHAIN_WILD_ID, LIE_CHAIN_SAME_ID,
	LIE_CONTROL_WILD_ID,
	/* the device itself */
	LIE_CONFIG,
	NUM_LIES,
	LIE_NONE = NUM_LIES
};

extern const char liar_help[];

/* The command line. NULL, or what is wrong. */
const char *liar_take_option(const char *name, const char *value);

/* All options are known. False, logged, if it can't begin. */
bool liar_begin(void);

void liar_arm(bool armed);
/* How often each lie was told, into the file that --report named. */
void liar_report(void);
/* That file, or NULL. */
const char *liar_writes(void);

/* What the guest is told of the device. */
void liar_config(struct virtio_cswap_config *config);

/* The rest is called under the lock. */
void liar_lock(void);
void liar_unlock(void);

uint64_t liar_random(void);
static inline uint64_t liar_below(uint64_t limit)
{
	return liar_random() % limit;
}

/* The lie to be told here and now, or LIE_NONE. It may turn out to be impossible. */
enum lie liar_choose(enum place place);
/* It was told: count and log it. */
void liar_told(enum lie lie, unsigned int queue, uint64_t detail);
bool liar_is_armed(void);

/* rings.c: forget what is held or being scribbled at. */
void rings_calm(void);
/* All that passes the rings goes into this file as well. */
bool rings_keep(const char *path);

#endif
