/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bad_config.h - a device that says nonsense about itself, for tests: cswapd-faulty only.
 */
#ifndef CSWAPD_BAD_CONFIG_H
#define CSWAPD_BAD_CONFIG_H

#include <stdint.h>

#include <linux/virtio_cswap.h>

/* "FIELD=VALUE", "offer=BIT" or "withhold=BIT". NULL, or what is wrong with it. */
const char *bad_config_add(const char *spec);

/* What the guest shall see instead. */
void bad_config_apply(struct virtio_cswap_config *config);
uint64_t bad_config_features(uint64_t features);

#endif
