/*
 * cvm_emu.c - an emulated confidential guest under TCG: its memory.
 *
 * A test bed for guest software: a kernel that knows TDX or SEV-SNP finds that
 * it is such a guest (tdx_emu.c, snp_emu.c: the vendors' faces), and its
 * memory is split into
 *  - private RAM: a RAM block of its own, in no address space but the CPUs'
 *    private one (X86ASIdx_CVM), so neither devices nor vhost-user backends
 *    nor the file behind the machine's RAM can see it;
 *  - shared RAM: the machine's RAM.
 * A bit of the guest physical address says which: set it means shared for a
 * TD, private for an SNP guest.
 *
 * Each 4K page is ACCEPTED, PENDING (both private) or SHARED.  SNP's names are
 * validated, assigned and the hypervisor's.  All accesses of CPUs, page walks
 * and fetches included, are translated by cvm_emu_translate(), which looks at
 * the state; whoever changes a state flushes all TLBs, so a stale translation
 * lives to the end of another CPU's translation block at most.  Reading a
 * state takes no lock; changes are made with cvm->lock held.
 *
 * The memory behind a state is real: a page that becomes shared is freed on
 * the private side, one that becomes private is freed on the shared side, and
 * an accepted page is resident, as it is in hardware.  There's no poison in a
 * freed page, which can't hold any, and the state catches every access anyway.
 *
 * There is no encryption, measurement or attestation: this emulates what a
 * guest sees, it protects nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/log.h"
#include "qemu/madvise.h"
#include "qemu/main-loop.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "cpu.h"
#include "exec/cpu-common.h"
#include "exec/cputlb.h"
#include "exec/ramblock.h"
#include "exec/tb-flush.h"
#include "exec/memory.h"
#include "exec/address-spaces.h"
#include "exec/target_page.h"
#include "hw/boards.h"
#include "hw/i386/x86.h"
#include "qom/object.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "system/system.h"
#include "tcg/helper-tcg.h"
#include "tcg/cvm_emu.h"
#include <sys/mman.h>

#define PAGE_BITS 12
#define PAGE_SZ   (1ull << PAGE_BITS)

enum {
    PG_ACCEPTED,                /* the launch state */
    PG_PENDING,
    PG_SHARED,
    /*
     * SeaBIOS's tables: ACPI's at the end of low RAM, SMBIOS's below 1 MiB.
     * It reports them as reserved (TDVF: ACPI data), so Linux maps them
     * shared, the latter up to 6.12: keep both copies.
     */
    PG_FIRMWARE,
};
#define FW_TABLES (128 * KiB)
#define FW_SEGMENT 0xe0000      /* to 1 MiB */

/* Calls to convert are counted by size */
enum { MAP_4K, MAP_2M, MAP_OTHER, MAP_SIZES };

typedef struct CVMEmuState {
    MemoryRegion *ram;          /* the machine's RAM: shared */
    MemoryRegion priv;          /* private RAM, same size and offsets */
    uint64_t npages;
    uint8_t *state;             /* PG_*, one per page of RAM */
    QemuMutex lock;             /* state changes, and what counts them */
    bool active;
    const CVMEmuFace *face;
    bool ve, strict, accept_4k, exits;
    Notifier exit;
    /* statistics, read with qom-get at /machine/cvm-emu */
    uint64_t instructions, hypercalls;              /* atomic */
    uint64_t left[CVM_EXIT_KINDS];                  /* atomic */
    uint64_t accepts[3], rescinds[3];               /* by level */
    uint64_t accepts_refused;
    uint64_t maps[2][MAP_SIZES];
    uint64_t converted[2], unchanged;               /* pages */
    uint64_t implicit;                              /* pages */
    uint64_t n_shared, n_pending, max_shared;       /* pages, now */
    uint64_t violations;                            /* atomic */
    char *last_violation;
    /* fault injection, read and written with qom-get/qom-set */
    CVMEmuFaults faults;
    uint64_t since_retry[2], since_fail[2], since_accept;
    uint64_t retries, map_fails, accept_fails;      /* injected */
} CVMEmuState;

