/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * answers.h - what is done about a guest that makes no progress.
 */
#ifndef CSWAP_BALANCER_ANSWERS_H
#define CSWAP_BALANCER_ANSWERS_H

#include "guests.h"
#include "notes.h"

/* Do, or undo, what the policy has come to for each guest; @none: undo all of it. */
void answers_give(struct notes *notes, struct guests *guests, bool none);
/* Undo all that is noted, whichever process has done it. False: some of it can't be undone now. */
bool answers_undo(struct notes *notes);

#endif
