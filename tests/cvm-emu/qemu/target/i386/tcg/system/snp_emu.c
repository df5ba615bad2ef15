/*
 * snp_emu.c - an emulated confidential guest under TCG: AMD SEV-SNP.
 *
 * What Linux needs beside memory (cvm_emu.c) and what firmware leaves for it
 * (snp_emu_boot.c): the C-bit, the MSRs, the instructions PVALIDATE, RMPADJUST
 * and VMGEXIT, the GHCB's two protocols, and the start of further CPUs from a
 * VMSA.
 *
 * The guest is launched by its first RDMSR of MSR_AMD64_SEV, which only a
 * kernel makes that has seen SEV in CPUID, before it turns paging on: firmware
 * and a boot loader run as they would without SEV.
 *
 * TCG does CPUID, MSRs, port I/O and MMIO itself, so #VC is raised for them
 * only with x-cvm-emu-exits; the GHCB events for them are always served.  HLT
 * raises none.  Attestation is refused.
 *
 * The numbers are from AMD's "SEV-ES Guest-Hypervisor Communication Block
 * Standardization" (56421) and "AMD64 Architecture Programmer's Manual",
 * volumes 2 and 3.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/units.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/exec-all.h"
#include "exec/helper-proto.h"
#include "svm.h"
#include "tcg/helper-tcg.h"
#include "tcg/cvm_emu.h"

#define PAGE_SZ 4096ull
#define CBIT    (1ull << SNP_EMU_CBIT)

/* PVALIDATE and RMPADJUST */
#define SNP_SUCCESS           0
#define SNP_FAIL_INPUT        1
#define SNP_FAIL_PERMISSION   2
#define SNP_FAIL_SIZEMISMATCH 6

/*
 * What is in a page when it becomes valid.  Hardware doesn't clear it: it has
 * what the guest's key makes of whatever the host left there.
 */
#define SNP_GARBAGE           0xa5

/* Error code of #VC: a private access to a page that isn't validated */
#define EXCP_VC               29
#define VC_PAGE_NOT_VALIDATED 0x404
#define VC_NPF                0x400

/* MSR_AMD64_SEV */
#define SEV_STATUS_SEV 1
#define SEV_STATUS_ES  2
#define SEV_STATUS_SNP 4
#define SEV_FEATURES   (SEV_STATUS_SNP >> 2)    /* in a VMSA */

/* The GHCB MSR protocol: requests, responses are the same with another code */
#define GHCB_CODE_MASK     0xfffull
#define GHCB_INFO          0x001
#define GHCB_INFO_REQ      0x002
#define GHCB_CPUID_REQ     0x004
#define GHCB_RESET_HOLD    0x006
#define GHCB_PREFERRED     0x010
#define GHCB_REGISTER      0x012
#define GHCB_PSC           0x014
#define GHCB_VMPL          0x016
#define GHCB_FEATURES      0x080
#define GHCB_TERMINATE     0x100
#define GHCB_RESPONSE      1ull         /* is added to the code */
#define GHCB_VERSION       2ull

#define FEATURE_SNP         1
#define FEATURE_AP_CREATION 2

/* The GHCB page */
#define GHCB_RAX         0x1f8
#define GHCB_RCX         0x308
#define GHCB_RDX         0x310
#define GHCB_RBX         0x318
#define GHCB_EXIT_CODE   0x390
#define GHCB_EXIT_INFO_1 0x398
#define GHCB_EXIT_INFO_2 0x3a0
#define GHCB_SCRATCH     0x3a8
#define GHCB_VALID       0x3f0
#define GHCB_BUFFER      0x800
#define GHCB_BUFFER_LEN  0x7f0

/* Events by the GHCB page; those below have the code of their #VC */
#define EXIT_MMIO_READ    0x80000001ull
#define EXIT_MMIO_WRITE   0x80000002ull
#define EXIT_NMI_COMPLETE 0x80000003ull
#define EXIT_AP_HLT_LOOP  0x80000004ull
#define EXIT_JUMP_TABLE   0x80000005ull
#define EXIT_PSC          0x80000010ull
#define EXIT_GUEST_REQ    0x80000011ull
#define EXIT_EXT_GUEST_REQ 0x80000012ull
#define EXIT_AP_CREATION  0x80000013ull
#define EXIT_FEATURES     0x8000fffdull
#define EXIT_TERMINATE    0x8000fffeull

