/*
 * cvm_emu_exit.c - an emulated confidential guest under TCG: what a real one
 * leaves for its hypervisor for.
 *
 * With x-cvm-emu-exits=on, CPUID, accesses to MSRs that a hypervisor keeps for
 * itself, port I/O and MMIO aren't done by TCG: they raise #VE or #VC, as the
 * hardware does since the hypervisor must not see the guest's registers.  The
 * guest's kernel decodes what it was about, and asks the hypervisor for it
 * (TDVMCALL, VMGEXIT); the second half of this file does that.  A virtqueue's
 * kick is such an MMIO.
 *
 * HLT, WBINVD, RDTSC and the like stay TCG's own.  What no hypervisor
 * intercepts (EFER, the segments' bases and so on) never leaves, nor do
 * fetches, and nothing does before the launch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/cpu_ldst.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "svm.h"
#include "tcg/helper-tcg.h"
#include "tcg/cvm_emu.h"

/* ---- what leaves ---- */

/*
 * MSRs that the CPU switches with the guest, or that its architecture keeps
 * from the hypervisor.
 */
static bool msr_stays(uint32_t msr)
{
    switch (msr) {
    case MSR_IA32_SYSENTER_CS:
    case MSR_IA32_SYSENTER_ESP:
    case MSR_IA32_SYSENTER_EIP:
    case MSR_IA32_SPEC_CTRL:
    case MSR_IA32_PRED_CMD:
    case MSR_IA32_XSS:
    case MSR_PAT:
    case MSR_EFER:
    case MSR_STAR:
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FMASK:
    case MSR_FSBASE:
    case MSR_GSBASE:
    case MSR_KERNELGSBASE:
    case MSR_TSC_AUX:
    case MSR_AMD64_SEV:
    case MSR_AMD64_SEV_ES_GHCB:
        return true;
    default:
        return false;
    }
}

/*
 * The length of what EIP is at, which isn't MMIO: prefixes, and an opcode of
 * one or two bytes that may have an immediate port.
 */
static int insn_len(CPUX86State *env)
{
    target_ulong at = env->segs[R_CS].base + env->eip;
    bool port;
    int len = 0;
    uint8_t b;

    do {
        b = cpu_ldub_code(env, at + len++);
    } while (b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 ||
             (b & 0xf0) == 0x40);
    port = (b & 0xfc) == 0xe4;          /* IN or OUT with a port in it */
    return len + (b == 0x0f || port);
}

static void leave(CPUX86State *env, CVMEmuExit *exit, uintptr_t ra)
{
    CPUState *cs = env_cpu(env);
    const CVMEmuFace *face = cvm_emu_exits_to();
    int error_code = 0;

    if (!face || env_archcpu(env)->cvm_emu.serving) {
        return;
    }
    if (exit->kind != CVM_EXIT_MMIO) {
        cpu_restore_state(cs, ra);
        exit->len = insn_len(env);
    }
    if (!face->prepare_exit(cs, exit, &error_code)) {
        return;
    }
    cvm_emu_count_exit(exit->kind);
    raise_exception_err_ra(env, face->vector, error_code, ra);
}

void cvm_emu_exit_insn(CPUX86State *env, uint32_t svm_type, uint64_t param,
                       uintptr_t ra)
{
    CVMEmuExit exit = { .write = param };

    if (svm_type == SVM_EXIT_CPUID) {
        exit.kind = CVM_EXIT_CPUID;
    } else if (svm_type == SVM_EXIT_MSR &&
               !msr_stays(env->regs[R_ECX])) {
        exit.kind = CVM_EXIT_MSR;
    } else {
        return;
    }
    leave(env, &exit, ra);
}

void cvm_emu_exit_io(CPUX86State *env, uint16_t port, int size, bool out,
                     uintptr_t ra)
{
    CVMEmuExit exit = {
        .kind = CVM_EXIT_IO, .write = out, .size = size, .gpa = port,
    };

    leave(env, &exit, ra);
}

/* RAM and ROM are a hypervisor's memory slots; what else there is exits. */
static bool is_mmio(hwaddr gpa, bool write)
{
    hwaddr xlat, len = 1;
    MemoryRegion *mr;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, gpa, &xlat, &len, write,
                                 MEMTXATTRS_UNSPECIFIED);
    return !memory_region_is_ram(mr) && !memory_region_is_romd(mr);
}

void cvm_emu_exit_mmio(CPUState *cs, vaddr addr, MMUAccessType access_type,
                       int mmu_idx, hwaddr gpa, bool shared, uintptr_t ra)
{
    CVMEmuExit exit = {
        .kind = CVM_EXIT_MMIO, .write = access_type == MMU_DATA_STORE,
        .gla = addr, .shared = shared,
        .gpa = (gpa & TARGET_PAGE_MASK) | (addr & ~TARGET_PAGE_MASK),
    };

    if (access_type != MMU_INST_FETCH && mmu_idx != MMU_PHYS_IDX &&
        is_mmio(exit.gpa, exit.write)) {
        leave(cpu_env(cs), &exit, ra);
    }
}

/* ---- what the hypervisor does for the guest ---- */

void cvm_emu_do_io(CPUX86State *env, AddressSpace *as, hwaddr addr, int size,
                   bool write, uint64_t *value)
{
    uint64_t le = cpu_to_le64(write ? *value : 0);

    address_space_rw(as, addr, cpu_get_mem_attrs(env), &le, size, write);
    if (!write) {
        *value = le64_to_cpu(le);
    }
}

/*
 * By TCG's own instruction.  A register that there isn't ends in #GP for the
 * instruction that called the hypervisor, not for the one that was meant.
 */
void cvm_emu_do_msr(CPUX86State *env, uint32_t msr, bool write, uint64_t *value)
{
    CVMEmuCPU *cpu = &env_archcpu(env)->cvm_emu;
    target_ulong was[3] = {
        env->regs[R_EAX], env->regs[R_ECX], env->regs[R_EDX]
    };

    cpu->serving = true;
    env->regs[R_ECX] = msr;
    if (write) {
        env->regs[R_EAX] = (uint32_t)*value;
        env->regs[R_EDX] = *value >> 32;
        helper_wrmsr(env);
    } else {
        helper_rdmsr(env);
        *value = (uint32_t)env->regs[R_EAX] |
                 (uint64_t)env->regs[R_EDX] << 32;
    }
    cpu->serving = false;
    env->regs[R_EAX] = was[0];
    env->regs[R_ECX] = was[1];
    env->regs[R_EDX] = was[2];
}
