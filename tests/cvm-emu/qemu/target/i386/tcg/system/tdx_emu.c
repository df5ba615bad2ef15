/*
 * tdx_emu.c - an emulated confidential guest under TCG: an Intel TD.
 *
 * What Linux asks of the TDX module, and through it of the hypervisor
 * (TDVMCALL).  TCG does all the rest itself, so CPUID, MSRs, port I/O and MMIO
 * raise #VE only with x-cvm-emu-exits, and HLT never does; a guest may always
 * ask for them.  Attestation is refused (quotes) or empty (reports).
 *
 * The numbers are from Intel's "TDX Module Base Architecture" and
 * "Guest-Hypervisor Communication Interface" specifications.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "hw/boards.h"
#include "tcg/helper-tcg.h"
#include "tcg/cvm_emu.h"

#define PAGE_SZ    4096ull
#define SHARED_BIT (1ull << (TDX_EMU_GPAW - 1))
#define LOCAL_APIC 0xfee00000ull

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

/* TDCALL leaves */
#define TDG_VP_VMCALL        0
#define TDG_VP_INFO          1
#define TDG_MR_RTMR_EXTEND   2
#define TDG_VP_VEINFO_GET    3
#define TDG_MR_REPORT        4
#define TDG_VP_CPUIDVE_SET   5
#define TDG_MEM_PAGE_ACCEPT  6
#define TDG_VM_RD            7
#define TDG_VM_WR            8

/* TDVMCALL sub-functions; the small ones are VMX exit reasons */
#define VMCALL_CPUID             10
#define VMCALL_HLT               12
#define VMCALL_IO                30
#define VMCALL_RDMSR             31
#define VMCALL_WRMSR             32
#define VMCALL_MMIO              48
#define VMCALL_WBINVD            54
#define VMCALL_GET_INFO          0x10000
#define VMCALL_MAP_GPA           0x10001
#define VMCALL_GET_QUOTE         0x10002
#define VMCALL_FATAL             0x10003
#define VMCALL_SETUP_EVENT       0x10004

/* TD metadata */
#define TDCS_CONFIG_FLAGS             0x1110000300000016ull
#define TDCS_TD_CTLS                  0x1110000300000017ull
#define TDCS_NOTIFY_ENABLES           0x9100000000000010ull
#define TDCS_TOPOLOGY_ENUM_CONFIGURED 0x9100000000000019ull
#define TD_ATTR_SEPT_VE_DISABLE       (1ull << 28)

/* Exit reasons, for #VE */
#define EXIT_REASON_CPUID         10
#define EXIT_REASON_IO            30
#define EXIT_REASON_RDMSR         31
#define EXIT_REASON_WRMSR         32
#define EXIT_REASON_EPT_VIOLATION 48
#define EPT_READ                  1
#define EPT_WRITE                 2
#define EPT_FETCH                 4
#define EXCP_VE                   20

/* Of a report */
#define REPORT_BYTES      1024
#define REPORT_DATA_BYTES 64
#define REPORT_DATA_AT    128
#define REPORT_TYPE_TDX   0x81

/* The TD's control flags, a field of its metadata */
static uint64_t td_ctls;

/* ---- TDVMCALL ---- */

/* *next is the GPA to go on with, for RETRY. */
static uint64_t vmcall_map_gpa(CPUState *cs, hwaddr gpa, hwaddr size,
                               uint64_t *next)
{
    bool to_shared = gpa & SHARED_BIT;
    CVMEmuConverted ret;
    hwaddr done = 0;

    gpa &= ~SHARED_BIT;
    if ((gpa | size) & (PAGE_SZ - 1)) {
        return VMCALL_ALIGN;
    }
    if (gpa + size < gpa || gpa + size > SHARED_BIT) {
        return VMCALL_INVALID;
    }
    ret = cvm_emu_convert(cs, gpa, size, to_shared, &done);
    *next += done;
    return ret == CVM_CONVERTED ? VMCALL_OK :
           ret == CVM_RETRY ? VMCALL_RETRY : VMCALL_INVALID;
}