/* EXIT_INFO_1, and what goes with MALFORMED in EXIT_INFO_2 */
#define RESP_OK           0
#define RESP_MALFORMED    2
#define ERR_BAD_SCRATCH   3
#define ERR_BAD_INPUT     5
#define ERR_BAD_EVENT     6

/* A change of page state */
#define PSC_PRIVATE        1
#define PSC_SHARED         2
#define PSC_ENTRIES        253
#define PSC_BAD_HEADER     (1ull << 32 | 1)
#define PSC_BAD_ENTRY      (1ull << 32 | 2)
#define PSC_FAILED         (0x100ull << 32)

/* An I/O's EXIT_INFO_1 */
#define IO_IN             (1 << 0)
#define IO_STRING         (1 << 2)
#define IO_SIZE(info)     ((info) >> 4 & 7)     /* 1, 2 or 4 bytes */
#define IO_PORT(info)     ((info) >> 16 & 0xffff)

/* AP_CREATION's EXIT_INFO_1 */
#define AP_CREATE         1
#define AP_DESTROY        2

#define RMPADJUST_VMSA    (1ull << 16)

static unsigned long *vmsa_pages;       /* a bit for each page of RAM; atomic */

static uint64_t ghcb_get(const uint8_t *ghcb, int at)
{
    return ldq_le_p(ghcb + at);
}

static void ghcb_set(uint8_t *ghcb, int at, uint64_t val)
{
    stq_le_p(ghcb + at, val);
    ghcb[GHCB_VALID + at / 64] |= 1 << (at / 8 % 8);
}

static bool ghcb_has(const uint8_t *ghcb, int at)
{
    return ghcb[GHCB_VALID + at / 64] & (1 << (at / 8 % 8));
}

static G_NORETURN void end_guest(CPUState *cs, int len, const char *why)
{
    cvm_emu_panic(why);
    cpu_env(cs)->eip += len;
    cvm_emu_stop_cpu(cs, 0);
}

static G_NORETURN void end_guest_by_request(CPUState *cs, int len, unsigned set,
                                            unsigned reason, uint64_t info)
{
    g_autofree char *why = g_strdup_printf("the guest asks to be terminated: "
        "reason set %u, reason %u, info 0x%" PRIx64 " rip 0x" TARGET_FMT_lx,
        set, reason, info, cpu_env(cs)->eip);

    cvm_emu_panic(why);
    g_clear_pointer(&why, g_free);
    cpu_env(cs)->eip += len;
    cvm_emu_stop_cpu(cs, 0);
}

/* ---- MSR_AMD64_SEV ---- */

uint64_t snp_emu_status(CPUX86State *env, uintptr_t retaddr)
{
    CPUState *cs = env_cpu(env);

    if (!cvm_emu_is(env, CVM_EMU_SNP)) {
        return 0;
    }
    /* Launched, it runs the instruction again, from private memory. */
    if (cvm_emu_launch(cs)) {
        cpu_loop_exit_restore(cs, retaddr);
    }
    return SEV_STATUS_SEV | SEV_STATUS_ES | SEV_STATUS_SNP;
}

/* ---- PVALIDATE, RMPADJUST ---- */

static hwaddr operand_gpa(CPUX86State *env, const char *what, uintptr_t ra)
{
    hwaddr gpa = cvm_emu_gva_to_gpa(env, env->regs[R_EAX], ra);

    if (!(gpa & CBIT)) {
        qemu_log_mask(LOG_GUEST_ERROR, "snp-emu: %s of 0x" TARGET_FMT_lx
                      ", which is mapped shared\n", what, env->regs[R_EAX]);
    }
    return gpa & ~CBIT & ~(PAGE_SZ - 1);
}

static void enter_snp(CPUX86State *env, uintptr_t ra)
{
    if (!cvm_emu_is(env, CVM_EMU_SNP)) {
        raise_exception_ra(env, EXCP06_ILLOP, ra);
    }
    cvm_emu_launch(env_cpu(env));
}

/* KVM would assign the page, and go on: the guest's mistake would stay. */
static G_NORETURN void report_unassigned(CPUX86State *env, hwaddr gpa,
                                         uintptr_t ra)
{
    g_autofree char *why = g_strdup_printf("PVALIDATE of a page that isn't "
        "assigned: gpa 0x%" HWADDR_PRIx " va 0x" TARGET_FMT_lx, gpa,
        env->regs[R_EAX]);

    cvm_emu_violation(why);
    g_clear_pointer(&why, g_free);
    cvm_emu_stop_cpu(env_cpu(env), ra);
}

