/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vectors.h - printing and checking the sealed-page test vectors.
 */
#ifndef CSWAP_SEAL_VECTORS_COMMAND_H
#define CSWAP_SEAL_VECTORS_COMMAND_H

#include <stdio.h>

/* Print the table of tests/vectors/seal_vectors.h, sealed. */
void vectors_print(FILE *to);

/*
 * Seal again what each line of @from says, and compare. Reports on stdout.
 * Returns true when there was at least one vector and all were right.
 */
bool vectors_check(FILE *from, const char *name);

#endif /* CSWAP_SEAL_VECTORS_COMMAND_H */
