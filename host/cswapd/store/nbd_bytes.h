/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nbd_bytes.h - numbers as NBD has them: big-endian, anywhere.
 */
#ifndef CSWAPD_NBD_BYTES_H
#define CSWAPD_NBD_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t nbd_get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return be16toh(value);
}

static inline uint32_t nbd_get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

static inline uint64_t nbd_get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

/* These return what is behind the number. */

static inline uint8_t *nbd_put16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	return (uint8_t *)memcpy(at, &value, sizeof(value)) + sizeof(value);
}

static inline uint8_t *nbd_put32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	return (uint8_t *)memcpy(at, &value, sizeof(value)) + sizeof(value);
}

static inline uint8_t *nbd_put64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	return (uint8_t *)memcpy(at, &value, sizeof(value)) + sizeof(value);
}

#endif