void helper_pvalidate(CPUX86State *env)
{
    bool large = env->regs[R_ECX] & 1, validate = env->regs[R_EDX] & 1;
    hwaddr gpa;

    enter_snp(env, GETPC());
    cvm_emu_count_call(false);
    if ((uint32_t)env->regs[R_ECX] > 1) {
        raise_exception_err_ra(env, EXCP0D_GPF, 0, GETPC());
    }
    gpa = operand_gpa(env, "PVALIDATE", GETPC());
    env->cc_src &= ~CC_C;
    switch (cvm_emu_accept(env_cpu(env), gpa, large, validate, SNP_GARBAGE)) {
    case CVM_NO_CHANGE:
        env->cc_src |= CC_C;
        /* fall through */
    case CVM_ACCEPTED:
        env->regs[R_EAX] = SNP_SUCCESS;
        break;
    case CVM_MIXED:
    case CVM_TOO_LARGE:
        env->regs[R_EAX] = SNP_FAIL_SIZEMISMATCH;
        break;
    case CVM_NOT_PRIVATE:
        report_unassigned(env, gpa, GETPC());
    case CVM_BAD_OPERAND:
    case CVM_INJECTED:
        env->regs[R_EAX] = SNP_FAIL_INPUT;
        break;
    }
}

static void set_vmsa(hwaddr gpa, bool vmsa)
{
    uint64_t page;

    if (!cvm_emu_page(gpa, &page)) {
        return;
    }
    if (vmsa) {
        set_bit_atomic(page, vmsa_pages);
    } else {
        clear_bit_atomic(page, vmsa_pages);
    }
}

static bool is_vmsa(hwaddr gpa)
{
    uint64_t page;

    return cvm_emu_page(gpa, &page) && test_bit(page, vmsa_pages);
}

void helper_rmpadjust(CPUX86State *env)
{
    uint64_t attr = env->regs[R_EDX];
    hwaddr gpa;

    enter_snp(env, GETPC());
    cvm_emu_count_call(false);
    gpa = operand_gpa(env, "RMPADJUST", GETPC());
    if (!(attr & 0xff)) {               /* this VMPL, 0, can't be changed */
        env->regs[R_EAX] = SNP_FAIL_PERMISSION;
    } else if (!cvm_emu_private_ptr(gpa, PAGE_SZ)) {
        env->regs[R_EAX] = SNP_FAIL_INPUT;
    } else {
        set_vmsa(gpa, attr & RMPADJUST_VMSA);
        env->regs[R_EAX] = SNP_SUCCESS;
    }
}

/* ---- a CPU that starts from a VMSA ---- */

static void load_seg(CPUX86State *env, int reg, const struct vmcb_seg *seg)
{
    unsigned attrib = lduw_le_p(&seg->attrib);

    cpu_x86_load_seg_cache(env, reg, lduw_le_p(&seg->selector),
                           ldq_le_p(&seg->base), ldl_le_p(&seg->limit),
                           (attrib & 0xff) << 8 | (attrib & 0xf00) << 12);
}

static void load_table(SegmentCache *sc, const struct vmcb_seg *seg)
{
    unsigned attrib = lduw_le_p(&seg->attrib);

    sc->selector = lduw_le_p(&seg->selector);
    sc->base = ldq_le_p(&seg->base);
    sc->limit = ldl_le_p(&seg->limit);
    sc->flags = (attrib & 0xff) << 8 | (attrib & 0xf00) << 12;
}

/* INIT leaves the MTRRs as they were; QEMU's doesn't, for simplicity. */
static void init_cpu(X86CPU *cpu)
{
    CPUX86State *env = &cpu->env;
    uint64_t deftype = env->mtrr_deftype, fixed[ARRAY_SIZE(env->mtrr_fixed)];
    MTRRVar var[ARRAY_SIZE(env->mtrr_var)];

    memcpy(fixed, env->mtrr_fixed, sizeof(fixed));
    memcpy(var, env->mtrr_var, sizeof(var));
    do_cpu_init(cpu);
    env->mtrr_deftype = deftype;
    memcpy(env->mtrr_fixed, fixed, sizeof(fixed));
    memcpy(env->mtrr_var, var, sizeof(var));
}

