/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_found.h - what is in a file or a block device that is no store yet.
 */
#ifndef CSWAPD_STORE_FOUND_H
#define CSWAPD_STORE_FOUND_H

#include <stdbool.h>
#include <stddef.h>

/* Is there nothing in it that anybody could miss? Otherwise @text says what there is. */
bool store_found_nothing(int fd, bool is_device, char *text, size_t bytes);

/* Remove what would still be found behind our signature. */
void store_found_wipe(int fd);

#endif
