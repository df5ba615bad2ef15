// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_config.c - a device that says nonsense about itself, for tests: cswapd-faulty only.
 *
 * What is served is as always; only what the guest is told of it is changed.
 */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bad_config.h"

#define FIELD(field) { #field, offsetof(struct virtio_cswap_config, field), \
		       sizeof(((struct virtio_cswap_config *)0)->field), 0, false }

static struct field {
	const char *name;
	size_t offset, bytes;
	uint64_t value;
	bool given;
} fields[] = {
	FIELD(capacity),
	FIELD(slot_size),
	FIELD(num_queue_pairs),
	FIELD(max_request_pages),
	FIELD(medium),
	FIELD(reserved0),
	FIELD(release_method),
	FIELD(block_size),
	FIELD(report_period_ms),
	FIELD(reserved1),
};

static uint64_t offered, withheld;	/* feature bits */

static const char *add_feature(uint64_t *features, uint64_t bit)
{
	if (bit > 63)
		return "no such feature bit";
	*features |= UINT64_C(1) << bit;
	return NULL;
}

const char *bad_config_add(const char *spec)
{
	const char *equals = strchr(spec, '=');
	size_t i, len = equals ? (size_t)(equals - spec) : 0;
	uint64_t value;
	char *end;

	if (!equals)
		return "not FIELD=VALUE";
	errno = 0;
	value = strtoull(equals + 1, &end, 0);
	if (errno || end == equals + 1 || *end)
		return "not a number";
	if (!strncmp(spec, "offer=", 6))
		return add_feature(&offered, value);
	if (!strncmp(spec, "withhold=", 9))
		return add_feature(&withheld, value);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strlen(fields[i].name) != len || strncmp(fields[i].name, spec, len))
			continue;
		fields[i].value = value;
		fields[i].given = true;
		return NULL;
	}
	return "no such field";
}

void bad_config_apply(struct virtio_cswap_config *config)
{
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint64_t value = htole64(fields[i].value);
		size_t bytes = fields[i].bytes;

		/* Little-endian: the first bytes are the lowest. The last of a longer field. */
		if (!fields[i].given)
			continue;
		if (bytes <= sizeof(value))
			memcpy((uint8_t *)config + fields[i].offset, &value, bytes);
		else
			((uint8_t *)config)[fields[i].offset + bytes - 1] = (uint8_t)fields[i].value;
	}
}

uint64_t bad_config_features(uint64_t features)
{
	return (features | offered) & ~withheld;
}
