/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sealed_page.h - the sealed-page format of virtio_cswap.h, on libsodium.
 *
 * Pure but for sealed_page_init(). Written from the format's definition alone,
 * never from the driver's code: that the two agree is the proof of both.
 */
#ifndef SEALED_PAGE_H
#define SEALED_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_cswap.h>

#define SEALED_PAGE_BYTES	VIRTIO_CSWAP_SLOT_SIZE
#define SEALED_TAG_BYTES	VIRTIO_CSWAP_TAG_SIZE
#define SEALED_KEY_BYTES	VIRTIO_CSWAP_KEY_SIZE

/* What a seal binds a page to, besides the key. */
struct sealed_id {
	uint64_t device;
	uint64_t slot;
	uint64_t counter;
};

/* To be called once, first. NULL, or why nothing can be sealed here. */
const char *sealed_page_init(void);

/* @sealed and @page may be the same buffer. */
void sealed_page_seal(uint8_t *sealed, uint8_t *tag, const uint8_t *page,
		      const struct sealed_id *id, const uint8_t *key);

/*
 * False when this isn't what was sealed with @id and @key; then @page holds
 * nothing of it. @sealed and @page may be the same buffer.
 */
bool __attribute__((warn_unused_result))
sealed_page_open(uint8_t *page, const uint8_t *sealed, const uint8_t *tag,
		 const struct sealed_id *id, const uint8_t *key);

#endif /* SEALED_PAGE_H */