/* On the CPU's own thread, with the BQL held */
static void start_from_vmsa(CPUState *cs, run_on_cpu_data data)
{
    g_autofree struct vmcb_save_area *v = data.host_ptr;
    CPUX86State *env = cpu_env(cs);

    init_cpu(X86_CPU(cs));
    cpu_x86_update_cr0(env, ldq_le_p(&v->cr0));
    cpu_x86_update_cr4(env, ldq_le_p(&v->cr4));
    cpu_x86_update_cr3(env, ldq_le_p(&v->cr3));
    cpu_load_efer(env, ldq_le_p(&v->efer) & ~MSR_EFER_SVME);
    load_seg(env, R_ES, &v->es);
    load_seg(env, R_CS, &v->cs);
    load_seg(env, R_SS, &v->ss);
    load_seg(env, R_DS, &v->ds);
    load_seg(env, R_FS, &v->fs);
    load_seg(env, R_GS, &v->gs);
    load_table(&env->gdt, &v->gdtr);
    load_table(&env->idt, &v->idtr);
    load_table(&env->ldt, &v->ldtr);
    load_table(&env->tr, &v->tr);
    env->pat = ldq_le_p(&v->g_pat);
    env->dr[6] = ldq_le_p(&v->dr6);
    env->dr[7] = ldq_le_p(&v->dr7);
    env->regs[R_ESP] = ldq_le_p(&v->rsp);
    env->regs[R_EAX] = ldq_le_p(&v->rax);
    env->eip = ldq_le_p(&v->rip);
    cpu_load_eflags(env, ldq_le_p(&v->rflags), ~(CC_O | CC_S | CC_Z | CC_A |
                                                 CC_P | CC_C | DF_MASK));
    cs->exception_index = -1;
    cs->halted = 0;
}

static void stop_for_good(CPUState *cs, run_on_cpu_data unused)
{
    cs->halted = 1;
    cpu_env(cs)->eflags &= ~IF_MASK;
}

/* With KVM's checks, of the alignment for an erratum of SNP's */
static bool ap_creation(uint64_t info, hwaddr vmsa, uint64_t features)
{
    CPUState *cs = cpu_by_arch_id(info >> 32);
    unsigned event = info & 0xffff, vmpl = info >> 16 & 0xf;
    uint8_t *page;

    if (!cs || vmpl) {
        return false;
    }
    if (event == AP_DESTROY) {
        async_run_on_cpu(cs, stop_for_good, RUN_ON_CPU_NULL);
        return true;
    }
    page = cvm_emu_private_ptr(vmsa, PAGE_SZ);
    if (event != AP_CREATE || !page || !is_vmsa(vmsa) ||
        features != SEV_FEATURES || !(vmsa & (2 * MiB - 1))) {
        return false;
    }
    async_run_on_cpu(cs, start_from_vmsa,
        RUN_ON_CPU_HOST_PTR(g_memdup2(page, sizeof(struct vmcb_save_area))));
    return true;
}

/* ---- changes of page state ---- */

/* What is to be said in EXIT_INFO_2.  The guest calls again for the rest. */
static uint64_t page_state_change(CPUState *cs, uint8_t *desc)
{
    unsigned cur = lduw_le_p(desc), end = lduw_le_p(desc + 2);

    if (end >= PSC_ENTRIES || cur > end) {
        return PSC_BAD_HEADER;
    }
    for (; cur <= end; cur++) {
        uint8_t *entry = desc + 8 + 8 * cur;
        uint64_t e = ldq_le_p(entry);
        CVMEmuConverted ret;
        hwaddr gpa = e & 0x000ffffffffff000ull, at = (e & 0xfff) * PAGE_SZ;
        hwaddr size = e >> 56 & 1 ? 2 * MiB : PAGE_SZ, done = 0;
        unsigned op = e >> 52 & 0xf;

        if ((op != PSC_PRIVATE && op != PSC_SHARED) || gpa & (size - 1) ||
            at > size) {
            return PSC_BAD_ENTRY;
        }
        ret = at == size ? CVM_CONVERTED :
              cvm_emu_convert(cs, gpa + at, size - at, op == PSC_SHARED, &done);
        stq_le_p(entry, (e & ~0xfffull) | (at + done) / PAGE_SZ);
        if (ret == CVM_RETRY) {
            return 0;
        }
        if (ret != CVM_CONVERTED) {
            return PSC_FAILED;
        }
        stw_le_p(desc, cur + 1);
    }
    return 0;
}

