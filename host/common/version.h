/* SPDX-License-Identifier: GPL-2.0-only */
/* version.h - the version that the programs print. */
#ifndef CSWAP_COMMON_VERSION_H
#define CSWAP_COMMON_VERSION_H

/* As "0.2.0 (1a2b3c4d5e6f)": the version, and the commit where it was built from a repository. */
extern const char cswap_version[];

#endif
