/*
 * tdx_emu.c - an emulated Intel TDX guest under TCG: its memory.
 *
 * A test bed for guest software: a kernel that knows TDX finds CPUID leaf
 * 0x21 and TDCALL (tdx_emu_call.c), and its memory is split into
 *  - private RAM: a RAM block of its own, in no address space but the CPUs'
 *    private one (X86ASIdx_TDX), so neither devices nor vhost-user backends
 *    nor the file behind the machine's RAM can see it;
 *  - shared RAM: the machine's RAM, reached with the shared bit of the GPA.
 *
 * Each 4K page is ACCEPTED, PENDING (both private) or SHARED.  All accesses
 * of CPUs, page walks and fetches included, are translated by
 * tdx_emu_translate(), which looks at the state; whoever changes a state
 * flushes all TLBs, so a stale translation lives to the end of another CPU's
 * translation block at most.  Reading a state takes no lock; changes are made
 * with tdx->lock held.
 *
 * The memory behind a state is real: a page that becomes shared is freed on
 * the private side, one that becomes private is freed on the shared side, and
 * an accepted page is resident, as it is in hardware.  There's no poison: a
 * freed page can't hold one, and the state catches every access anyway.
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
#include "tcg/tdx_emu.h"
#include <sys/mman.h>

#define PAGE_BITS 12
#define PAGE_SZ   (1ull << PAGE_BITS)
#define GPAW      48
#define SHARED_BIT (1ull << (GPAW - 1))

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

/* Exit reason and qualification of an EPT violation, for #VE */
#define EXIT_REASON_EPT_VIOLATION 48
#define EXCP_VE                   20

/* MapGPA calls are counted by size */
enum { MAP_4K, MAP_2M, MAP_OTHER, MAP_SIZES };

typedef struct TDXEmuState {
    MemoryRegion *ram;          /* the machine's RAM: shared */
    MemoryRegion priv;          /* private RAM, same size and offsets */
    uint64_t npages;
    uint8_t *state;             /* PG_*, one per page of RAM */
    QemuMutex lock;             /* state changes, and what counts them */
    bool active;
    bool ve, strict, accept_4k;
    uint64_t td_ctls;
    Notifier exit;
    /* statistics, read with qom-get at /machine/tdx-emu */
    uint64_t tdcalls, vmcalls;                      /* atomic */
    uint64_t accepts[3];                            /* by level */
    uint64_t accepts_refused;
    uint64_t maps[2][MAP_SIZES];
    uint64_t converted[2], unchanged;               /* pages */
    uint64_t implicit;                              /* pages */
    uint64_t n_shared, n_pending, max_shared;       /* pages, now */
    uint64_t violations;                            /* atomic */
    char *last_violation;
    /* fault injection, read and written with qom-get/qom-set */
    TDXEmuFaults faults;
    uint64_t since_retry[2], since_fail[2], since_accept;
    uint64_t retries, map_fails, accept_fails;      /* injected */
} TDXEmuState;

static TDXEmuState *tdx;

/* Where is this GPA (no shared bit) in the machine's RAM? */
static bool gpa_to_ram(hwaddr gpa, hwaddr *off)
{
    hwaddr xlat, len = PAGE_SZ;
    MemoryRegion *mr;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, gpa, &xlat, &len,
                                 false, MEMTXATTRS_UNSPECIFIED);
    *off = xlat;
    return mr == tdx->ram;
}

int tdx_emu_gpaw(void)
{
    return GPAW;
}

uint64_t *tdx_emu_td_ctls(void)
{
    return &tdx->td_ctls;
}

void tdx_emu_count_call(bool vmcall)
{
    qatomic_inc(vmcall ? &tdx->vmcalls : &tdx->tdcalls);
}

