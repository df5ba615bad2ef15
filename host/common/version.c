// SPDX-License-Identifier: GPL-2.0-only
/*
 * version.c - the version that the programs print. A file of its own, because it's compiled anew for each
 * commit. A packager's CSWAP_VERSION goes before what make found in VERSION and in git.
 */
#include "version.h"

#ifndef CSWAP_VERSION
#define CSWAP_VERSION CSWAP_FOUND_VERSION
#endif

const char cswap_version[] = CSWAP_VERSION;
