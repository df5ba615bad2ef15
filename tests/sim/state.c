// SPDX-License-Identifier: GPL-2.0-only
/*
 * state.c - a guest's memory of its device in a file, so that what one run
 * stored another can load. Only tests do such a thing with a key.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state.h"

struct header {
	char magic[8];
	u64 slots, next, device;
	u8 key[VIRTIO_CSWAP_KEY_SIZE];
};

static const char magic[8] = "cswapsim";

int state_save(struct guest *g, const char *path)
{
	struct header h = {
		.slots = g->records.slots,
		.next = g->records.next,
		.device = g->device,
	};
	FILE *f = fopen(path, "w");
	bool ok;

	if (!f)
		return guest_fail(g, "%s: %s", path, strerror(errno));
	memcpy(h.magic, magic, sizeof(magic));
	memcpy(h.key, g->key, sizeof(h.key));
	ok = fwrite(&h, sizeof(h), 1, f) == 1 &&
		fwrite(g->records.counter, sizeof(u64), h.slots, f) == h.slots;
	if (fclose(f) || !ok)
		return guest_fail(g, "%s: %s", path, strerror(errno));
	return 0;
}

int state_load(struct guest *g, const char *path)
{
	FILE *f = fopen(path, "r");
	struct header h;
	bool ok;

	if (!f)
		return guest_fail(g, "%s: %s", path, strerror(errno));
	ok = fread(&h, sizeof(h), 1, f) == 1 && !memcmp(h.magic, magic, sizeof(magic)) &&
		h.slots == g->records.slots &&
		fread(g->records.counter, sizeof(u64), h.slots, f) == h.slots;
	fclose(f);
	if (!ok)
		return guest_fail(g, "%s: not the state of %llu slots", path,
				  g->records.slots);
	g->records.next = h.next;
	g->device = h.device;
	memcpy(g->key, h.key, sizeof(g->key));
	return 0;
}
