// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_confidential.c - which guests the driver takes for confidential, on three architectures.
 *
 * The driver's header is included once for each, with what its kernel's configuration says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <asm/uv.h>
#include <linux/cc_platform.h>

#define IS_ENABLED(option) option

#define CONFIG_ARM64 0
#define cswap_guest_is_confidential x86_is_confidential
#include "confidential.h"
#undef CSWAP_CONFIDENTIAL_H
#undef cswap_guest_is_confidential

#define CONFIG_S390
#define cswap_guest_is_confidential s390_is_confidential
#include "confidential.h"
#undef CSWAP_CONFIDENTIAL_H
#undef cswap_guest_is_confidential
#undef CONFIG_S390
#undef CONFIG_ARM64

#define CONFIG_ARM64 1
#define cswap_guest_is_confidential arm64_is_confidential
#include "confidential.h"

static unsigned int attributes;
static int protected;

bool cc_platform_has(enum cc_attr attr)
{
	return attributes & 1u << attr;
}

int is_prot_virt_guest(void)
{
	return protected;
}

static void set(unsigned int bits, int s390)
{
	attributes = bits;
	protected = s390;
}

static void x86(void **state __attribute__((unused)))
{
	set(0, 0);
	assert_false(x86_is_confidential());
	/* a plain guest, or the host itself, of a CPU with SME */
	set(1u << CC_ATTR_MEM_ENCRYPT | 1u << CC_ATTR_HOST_MEM_ENCRYPT, 0);
	assert_false(x86_is_confidential());
	set(1u << CC_ATTR_MEM_ENCRYPT | 1u << CC_ATTR_GUEST_MEM_ENCRYPT, 0);
	assert_true(x86_is_confidential());
}

static void s390(void **state __attribute__((unused)))
{
	set(0, 0);
	assert_false(s390_is_confidential());
	set(0, 1);
	assert_true(s390_is_confidential());
}

static void arm64(void **state __attribute__((unused)))
{
	set(0, 0);
	assert_false(arm64_is_confidential());
	set(1u << CC_ATTR_MEM_ENCRYPT, 0);
	assert_true(arm64_is_confidential());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x86),
		cmocka_unit_test(s390),
		cmocka_unit_test(arm64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
