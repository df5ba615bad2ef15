/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sealed_file.h - files that the front end shares, and that no process can cut short.
 */
#ifndef CSWAPD_SEALED_FILE_H
#define CSWAPD_SEALED_FILE_H

#include <fcntl.h>
#include <stdint.h>

/* What keeps a file's size as it is. */
#define SEALED_FILE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/*
 * Can @fd be mapped and written to without a SIGBUS, for as long as it is open? NULL, with its size in
 * *@bytes, or what is wrong with it. Any descriptor will do, -1 too. Doesn't sleep.
 */
const char *sealed_file_check(int fd, uint64_t *bytes);

#endif
