// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tdx.c - tests the emulated TD without a kernel: TDCALL's answers about a TD, MapGPA, acceptance.
 * With MICRO_EXITS: what raises #VE, and the calls for it.
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

#ifdef MICRO_EXITS
#define CALL_CPUID	10
#define CALL_IO		30
#define CALL_RDMSR	31
#define CALL_MMIO	48
#define VEINFO_GET	3

/* R12 to R15 of a TDVMCALL, and R11 to R15 back */
struct call {
	u64 in[4], out[5];
};

static u64 vmcall(u64 function, struct call *call)
{
	register u64 r10 asm("r10") = 0;
	register u64 r11 asm("r11") = function;
	register u64 r12 asm("r12") = call->in[0];
	register u64 r13 asm("r13") = call->in[1];
	register u64 r14 asm("r14") = call->in[2];
	register u64 r15 asm("r15") = call->in[3];
	u64 rax = VP_VMCALL, rcx = 0xfc00;

	asm volatile(".byte 0x66, 0x0f, 0x01, 0xcc"
		     : "+a" (rax), "+c" (rcx), "+r" (r10), "+r" (r11), "+r" (r12), "+r" (r13), "+r" (r14),
		       "+r" (r15) : : "rdx", "r8", "r9", "memory", "cc");
	call->out[0] = r11;
	call->out[1] = r12;
	call->out[2] = r13;
	call->out[3] = r14;
	call->out[4] = r15;
	return rax ?: r10;
}

static u8 micro_io(u16 port, _Bool write, u8 value)
{
	struct call call = { .in = { 1, write, port, value } };

	vmcall(CALL_IO, &call);
	return call.out[0];
}

static u64 mmio(_Bool write, u64 gpa, u32 value)
{
	struct call call = { .in = { 4, write, gpa | SHARED_BIT, value } };

	return vmcall(CALL_MMIO, &call) ?: call.out[0];
}

/* What the last #VE was about; only then may there be another one. */
struct ve {
	u64 reason, qual, gla, gpa, len;
};

static struct ve veinfo(void)
{
	register u64 r8 asm("r8");
	register u64 r9 asm("r9");
	register u64 r10 asm("r10");
	u64 rax = VEINFO_GET, rcx = 0, rdx;

	asm volatile(".byte 0x66, 0x0f, 0x01, 0xcc"
		     : "+a" (rax), "+c" (rcx), "=d" (rdx), "=r" (r8), "=r" (r9), "=r" (r10)
		     : : "r11", "memory", "cc");
	return (struct ve) { rcx, rdx, r8, r9, r10 };
}

static void test_exits(void)
{
	struct ve ve;

	is("CPUID of the hypervisor's leaf raises #VE", micro_cpuid(0x40000000), 1);
	ve = veinfo();
	is("its reason and length", ve.reason << 8 | ve.len, 10 << 8 | 2);
	is("CPUID of another doesn't", micro_cpuid(0), 0);
	is("RDMSR of the APIC's base raises #VE", micro_rdmsr(0x1b), 1);
	ve = veinfo();
	is("its reason and length", ve.reason << 8 | ve.len, 31 << 8 | 2);
	is("RDMSR of EFER doesn't", micro_rdmsr(0xc0000080), 0);
	is("IN raises #VE", micro_inb(0x71), 1);
	ve = veinfo();
	is("its reason and length", ve.reason << 8 | ve.len, 30 << 8 | 1);
	is("its port, direction and size", ve.qual, 0x71 << 16 | 1 << 3);
	is("OUT of a word to a port in the instruction raises #VE", micro_outw_immediate(), 1);
	ve = veinfo();
	is("its reason and length", ve.reason << 8 | ve.len, 30 << 8 | 3);
	is("its port, direction and size", ve.qual, 0x80 << 16 | 1);
	is("a write to the I/O APIC raises #VE", micro_write_mmio(IO_APIC), 1);
	ve = veinfo();
	is("its reason", ve.reason, 48);
	is("its address, which is shared", ve.gpa, IO_APIC | SHARED_BIT);
	is("where it was mapped", ve.gla, IO_APIC);
	is("a write to RAM doesn't", micro_write_mmio(0x400000), 0);
}

/* What a guest asks for instead */
static void test_calls(void)
{
	struct call call = { .in = { 0x40000000 } };

	is("CPUID by its call", vmcall(CALL_CPUID, &call), 0);
	is("it is TCG's", call.out[2], 0x54474354);
	call = (struct call) { .in = { 0x1b } };
	is("RDMSR by its call", vmcall(CALL_RDMSR, &call), 0);
	is("the APIC's base", call.out[0], 0xfee00900);
	micro_out(COM1 + 7, 0x5a);
	is("port I/O by its call", micro_in(COM1 + 7), 0x5a);
	mmio(1, IO_APIC, 1);
	is("a read of MMIO by its call", mmio(0, IO_APIC + 0x10, 0), 0x170020);
}

void micro_test(void)
{
	u64 arg[4] = { 0 }, rcx = 0;

	tdcall(VP_INFO, &rcx, arg);	/* launches */
	micro_begin();
	micro_take_traps(20);
	micro_map_io_apic(SHARED_BIT);
	test_exits();
	test_calls();
	is("MapGPA to shared", map_gpa(0x801000 | SHARED_BIT, 4096), 0);
	micro_reset_once();
	micro_end_by_touching(0x801000);
}
#else
void micro_test(void)
{
	u64 arg[4] = { 0 }, rcx = 0;

	micro_begin();
	is("VP.INFO", tdcall(VP_INFO, &rcx, arg), 0);
	is("width of an address", rcx, 48);
	test_page(0x400000);
	test_block(0x600000);
	is("MapGPA to shared", map_gpa(0x801000 | SHARED_BIT, 4096), 0);
	micro_reset_once();
	micro_end_by_touching(0x801000);
}
#endif
