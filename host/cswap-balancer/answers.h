/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * answers.h - what is done about a guest that makes no progress.
 */
#ifndef CSWAP_BALANCER_ANSWERS_H
#define CSWAP_BALANCER_ANSWERS_H

#include "guests.h"

/* Do, or undo, what the policy has come to for each guest. */
void answers_give(struct guests *guests);
/* Undo all of it. */
void answers_undo(struct guests *guests);

#endif
