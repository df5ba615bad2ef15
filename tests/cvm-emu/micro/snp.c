// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * snp.c - tests the emulated SNP guest without a kernel: launch, the blob, the GHCB's MSR protocol,
 * PVALIDATE's answers, batches of page state changes, a second CPU from its VMSA, fetches without
 * the C-bit. With MICRO_EXITS: what raises #VC, and the events for it.
 */
#include "micro.h"

#define GHCB_MSR	0xc0010130
#define SEV_MSR		0xc0010131
#define BOOT_PARAMS	0x10ff0
#define BLOB		0x90000
#define GHCB		0x300000ul
#define GHCB_BUFFER	0x800
#define GARBAGE		0xa5a5a5a5a5a5a5a5ul
#define TO_PRIVATE	(1ul << 52)
#define TO_SHARED	(2ul << 52)
#define OF_2M		(1ul << 56)
#define AP_AT		0x8000
#define AP_SAYS		(AP_AT + 0x200)

#define PSC		0x80000010
#define AP_CREATION	0x80000013
#define FEATURES	0x8000fffd

extern u8 micro_ap[], micro_ap_end[];
extern u32 micro_status;

static u64 read_msr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (msr));
	return (u64)high << 32 | low;
}

static u64 call_by_msr(u64 request)
{
	asm volatile("wrmsr" : : "c" (GHCB_MSR), "a" ((u32)request), "d" ((u32)(request >> 32)) : "memory");
	asm volatile("rep; vmmcall" : : : "memory");
	return read_msr(GHCB_MSR);
}

/* RAX, or 255 for "nothing changed" */
static u64 pvalidate(u64 address, u64 large, u64 validate)
{
	u64 rax = address;
	_Bool same;

	asm volatile(".byte 0xf2, 0x0f, 0x01, 0xff"
		     : "=@ccc" (same), "+a" (rax) : "c" (large), "d" (validate) : "memory");
	return same ? 255 : rax;
}

static u64 rmpadjust(u64 address, u64 large, u64 attributes)
{
	u64 rax = address;

	asm volatile(".byte 0xf3, 0x0f, 0x01, 0xfe" : "+a" (rax) : "c" (large), "d" (attributes) : "memory");
	return rax;
}

static void ghcb_set(u32 at, u64 value)
{
	M64(SHARED(GHCB) + at) = value;
	M8(SHARED(GHCB) + 0x3f0 + at / 64) |= 1 << (at / 8 % 8);
}

/* EXIT_INFO_1 in the high half, EXIT_INFO_2 in the low one */
static u64 call_by_page(u64 code, u64 info1, u64 info2)
{
	ghcb_set(0x390, code);
	ghcb_set(0x398, info1);
	ghcb_set(0x3a0, info2);
	call_by_msr(GHCB);
	return M64(SHARED(GHCB) + 0x398) << 32 | (u32)M64(SHARED(GHCB) + 0x3a0);
}

static void clear(u64 page)
{
	int i;

	for (i = 0; i < 512; i++)
		M64(page + 8 * i) = 0;
}

static void test_launch(void)
{
	is("status, which launches", micro_status, 7);
	is("status again", read_msr(SEV_MSR), 7);
	is("version and C-bit", call_by_msr(2), 2ul << 48 | 1ul << 32 | 51ul << 24 | 1);
	is("features", call_by_msr(0x80), 3 << 12 | 0x81);
	is("CPUID 0x8000001f, EBX", call_by_msr(0x8000001ful << 32 | 1ul << 30 | 4),
	   (51ul | 1 << 6) << 32 | 1ul << 30 | 5);
	is("registering a GHCB", call_by_msr(GHCB | 0x12), GHCB | 0x13);
}

static void test_blob(void)
{
	u64 cc = M32(BLOB + 16);

	is("setup_data begins with the blob", M64(BOOT_PARAMS + 0x250), BLOB);
	is("what was first is next", M64(BLOB), 0x12345000);
	is("type and length", M64(BLOB + 8), 4ul << 32 | 7);
	is("magic", M32(cc), 0x45444d41);
	is("secrets", M64(cc + 8), BLOB + 0x1000);
	is("CPUID table", M64(cc + 24), BLOB + 0x2000);
	is("it has entries", M32(BLOB + 0x2000) > 10, 1);
	is("entries of e820", M8(BOOT_PARAMS + 0x1e8), 2);
	is("type of the new one", M32(BOOT_PARAMS + 0x2d0 + 20 + 16), 3);
}