static void vmcall_io(CPUX86State *env, AddressSpace *as, hwaddr addr,
                      uint64_t val)
{
    uint64_t size = env->regs[12], dir = env->regs[13];

    if (size != 1 && size != 2 && size != 4 && size != 8) {
        env->regs[10] = VMCALL_INVALID;
        return;
    }
    cvm_emu_do_io(env, as, addr, size, dir, &val);
    if (!dir) {
        env->regs[11] = val;
    }
}

static void vmcall_cpuid(CPUX86State *env)
{
    uint32_t a, b, c, d;

    cpu_x86_cpuid(env, env->regs[12], env->regs[13], &a, &b, &c, &d);
    env->regs[12] = a;
    env->regs[13] = b;
    env->regs[14] = c;
    env->regs[15] = d;
}

static G_NORETURN void vmcall_hlt(CPUState *cs, int len)
{
    CPUX86State *env = cpu_env(cs);

    env->eip += len;
    /* with "interrupts not disabled", a pending one wakes although IF=0 */
    X86_CPU(cs)->cvm_emu.hlt = !env->regs[12];
    cs->halted = 1;
    cs->exception_index = EXCP_HLT;
    cpu_loop_exit(cs);
}

static G_NORETURN void vmcall_fatal(CPUState *cs, int len)
{
    static const int order[8] = { 14, 15, R_EBX, R_EDI, R_ESI, 8, 9, R_EDX };
    CPUX86State *env = cpu_env(cs);
    char msg[65] = "", what[128];

    for (int i = 0; i < 8; i++) {
        stq_le_p(msg + 8 * i, env->regs[order[i]]);
    }
    snprintf(what, sizeof(what), "ReportFatalError 0x%" PRIx64 ": %s",
             (uint64_t)env->regs[12], msg);
    cvm_emu_panic(what);
    env->eip += len;
    cvm_emu_stop_cpu(cs, 0);
}

static void vmcall(CPUState *cs, int len)
{
    CPUX86State *env = cpu_env(cs);
    uint64_t fn = env->regs[11];

    cvm_emu_count_call(true);
    env->regs[R_EAX] = TDX_SUCCESS;
    if (env->regs[10] != 0) {           /* vendor-specific: KVM hypercalls */
        env->regs[10] = -1000;          /* -KVM_ENOSYS */
        return;
    }
    env->regs[10] = VMCALL_OK;
    switch (fn) {
    case VMCALL_GET_INFO:
        env->regs[11] = env->regs[12] = env->regs[13] = env->regs[14] = 0;
        break;
    case VMCALL_MAP_GPA:
        env->regs[11] = env->regs[12];
        env->regs[10] = vmcall_map_gpa(cs, env->regs[12], env->regs[13],
                                       &env->regs[11]);
        break;
    case VMCALL_HLT:
        vmcall_hlt(cs, len);
    case VMCALL_IO:
        vmcall_io(env, &address_space_io, env->regs[14] & 0xffff,
                  env->regs[15]);
        break;
    case VMCALL_MMIO:
        vmcall_io(env, &address_space_memory, env->regs[14] &
                  ~SHARED_BIT, env->regs[15]);
        break;
    case VMCALL_CPUID:
        vmcall_cpuid(env);
        break;
    case VMCALL_WBINVD:
    case VMCALL_SETUP_EVENT:
        break;
    case VMCALL_FATAL:
        vmcall_fatal(cs, len);
    case VMCALL_RDMSR:
        cvm_emu_do_msr(env, env->regs[12], false, &env->regs[11]);
        break;
    case VMCALL_WRMSR:
        cvm_emu_do_msr(env, env->regs[12], true, &env->regs[13]);
        break;
    case VMCALL_GET_QUOTE:
    default:
        qemu_log_mask(LOG_UNIMP, "tdx-emu: TDVMCALL 0x%" PRIx64 "\n", fn);
        env->regs[10] = VMCALL_UNSUPPORTED;
        break;
    }
}

/* ---- TDCALL ---- */

static void vp_info(CPUState *cs)
{
    CPUX86State *env = cpu_env(cs);
    MachineState *ms = current_machine;

    env->regs[R_ECX] = TDX_EMU_GPAW;
    env->regs[R_EDX] = TD_ATTR_SEPT_VE_DISABLE;
    env->regs[8] = ms->smp.cpus | (uint64_t)ms->smp.max_cpus << 32;
    env->regs[9] = cs->cpu_index;
    env->regs[10] = env->regs[11] = 0;
}

