/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * state.h - a guest's memory of its device in a file, so that what one run
 * stored another can load.
 */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include "guest.h"

/* 0, or -1 with the reason in guest->error. */
int state_save(struct guest *g, const char *path);
int state_load(struct guest *g, const char *path);

#endif /* SIM_STATE_H */