uint8_t *tdx_emu_private_ptr(hwaddr gpa, size_t len)
{
    hwaddr off;

    if ((gpa & (PAGE_SZ - 1)) + len > PAGE_SZ || gpa >= SHARED_BIT ||
        !gpa_to_ram(gpa, &off) ||
        qatomic_read(&tdx->state[off >> PAGE_BITS]) != PG_ACCEPTED) {
        return NULL;
    }
    return (uint8_t *)qemu_ram_get_host_addr(tdx->priv.ram_block) + off;
}

/* ---- fatal events ---- */

void tdx_emu_panic(const char *what)
{
    bool locked = bql_locked();

    error_report("tdx-emu: %s", what);
    if (!locked) {
        bql_lock();
    }
    g_free(tdx->last_violation);
    tdx->last_violation = g_strdup(what);
    qemu_system_guest_panicked(NULL);
    if (!locked) {
        bql_unlock();
    }
}

G_NORETURN void tdx_emu_stop_cpu(CPUState *cs, uintptr_t ra)
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
    uint8_t old = tdx->state[page];

    tdx->n_shared += (new == PG_SHARED) - (old == PG_SHARED);
    tdx->n_pending += (new == PG_PENDING) - (old == PG_PENDING);
    tdx->max_shared = MAX(tdx->max_shared, tdx->n_shared);
    qatomic_set(&tdx->state[page], new);
}

