/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_place.h - what a store's files are called and where they lie. For store_files.c; what other files
 * call is in store_files.h.
 */
#ifndef CSWAPD_STORE_PLACE_H
#define CSWAPD_STORE_PLACE_H

#include "store_files.h"

struct stat;

/* How many of the files have names, and signatures. */
unsigned int store_place_num_named(const struct store_files *files);
/* Not memory, and not at a server. */
bool store_place_is_file(const struct store_files *files, unsigned int which);
/* The names of @request, from the root on as well. False: too long; it's logged. */
bool store_place_name_files(struct store_files *files, const struct store_request *request);
/* No place for files: a name there that leads nowhere is a mistyped one. */
bool store_place_is_none(const char *name);
void store_place_warn_of_memory(int fd, const char *name);

void store_place_identify(struct store_identity *identity, unsigned int which,
			  const struct stat *st);
bool store_place_is_same(const struct store_identity *a, const struct store_identity *b,
			 unsigned int which);

#endif /* CSWAPD_STORE_PLACE_H */
