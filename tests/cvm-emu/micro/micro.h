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

/* The last check is that the machine stops here: nothing may come after this line. */
static void micro_end_by_touching(u64 address)
{
	micro_put(micro_wrong ? "some wrong\n" : "all right\n");
	M64(address);
	micro_put("not ok - the machine goes on after a violation\n");
}

#endif
