/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fault_spec.h - "KIND:NAME=NUMBER:..." on a command line: cswapd-faulty only.
 */
#ifndef CSWAPD_FAULT_SPEC_H
#define CSWAPD_FAULT_SPEC_H

/* The parts between the colons, one after the other. NULL, or what is wrong. */
struct fault_spec_parts {
	const char *(*kind)(void *fault, const char *kind);
	const char *(*field)(void *fault, const char *field);
};

const char *fault_spec_parse(const char *spec, void *fault,
			     const struct fault_spec_parts *parts);

#endif