static void test_page(u64 page)
{
	M64(page) = 0x1122334455667788;
	is("validated at launch", pvalidate(page, 0, 1), 255);
	is("rescind", pvalidate(page, 0, 0), 0);
	is("rescind again", pvalidate(page, 0, 0), 255);
	is("2 MiB that are validated in part", pvalidate(page, 1, 1), 6);
	is("to shared", call_by_msr(TO_SHARED | page | 0x14), 0x15);
	is("shared memory is empty", M64(SHARED(page)), 0);
	M64(SHARED(page)) = 5;
	is("shared memory holds", M64(SHARED(page)), 5);
	is("to private", call_by_msr(TO_PRIVATE | page | 0x14), 0x15);
	is("validate", pvalidate(page, 0, 1), 0);
	is("it holds garbage", M64(page), GARBAGE);
	is("2 MiB, not aligned", pvalidate(page + 4096, 1, 1), 1);
}

static void share_ghcb(void)
{
	is("rescind the GHCB's page", pvalidate(GHCB, 0, 0), 0);
	is("to shared", call_by_msr(TO_SHARED | GHCB | 0x14), 0x15);
	clear(SHARED(GHCB));
	is("features", call_by_page(FEATURES, 0, 0), 3);
	is("an unknown event", call_by_page(0x80001234, 0, 0), 2ul << 32 | 6);
}

/* A batch of @n entries, the first of which is number 0 */
static u64 change_page_state(const u64 *entries, u16 n)
{
	u64 buffer = SHARED(GHCB) + GHCB_BUFFER;
	u16 i;

	M64(buffer) = (u64)(n - 1) << 16;
	for (i = 0; i < n; i++)
		M64(buffer + 8 + 8 * i) = entries[i];
	ghcb_set(0x3a8, GHCB + GHCB_BUFFER);
	return call_by_page(PSC, 0, 0);
}

static void test_batches(void)
{
	const u64 out[3] = { 0x600000 | TO_SHARED | OF_2M, 0x801000 | TO_SHARED, 0x802000 | TO_SHARED };
	const u64 back = 0x600000 | TO_PRIVATE | OF_2M, unaligned = 0x601000 | TO_SHARED | OF_2M;

	is("rescind 2 MiB", pvalidate(0x600000, 1, 0), 0);
	is("rescind 4 KiB", pvalidate(0x801000, 0, 0), 0);
	is("rescind 4 KiB", pvalidate(0x802000, 0, 0), 0);
	is("a batch to shared", change_page_state(out, 3), 0);
	is("where it would go on", M16(SHARED(GHCB) + GHCB_BUFFER), 3);
	is("pages of its first entry", M64(SHARED(GHCB) + GHCB_BUFFER + 8), out[0] | PAGES_2M);
	M64(SHARED(0x7ff000)) = 9;
	is("its last page is shared", M64(SHARED(0x7ff000)), 9);
	is("back to private", change_page_state(&back, 1), 0);
	is("validate 2 MiB", pvalidate(0x600000, 1, 1), 0);
	is("its last page holds garbage", M64(0x7ff000), GARBAGE);
	is("an entry that isn't aligned", change_page_state(&unaligned, 1), 2);
}

static void fill_vmsa(u64 vmsa)
{
	int i;

	clear(vmsa);
	for (i = 0; i < 6; i++) {
		M16(vmsa + 16 * i + 2) = i == 1 ? 0x9b : 0x93;
		M32(vmsa + 16 * i + 4) = 0xffff;
	}
	M16(vmsa + 0x10) = AP_AT >> 4;
	M64(vmsa + 0x18) = AP_AT;
	M64(vmsa + 0xd0) = 0x1000;
	M64(vmsa + 0x158) = 0x60000010;
	M64(vmsa + 0x170) = 2;
}

static u64 start_cpu(u64 number, u64 vmsa, u64 features)
{
	ghcb_set(0x1f8, features);
	return call_by_page(AP_CREATION, number << 32 | 1, vmsa);
}

static void test_other_cpu(u64 vmsa)
{
	u32 i;

	for (i = 0; i < (u32)(micro_ap_end - micro_ap); i++)
		M8(AP_AT + i) = micro_ap[i];
	M16(AP_SAYS) = 0;
	fill_vmsa(vmsa);
	is("a CPU without a VMSA", start_cpu(1, vmsa, 1), 2ul << 32 | 5);
	is("RMPADJUST of the own VMPL", rmpadjust(vmsa, 0, 0), 2);
	is("RMPADJUST makes a VMSA", rmpadjust(vmsa, 0, 1 | 1 << 16), 0);
	is("no such CPU", start_cpu(9, vmsa, 1), 2ul << 32 | 5);
	is("other features", start_cpu(1, vmsa, 5), 2ul << 32 | 5);
	is("another CPU", start_cpu(1, vmsa, 1), 0);
	for (i = 0; i < 100000000 && M16(AP_SAYS) != 0x600d; i++)
		asm volatile("pause");
	is("it ran", M16(AP_SAYS), 0x600d);
}

