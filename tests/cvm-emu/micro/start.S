/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * start.S - a machine's firmware that is a test: copies itself to 1 MiB, is launched as an SNP guest
 * (a TD is by its first TDCALL), enters long mode, and calls micro_test(). The clock's memory counts the
 * boots; micro_code is code that says which boot it was written in.
 *
 * The first GiB is mapped as private memory, and again from 1 GiB on as shared memory.
 */
#ifdef MICRO_SNP
#define PRIVATE_HIGH	0x80000		/* bit 51, the C-bit */
#define SHARED_HIGH	0
#else
#define PRIVATE_HIGH	0
#define SHARED_HIGH	0x8000		/* bit 47, the shared bit */
#endif
#define TABLES		0x200000
#define BOOT_PARAMS	0x10ff0		/* its fields cross a page */
#define CMOS_BOOTS	0x50		/* nobody else's */
#define CODE		0x500000

	.code16
	.section .text.low,"ax"
rom_start:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	%cs:(gdt_desc - rom_start)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$8, $(0xf0000 + start32 - rom_start)

	.code32
start32:
	movl	$16, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0xf0000, %esi
	movl	$0x100000, %edi
	movl	$0x4000, %ecx
	cld
	rep movsl
	ljmp	$8, $in_ram
in_ram:
	movl	$0x1f0000, %esp
	movb	$CMOS_BOOTS, %al
	outb	%al, $0x70
	inb	$0x71, %al
	incb	%al
	movb	%al, %ah
	movb	$CMOS_BOOTS, %al
	outb	%al, $0x70
	movb	%ah, %al
	outb	%al, $0x71
	movb	%al, micro_boot
	/* movb $boot, %al; ret */
	movb	$0xb0, CODE
	movb	%al, CODE + 1
	movb	$0xc3, CODE + 2
#ifdef MICRO_SNP
	/* As a boot loader leaves it: "HdrS", a list of setup_data, one entry of e820. */
	movl	$BOOT_PARAMS, %esi
	movl	$0x53726448, 0x202(%esi)
	movl	$0x12345000, 0x250(%esi)
	movb	$1, 0x1e8(%esi)
	movl	$0xc0010131, %ecx
	rdmsr
	movl	%eax, micro_status
#endif
	movl	$TABLES, %edi
	movl	$0x1000, %ecx
	xorl	%eax, %eax
	rep stosl
	movl	$(TABLES + 0x1007), TABLES
	movl	$(TABLES + 0x2007), TABLES + 0x1000
	movl	$(TABLES + 0x3007), TABLES + 0x1008
	xorl	%ecx, %ecx
1:	movl	%ecx, %eax
	shll	$21, %eax
	orl	$0x183, %eax
	movl	%eax, (TABLES + 0x2000)(,%ecx,8)
	movl	$PRIVATE_HIGH, (TABLES + 0x2004)(,%ecx,8)
	movl	%eax, (TABLES + 0x3000)(,%ecx,8)
	movl	$SHARED_HIGH, (TABLES + 0x3004)(,%ecx,8)
	incl	%ecx
	cmpl	$512, %ecx
	jb	1b
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	$TABLES, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	ljmp	$24, $start64

	.code64
start64:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	call	micro_test
1:	hlt
	jmp	1b

	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_desc:
	.word	gdt_desc - gdt - 1
	.long	0xf0000 + gdt - rom_start
	.globl	micro_status, micro_code, micro_boot
micro_status:
	.long	0
micro_boot:
	.byte	0
	micro_code = CODE

#ifdef MICRO_EXITS
	.text
	.globl	micro_trap, micro_traps, micro_error, micro_resume
micro_trap:
#ifdef MICRO_SNP
	popq	micro_error
#endif
	incq	micro_traps
	pushq	micro_resume
	popq	(%rsp)
	iretq
	.data
	.balign	8
micro_traps:	.quad 0
micro_error:	.quad 0
micro_resume:	.quad 0
#endif

/* What the second CPU runs, copied to where its segment begins. */
	.section .text.ap,"ax"
	.globl	micro_ap, micro_ap_end
	.code16
micro_ap:
	movw	$0x600d, %cs:0x200
1:	hlt
	jmp	1b
micro_ap_end:

	.section .text.reset,"ax"
	.code16
	ljmp	$0xf000, $0
	.fill	11, 1, 0
	.section .note.GNU-stack,"",@progbits
