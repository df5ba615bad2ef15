// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_sealed_page.c - the seal on libsodium: its layout, and that nothing but
 * what was sealed opens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "sealed_page.h"

static const struct sealed_id id = { .device = 3, .slot = 0x123456789, .counter = 0xfedcba9876 };

struct sealed {
	uint8_t key[SEALED_KEY_BYTES];
	uint8_t tag[SEALED_TAG_BYTES];
	uint8_t page[SEALED_PAGE_BYTES];
	uint8_t sealed[SEALED_PAGE_BYTES];
	uint8_t opened[SEALED_PAGE_BYTES];
};

static struct sealed s;

static int seal_a_page(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(s.key); i++)
		s.key[i] = (uint8_t)(i * 3 + 1);
	for (size_t i = 0; i < sizeof(s.page); i++)
		s.page[i] = (uint8_t)(i * 31 + (i >> 8));
	sealed_page_seal(s.sealed, s.tag, s.page, &id, s.key);
	return 0;
}

static bool opens(const struct sealed_id *as)
{
	return sealed_page_open(s.opened, s.sealed, s.tag, as, s.key);
}

static void test_opens(void **state)
{
	(void)state;
	assert_true(opens(&id));
	assert_memory_equal(s.opened, s.page, sizeof(s.page));
	assert_memory_not_equal(s.sealed, s.page, sizeof(s.page));
}

/* The bytes that the format's definition asks for, spelled out. */
static void test_layout(void **state)
{
	static const uint8_t nonce[12] = {
		0, 0, 0, 0, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0, 0, 0,
	};
	static const uint8_t aad[16] = {
		3, 0, 0, 0, 0, 0, 0, 0, 0x89, 0x67, 0x45, 0x23, 1, 0, 0, 0,
	};
	uint8_t sealed[SEALED_PAGE_BYTES + SEALED_TAG_BYTES];
	unsigned long long bytes;

	(void)state;
	crypto_aead_aes256gcm_encrypt(sealed, &bytes, s.page, sizeof(s.page), aad, sizeof(aad),
				      NULL, nonce, s.key);
	assert_int_equal(bytes, sizeof(sealed));
	assert_memory_equal(sealed, s.sealed, SEALED_PAGE_BYTES);
	assert_memory_equal(sealed + SEALED_PAGE_BYTES, s.tag, SEALED_TAG_BYTES);
}

static void test_in_place(void **state)
{
	uint8_t buffer[SEALED_PAGE_BYTES], tag[SEALED_TAG_BYTES];

	(void)state;
	memcpy(buffer, s.page, sizeof(buffer));
	sealed_page_seal(buffer, tag, buffer, &id, s.key);
	assert_memory_equal(buffer, s.sealed, sizeof(buffer));
	assert_memory_equal(tag, s.tag, sizeof(tag));
	assert_true(sealed_page_open(buffer, buffer, tag, &id, s.key));
	assert_memory_equal(buffer, s.page, sizeof(buffer));
}

static void refuses_every_bit(uint8_t *bytes, size_t count)
{
	for (size_t bit = 0; bit < count * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(opens(&id));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(opens(&id));
}

static void test_other_data(void **state)
{
	(void)state;
	refuses_every_bit(s.sealed, sizeof(s.sealed));
}

static void test_other_tag(void **state)
{
	(void)state;
	refuses_every_bit(s.tag, sizeof(s.tag));
}

static void test_other_key(void **state)
{
	(void)state;
	refuses_every_bit(s.key, sizeof(s.key));
}

static void test_other_id(void **state)
{
	struct sealed_id other = id;
	uint64_t *part[] = { &other.device, &other.slot, &other.counter };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (unsigned int bit = 0; bit < 64; bit++) {
			*part[i] ^= 1ULL << bit;
			assert_false(opens(&other));
			*part[i] ^= 1ULL << bit;
		}
	}
	assert_true(opens(&other));
	/* The parts aren't interchangeable. */
	other = (struct sealed_id){ .device = id.slot, .slot = id.device, .counter = id.counter };
	assert_false(opens(&other));
}

static void test_pieces_of_others(void **state)
{
	const struct sealed_id later = {
		.device = id.device, .slot = id.slot, .counter = id.counter + 1,
	};
	uint8_t sealed[SEALED_PAGE_BYTES], tag[SEALED_TAG_BYTES];

	(void)state;
	sealed_page_seal(sealed, tag, s.page, &later, s.key);
	/* Data of one and tag of the other, either way; half a page of each. */
	assert_false(sealed_page_open(s.opened, sealed, s.tag, &id, s.key));
	assert_false(sealed_page_open(s.opened, s.sealed, tag, &later, s.key));
	memcpy(sealed, s.sealed, sizeof(sealed) / 2);
	assert_false(sealed_page_open(s.opened, sealed, s.tag, &id, s.key));
	assert_false(sealed_page_open(s.opened, sealed, tag, &later, s.key));
}

static void test_failure_shows_nothing(void **state)
{
	(void)state;
	memset(s.opened, 0x77, sizeof(s.opened));
	s.tag[0] ^= 1;
	assert_false(opens(&id));
	s.tag[0] ^= 1;
	assert_true(sodium_is_zero(s.opened, sizeof(s.opened)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_other_data),
		cmocka_unit_test(test_other_tag),
		cmocka_unit_test(test_other_key),
		cmocka_unit_test(test_other_id),
		cmocka_unit_test(test_pieces_of_others),
		cmocka_unit_test(test_failure_shows_nothing),
	};
	const char *missing = sealed_page_init();

	if (missing) {
		print_message("SKIP: %s\n", missing);
		return 0;
	}
	return cmocka_run_group_tests_name("sealed_page", tests, seal_a_page, NULL);
}
