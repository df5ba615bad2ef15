// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tdx.c - tests the emulated TD without a kernel: TDCALL's answers about a TD, MapGPA, acceptance.
 */
#include "micro.h"

#define VP_VMCALL	0
#define VP_INFO		1
#define PAGE_ACCEPT	6
#define MAP_GPA		0x10001
#define SHARED_BIT	(1ul << 47)

#define ALREADY		0x00000b0a00000001ul
#define MISMATCH	0xc0000b0b00000001ul
#define INVALID		0xc000010000000001ul

static u64 tdcall(u64 leaf, u64 *rcx, u64 arg[4])
{
	register u64 r10 asm("r10") = arg[0];
	register u64 r11 asm("r11") = arg[1];
	register u64 r12 asm("r12") = arg[2];
	register u64 r13 asm("r13") = arg[3];

	asm volatile(".byte 0x66, 0x0f, 0x01, 0xcc"
		     : "+a" (leaf), "+c" (*rcx), "+r" (r10), "+r" (r11), "+r" (r12), "+r" (r13)
		     : : "rdx", "r8", "r9", "r14", "r15", "memory", "cc");
	arg[0] = r10;
	return leaf;
}

static u64 map_gpa(u64 gpa, u64 bytes)
{
	u64 arg[4] = { 0, MAP_GPA, gpa, bytes }, rcx = 0x3c00;

	return tdcall(VP_VMCALL, &rcx, arg) ?: arg[0];
}

static u64 accept(u64 gpa, u64 level)
{
	u64 arg[4] = { 0 }, rcx = gpa | level;

	return tdcall(PAGE_ACCEPT, &rcx, arg);
}

static void test_page(u64 page)
{
	M64(page) = 0x1122334455667788;
	is("accepted at launch", accept(page, 0), ALREADY);
	is("MapGPA to shared", map_gpa(page | SHARED_BIT, 4096), 0);
	is("shared memory is empty", M64(SHARED(page)), 0);
	M64(SHARED(page)) = 5;
	is("shared memory holds", M64(SHARED(page)), 5);
	is("accept of a shared page", accept(page, 0), INVALID);
	is("MapGPA to private", map_gpa(page, 4096), 0);
	is("2 MiB that are pending in part", accept(page & -0x200000ul, 1), MISMATCH);
	is("2 MiB, not aligned", accept(page + 4096, 1), INVALID);
	is("no such level", accept(page, 3), INVALID);
	is("accept", accept(page, 0), 0);
	is("it is zeroed", M64(page), 0);
	is("MapGPA, not aligned", map_gpa(page + 8, 4096), 0x8000000000000002ul);
}

static void test_block(u64 block)
{
	M64(block + 0x1ff000) = 7;
	is("MapGPA of 2 MiB to shared", map_gpa(block | SHARED_BIT, 0x200000), 0);
	M64(SHARED(block + 0x1ff000)) = 9;
	is("its last page is shared", M64(SHARED(block + 0x1ff000)), 9);
	is("MapGPA of 2 MiB to private", map_gpa(block, 0x200000), 0);
	is("accept of 2 MiB", accept(block, 1), 0);
	is("its last page is zeroed", M64(block + 0x1ff000), 0);
}

void micro_test(void)
{
	u64 arg[4] = { 0 }, rcx = 0;

	micro_begin();
	is("VP.INFO", tdcall(VP_INFO, &rcx, arg), 0);
	is("width of an address", rcx, 48);
	test_page(0x400000);
	test_block(0x600000);
	is("MapGPA to shared", map_gpa(0x801000 | SHARED_BIT, 4096), 0);
	micro_end_by_touching(0x801000);
}