/* Convert [gpa, gpa+size) with tdx->lock held; returns pages changed */
static uint64_t convert(hwaddr gpa, hwaddr size, bool to_shared)
{
    uint64_t run = 0, nrun = 0, changed = 0;
    MemoryRegion *drop = to_shared ? &tdx->priv : tdx->ram;

    for (hwaddr a = gpa; a < gpa + size; a += PAGE_SZ) {
        hwaddr off;
        uint64_t page;

        if (!gpa_to_ram(a, &off)) {
            continue;
        }
        page = off >> PAGE_BITS;
        if (tdx->state[page] == PG_FIRMWARE ||
            (tdx->state[page] == PG_SHARED) == to_shared) {
            tdx->unchanged++;
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

/* ---- TDVMCALL<MapGPA> ---- */

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
static uint64_t inject_map_fault(X86CPU *cpu, hwaddr gpa, hwaddr *size,
                                 bool to_shared)
{
    TDXEmuFaults *f = &tdx->faults;
    bool again = cpu->tdx_emu.retry_gpa && cpu->tdx_emu.retry_gpa == gpa;

    cpu->tdx_emu.retry_gpa = 0;
    if (within(f->fail_at[to_shared], gpa, *size) ||
        (!again && nth(f->fail[to_shared], &tdx->since_fail[to_shared]))) {
        tdx->map_fails++;
        *size = 0;
        return VMCALL_INVALID;
    }
    if (within(f->stuck_at[to_shared], gpa, *size)) {
        tdx->retries++;
        *size = (f->stuck_at[to_shared] & ~(PAGE_SZ - 1)) - gpa;
        return VMCALL_RETRY;
    }
    if (!again && nth(f->retry[to_shared], &tdx->since_retry[to_shared])) {
        /* the first half only; nothing of a single page */
        tdx->retries++;
        *size = *size / 2 & ~(PAGE_SZ - 1);
        cpu->tdx_emu.retry_gpa = gpa + *size;
        return VMCALL_RETRY;
    }
    return VMCALL_OK;
}

uint64_t tdx_emu_map_gpa(CPUState *cs, hwaddr gpa, hwaddr size, hwaddr *next)
{
    bool to_shared = gpa & SHARED_BIT;
    uint64_t n, ret;

    gpa &= ~SHARED_BIT;
    if ((gpa | size) & (PAGE_SZ - 1)) {
        return VMCALL_ALIGN;
    }
    if (gpa + size < gpa || gpa + size > SHARED_BIT) {
        return VMCALL_INVALID;
    }
    WITH_QEMU_LOCK_GUARD(&tdx->lock) {
        tdx->maps[to_shared][size == PAGE_SZ ? MAP_4K :
                             size == 2 * MiB ? MAP_2M : MAP_OTHER]++;
        ret = inject_map_fault(X86_CPU(cs), gpa, &size, to_shared);
        *next += size;
        n = convert(gpa, size, to_shared);
        tdx->converted[to_shared] += n;
    }
    if (n) {
        /* takes effect before this CPU's next translation block */
        tlb_flush_all_cpus_synced(cs);
    }
    return ret;
}

/* ---- TDG.MEM.PAGE.ACCEPT ---- */

/* With tdx->lock held.  *first is the number of the first page in RAM. */
static uint64_t check_accept(hwaddr gpa, uint64_t n, uint64_t *first)
{
    uint64_t pending = 0, accepted = 0;
    hwaddr off;

    for (uint64_t i = 0; i < n; i++) {
        if (!gpa_to_ram(gpa + (i << PAGE_BITS), &off)) {
            return TDX_OPERAND_INVALID | OPERAND_ID_RCX;
        }
        if (i == 0) {
            *first = off >> PAGE_BITS;
        } else if (off >> PAGE_BITS != *first + i) {
            return TDX_PAGE_SIZE_MISMATCH | OPERAND_ID_RCX;
        }
        pending += tdx->state[*first + i] == PG_PENDING;
        accepted += tdx->state[*first + i] == PG_ACCEPTED;
    }
    if (accepted == n) {
        return TDX_PAGE_ALREADY_ACCEPTED | OPERAND_ID_RCX;
    }
    if (pending != n) {
        return (n > 1 ? TDX_PAGE_SIZE_MISMATCH : TDX_OPERAND_INVALID)
               | OPERAND_ID_RCX;
    }
    return TDX_SUCCESS;
}

static uint64_t accept_locked(hwaddr gpa, int level)
{
    uint64_t n = 1ull << (9 * level), first = 0, ret;

    ret = check_accept(gpa, n, &first);
    if (ret != TDX_SUCCESS) {
        return ret;
    }
    if (level && tdx->accept_4k) {
        return TDX_PAGE_SIZE_MISMATCH | OPERAND_ID_RCX;
    }
    if (within(tdx->faults.accept_at, gpa, n << PAGE_BITS) ||
        nth(tdx->faults.accept, &tdx->since_accept)) {
        tdx->accept_fails++;
        return TDX_OPERAND_BUSY | OPERAND_ID_RCX;
    }
    /* zeroes, and makes it resident */
    memset(qemu_ram_get_host_addr(tdx->priv.ram_block) + (first << PAGE_BITS),
           0, n << PAGE_BITS);
    for (uint64_t i = 0; i < n; i++) {
        set_state(first + i, PG_ACCEPTED);
    }
    tdx->accepts[level]++;
    return TDX_SUCCESS;
}

uint64_t tdx_emu_page_accept(uint64_t rcx)
{
    int level = rcx & 7;
    hwaddr gpa = rcx & ~0xfffull;
    uint64_t ret = TDX_OPERAND_INVALID | OPERAND_ID_RCX;

    QEMU_LOCK_GUARD(&tdx->lock);
    if (level <= 2 && !(gpa & ((PAGE_SZ << (9 * level)) - 1)) &&
        gpa < SHARED_BIT) {
        ret = accept_locked(gpa, level);
    }
    tdx->accepts_refused += ret != TDX_SUCCESS;
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

    if (tdx->strict) {
        cpu_restore_state(cs, retaddr);
        qatomic_inc(&tdx->violations);
        error_report("tdx-emu: rip 0x" TARGET_FMT_lx ":", cpu_env(cs)->eip);
        tdx_emu_panic(what);
        g_clear_pointer(&what, g_free);
        tdx_emu_stop_cpu(cs, retaddr);
    }
    /* The block goes on after this, so its state must not be restored. */
    WITH_QEMU_LOCK_GUARD(&tdx->lock) {
        tdx->implicit += convert(gpa & ~(PAGE_SZ - 1), PAGE_SZ, true);
    }
    warn_report_once("tdx-emu: %s; converted, and counted from here on", what);
    qemu_log_mask(LOG_GUEST_ERROR, "tdx-emu: %s\n", what);
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
    qatomic_inc(&tdx->violations);
    if (tdx->ve && mmu_idx != MMU_PHYS_IDX && !probe &&
        !cpu->tdx_emu.ve_info.valid) {
        warn_report("tdx-emu: #VE for %s", what);
        cpu->tdx_emu.ve_info.valid = true;
        cpu->tdx_emu.ve_info.reason = EXIT_REASON_EPT_VIOLATION;
        cpu->tdx_emu.ve_info.qual = access_type == MMU_DATA_STORE ? 2 :
                                    access_type == MMU_INST_FETCH ? 4 : 1;
        cpu->tdx_emu.ve_info.gla = addr;
        cpu->tdx_emu.ve_info.gpa = gpa;
        g_clear_pointer(&what, g_free);
        raise_exception_err_ra(&cpu->env, EXCP_VE, 0, retaddr);
    }
    tdx_emu_panic(what);
    g_clear_pointer(&what, g_free);
    tdx_emu_stop_cpu(cs, retaddr);
}

void tdx_emu_translate(CPUState *cs, vaddr addr, MMUAccessType access_type,
                       int mmu_idx, bool probe, uintptr_t retaddr,
                       hwaddr *paddr, MemTxAttrs *attrs)
{
    bool shared;
    hwaddr gpa, off;
    uint8_t state;

    if (!qatomic_read(&tdx->active)) {
        return;
    }
    shared = *paddr & SHARED_BIT;
    gpa = *paddr & ~SHARED_BIT;
    if (!gpa_to_ram(gpa, &off)) {
        *paddr = gpa;               /* MMIO, ROM: with or without the bit */
        return;
    }
    state = qatomic_read(&tdx->state[off >> PAGE_BITS]);
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
    attrs->space = 1;               /* X86ASIdx_TDX */
}

/* ---- launch ---- */

/* Not scrubbed at launch: tables, and the BIOS shadow that a reset runs */
static bool keep_shared(uint64_t page)
{
    return tdx->state[page] == PG_FIRMWARE ||
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
        return errno == ENXIO ? tdx->npages : page;
    }
    return (at - rb->fd_offset) >> PAGE_BITS;
}

static void copy_ram(void)
{
    RAMBlock *rb = tdx->ram->ram_block;
    uint8_t *src = qemu_ram_get_host_addr(rb);
    uint8_t *dst = qemu_ram_get_host_addr(tdx->priv.ram_block);
    uint64_t page;

    for (page = next_data(rb, 0); page < tdx->npages;
         page = next_data(rb, page + 1)) {
        memcpy(dst + (page << PAGE_BITS), src + (page << PAGE_BITS), PAGE_SZ);
    }
    /* What is accepted is resident. */
    for (page = 0; page < tdx->npages; page++) {
        volatile uint8_t *p = dst + (page << PAGE_BITS);

        *p = *p;
    }
}

static void scrub_shared(void)
{
    for (uint64_t i = 0, n; i < tdx->npages; i += n + 1) {
        n = 0;
        while (i + n < tdx->npages && !keep_shared(i + n)) {
            n++;
        }
        discard(tdx->ram, i, n);
    }
}

/* The first TDCALL: what is in RAM becomes the TD's initial private memory */
static void tdx_launch(CPUState *cs)
{
    g_assert(cs->running);
    cpu_exec_end(cs);
    start_exclusive();
    if (!tdx->active) {
        hwaddr low = X86_MACHINE(current_machine)->below_4g_mem_size;

        memset(tdx->state + ((low - FW_TABLES) >> PAGE_BITS), PG_FIRMWARE,
               FW_TABLES >> PAGE_BITS);
        memset(tdx->state + (FW_SEGMENT >> PAGE_BITS), PG_FIRMWARE,
               (MiB - FW_SEGMENT) >> PAGE_BITS);
        copy_ram();
        scrub_shared();
        qatomic_set(&tdx->active, true);
        info_report("tdx-emu: active, %" PRIu64 " MiB private, shared bit %d",
                    tdx->npages >> 8, GPAW - 1);
    }
    end_exclusive();
    cpu_exec_start(cs);
    /* at once, or this CPU would fetch from where its code was before */
    tlb_flush(cs);
    tlb_flush_all_cpus_synced(cs);
}

bool tdx_emu_enter(CPUState *cs)
{
    if (!tdx || !X86_CPU(cs)->tdx_emu.enabled) {
        return false;
    }
    if (!qatomic_read(&tdx->active)) {
        tdx_launch(cs);
    }
    return true;
}

static void tdx_reset(void *opaque)
{
    if (tdx->active) {
        qatomic_set(&tdx->active, false);
        memset(tdx->state, PG_ACCEPTED, tdx->npages);
        tdx->n_shared = tdx->n_pending = tdx->td_ctls = 0;
        discard(&tdx->priv, 0, tdx->npages);
    }
}

/* ---- statistics ---- */

static unsigned char *resident_pages(MemoryRegion *mr)
{
    unsigned char *vec = g_malloc0(tdx->npages);

    if (mincore(memory_region_get_ram_ptr(mr), tdx->npages << PAGE_BITS, vec)) {
        memset(vec, 0, tdx->npages);
    }
    return vec;
}

static uint64_t resident_bytes(MemoryRegion *mr)
{
    g_autofree unsigned char *vec = resident_pages(mr);
    uint64_t n = 0;

    for (uint64_t i = 0; i < tdx->npages; i++) {
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
    g_autofree unsigned char *vec = resident_pages(tdx->ram);
    uint64_t n = 0;

    for (uint64_t i = 0; tdx->active && i < tdx->npages; i++) {
        if ((vec[i] & 1) && !keep_shared(i) &&
            qatomic_read(&tdx->state[i]) != PG_SHARED && !n++) {
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
    return resident_bytes(&tdx->priv);
}

static uint64_t stat_shared(void)
{
    return resident_bytes(tdx->ram);
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
    return tdx->active;
}

static char *get_violation(Object *obj, Error **errp)
{
    return g_strdup(tdx->last_violation ?: "");
}

static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define C(name, field) { name, offsetof(TDXEmuState, field) }
    C("tdcalls", tdcalls), C("vmcalls", vmcalls),
    C("accepts-4k", accepts[0]), C("accepts-2m", accepts[1]),
    C("accepts-1g", accepts[2]), C("accepts-refused", accepts_refused),
    C("maps-shared-4k", maps[TDX_TO_SHARED][MAP_4K]),
    C("maps-shared-2m", maps[TDX_TO_SHARED][MAP_2M]),
    C("maps-shared-other", maps[TDX_TO_SHARED][MAP_OTHER]),
    C("maps-private-4k", maps[TDX_TO_PRIVATE][MAP_4K]),
    C("maps-private-2m", maps[TDX_TO_PRIVATE][MAP_2M]),
    C("maps-private-other", maps[TDX_TO_PRIVATE][MAP_OTHER]),
    C("pages-to-shared", converted[TDX_TO_SHARED]),
    C("pages-to-private", converted[TDX_TO_PRIVATE]),
    C("pages-unchanged", unchanged), C("pages-implicit", implicit),
    C("pages-shared", n_shared), C("pages-pending", n_pending),
    C("pages-shared-max", max_shared), C("violations", violations),
    C("retries-injected", retries), C("map-failures-injected", map_fails),
    C("accept-failures-injected", accept_fails),
}, knobs[] = {
    C("retry-private", faults.retry[TDX_TO_PRIVATE]),
    C("retry-shared", faults.retry[TDX_TO_SHARED]),
    C("fail-private", faults.fail[TDX_TO_PRIVATE]),
    C("fail-shared", faults.fail[TDX_TO_SHARED]),
    C("fail-private-at", faults.fail_at[TDX_TO_PRIVATE]),
    C("fail-shared-at", faults.fail_at[TDX_TO_SHARED]),
    C("stuck-private-at", faults.stuck_at[TDX_TO_PRIVATE]),
    C("stuck-shared-at", faults.stuck_at[TDX_TO_SHARED]),
    C("fail-accept", faults.accept), C("fail-accept-at", faults.accept_at),
#undef C
};

/* One line, for tests that read it when QEMU has ended */
static void tdx_exit(Notifier *n, void *unused)
{
    g_autoptr(GString) s = g_string_new("tdx-emu stats:");

    g_string_append_printf(s, " active=%d", tdx->active);
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        g_string_append_printf(s, " %s=%" PRIu64, counters[i].name,
            *(uint64_t *)((char *)tdx + counters[i].offset));
    }
    for (int i = 0; i < ARRAY_SIZE(computed); i++) {
        g_string_append_printf(s, " %s=%" PRIu64, computed[i].name,
                               computed[i].get());
    }
    fprintf(stderr, "%s\n", s->str);
}

/* ---- set-up ---- */

MemoryRegion *tdx_emu_private_mr(void)
{
    return &tdx->priv;
}

static void add_properties(Object *obj)
{
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        object_property_add_uint64_ptr(obj, counters[i].name,
            (uint64_t *)((char *)tdx + counters[i].offset), OBJ_PROP_FLAG_READ);
    }
    for (int i = 0; i < ARRAY_SIZE(knobs); i++) {
        object_property_add_uint64_ptr(obj, knobs[i].name,
            (uint64_t *)((char *)tdx + knobs[i].offset),
            OBJ_PROP_FLAG_READWRITE);
    }
    for (uintptr_t i = 0; i < ARRAY_SIZE(computed); i++) {
        object_property_add(obj, computed[i].name, "uint64", get_computed,
                            NULL, NULL, (void *)i);
    }
    object_property_add_bool(obj, "active", get_active, NULL);
    object_property_add_str(obj, "last-violation", get_violation, NULL);
}

bool tdx_emu_cpu_realize(X86CPU *cpu, Error **errp)
{
    MemoryRegion *ram = current_machine->ram;
    Object *obj;

    if (tdx) {
        return true;
    }
    if (!ram || !memory_region_is_ram(ram)) {
        error_setg(errp, "x-tdx-emu needs a machine with one RAM backend");
        return false;
    }
    tdx = g_new0(TDXEmuState, 1);
    tdx->ram = ram;
    tdx->npages = memory_region_size(ram) >> PAGE_BITS;
    tdx->state = g_malloc0(tdx->npages);
    tdx->ve = cpu->tdx_emu.ve;
    tdx->strict = cpu->tdx_emu.strict;
    tdx->accept_4k = cpu->tdx_emu.accept_4k;
    tdx->faults = cpu->tdx_emu.faults;
    qemu_mutex_init(&tdx->lock);
    if (!memory_region_init_ram_nomigrate(&tdx->priv, OBJECT(current_machine),
                                          "tdx-private",
                                          memory_region_size(ram), errp)) {
        return false;
    }
    /* Or the host would fill the holes that freed pages leave. */
    qemu_madvise(memory_region_get_ram_ptr(&tdx->priv),
                 memory_region_size(ram), QEMU_MADV_NOHUGEPAGE);
    obj = object_new(TYPE_CONTAINER);
    object_property_add_child(OBJECT(current_machine), "tdx-emu", obj);
    add_properties(obj);
    tdx->exit.notify = tdx_exit;
    qemu_add_exit_notifier(&tdx->exit);
    qemu_register_reset(tdx_reset, NULL);
    return true;
}