static CVMEmuState *cvm;

/* Where is this GPA (without the bit) in the machine's RAM? */
static bool gpa_to_ram(hwaddr gpa, hwaddr *off)
{
    hwaddr xlat, len = PAGE_SZ;
    MemoryRegion *mr;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, gpa, &xlat, &len,
                                 false, MEMTXATTRS_UNSPECIFIED);
    *off = xlat;
    return mr == cvm->ram;
}

bool cvm_emu_page(hwaddr gpa, uint64_t *page)
{
    hwaddr off;

    if (!gpa_to_ram(gpa, &off)) {
        return false;
    }
    *page = off >> PAGE_BITS;
    return true;
}

uint64_t cvm_emu_npages(void)
{
    return cvm->npages;
}

void cvm_emu_count_call(bool hypercall)
{
    qatomic_inc(hypercall ? &cvm->hypercalls : &cvm->instructions);
}

const CVMEmuFace *cvm_emu_exits_to(void)
{
    return cvm && cvm->exits && qatomic_read(&cvm->active) ? cvm->face : NULL;
}

void cvm_emu_count_exit(CVMEmuExitKind kind)
{
    qatomic_inc(&cvm->left[kind]);
}

uint8_t *cvm_emu_private_ptr(hwaddr gpa, size_t len)
{
    hwaddr off;

    if ((gpa & (PAGE_SZ - 1)) + len > PAGE_SZ || !gpa_to_ram(gpa, &off) ||
        qatomic_read(&cvm->state[off >> PAGE_BITS]) != PG_ACCEPTED) {
        return NULL;
    }
    return (uint8_t *)qemu_ram_get_host_addr(cvm->priv.ram_block) + off;
}

uint8_t *cvm_emu_shared_ptr(hwaddr gpa, size_t len)
{
    hwaddr off;

    if ((gpa & (PAGE_SZ - 1)) + len > PAGE_SZ || !gpa_to_ram(gpa, &off) ||
        qatomic_read(&cvm->state[off >> PAGE_BITS]) != PG_SHARED) {
        return NULL;
    }
    return (uint8_t *)qemu_ram_get_host_addr(cvm->ram->ram_block) + off;
}

/* ---- fatal events ---- */

void cvm_emu_panic(const char *what)
{
    bool locked = bql_locked();

    error_report("cvm-emu: %s", what);
    if (!locked) {
        bql_lock();
    }
    g_free(cvm->last_violation);
    cvm->last_violation = g_strdup(what);
    qemu_system_guest_panicked(NULL);
    if (!locked) {
        bql_unlock();
    }
}

void cvm_emu_violation(const char *what)
{
    qatomic_inc(&cvm->violations);
    cvm_emu_panic(what);
}

G_NORETURN void cvm_emu_stop_cpu(CPUState *cs, uintptr_t ra)
{
    cs->halted = 1;
    cs->exception_index = EXCP_HLT;
    cpu_loop_exit_restore(cs, ra);
}

/* ---- page state ---- */

static void discard(MemoryRegion *mr, uint64_t page, uint64_t n)
{
    RAMBlock *rb = mr->ram_block;

    if (n && ram_block_discard_range(rb, page << PAGE_BITS, n << PAGE_BITS)) {
        memset(qemu_ram_get_host_addr(rb) + (page << PAGE_BITS), 0,
               n << PAGE_BITS);
    }
}

static void set_state(uint64_t page, uint8_t new)
{
    uint8_t old = cvm->state[page];

    cvm->n_shared += (new == PG_SHARED) - (old == PG_SHARED);
    cvm->n_pending += (new == PG_PENDING) - (old == PG_PENDING);
    cvm->max_shared = MAX(cvm->max_shared, cvm->n_shared);
    qatomic_set(&cvm->state[page], new);
}