static __attribute__((noinline)) u64 answer(void)
{
	asm volatile("");
	return 42;
}

#ifdef MICRO_EXITS
#define IO_IN		1
#define IO_STRING	4
#define IO_BYTE		(1 << 4)
#define MMIO_READ	0x80000001
#define MMIO_WRITE	0x80000002

static u64 io_event(u16 port, u64 flags, u64 rax, u64 units)
{
	ghcb_set(0x1f8, rax);
	ghcb_set(0x3a8, GHCB + GHCB_BUFFER);
	call_by_page(0x7b, (u64)port << 16 | IO_BYTE | flags, units);
	return M64(SHARED(GHCB) + 0x1f8);
}

static u8 micro_io(u16 port, _Bool write, u8 value)
{
	return io_event(port, write ? 0 : IO_IN, value, 0);
}

static u64 mmio_event(u64 code, u64 gpa, u32 value)
{
	u64 buffer = SHARED(GHCB) + GHCB_BUFFER;

	M32(buffer) = value;
	ghcb_set(0x3a8, GHCB + GHCB_BUFFER);
	return call_by_page(code, gpa, 4) ?: M32(buffer);
}

static void test_exits(void)
{
	is("CPUID raises #VC", micro_cpuid(0), 1);
	is("its error code", micro_error, 0x72);
	is("RDMSR of the APIC's base raises #VC", micro_rdmsr(0x1b), 1);
	is("its error code", micro_error, 0x7c);
	is("RDMSR of EFER doesn't", micro_rdmsr(0xc0000080), 0);
	is("RDMSR of the GHCB's doesn't", micro_rdmsr(GHCB_MSR), 0);
	is("IN raises #VC", micro_inb(0x71), 1);
	is("its error code", micro_error, 0x7b);
	is("OUT of a word to a port in the instruction raises #VC", micro_outw_immediate(), 1);
	is("a write to the I/O APIC raises #VC", micro_write_mmio(IO_APIC), 1);
	is("its error code", micro_error, 0x400);
	is("a write to RAM doesn't", micro_write_mmio(0x400000), 0);
}

/* What a guest asks for instead */
static void test_events(void)
{
	ghcb_set(0x1f8, 0x8000001f);
	ghcb_set(0x308, 0);
	call_by_page(0x72, 0, 0);
	is("CPUID by its event", M64(SHARED(GHCB) + 0x1f8), 0x1a);
	ghcb_set(0x308, 0x1b);
	call_by_page(0x7c, 0, 0);
	is("RDMSR by its event", M64(SHARED(GHCB) + 0x1f8), 0xfee00900);
	micro_out(COM1 + 7, 0x5a);
	is("IN keeps the rest of RAX", io_event(COM1 + 7, IO_IN, 0x1100, 0), 0x115a);
	M16(SHARED(GHCB) + GHCB_BUFFER) = 0x3c11;
	io_event(COM1 + 7, IO_STRING, 0, 2);
	is("a string of two bytes by its event", micro_in(COM1 + 7), 0x3c);
	is("a string that is longer than the buffer", (io_event(COM1 + 7, IO_STRING, 0, 0x7f1),
	   M64(SHARED(GHCB) + 0x398)), 2);
	is("a write of MMIO by its event", mmio_event(MMIO_WRITE, IO_APIC, 1), 1);
	is("a read of MMIO by its event", mmio_event(MMIO_READ, IO_APIC + 0x10, 0), 0x170020);
}

void micro_test(void)
{
	pvalidate(GHCB, 0, 0);
	call_by_msr(TO_SHARED | GHCB | 0x14);
	clear(SHARED(GHCB));
	micro_begin();
	micro_take_traps(29);
	micro_map_io_apic(0);
	test_exits();
	test_events();
	is("to shared", call_by_msr(TO_SHARED | 0x801000 | 0x14), 0x15);
	micro_reset_once();
	micro_end_by_touching(0x801000);
}
#else
void micro_test(void)
{
	micro_begin();
	test_launch();
	test_blob();
	test_page(0x400000);
	share_ghcb();
	test_batches();
	test_other_cpu(0xa01000);
	/* In the shared memory of that address there is no code. */
	is("a fetch without the C-bit is private", ((u64 (*)(void))SHARED(answer))(), 42);
	micro_reset_once();
	micro_end_by_touching(0x801000);
}
#endif
