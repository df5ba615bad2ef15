/*
 * cvm_emu.h - what the rest of QEMU sees of the emulated confidential guest.
 *
 * Included by cpu.h for CVMEmuCPU, so it must not need cpu.h itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef I386_CVM_EMU_H
#define I386_CVM_EMU_H

/* Which vendor's guest it is */
typedef enum CVMEmuKind {
    CVM_EMU_NONE,
    CVM_EMU_TDX,                /* a TD, by Intel */
    CVM_EMU_SNP,                /* an SEV-SNP guest, by AMD */
} CVMEmuKind;

/* Width of a guest physical address, whose last bit tells private from shared */
#define TDX_EMU_GPAW          48
#define SNP_EMU_CBIT          51
#define SNP_EMU_PHYS_BITS     (SNP_EMU_CBIT + 1)

/* An SNP guest's MSRs */
#define MSR_AMD64_SEV_ES_GHCB 0xc0010130
#define MSR_AMD64_SEV         0xc0010131

/* An index of direction: of what a page is converted to */
enum { CVM_TO_PRIVATE, CVM_TO_SHARED };

/*
 * Faults to inject.  Counts are "every Nth call", addresses are GPAs without
 * the bit above; 0 means never (nobody converts page 0).
 */
typedef struct CVMEmuFaults {
    uint64_t retry[2];          /* conversion: half is done, RETRY from there */
    uint64_t fail[2];           /* conversion: nothing is done, and fails */
    uint64_t fail_at[2];        /* the same, if this GPA is in it */
    uint64_t stuck_at[2];       /* up to this GPA, then RETRY, ever */
    uint64_t accept;            /* acceptance fails, at any level */
    uint64_t accept_at;
} CVMEmuFaults;

/* The part of an X86CPU that belongs to the emulation */
typedef struct CVMEmuCPU {
    /* properties; those of the first CPU are everybody's */
    char *name;                 /* of the kind */
    CVMEmuKind kind;
    bool ve;                    /* #VE or #VC, not a stop, for a violation */
    bool strict;                /* an implicit conversion stops the VM */
    bool accept_4k;             /* refuse 2M and 1G, as KVM does today */
    uint64_t unaccepted;        /* MiB that are pending at launch; SNP's */
    bool exits;                 /* CPUID, MSRs, I/O, MMIO raise #VE or #VC */
    CVMEmuFaults faults;
    /* state */
    uint64_t retry_gpa;         /* where RETRY said to go on, or 0 */
    bool serving;               /* an MSR for the guest: it doesn't leave */
    bool hlt;                   /* in TDVMCALL<HLT>: wake whatever IF is */
    struct {
        bool valid;
        uint64_t reason, qual, gla, gpa, len;
    } ve_info;                  /* of a TD */
    uint64_t ghcb;              /* MSR_AMD64_SEV_ES_GHCB */
} CVMEmuCPU;

/* From the property's text; false if there's no such kind */
static inline bool cvm_emu_set_kind(CVMEmuCPU *cpu)
{
    if (!cpu->name) {
        return true;
    }
    cpu->kind = !strcmp(cpu->name, "tdx") ? CVM_EMU_TDX :
                !strcmp(cpu->name, "snp") ? CVM_EMU_SNP : CVM_EMU_NONE;
    return cpu->kind != CVM_EMU_NONE;
}

#define CVM_EMU_FAULT_(name, field) \
    DEFINE_PROP_UINT64("x-cvm-emu-" name, X86CPU, cvm_emu.faults.field, 0)

#define CVM_EMU_PROPERTIES                                              \
    DEFINE_PROP_STRING("x-cvm-emu", X86CPU, cvm_emu.name),              \
    DEFINE_PROP_BOOL("x-cvm-emu-ve", X86CPU, cvm_emu.ve, false),        \
    DEFINE_PROP_BOOL("x-cvm-emu-strict", X86CPU, cvm_emu.strict, false), \
    DEFINE_PROP_BOOL("x-cvm-emu-accept-4k", X86CPU, cvm_emu.accept_4k,  \
                     false),                                            \
    DEFINE_PROP_UINT64("x-cvm-emu-unaccepted", X86CPU,                  \
                       cvm_emu.unaccepted, 0),                          \
    DEFINE_PROP_BOOL("x-cvm-emu-exits", X86CPU, cvm_emu.exits, false),  \
    CVM_EMU_FAULT_("retry-private", retry[CVM_TO_PRIVATE]),             \
    CVM_EMU_FAULT_("retry-shared", retry[CVM_TO_SHARED]),               \
    CVM_EMU_FAULT_("fail-private", fail[CVM_TO_PRIVATE]),               \
    CVM_EMU_FAULT_("fail-shared", fail[CVM_TO_SHARED]),                 \
    CVM_EMU_FAULT_("fail-private-at", fail_at[CVM_TO_PRIVATE]),         \
    CVM_EMU_FAULT_("fail-shared-at", fail_at[CVM_TO_SHARED]),           \
    CVM_EMU_FAULT_("stuck-private-at", stuck_at[CVM_TO_PRIVATE]),       \
    CVM_EMU_FAULT_("stuck-shared-at", stuck_at[CVM_TO_SHARED]),         \
    CVM_EMU_FAULT_("fail-accept", accept),                              \
    CVM_EMU_FAULT_("fail-accept-at", accept_at)

#endif
