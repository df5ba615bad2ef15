/*
 * tdx_emu.h - what the rest of QEMU sees of the emulated TDX guest.
 *
 * Included by cpu.h for TDXEmuCPU, so it must not need cpu.h itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef I386_TDX_EMU_H
#define I386_TDX_EMU_H

/* An index of direction: of what a page is converted to */
enum { TDX_TO_PRIVATE, TDX_TO_SHARED };

/*
 * Faults to inject.  Counts are "every Nth call", addresses are GPAs without
 * the shared bit; 0 means never (nobody converts page 0).
 */
typedef struct TDXEmuFaults {
    uint64_t retry[2];          /* MapGPA: half is done, RETRY from there */
    uint64_t fail[2];           /* MapGPA: nothing is done, and fails */
    uint64_t fail_at[2];        /* MapGPA: the same, if this GPA is in it */
    uint64_t stuck_at[2];       /* MapGPA: up to this GPA, then RETRY, ever */
    uint64_t accept;            /* PAGE.ACCEPT fails, at any level */
    uint64_t accept_at;
} TDXEmuFaults;

/* The part of an X86CPU that belongs to the emulation */
typedef struct TDXEmuCPU {
    /* properties; those of the first CPU are everybody's */
    bool enabled;
    bool ve;                    /* #VE, not a stop, for a violation */
    bool strict;                /* an implicit conversion stops the VM */
    bool accept_4k;             /* refuse 2M and 1G, as KVM does today */
    TDXEmuFaults faults;
    /* state */
    bool hlt;                   /* in TDVMCALL<HLT>: wake whatever IF is */
    uint64_t retry_gpa;         /* where RETRY said to go on, or 0 */
    struct {
        bool valid;
        uint64_t reason, qual, gla, gpa;
    } ve_info;
} TDXEmuCPU;

#define TDX_EMU_FAULT_(name, field) \
    DEFINE_PROP_UINT64("x-tdx-emu-" name, X86CPU, tdx_emu.faults.field, 0)

#define TDX_EMU_PROPERTIES                                              \
    DEFINE_PROP_BOOL("x-tdx-emu", X86CPU, tdx_emu.enabled, false),      \
    DEFINE_PROP_BOOL("x-tdx-emu-ve", X86CPU, tdx_emu.ve, false),        \
    DEFINE_PROP_BOOL("x-tdx-emu-strict", X86CPU, tdx_emu.strict, false), \
    DEFINE_PROP_BOOL("x-tdx-emu-accept-4k", X86CPU, tdx_emu.accept_4k,  \
                     false),                                            \
    TDX_EMU_FAULT_("retry-private", retry[TDX_TO_PRIVATE]),             \
    TDX_EMU_FAULT_("retry-shared", retry[TDX_TO_SHARED]),               \
    TDX_EMU_FAULT_("fail-private", fail[TDX_TO_PRIVATE]),               \
    TDX_EMU_FAULT_("fail-shared", fail[TDX_TO_SHARED]),                 \
    TDX_EMU_FAULT_("fail-private-at", fail_at[TDX_TO_PRIVATE]),         \
    TDX_EMU_FAULT_("fail-shared-at", fail_at[TDX_TO_SHARED]),           \
    TDX_EMU_FAULT_("stuck-private-at", stuck_at[TDX_TO_PRIVATE]),       \
    TDX_EMU_FAULT_("stuck-shared-at", stuck_at[TDX_TO_SHARED]),         \
    TDX_EMU_FAULT_("fail-accept", accept),                              \
    TDX_EMU_FAULT_("fail-accept-at", accept_at)

#endif
