// SPDX-License-Identifier: GPL-2.0-only
/*
 * histogram.c - counts by value, in buckets that are at most 1/16 wide.
 */
#include "histogram.h"

#define SUBS	(1u << HISTOGRAM_SUB_BITS)

/* Values below SUBS have buckets of their own; above, SUBS for each power of 2. */
static unsigned int bucket_of(u64 value)
{
	unsigned int top;

	if (value < SUBS)
		return value;
	top = 63 - __builtin_clzll(value);
	return ((top - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS) +
		((value >> (top - HISTOGRAM_SUB_BITS)) & (SUBS - 1));
}

static u64 bucket_end(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < SUBS)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	return ((u64)(SUBS + (bucket & (SUBS - 1)) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, u64 value)
{
	h->count[bucket_of(value)]++;
	h->total++;
	if (value > h->max)
		h->max = value;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	unsigned int i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->count[i] += from->count[i];
	to->total += from->total;
	if (from->max > to->max)
		to->max = from->max;
}

u64 histogram_quantile(const struct histogram *h, unsigned int per_mille)
{
	u64 rank = (h->total * per_mille + 999) / 1000, seen = 0, end;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->count[i];
		if (seen >= rank && seen) {
			end = bucket_end(i);
			return end < h->max ? end : h->max;
		}
	}
	return 0;
}
