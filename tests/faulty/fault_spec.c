// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_spec.c - "KIND:NAME=NUMBER:..." on a command line: cswapd-faulty only.
 */
#include <stdlib.h>
#include <string.h>

#include "fault_spec.h"

const char *fault_spec_parse(const char *spec, void *fault,
			     const struct fault_spec_parts *parts)
{
	char *copy = strdup(spec), *rest = copy, *field;
	const char *wrong;

	if (!copy)
		return "no memory";
	wrong = parts->kind(fault, strsep(&rest, ":"));
	while (!wrong && (field = strsep(&rest, ":")))
		wrong = parts->field(fault, field);
	free(copy);
	return wrong;
}