/* Convert [gpa, gpa+size) with cvm->lock held; returns pages changed */
static uint64_t convert(hwaddr gpa, hwaddr size, bool to_shared)
{
    uint64_t run = 0, nrun = 0, changed = 0;
    MemoryRegion *drop = to_shared ? &cvm->priv : cvm->ram;

    for (hwaddr a = gpa; a < gpa + size; a += PAGE_SZ) {
        hwaddr off;
        uint64_t page;

        if (!gpa_to_ram(a, &off)) {
            continue;
        }
        page = off >> PAGE_BITS;
        if (cvm->state[page] == PG_FIRMWARE ||
            (cvm->state[page] == PG_SHARED) == to_shared) {
            cvm->unchanged++;
            continue;
        }
        set_state(page, to_shared ? PG_SHARED : PG_PENDING);
        changed++;
        if (nrun && run + nrun == page) {
            nrun++;
        } else {
            discard(drop, run, nrun);
            run = page;
            nrun = 1;
        }
    }
    discard(drop, run, nrun);
    return changed;
}

/* ---- conversion ---- */

static bool nth(uint64_t every, uint64_t *since)
{
    if (every && ++*since >= every) {
        *since = 0;
        return true;
    }
    return false;
}

static bool within(uint64_t at, hwaddr gpa, hwaddr size)
{
    return at && at >= gpa && at - gpa < size;
}

/*
 * What is injected into a call, if anything: its status, and how much of
 * *size is done.  A call that goes on where RETRY said so is spared, or a
 * RETRY on every call would never end.
 */
static CVMEmuConverted inject_map_fault(X86CPU *cpu, hwaddr gpa, hwaddr *size,
                                        bool to_shared)
{
    CVMEmuFaults *f = &cvm->faults;
    bool again = cpu->cvm_emu.retry_gpa && cpu->cvm_emu.retry_gpa == gpa;

    cpu->cvm_emu.retry_gpa = 0;
    if (within(f->fail_at[to_shared], gpa, *size) ||
        (!again && nth(f->fail[to_shared], &cvm->since_fail[to_shared]))) {
        cvm->map_fails++;
        *size = 0;
        return CVM_REFUSED;
    }
    if (within(f->stuck_at[to_shared], gpa, *size)) {
        cvm->retries++;
        *size = (f->stuck_at[to_shared] & ~(PAGE_SZ - 1)) - gpa;
        return CVM_RETRY;
    }
    if (!again && nth(f->retry[to_shared], &cvm->since_retry[to_shared])) {
        /* the first half only; nothing of a single page */
        cvm->retries++;
        *size = *size / 2 & ~(PAGE_SZ - 1);
        cpu->cvm_emu.retry_gpa = gpa + *size;
        return CVM_RETRY;
    }
    return CVM_CONVERTED;
}

CVMEmuConverted cvm_emu_convert(CPUState *cs, hwaddr gpa, hwaddr size,
                                bool to_shared, hwaddr *done)
{
    CVMEmuConverted ret;
    uint64_t n;

    WITH_QEMU_LOCK_GUARD(&cvm->lock) {
        cvm->maps[to_shared][size == PAGE_SZ ? MAP_4K :
                             size == 2 * MiB ? MAP_2M : MAP_OTHER]++;
        ret = inject_map_fault(X86_CPU(cs), gpa, &size, to_shared);
        *done = size;
        n = convert(gpa, size, to_shared);
        cvm->converted[to_shared] += n;
    }
    if (n) {
        /* takes effect before this CPU's next translation block */
        tlb_flush_all_cpus_synced(cs);
    }
    return ret;
}

/* ---- acceptance ---- */

/*
 * With cvm->lock held: may these @n pages, which begin with *first in RAM,
 * become @new?
 */
