/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * histogram.h - counts by value, in buckets that are at most 1/16 wide.
 */
#ifndef SIM_HISTOGRAM_H
#define SIM_HISTOGRAM_H

#include <linux/types.h>

#define HISTOGRAM_SUB_BITS	4
#define HISTOGRAM_BUCKETS	((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	u64 count[HISTOGRAM_BUCKETS];
	u64 total;
	u64 max;
};

void histogram_add(struct histogram *h, u64 value);
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The value that @per_mille of the entries do not exceed (upper end of a bucket). */
u64 histogram_quantile(const struct histogram *h, unsigned int per_mille);

#endif /* SIM_HISTOGRAM_H */