/* ---- VMGEXIT ---- */

static uint64_t msr_cpuid(CPUX86State *env, uint64_t req)
{
    uint32_t r[4];

    cpu_x86_cpuid(env, req >> 32, 0, &r[0], &r[1], &r[2], &r[3]);
    return (uint64_t)r[req >> 30 & 3] << 32 | (req & 0xc0000000ull);
}

/* One page, which is done or isn't: an injected RETRY has no meaning here. */
static bool msr_page_state(CPUState *cs, uint64_t req)
{
    hwaddr gpa = req & 0x000ffffffffff000ull, done;
    unsigned op = req >> 52 & 0xf;
    CVMEmuConverted ret;

    if (op != PSC_PRIVATE && op != PSC_SHARED) {
        return true;
    }
    ret = cvm_emu_convert(cs, gpa, PAGE_SZ, op == PSC_SHARED, &done);
    if (ret == CVM_RETRY) {
        ret = cvm_emu_convert(cs, gpa, PAGE_SZ, op == PSC_SHARED, &done);
    }
    return ret != CVM_CONVERTED;
}

static G_NORETURN void halt_until_created(CPUState *cs, int len)
{
    cpu_env(cs)->eip += len;
    cs->halted = 1;
    cs->exception_index = EXCP_HLT;
    cpu_loop_exit(cs);
}

static void msr_protocol(CPUState *cs, int len)
{
    CPUX86State *env = cpu_env(cs);
    uint64_t *msr = &X86_CPU(cs)->cvm_emu.ghcb;
    unsigned code = *msr & GHCB_CODE_MASK;
    uint64_t data = *msr & ~GHCB_CODE_MASK;

    switch (code) {
    case GHCB_INFO_REQ:
        *msr = GHCB_VERSION << 48 | 1ull << 32 | SNP_EMU_CBIT << 24 | GHCB_INFO;
        return;
    case GHCB_CPUID_REQ:
        data = msr_cpuid(env, *msr);
        break;
    case GHCB_RESET_HOLD:
        *msr = 1 << 12 | (code + GHCB_RESPONSE);
        halt_until_created(cs, len);
    case GHCB_PREFERRED:
        data = ~GHCB_CODE_MASK;         /* none */
        break;
    case GHCB_REGISTER:
        break;                          /* the same number says yes */
    case GHCB_PSC:
        data = (uint64_t)msr_page_state(cs, data) << 32;
        break;
    case GHCB_FEATURES:
        data = (FEATURE_SNP | FEATURE_AP_CREATION) << 12;
        break;
    case GHCB_TERMINATE:
        end_guest_by_request(cs, len, data >> 12 & 0xf, data >> 16 & 0xff, 0);
    case GHCB_VMPL:
    default:
        qemu_log_mask(LOG_UNIMP, "snp-emu: GHCB MSR 0x%" PRIx64 "\n", *msr);
        end_guest(cs, len, "a GHCB MSR request that isn't known");
    }
    *msr = data | (code + GHCB_RESPONSE);
}

/* ---- events of what raises #VC ---- */

/* What a GHCB page says, and what is answered in EXIT_INFO_1 and _2 */
typedef struct PageCall {
    uint64_t code, info1, info2, scratch, rax, rcx, rdx;
    uint64_t resp1, resp2;
} PageCall;

static void malformed(PageCall *call, uint64_t error)
{
    call->resp1 = RESP_MALFORMED;
    call->resp2 = error;
}