static CVMEmuAccepted check_accept(hwaddr gpa, uint64_t n, uint8_t new,
                                   uint64_t *first)
{
    uint8_t state;
    uint64_t page;

    if (!cvm_emu_page(gpa, first)) {
        return CVM_NOT_PRIVATE;
    }
    state = cvm->state[*first];
    for (uint64_t i = 1; i < n; i++) {
        if (!cvm_emu_page(gpa + (i << PAGE_BITS), &page) ||
            page != *first + i || cvm->state[page] != state) {
            return CVM_MIXED;
        }
    }
    if (state == PG_SHARED) {
        return CVM_NOT_PRIVATE;
    }
    return state == new || state == PG_FIRMWARE ? CVM_NO_CHANGE : CVM_ACCEPTED;
}

static CVMEmuAccepted accept_locked(hwaddr gpa, int level, bool accept,
                                    uint8_t fill)
{
    uint64_t n = 1ull << (9 * level), first;
    uint8_t new = accept ? PG_ACCEPTED : PG_PENDING;
    CVMEmuAccepted ret;

    if (level > 2 || gpa & ((n << PAGE_BITS) - 1)) {
        return CVM_BAD_OPERAND;
    }
    ret = check_accept(gpa, n, new, &first);
    if (ret != CVM_ACCEPTED) {
        return ret;
    }
    if (level && cvm->accept_4k) {
        return CVM_TOO_LARGE;
    }
    if (accept && (within(cvm->faults.accept_at, gpa, n << PAGE_BITS) ||
                   nth(cvm->faults.accept, &cvm->since_accept))) {
        cvm->accept_fails++;
        return CVM_INJECTED;
    }
    if (accept) {
        memset(qemu_ram_get_host_addr(cvm->priv.ram_block) +
               (first << PAGE_BITS), fill, n << PAGE_BITS);
    }
    for (uint64_t i = 0; i < n; i++) {
        set_state(first + i, new);
    }
    (accept ? cvm->accepts : cvm->rescinds)[level]++;
    return CVM_ACCEPTED;
}

CVMEmuAccepted cvm_emu_accept(CPUState *cs, hwaddr gpa, int level, bool accept,
                              uint8_t fill)
{
    CVMEmuAccepted ret;

    WITH_QEMU_LOCK_GUARD(&cvm->lock) {
        ret = accept_locked(gpa, level, accept, fill);
        cvm->accepts_refused += ret != CVM_ACCEPTED;
    }
    if (ret == CVM_ACCEPTED && !accept) {
        /* or a stale translation would hide an access to what is pending */
        tlb_flush_all_cpus_synced(cs);
    }
    return ret;
}

/* ---- every translation of a CPU ends here ---- */

static const char *access_name(MMUAccessType access_type)
{
    return access_type == MMU_DATA_STORE ? "write" :
           access_type == MMU_INST_FETCH ? "fetch" : "read";
}

/* KVM and QEMU convert a private page that is touched as a shared one */
static void convert_implicitly(CPUState *cs, vaddr addr,
                               MMUAccessType access_type, hwaddr gpa,
                               uintptr_t retaddr)
{
    g_autofree char *what = g_strdup_printf("shared access (%s) to a private "
        "page: gpa 0x%" HWADDR_PRIx " va 0x%" VADDR_PRIx " cpu %d",
        access_name(access_type), gpa, addr, cs->cpu_index);

    if (cvm->strict) {
        cpu_restore_state(cs, retaddr);
        qatomic_inc(&cvm->violations);
        error_report("cvm-emu: rip 0x" TARGET_FMT_lx ":", cpu_env(cs)->eip);
        cvm_emu_panic(what);
        g_clear_pointer(&what, g_free);
        cvm_emu_stop_cpu(cs, retaddr);
    }
    /* The block goes on after this, so its state must not be restored. */
    WITH_QEMU_LOCK_GUARD(&cvm->lock) {
        cvm->implicit += convert(gpa & ~(PAGE_SZ - 1), PAGE_SZ, true);
    }
    warn_report_once("cvm-emu: %s; converted, and counted from here on", what);
    qemu_log_mask(LOG_GUEST_ERROR, "cvm-emu: %s\n", what);
    tlb_flush_all_cpus_synced(cs);
}

