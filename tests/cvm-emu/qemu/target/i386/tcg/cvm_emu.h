/*
 * cvm_emu.h - the emulated confidential guest, as TCG and its own files see it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef I386_TCG_CVM_EMU_H
#define I386_TCG_CVM_EMU_H

#include "cpu.h"
#include "exec/memory.h"
#include "exec/mmu-access-type.h"

/* ---- for TCG ---- */

/* Called when a CPU with x-cvm-emu is realized, before its address spaces */
bool cvm_emu_cpu_realize(X86CPU *cpu, Error **errp);

/* The flat address space of private RAM: an address in it is a RAM offset */
MemoryRegion *cvm_emu_private_mr(void);

/*
 * Last step of every address translation of a CPU: choose between private
 * RAM and system memory (shared RAM, MMIO).  May not return.
 */
void cvm_emu_translate(CPUState *cs, vaddr addr, MMUAccessType access_type,
                       int mmu_idx, bool probe, uintptr_t retaddr,
                       hwaddr *paddr, int *prot, MemTxAttrs *attrs);

/* MSR_AMD64_SEV; the first read of it launches (and runs again) */
uint64_t snp_emu_status(CPUX86State *env, uintptr_t retaddr);

/* excp_helper.c: where the page tables say that @addr is, or #PF */
hwaddr cvm_emu_gva_to_gpa(CPUX86State *env, vaddr addr, uintptr_t retaddr);

/*
 * cvm_emu_exit.c, with x-cvm-emu-exits: raise an exception if a real guest
 * leaves for this, and don't return then.  An instruction is named by the
 * SVM_EXIT_* of it, an MSR by ECX; @param is 1 for a write.
 */
void cvm_emu_exit_insn(CPUX86State *env, uint32_t svm_type, uint64_t param,
                       uintptr_t retaddr);
void cvm_emu_exit_io(CPUX86State *env, uint16_t port, int size, bool out,
                     uintptr_t retaddr);

/* ---- cvm_emu.c (memory) for the vendors' files ---- */

/* What a real guest leaves for */
typedef enum CVMEmuExitKind {
    CVM_EXIT_CPUID,
    CVM_EXIT_MSR,
    CVM_EXIT_IO,
    CVM_EXIT_MMIO,
    CVM_EXIT_KINDS,
} CVMEmuExitKind;

typedef struct CVMEmuExit {
    CVMEmuExitKind kind;
    bool write;                 /* MSR, I/O, MMIO */
    bool shared;                /* MMIO: by a shared address */
    int size;                   /* I/O, bytes */
    int len;                    /* of the instruction; not of MMIO's */
    vaddr gla;                  /* MMIO */
    hwaddr gpa;                 /* MMIO, without the bit; I/O: the port */
} CVMEmuExit;

/* What a vendor's guest is, for cvm_emu.c */
typedef struct CVMEmuFace {
    const char *name;
    int bit;                    /* of a GPA: tells private from shared */
    /* Is this translation shared?  May take rights from it. */
    bool (*is_shared)(CPUState *cs, MMUAccessType access_type, int mmu_idx,
                      hwaddr paddr, int *prot);
    /* All memory is private now, and this CPU alone runs. */
    void (*launch)(CPUState *cs);
    void (*reset)(void);
    /* An exception for a violation, and whether it can be raised now */
    int vector, error_code;
    bool (*prepare_exception)(CPUState *cs, vaddr addr,
                              MMUAccessType access_type, hwaddr gpa);
    /* The same exception for an exit; false if this one needs none. */
    bool (*prepare_exit)(CPUState *cs, const CVMEmuExit *exit,
                         int *error_code);
} CVMEmuFace;

extern const CVMEmuFace tdx_emu_face, snp_emu_face;

/* Is this CPU's guest of this kind? */
static inline bool cvm_emu_is(CPUX86State *env, CVMEmuKind kind)
{
    return env_archcpu(env)->cvm_emu.kind == kind;
}

/* Launches, if that hasn't been done; was it? */
bool cvm_emu_launch(CPUState *cs);

/* What became of a conversion */
typedef enum CVMEmuConverted {
    CVM_CONVERTED,
    CVM_RETRY,                  /* in part */
    CVM_REFUSED,
} CVMEmuConverted;

/* A conversion that the guest asks the hypervisor for; *done bytes were. */
CVMEmuConverted cvm_emu_convert(CPUState *cs, hwaddr gpa, hwaddr size,
                                bool to_shared, hwaddr *done);

/* What became of an acceptance, or of taking one back */
typedef enum CVMEmuAccepted {
    CVM_ACCEPTED,
    CVM_NO_CHANGE,              /* it was so already */
    CVM_BAD_OPERAND,            /* no such level, not aligned */
    CVM_NOT_PRIVATE,            /* shared, or no RAM */
    CVM_MIXED,                  /* not all of its pages are in one state */
    CVM_TOO_LARGE,              /* by accept-4k */
    CVM_INJECTED,
} CVMEmuAccepted;

/*
 * @level is 0 for 4K, 1 for 2M, 2 for 1G; a page that becomes accepted is
 * resident and full of @fill.
 */
CVMEmuAccepted cvm_emu_accept(CPUState *cs, hwaddr gpa, int level, bool accept,
                              uint8_t fill);

/* @len bytes of accepted private memory, which don't cross a page, or NULL */
uint8_t *cvm_emu_private_ptr(hwaddr gpa, size_t len);

/* @len bytes of shared memory, which don't cross a page, or NULL */
uint8_t *cvm_emu_shared_ptr(hwaddr gpa, size_t len);

/* At launch: these pages aren't accepted yet, and what is in them is gone. */
void cvm_emu_leave_pending(hwaddr gpa, hwaddr size);

/* Is this RAM, and which of its pages? */
bool cvm_emu_page(hwaddr gpa, uint64_t *page);
uint64_t cvm_emu_npages(void);

/* An instruction of the guest's for the module, a call of its hypervisor */
void cvm_emu_count_call(bool hypercall);

/* Whose exits leave now, or NULL: none do */
const CVMEmuFace *cvm_emu_exits_to(void);
void cvm_emu_count_exit(CVMEmuExitKind kind);

/* Report what ends this guest; it is a panic for QEMU. */
void cvm_emu_panic(const char *what);
void cvm_emu_violation(const char *what);
G_NORETURN void cvm_emu_stop_cpu(CPUState *cs, uintptr_t ra);

/* ---- cvm_emu_exit.c for the others ---- */

/* A translation that isn't of RAM: may not return */
void cvm_emu_exit_mmio(CPUState *cs, vaddr addr, MMUAccessType access_type,
                       int mmu_idx, hwaddr gpa, bool shared, uintptr_t ra);

/* What the guest asks for instead: *value is read, or written */
void cvm_emu_do_io(CPUX86State *env, AddressSpace *as, hwaddr addr, int size,
                   bool write, uint64_t *value);
void cvm_emu_do_msr(CPUX86State *env, uint32_t msr, bool write,
                    uint64_t *value);

/* ---- snp_emu_boot.c for snp_emu.c, and snp_emu_efi.c for it ---- */

/* The page after the blob's, which is EFI's tables if there are any */
#define SNP_EMU_EFI_AT 0x93000

/* What firmware leaves for the kernel, in private memory, at launch */
void snp_emu_install_blob(CPUX86State *env);

/* @bp: boot_params.  @mib of memory are pending from here on, at most. */
void snp_emu_install_efi(hwaddr bp, uint64_t mib);

/* To or from private memory at any address; false if not all of it is */
bool snp_emu_copy_private(hwaddr gpa, void *buf, size_t len, bool write);

#endif