static uint64_t vp_veinfo_get(CPUState *cs)
{
    CPUX86State *env = cpu_env(cs);
    CVMEmuCPU *t = &X86_CPU(cs)->cvm_emu;

    if (!t->ve_info.valid) {
        return TDX_NO_VALID_VE_INFO;
    }
    t->ve_info.valid = false;
    env->regs[R_ECX] = t->ve_info.reason;
    env->regs[R_EDX] = t->ve_info.qual;
    env->regs[8] = t->ve_info.gla;
    env->regs[9] = t->ve_info.gpa;
    env->regs[10] = t->ve_info.len;
    return TDX_SUCCESS;
}

/* A report that says nothing but the caller's own data */
static uint64_t mr_report(CPUX86State *env)
{
    uint64_t rcx = env->regs[R_ECX], rdx = env->regs[R_EDX];
    uint8_t *to = cvm_emu_private_ptr(rcx, REPORT_BYTES);
    uint8_t *from = cvm_emu_private_ptr(rdx, REPORT_DATA_BYTES);

    if (rcx & (REPORT_BYTES - 1) || rdx & (REPORT_DATA_BYTES - 1) ||
        env->regs[8] || !to || !from) {
        return TDX_OPERAND_INVALID | OPERAND_ID_RCX;
    }
    memset(to, 0, REPORT_BYTES);
    to[0] = REPORT_TYPE_TDX;
    memmove(to + REPORT_DATA_AT, from, REPORT_DATA_BYTES);
    return TDX_SUCCESS;
}

static uint64_t page_accept(CPUState *cs, uint64_t rcx)
{
    int level = rcx & 7;

    switch (cvm_emu_accept(cs, rcx & ~(PAGE_SZ - 1), level, true, 0)) {
    case CVM_ACCEPTED:
        return TDX_SUCCESS;
    case CVM_NO_CHANGE:
        return TDX_PAGE_ALREADY_ACCEPTED | OPERAND_ID_RCX;
    case CVM_INJECTED:
        return TDX_OPERAND_BUSY | OPERAND_ID_RCX;
    case CVM_NOT_PRIVATE:
        if (!level) {
            return TDX_OPERAND_INVALID | OPERAND_ID_RCX;
        }
        /* fall through */
    case CVM_MIXED:
    case CVM_TOO_LARGE:
        return TDX_PAGE_SIZE_MISMATCH | OPERAND_ID_RCX;
    case CVM_BAD_OPERAND:
    default:
        return TDX_OPERAND_INVALID | OPERAND_ID_RCX;
    }
}

static uint64_t vm_metadata(CPUX86State *env, bool write)
{
    uint64_t old;

    switch (env->regs[R_EDX]) {
    case TDCS_CONFIG_FLAGS:
    case TDCS_NOTIFY_ENABLES:
        old = 0;
        break;
    case TDCS_TOPOLOGY_ENUM_CONFIGURED:
        old = 1;
        break;
    case TDCS_TD_CTLS:
        old = td_ctls;
        if (write) {
            td_ctls = (old & ~env->regs[9]) | (env->regs[8] & env->regs[9]);
        }
        break;
    default:
        env->regs[8] = 0;
        return TDX_METADATA_FIELD_ID_INCORRECT;
    }
    env->regs[8] = old;
    return TDX_SUCCESS;
}