static G_NORETURN void report_violation(CPUState *cs, vaddr addr,
                                        MMUAccessType access_type,
                                        int mmu_idx, bool probe, hwaddr gpa,
                                        bool pending, uintptr_t retaddr)
{
    g_autofree char *what = NULL;
    X86CPU *cpu = X86_CPU(cs);

    cpu_restore_state(cs, retaddr);
    what = g_strdup_printf("private access (%s) to a %s page: gpa 0x%"
        HWADDR_PRIx " va 0x%" VADDR_PRIx " rip 0x" TARGET_FMT_lx " cpu %d%s",
        access_name(access_type), pending ? "pending" : "shared", gpa, addr,
        cpu->env.eip, cs->cpu_index,
        mmu_idx == MMU_PHYS_IDX ? " (page walk)" : "");
    qatomic_inc(&cvm->violations);
    if (cvm->ve && mmu_idx != MMU_PHYS_IDX && !probe &&
        cvm->face->prepare_exception(cs, addr, access_type, gpa)) {
        warn_report("cvm-emu: exception %d for %s", cvm->face->vector, what);
        g_clear_pointer(&what, g_free);
        raise_exception_err_ra(&cpu->env, cvm->face->vector,
                               cvm->face->error_code, retaddr);
    }
    cvm_emu_panic(what);
    g_clear_pointer(&what, g_free);
    cvm_emu_stop_cpu(cs, retaddr);
}

void cvm_emu_translate(CPUState *cs, vaddr addr, MMUAccessType access_type,
                       int mmu_idx, bool probe, uintptr_t retaddr,
                       hwaddr *paddr, int *prot, MemTxAttrs *attrs)
{
    bool shared;
    hwaddr gpa, off;
    uint8_t state;

    if (!qatomic_read(&cvm->active)) {
        return;
    }
    shared = cvm->face->is_shared(cs, access_type, mmu_idx, *paddr, prot);
    gpa = *paddr & ~(1ull << cvm->face->bit);
    if (!gpa_to_ram(gpa, &off)) {
        if (!probe) {
            cvm_emu_exit_mmio(cs, addr, access_type, mmu_idx, gpa, shared,
                              retaddr);
        }
        *paddr = gpa;               /* MMIO, ROM: with or without the bit */
        return;
    }
    state = qatomic_read(&cvm->state[off >> PAGE_BITS]);
    if (shared) {
        if (state == PG_ACCEPTED || state == PG_PENDING) {
            convert_implicitly(cs, addr, access_type, gpa, retaddr);
        }
        *paddr = gpa;
        return;
    }
    if (unlikely(state == PG_PENDING || state == PG_SHARED)) {
        report_violation(cs, addr, access_type, mmu_idx, probe, gpa,
                         state == PG_PENDING, retaddr);
    }
    *paddr = off;
    attrs->space = 1;               /* X86ASIdx_CVM */
}

/* ---- launch ---- */

/* Not scrubbed at launch: tables, and the BIOS shadow that a reset runs */
static bool keep_shared(uint64_t page)
{
    return cvm->state[page] == PG_FIRMWARE ||
           (page >= 0xa0000 >> PAGE_BITS && page < MiB >> PAGE_BITS);
}

/* The next page at or after @page that the file behind RAM holds */
static uint64_t next_data(RAMBlock *rb, uint64_t page)
{
    int fd = qemu_ram_get_fd(rb);
    off_t at;

    if (fd < 0) {
        return page;
    }
    at = lseek(fd, rb->fd_offset + (page << PAGE_BITS), SEEK_DATA);
    if (at < 0) {
        return errno == ENXIO ? cvm->npages : page;
    }
    return (at - rb->fd_offset) >> PAGE_BITS;
}

