/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics.h - what all guests' daemons say, for Prometheus.
 */
#ifndef CSWAPCTL_METRICS_H
#define CSWAPCTL_METRICS_H

#include "options.h"

int metrics_run(const struct options *options);

#endif