/* Of strings @info2 units are in the buffer, or shall be. */
static void io_event(CPUX86State *env, uint8_t *ghcb, PageCall *call)
{
    unsigned size = IO_SIZE(call->info1), port = IO_PORT(call->info1);
    bool in = call->info1 & IO_IN;
    uint64_t value = call->rax, mask = (1ull << 8 * size) - 1;

    if (size != 1 && size != 2 && size != 4) {
        malformed(call, ERR_BAD_INPUT);
        return;
    }
    if (!(call->info1 & IO_STRING)) {
        cvm_emu_do_io(env, &address_space_io, port, size, !in, &value);
        if (in) {
            ghcb_set(ghcb, GHCB_RAX, (call->rax & ~mask) | (value & mask));
        }
        return;
    }
    if (call->scratch != env_archcpu(env)->cvm_emu.ghcb + GHCB_BUFFER ||
        call->info2 > GHCB_BUFFER_LEN / size) {
        malformed(call, ERR_BAD_SCRATCH);
        return;
    }
    for (uint64_t i = 0; i < call->info2; i++) {
        uint8_t *unit = ghcb + GHCB_BUFFER + i * size;

        value = ldn_le_p(unit, size);
        cvm_emu_do_io(env, &address_space_io, port, size, !in, &value);
        if (in) {
            stn_le_p(unit, size, value);
        }
    }
}

static void mmio_event(CPUX86State *env, uint8_t *ghcb, PageCall *call,
                       bool write)
{
    unsigned size = call->info2;
    uint64_t value;

    if ((size != 1 && size != 2 && size != 4 && size != 8) ||
        call->scratch != env_archcpu(env)->cvm_emu.ghcb + GHCB_BUFFER) {
        malformed(call, ERR_BAD_SCRATCH);
        return;
    }
    value = ldn_le_p(ghcb + GHCB_BUFFER, size);
    cvm_emu_do_io(env, &address_space_memory, call->info1 & ~CBIT, size, write,
                  &value);
    if (!write) {
        stn_le_p(ghcb + GHCB_BUFFER, size, value);
    }
}

static void msr_event(CPUX86State *env, uint8_t *ghcb, PageCall *call)
{
    uint64_t value = (uint32_t)call->rax | call->rdx << 32;

    cvm_emu_do_msr(env, call->rcx, call->info1, &value);
    if (!call->info1) {
        ghcb_set(ghcb, GHCB_RAX, (uint32_t)value);
        ghcb_set(ghcb, GHCB_RDX, value >> 32);
    }
}

static void cpuid_event(CPUX86State *env, uint8_t *ghcb, PageCall *call)
{
    uint32_t r[4];

    cpu_x86_cpuid(env, call->rax, call->rcx, &r[0], &r[1], &r[2], &r[3]);
    ghcb_set(ghcb, GHCB_RAX, r[0]);
    ghcb_set(ghcb, GHCB_RBX, r[1]);
    ghcb_set(ghcb, GHCB_RCX, r[2]);
    ghcb_set(ghcb, GHCB_RDX, r[3]);
}

static void page_event(CPUState *cs, int len, uint8_t *ghcb, PageCall *call)
{
    CPUX86State *env = cpu_env(cs);

    switch (call->code) {
    case SVM_EXIT_CPUID:
        cpuid_event(env, ghcb, call);
        break;
    case SVM_EXIT_MSR:
        msr_event(env, ghcb, call);
        break;
    case SVM_EXIT_IOIO:
        io_event(env, ghcb, call);
        break;
    case EXIT_MMIO_READ:
    case EXIT_MMIO_WRITE:
        mmio_event(env, ghcb, call, call->code == EXIT_MMIO_WRITE);
        break;
    case EXIT_PSC:
        if (call->scratch != X86_CPU(cs)->cvm_emu.ghcb + GHCB_BUFFER) {
            malformed(call, ERR_BAD_SCRATCH);
        } else {
            call->resp2 = page_state_change(cs, ghcb + GHCB_BUFFER);
        }
        break;
    case EXIT_AP_CREATION:
        if (!ap_creation(call->info1, call->info2, call->rax)) {
            malformed(call, ERR_BAD_INPUT);
        }
        break;
    case EXIT_FEATURES:
        call->resp2 = FEATURE_SNP | FEATURE_AP_CREATION;
        break;
    case EXIT_NMI_COMPLETE:
    case EXIT_JUMP_TABLE:
        break;
    case EXIT_AP_HLT_LOOP:
        ghcb_set(ghcb, GHCB_EXIT_INFO_1, 0);
        ghcb_set(ghcb, GHCB_EXIT_INFO_2, 0);
        halt_until_created(cs, len);
    case EXIT_GUEST_REQ:
    case EXIT_EXT_GUEST_REQ:
        call->resp2 = 0xffffffffull;    /* firmware wasn't called */
        break;
    case EXIT_TERMINATE:
        end_guest_by_request(cs, len, call->info1 & 0xf,
                             call->info1 >> 4 & 0xff, call->info2);
    default:
        qemu_log_mask(LOG_UNIMP, "snp-emu: GHCB event 0x%" PRIx64 "\n",
                      call->code);
        malformed(call, ERR_BAD_EVENT);
        break;
    }
}