static void copy_ram(void)
{
    RAMBlock *rb = cvm->ram->ram_block;
    uint8_t *src = qemu_ram_get_host_addr(rb);
    uint8_t *dst = qemu_ram_get_host_addr(cvm->priv.ram_block);
    uint64_t page;

    for (page = next_data(rb, 0); page < cvm->npages;
         page = next_data(rb, page + 1)) {
        memcpy(dst + (page << PAGE_BITS), src + (page << PAGE_BITS), PAGE_SZ);
    }
    /* What is accepted is resident. */
    for (page = 0; page < cvm->npages; page++) {
        volatile uint8_t *p = dst + (page << PAGE_BITS);

        *p = *p;
    }
}

static void scrub_shared(void)
{
    for (uint64_t i = 0, n; i < cvm->npages; i += n + 1) {
        n = 0;
        while (i + n < cvm->npages && !keep_shared(i + n)) {
            n++;
        }
        discard(cvm->ram, i, n);
    }
}

void cvm_emu_leave_pending(hwaddr gpa, hwaddr size)
{
    uint64_t page;

    QEMU_LOCK_GUARD(&cvm->lock);
    for (hwaddr a = gpa; a < gpa + size; a += PAGE_SZ) {
        if (cvm_emu_page(a, &page)) {
            set_state(page, PG_PENDING);
            discard(&cvm->priv, page, 1);
        }
    }
}

/* What is in RAM becomes the guest's initial private memory. */
bool cvm_emu_launch(CPUState *cs)
{
    if (qatomic_read(&cvm->active)) {
        return false;
    }
    g_assert(cs->running);
    cpu_exec_end(cs);
    start_exclusive();
    if (!cvm->active) {
        hwaddr low = X86_MACHINE(current_machine)->below_4g_mem_size;

        memset(cvm->state + ((low - FW_TABLES) >> PAGE_BITS), PG_FIRMWARE,
               FW_TABLES >> PAGE_BITS);
        memset(cvm->state + (FW_SEGMENT >> PAGE_BITS), PG_FIRMWARE,
               (MiB - FW_SEGMENT) >> PAGE_BITS);
        copy_ram();
        scrub_shared();
        qatomic_set(&cvm->active, true);
        cvm->face->launch(cs);
        info_report("cvm-emu: active, %s, %" PRIu64 " MiB private, bit %d",
                    cvm->face->name, cvm->npages >> 8, cvm->face->bit);
    }
    end_exclusive();
    cpu_exec_start(cs);
    /* at once, or this CPU would fetch from where its code was before */
    tlb_flush(cs);
    tlb_flush_all_cpus_synced(cs);
    return true;
}

static void cpu_reset_state(CVMEmuCPU *cpu)
{
    cpu->retry_gpa = 0;
    cpu->serving = cpu->hlt = false;
    cpu->ve_info.valid = false;
    cpu->ghcb = 0;
}

/* While no CPU runs */
static void cvm_reset(void *opaque)
{
    CPUState *cs;

    if (!cvm->active) {
        return;
    }
    qatomic_set(&cvm->active, false);
    memset(cvm->state, PG_ACCEPTED, cvm->npages);
    cvm->n_shared = cvm->n_pending = 0;
    discard(&cvm->priv, 0, cvm->npages);
    /* The next launch fills private memory behind TCG's back: no code of this one may be found there. */
    tb_flush(first_cpu);
    CPU_FOREACH(cs) {
        cpu_reset_state(&X86_CPU(cs)->cvm_emu);
    }
    cvm->face->reset();
}

/* ---- statistics ---- */

static unsigned char *resident_pages(MemoryRegion *mr)
{
    unsigned char *vec = g_malloc0(cvm->npages);

    if (mincore(memory_region_get_ram_ptr(mr), cvm->npages << PAGE_BITS, vec)) {
        memset(vec, 0, cvm->npages);
    }
    return vec;
}