void helper_tdcall(CPUX86State *env, int len)
{
    CPUState *cs = env_cpu(env);
    uint64_t ret = TDX_SUCCESS;
    int leaf = env->regs[R_EAX] & 0xffff;

    if (!cvm_emu_is(env, CVM_EMU_TDX)) {
        raise_exception_ra(env, EXCP06_ILLOP, GETPC());
    }
    cvm_emu_launch(cs);
    cvm_emu_count_call(false);
    switch (leaf) {
    case TDG_VP_VMCALL:
        vmcall(cs, len);
        return;
    case TDG_VP_INFO:
        vp_info(cs);
        break;
    case TDG_VP_VEINFO_GET:
        ret = vp_veinfo_get(cs);
        break;
    case TDG_MR_REPORT:
        ret = mr_report(env);
        break;
    case TDG_MEM_PAGE_ACCEPT:
        ret = page_accept(cs, env->regs[R_ECX]);
        break;
    case TDG_VM_RD:
    case TDG_VM_WR:
        ret = vm_metadata(env, leaf == TDG_VM_WR);
        break;
    case TDG_MR_RTMR_EXTEND:
    case TDG_VP_CPUIDVE_SET:
        break;
    default:
        qemu_log_mask(LOG_UNIMP, "tdx-emu: TDCALL leaf %d\n", leaf);
        ret = TDX_OPERAND_INVALID | OPERAND_ID_RAX;
        break;
    }
    env->regs[R_EAX] = ret;
}

/* ---- the face ---- */

static bool is_shared(CPUState *cs, MMUAccessType access_type, int mmu_idx,
                      hwaddr paddr, int *prot)
{
    return paddr & SHARED_BIT;
}

static void launch(CPUState *cs)
{
}

static void reset(void)
{
    td_ctls = 0;
}

/* Only when the guest has fetched what the last one was about */
static bool set_ve_info(CPUState *cs, uint64_t reason, uint64_t qual, vaddr gla,
                        hwaddr gpa, int len)
{
    CVMEmuCPU *t = &X86_CPU(cs)->cvm_emu;

    if (t->ve_info.valid) {
        return false;
    }
    t->ve_info.valid = true;
    t->ve_info.reason = reason;
    t->ve_info.qual = qual;
    t->ve_info.gla = gla;
    t->ve_info.gpa = gpa;
    t->ve_info.len = len;
    return true;
}

static bool prepare_exception(CPUState *cs, vaddr addr,
                              MMUAccessType access_type, hwaddr gpa)
{
    return set_ve_info(cs, EXIT_REASON_EPT_VIOLATION,
                       access_type == MMU_DATA_STORE ? EPT_WRITE :
                       access_type == MMU_INST_FETCH ? EPT_FETCH : EPT_READ,
                       addr, gpa, 0);
}

/*
 * The module answers all leaves of CPUID but the hypervisor's.  It has the
 * local APIC as well: there that is an x2APIC from the start, which TCG's
 * guests don't use, so its page doesn't leave.
 */
static bool prepare_exit(CPUState *cs, const CVMEmuExit *exit, int *error_code)
{
    CPUX86State *env = cpu_env(cs);
    bool ok = true;

    switch (exit->kind) {
    case CVM_EXIT_CPUID:
        if ((uint32_t)env->regs[R_EAX] >> 28 != 4) {
            return false;
        }
        ok = set_ve_info(cs, EXIT_REASON_CPUID, 0, 0, 0, exit->len);
        break;
    case CVM_EXIT_MSR:
        ok = set_ve_info(cs, exit->write ? EXIT_REASON_WRMSR :
                         EXIT_REASON_RDMSR, 0, 0, 0, exit->len);
        break;
    case CVM_EXIT_IO:
        ok = set_ve_info(cs, EXIT_REASON_IO, (exit->size - 1) |
                         !exit->write << 3 | exit->gpa << 16, 0, 0,
                         exit->len);
        break;
    case CVM_EXIT_MMIO:
        if ((exit->gpa & ~(PAGE_SZ - 1)) == LOCAL_APIC) {
            return false;
        }
        ok = set_ve_info(cs, EXIT_REASON_EPT_VIOLATION,
                         exit->write ? EPT_WRITE : EPT_READ, exit->gla,
                         exit->gpa | (exit->shared ? SHARED_BIT : 0), 0);
        break;
    case CVM_EXIT_KINDS:
        g_assert_not_reached();
    }
    if (!ok) {
        cvm_emu_panic("a #VE before the last one's information was fetched");
    }
    return ok;
}

const CVMEmuFace tdx_emu_face = {
    .name = "TDX",
    .bit = TDX_EMU_GPAW - 1,
    .is_shared = is_shared,
    .launch = launch,
    .reset = reset,
    .vector = EXCP_VE,
    .prepare_exception = prepare_exception,
    .prepare_exit = prepare_exit,
};
