// SPDX-License-Identifier: GPL-2.0-only
/*
 * sealed_page.c - the sealed-page format of virtio_cswap.h, on libsodium.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include <sodium.h>

#include "sealed_page.h"

static_assert(SEALED_KEY_BYTES == crypto_aead_aes256gcm_KEYBYTES, "key");
static_assert(SEALED_TAG_BYTES == crypto_aead_aes256gcm_ABYTES, "tag");
static_assert(VIRTIO_CSWAP_NONCE_SIZE == crypto_aead_aes256gcm_NPUBBYTES, "nonce");
static_assert(sizeof(struct virtio_cswap_aad) == 16, "aad");

const char *sealed_page_init(void)
{
	if (sodium_init() < 0)
		return "libsodium can't start: no source of randomness";
	if (!crypto_aead_aes256gcm_is_available())
		return "this CPU lacks AES-NI and PCLMUL, and libsodium has AES-256-GCM only with them";
	return NULL;
}

static void make_nonce(uint8_t nonce[VIRTIO_CSWAP_NONCE_SIZE], uint64_t counter)
{
	const uint64_t wire = htole64(counter);

	memset(nonce, 0, VIRTIO_CSWAP_NONCE_SIZE - sizeof(wire));
	memcpy(nonce + VIRTIO_CSWAP_NONCE_SIZE - sizeof(wire), &wire, sizeof(wire));
}

static struct virtio_cswap_aad make_aad(const struct sealed_id *id)
{
	return (struct virtio_cswap_aad){
		.device = htole64(id->device),
		.slot = htole64(id->slot),
	};
}

void sealed_page_seal(uint8_t *sealed, uint8_t *tag, const uint8_t *page,
		      const struct sealed_id *id, const uint8_t *key)
{
	const struct virtio_cswap_aad aad = make_aad(id);
	uint8_t nonce[VIRTIO_CSWAP_NONCE_SIZE];

	make_nonce(nonce, id->counter);
	crypto_aead_aes256gcm_encrypt_detached(sealed, tag, NULL, page, SEALED_PAGE_BYTES,
					       (const uint8_t *)&aad, sizeof(aad),
					       NULL, nonce, key);
}

bool sealed_page_open(uint8_t *page, const uint8_t *sealed, const uint8_t *tag,
		      const struct sealed_id *id, const uint8_t *key)
{
	const struct virtio_cswap_aad aad = make_aad(id);
	uint8_t nonce[VIRTIO_CSWAP_NONCE_SIZE];

	make_nonce(nonce, id->counter);
	if (crypto_aead_aes256gcm_decrypt_detached(page, NULL, sealed, SEALED_PAGE_BYTES, tag,
						   (const uint8_t *)&aad, sizeof(aad),
						   nonce, key) == 0)
		return true;
	sodium_memzero(page, SEALED_PAGE_BYTES);
	return false;
}
