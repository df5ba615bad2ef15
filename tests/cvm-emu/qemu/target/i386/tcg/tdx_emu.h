/*
 * tdx_emu.h - the emulated TDX guest, as TCG and its own files see it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef I386_TCG_TDX_EMU_H
#define I386_TCG_TDX_EMU_H

#include "cpu.h"
#include "exec/memory.h"
#include "exec/mmu-access-type.h"

/* ---- for TCG ---- */

/* Called when a CPU with x-tdx-emu=on is realized, before its address spaces */
bool tdx_emu_cpu_realize(X86CPU *cpu, Error **errp);

/* The flat address space of private RAM: an address in it is a RAM offset */
MemoryRegion *tdx_emu_private_mr(void);

/*
 * Last step of every address translation of a CPU: choose between private
 * RAM and system memory (shared RAM, MMIO).  May not return.
 */
void tdx_emu_translate(CPUState *cs, vaddr addr, MMUAccessType access_type,
                       int mmu_idx, bool probe, uintptr_t retaddr,
                       hwaddr *paddr, MemTxAttrs *attrs);

/* ---- tdx_emu.c (memory) for tdx_emu_call.c (TDCALL) ---- */

/* TDCALL completion status (class in the high half), and its operands */
#define TDX_SUCCESS                     0ull
#define TDX_OPERAND_INVALID             0xC000010000000000ull
#define TDX_OPERAND_BUSY                0x8000020000000000ull
#define TDX_NO_VALID_VE_INFO            0xC000070400000000ull
#define TDX_PAGE_ALREADY_ACCEPTED       0x00000B0A00000000ull
#define TDX_PAGE_SIZE_MISMATCH          0xC0000B0B00000000ull
#define TDX_METADATA_FIELD_ID_INCORRECT 0xC0000C0000000000ull
#define   OPERAND_ID_RAX 0
#define   OPERAND_ID_RCX 1

/* TDVMCALL status, in R10 */
#define VMCALL_OK                       0ull
#define VMCALL_RETRY                    1ull
#define VMCALL_INVALID                  0x8000000000000000ull
#define VMCALL_ALIGN                    0x8000000000000002ull
#define VMCALL_UNSUPPORTED              0x8000000000000003ull

/* Is there an emulated TD for this CPU?  The first call of it launches. */
bool tdx_emu_enter(CPUState *cs);

/* Width of a guest physical address; its top bit is the shared bit */
int tdx_emu_gpaw(void);

/* TDVMCALL<MapGPA>; *next is the GPA to go on with, for RETRY */
uint64_t tdx_emu_map_gpa(CPUState *cs, hwaddr gpa, hwaddr size, hwaddr *next);

/* TDG.MEM.PAGE.ACCEPT */
uint64_t tdx_emu_page_accept(uint64_t rcx);

/* @len bytes of accepted private memory, which don't cross a page, or NULL */
uint8_t *tdx_emu_private_ptr(hwaddr gpa, size_t len);

/* The TD's control flags, a field of its metadata */
uint64_t *tdx_emu_td_ctls(void);

void tdx_emu_count_call(bool vmcall);

/* Report what ends this guest; it is a panic for QEMU. */
void tdx_emu_panic(const char *what);
G_NORETURN void tdx_emu_stop_cpu(CPUState *cs, uintptr_t ra);

#endif