static uint64_t resident_bytes(MemoryRegion *mr)
{
    g_autofree unsigned char *vec = resident_pages(mr);
    uint64_t n = 0;

    for (uint64_t i = 0; i < cvm->npages; i++) {
        n += vec[i] & 1;
    }
    return n << PAGE_BITS;
}

/*
 * Pages of the shared side that somebody touched although the guest holds
 * them private: a device was told the address of private memory.  *first is
 * where in RAM the first one is.
 */
static uint64_t count_stray(uint64_t *first)
{
    g_autofree unsigned char *vec = resident_pages(cvm->ram);
    uint64_t n = 0;

    for (uint64_t i = 0; cvm->active && i < cvm->npages; i++) {
        if ((vec[i] & 1) && !keep_shared(i) &&
            qatomic_read(&cvm->state[i]) != PG_SHARED && !n++) {
            *first = i << PAGE_BITS;
        }
    }
    return n;
}

static uint64_t stat_stray(void)
{
    uint64_t first;

    return count_stray(&first);
}

static uint64_t stat_stray_at(void)
{
    uint64_t first = 0;

    count_stray(&first);
    return first;
}

static uint64_t stat_private(void)
{
    return resident_bytes(&cvm->priv);
}

static uint64_t stat_shared(void)
{
    return resident_bytes(cvm->ram);
}

static const struct {
    const char *name;
    uint64_t (*get)(void);
} computed[] = {
    { "private-resident-bytes", stat_private },
    { "shared-resident-bytes", stat_shared },
    { "pages-stray", stat_stray },
    { "first-stray-at", stat_stray_at },
};

static void get_computed(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    uint64_t n = computed[(uintptr_t)opaque].get();

    visit_type_uint64(v, name, &n, errp);
}

static bool get_active(Object *obj, Error **errp)
{
    return cvm->active;
}

static char *get_violation(Object *obj, Error **errp)
{
    return g_strdup(cvm->last_violation ?: "");
}

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define C(name, field) { name, offsetof(CVMEmuState, field) }
    C("instructions", instructions), C("hypercalls", hypercalls),
    C("exits-cpuid", left[CVM_EXIT_CPUID]), C("exits-msr", left[CVM_EXIT_MSR]),
    C("exits-io", left[CVM_EXIT_IO]), C("exits-mmio", left[CVM_EXIT_MMIO]),
    C("accepts-4k", accepts[0]), C("accepts-2m", accepts[1]),
    C("accepts-1g", accepts[2]), C("accepts-refused", accepts_refused),
    C("rescinds-4k", rescinds[0]), C("rescinds-2m", rescinds[1]),
    C("maps-shared-4k", maps[CVM_TO_SHARED][MAP_4K]),
    C("maps-shared-2m", maps[CVM_TO_SHARED][MAP_2M]),
    C("maps-shared-other", maps[CVM_TO_SHARED][MAP_OTHER]),
    C("maps-private-4k", maps[CVM_TO_PRIVATE][MAP_4K]),
    C("maps-private-2m", maps[CVM_TO_PRIVATE][MAP_2M]),
    C("maps-private-other", maps[CVM_TO_PRIVATE][MAP_OTHER]),
    C("pages-to-shared", converted[CVM_TO_SHARED]),
    C("pages-to-private", converted[CVM_TO_PRIVATE]),
    C("pages-unchanged", unchanged), C("pages-implicit", implicit),
    C("pages-shared", n_shared), C("pages-pending", n_pending),
    C("pages-shared-max", max_shared), C("violations", violations),
    C("retries-injected", retries), C("map-failures-injected", map_fails),
    C("accept-failures-injected", accept_fails),
}, knobs[] = {
    C("retry-private", faults.retry[CVM_TO_PRIVATE]),
    C("retry-shared", faults.retry[CVM_TO_SHARED]),
    C("fail-private", faults.fail[CVM_TO_PRIVATE]),
    C("fail-shared", faults.fail[CVM_TO_SHARED]),
    C("fail-private-at", faults.fail_at[CVM_TO_PRIVATE]),
    C("fail-shared-at", faults.fail_at[CVM_TO_SHARED]),
    C("stuck-private-at", faults.stuck_at[CVM_TO_PRIVATE]),
    C("stuck-shared-at", faults.stuck_at[CVM_TO_SHARED]),
    C("fail-accept", faults.accept), C("fail-accept-at", faults.accept_at),
#undef C
};

