/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_slots.h - the layer that joins an engine's pages with tags in memory.
 */
#ifndef CSWAPD_STORE_SLOTS_H
#define CSWAPD_STORE_SLOTS_H

#include "store.h"

/*
 * @engine, ours from now on, with the tags in @tags_fd (tags_mem.h), which stays the
 * caller's; -1: in memory of its own, which only those have who are forked later. NULL:
 * logged; also if there is no engine.
 */
struct store *store_slots_wrap(struct store *engine, int tags_fd);

#endif