static void page_protocol(CPUState *cs, int len)
{
    uint8_t *ghcb = cvm_emu_shared_ptr(X86_CPU(cs)->cvm_emu.ghcb, PAGE_SZ);
    PageCall call = { 0 };

    if (!ghcb) {
        end_guest(cs, len, "VMGEXIT with a GHCB that isn't shared");
    }
    if (!ghcb_has(ghcb, GHCB_EXIT_CODE) || !ghcb_has(ghcb, GHCB_EXIT_INFO_1) ||
        !ghcb_has(ghcb, GHCB_EXIT_INFO_2)) {
        end_guest(cs, len, "VMGEXIT with an incomplete GHCB");
    }
    call.code = ghcb_get(ghcb, GHCB_EXIT_CODE);
    call.info1 = ghcb_get(ghcb, GHCB_EXIT_INFO_1);
    call.info2 = ghcb_get(ghcb, GHCB_EXIT_INFO_2);
    call.scratch = ghcb_get(ghcb, GHCB_SCRATCH);
    call.rax = ghcb_get(ghcb, GHCB_RAX);
    call.rcx = ghcb_get(ghcb, GHCB_RCX);
    call.rdx = ghcb_get(ghcb, GHCB_RDX);
    memset(ghcb + GHCB_VALID, 0, 16);
    page_event(cs, len, ghcb, &call);
    ghcb_set(ghcb, GHCB_EXIT_INFO_1, call.resp1);
    ghcb_set(ghcb, GHCB_EXIT_INFO_2, call.resp2);
}

void helper_vmgexit(CPUX86State *env, int len)
{
    CPUState *cs = env_cpu(env);

    enter_snp(env, GETPC());
    cvm_emu_count_call(true);
    if (env_archcpu(env)->cvm_emu.ghcb & GHCB_CODE_MASK) {
        msr_protocol(cs, len);
    } else {
        page_protocol(cs, len);
    }
}

/* ---- the face ---- */

/*
 * Page walks and fetches are always private, and so is everything while paging
 * is off: Linux counts on it before it knows of the C-bit.  A translation
 * serves data or fetches, not both, if that makes a difference.
 */
static bool is_shared(CPUState *cs, MMUAccessType access_type, int mmu_idx,
                      hwaddr paddr, int *prot)
{
    if (mmu_idx == MMU_PHYS_IDX || !(cpu_env(cs)->cr[0] & CR0_PG_MASK) ||
        (paddr & CBIT)) {
        return false;
    }
    if (access_type == MMU_INST_FETCH) {
        *prot = PAGE_EXEC;
        return false;
    }
    *prot &= ~PAGE_EXEC;
    return true;
}

static void launch(CPUState *cs)
{
    if (!vmsa_pages) {
        vmsa_pages = bitmap_new(cvm_emu_npages());
    }
    snp_emu_install_blob(cpu_env(cs));
}

static void reset(void)
{
    bitmap_zero(vmsa_pages, cvm_emu_npages());
}

static bool prepare_exception(CPUState *cs, vaddr addr,
                              MMUAccessType access_type, hwaddr gpa)
{
    cpu_env(cs)->cr[2] = addr;
    return true;
}

static bool prepare_exit(CPUState *cs, const CVMEmuExit *exit, int *error_code)
{
    static const int code[CVM_EXIT_KINDS] = {
        [CVM_EXIT_CPUID] = SVM_EXIT_CPUID, [CVM_EXIT_MSR] = SVM_EXIT_MSR,
        [CVM_EXIT_IO] = SVM_EXIT_IOIO, [CVM_EXIT_MMIO] = VC_NPF,
    };

    *error_code = code[exit->kind];
    return true;
}

const CVMEmuFace snp_emu_face = {
    .name = "SEV-SNP",
    .bit = SNP_EMU_CBIT,
    .is_shared = is_shared,
    .launch = launch,
    .reset = reset,
    .vector = EXCP_VC,
    .error_code = VC_PAGE_NOT_VALIDATED,
    .prepare_exception = prepare_exception,
    .prepare_exit = prepare_exit,
};