/* One line, for tests that read it when QEMU has ended */
static void cvm_exit(Notifier *n, void *unused)
{
    g_autoptr(GString) s = g_string_new("cvm-emu stats:");

    g_string_append_printf(s, " active=%d", cvm->active);
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        g_string_append_printf(s, " %s=%" PRIu64, counters[i].name,
            *(uint64_t *)((char *)cvm + counters[i].offset));
    }
    for (int i = 0; i < ARRAY_SIZE(computed); i++) {
        g_string_append_printf(s, " %s=%" PRIu64, computed[i].name,
                               computed[i].get());
    }
    fprintf(stderr, "%s\n", s->str);
}

/* ---- set-up ---- */

MemoryRegion *cvm_emu_private_mr(void)
{
    return &cvm->priv;
}

static void add_properties(Object *obj)
{
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        object_property_add_uint64_ptr(obj, counters[i].name,
            (uint64_t *)((char *)cvm + counters[i].offset), OBJ_PROP_FLAG_READ);
    }
    for (int i = 0; i < ARRAY_SIZE(knobs); i++) {
        object_property_add_uint64_ptr(obj, knobs[i].name,
            (uint64_t *)((char *)cvm + knobs[i].offset),
            OBJ_PROP_FLAG_READWRITE);
    }
    for (uintptr_t i = 0; i < ARRAY_SIZE(computed); i++) {
        object_property_add(obj, computed[i].name, "uint64", get_computed,
                            NULL, NULL, (void *)i);
    }
    object_property_add_bool(obj, "active", get_active, NULL);
    object_property_add_str(obj, "last-violation", get_violation, NULL);
}

bool cvm_emu_cpu_realize(X86CPU *cpu, Error **errp)
{
    MemoryRegion *ram = current_machine->ram;
    Object *obj;

    if (cvm) {
        return true;
    }
    if (!ram || !memory_region_is_ram(ram)) {
        error_setg(errp, "x-cvm-emu needs a machine with one RAM backend");
        return false;
    }
    cvm = g_new0(CVMEmuState, 1);
    cvm->ram = ram;
    cvm->npages = memory_region_size(ram) >> PAGE_BITS;
    cvm->state = g_malloc0(cvm->npages);
    cvm->face = cpu->cvm_emu.kind == CVM_EMU_TDX ? &tdx_emu_face : &snp_emu_face;
    cvm->ve = cpu->cvm_emu.ve;
    cvm->strict = cpu->cvm_emu.strict;
    cvm->accept_4k = cpu->cvm_emu.accept_4k;
    cvm->exits = cpu->cvm_emu.exits;
    cvm->faults = cpu->cvm_emu.faults;
    qemu_mutex_init(&cvm->lock);
    if (!memory_region_init_ram_nomigrate(&cvm->priv, OBJECT(current_machine),
                                          "cvm-private",
                                          memory_region_size(ram), errp)) {
        return false;
    }
    /* Or the host would fill the holes that freed pages leave. */
    qemu_madvise(memory_region_get_ram_ptr(&cvm->priv),
                 memory_region_size(ram), QEMU_MADV_NOHUGEPAGE);
    obj = object_new(TYPE_CONTAINER);
    object_property_add_child(OBJECT(current_machine), "cvm-emu", obj);
    add_properties(obj);
    cvm->exit.notify = cvm_exit;
    qemu_add_exit_notifier(&cvm->exit);
    qemu_register_reset(cvm_reset, NULL);
    return true;
}
