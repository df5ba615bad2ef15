/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * micro.h - what the tests of the emulation alone share: memory by address, the serial port, checks.
 * Each test is one source file, with start.S below it.
 */
#ifndef MICRO_H
#define MICRO_H

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

/* The same memory, mapped as shared */
#define SHARED(address) ((u64)(address) + (1ul << 30))

#define M64(address) (*(volatile u64 *)(u64)(address))
#define M32(address) (*(volatile u32 *)(u64)(address))
#define M16(address) (*(volatile u16 *)(u64)(address))
#define M8(address)  (*(volatile u8 *)(u64)(address))

#define PAGES_2M 512
#define COM1     0x3f8

static int micro_wrong;

#ifdef MICRO_EXITS
/* The vendor's way to ask the hypervisor for port I/O of a byte */
static u8 micro_io(u16 port, _Bool write, u8 value);

static void micro_out(u16 port, u8 value)
{
	micro_io(port, 1, value);
}

static u8 micro_in(u16 port)
{
	return micro_io(port, 0, 0);
}
#else
static inline void micro_out(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a" (value), "Nd" (port));
}

static inline u8 micro_in(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}
#endif

static void micro_put(const char *text)
{
	for (; *text; text++) {
		while (!(micro_in(COM1 + 5) & 0x20))
			;
		micro_out(COM1, *text);
	}
}

static void micro_put_hex(u64 value)
{
	char digit[2] = "";
	int i;

	for (i = 60; i >= 0; i -= 4) {
		digit[0] = "0123456789abcdef"[value >> i & 15];
		micro_put(digit);
	}
}

static void micro_begin(void)
{
	micro_out(COM1 + 3, 0x80);
	micro_out(COM1, 1);
	micro_out(COM1 + 1, 0);
	micro_out(COM1 + 3, 3);
	micro_out(COM1 + 4, 3);
}

/* One check: a line that says what it was. */
static void is(const char *what, u64 got, u64 wanted)
{
	micro_put(got == wanted ? "ok - " : "not ok - ");
	micro_put(what);
	if (got != wanted) {
		micro_put(": ");
		micro_put_hex(got);
		micro_put(", not ");
		micro_put_hex(wanted);
		micro_wrong++;
	}
	micro_put("\n");
}

#ifdef MICRO_EXITS
/*
 * What leaves: start.S counts the exceptions of the vector, keeps the error code if there is one, and
 * goes on at micro_resume.
 */
extern u8 micro_trap[];
extern volatile u64 micro_traps, micro_error, micro_resume;

#define IO_APIC	0xfec00000ul

static void micro_take_traps(u32 vector)
{
	static u64 idt[2 * 32] __attribute__((aligned(16)));
	struct { u16 limit; u64 base; } __attribute__((packed)) desc = { sizeof(idt) - 1, (u64)idt };
	u64 at = (u64)micro_trap;

	/* A gate for interrupts in the 64-bit code segment */
	idt[2 * vector] = (at & 0xffff) | 24ul << 16 | 0x8e00ul << 32 | (at >> 16 & 0xffff) << 48;
	idt[2 * vector + 1] = at >> 32;
	asm volatile("lidt %0" : : "m" (desc));
}

/* The I/O APIC's page, mapped as shared memory with a PTE's @bit for that, where nothing else is */
static void micro_map_io_apic(u64 bit)
{
	const u64 pd = 0x204000;
	int i;

	for (i = 0; i < 512; i++)
		M64(pd + 8 * i) = 0;
	M64(pd + 8 * (IO_APIC >> 21 & 511)) = IO_APIC | bit | 0x183;
	M64(0x201000 + 8 * (IO_APIC >> 30)) = pd | 7;
}

#define RESUME_AT_1 "movq $1f, micro_resume\n\t"

/* Each: how many exceptions it raised. */
static u64 micro_cpuid(u32 leaf)
{
	u64 before = micro_traps;

	asm volatile(RESUME_AT_1 "cpuid\n1:" : "+a" (leaf) : "c" (0) : "rbx", "rdx", "memory");
	return micro_traps - before;
}

static u64 micro_rdmsr(u32 msr)
{
	u64 before = micro_traps;

	asm volatile(RESUME_AT_1 "rdmsr\n1:" : : "c" (msr) : "rax", "rdx", "memory");
	return micro_traps - before;
}

static u64 micro_inb(u16 port)
{
	u64 before = micro_traps;

	asm volatile(RESUME_AT_1 "inb %%dx, %%al\n1:" : : "d" (port) : "rax", "memory");
	return micro_traps - before;
}

static u64 micro_outw_immediate(void)
{
	u64 before = micro_traps;

	asm volatile(RESUME_AT_1 "outw %%ax, $0x80\n1:" : : "a" (0) : "memory");
	return micro_traps - before;
}

static u64 micro_write_mmio(u64 address)
{
	u64 before = micro_traps;

	asm volatile(RESUME_AT_1 "movl %%eax, (%0)\n1:" : : "r" (address), "a" (0) : "memory");
	return micro_traps - before;
}
#endif

extern u8 micro_boot;
u8 micro_code(void);

/* The machine begins anew, once, and all that was tested is tested again. */
static void micro_reset_once(void)
{
	is("code is this boot's", micro_code(), micro_boot);
	if (micro_boot != 1)
		return;
	micro_put("reset\n");
#if defined(MICRO_TDX) && defined(MICRO_EXITS)
	micro_cpuid(0x40000000);	/* nobody fetches what this #VE was about */
#endif
	micro_out(0xcf9, 6);
	for (;;)
		asm volatile("hlt");
}

/* The last check is that the machine stops here: nothing may come after this line. */
static void micro_end_by_touching(u64 address)
{
	micro_put(micro_wrong ? "some wrong\n" : "all right\n");
	M64(address);
	micro_put("not ok - the machine goes on after a violation\n");
}

#endif
