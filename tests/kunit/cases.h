/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cases.h - what the suites assert, in KUnit's words. Their cases run in userspace as well, where
 * cmocka has these names.
 */
#ifndef CSWAP_CASES_H
#define CSWAP_CASES_H

#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#define assert_true(_is) \
	KUNIT_ASSERT_TRUE(kunit_get_current_test(), _is)
#define assert_false(_is) \
	KUNIT_ASSERT_FALSE(kunit_get_current_test(), _is)
#define assert_null(_pointer) \
	KUNIT_ASSERT_NULL(kunit_get_current_test(), _pointer)
#define assert_non_null(_pointer) \
	KUNIT_ASSERT_NOT_NULL(kunit_get_current_test(), _pointer)
#define assert_int_equal(_left, _right) \
	KUNIT_ASSERT_EQ(kunit_get_current_test(), (long long)(_left), (long long)(_right))
#define assert_int_not_equal(_left, _right) \
	KUNIT_ASSERT_NE(kunit_get_current_test(), (long long)(_left), (long long)(_right))
#define assert_ptr_equal(_left, _right) \
	KUNIT_ASSERT_PTR_EQ(kunit_get_current_test(), (const void *)(_left), (const void *)(_right))
#define assert_memory_equal(_left, _right, _bytes) \
	KUNIT_ASSERT_MEMEQ(kunit_get_current_test(), _left, _right, _bytes)
#define assert_string_equal(_left, _right) \
	KUNIT_ASSERT_STREQ(kunit_get_current_test(), _left, _right)
#define fail_msg(_format, ...) \
	KUNIT_FAIL_AND_ABORT(kunit_get_current_test(), _format, ##__VA_ARGS__)
/* Both ends belong to the range. */
#define assert_in_range(_value, _least, _most)						\
do {											\
	unsigned long long _is = (_value);						\
											\
	KUNIT_ASSERT_GE(kunit_get_current_test(), _is, (unsigned long long)(_least));	\
	KUNIT_ASSERT_LE(kunit_get_current_test(), _is, (unsigned long long)(_most));	\
} while (0)

#endif /* CSWAP_CASES_H */
