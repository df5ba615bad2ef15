/*
 * snp_emu_boot.c - an emulated SEV-SNP guest: what firmware leaves in memory.
 *
 * The confidential-computing blob, in the list of setup_data that the boot
 * protocol has, with a page of CPUID values and one of secrets (all zeros).
 * Linux takes the blob from there as well as from EFI's tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "cpu.h"
#include "tcg/cvm_emu.h"

#define PAGE_SZ 4096ull

/*
 * Pages of low memory, where neither SeaBIOS nor the kernel's loader has
 * anything: the blob, the secrets, the CPUID values; and one for EFI's tables.
 */
#define BLOB_AT    0x90000
#define SECRETS_AT 0x91000
#define CPUID_AT   0x92000
#define BLOB_END   (SNP_EMU_EFI_AT + PAGE_SZ)

/* Of the boot protocol: boot_params, struct setup_data, an entry of e820 */
#define BP_E820_ENTRIES 0x1e8
#define BP_MAGIC        0x202
#define BP_SETUP_DATA   0x250
#define BP_E820         0x2d0
#define E820_MAX        128
#define E820_ACPI       3               /* mapped with the C-bit, unlike RESERVED */
#define SETUP_CC_BLOB   7
#define CC_BLOB_MAGIC   0x45444d41      /* "AMDE" */

#define CPUID_ENTRIES   64

static void cpuid_entry(CPUX86State *env, uint8_t *table, uint32_t fn,
                        uint32_t sub)
{
    uint32_t n = ldl_le_p(table), r[4];
    uint8_t *e = table + 16 + 48 * n;

    cpu_x86_cpuid(env, fn, sub, &r[0], &r[1], &r[2], &r[3]);
    if (n == CPUID_ENTRIES || !(r[0] | r[1] | r[2] | r[3])) {
        return;
    }
    stl_le_p(e, fn);
    stl_le_p(e + 4, sub);
    stq_le_p(e + 8, fn == 0xd && sub < 2 ? 1 : 0);      /* XCR0 */
    for (int i = 0; i < 4; i++) {
        stl_le_p(e + 24 + 4 * i, r[i]);
    }
    stl_le_p(table, n + 1);
}

static void fill_cpuid(CPUX86State *env, uint8_t *table)
{
    uint32_t max[4];

    cpuid_entry(env, table, 0x80000000, 0);
    cpu_x86_cpuid(env, 0x80000000, 0, &max[0], &max[1], &max[2], &max[3]);
    for (uint32_t fn = 0x80000001; fn <= max[0]; fn++) {
        cpuid_entry(env, table, fn, 0);
    }
    cpuid_entry(env, table, 0x40000000, 0);
    cpu_x86_cpuid(env, 0, 0, &max[0], &max[1], &max[2], &max[3]);
    for (uint32_t fn = 0; fn <= max[0]; fn++) {
        cpuid_entry(env, table, fn, 0);
    }
    for (uint32_t sub = 1; sub < 20; sub++) {
        cpuid_entry(env, table, 0xd, sub);
    }
    for (uint32_t sub = 1; sub < 3; sub++) {
        cpuid_entry(env, table, 7, sub);
        cpuid_entry(env, table, 0xb, sub);
    }
}

/* boot_params lies anywhere, so a field of it may cross a page */
bool snp_emu_copy_private(hwaddr gpa, void *buf, size_t len, bool write)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t *p = cvm_emu_private_ptr(gpa + i, 1);

        if (!p) {
            return false;
        }
        *(write ? p : (uint8_t *)buf + i) = *(write ? (uint8_t *)buf + i : p);
    }
    return true;
}

/*
 * The kernel's first instructions ask for the status, with the address of its
 * boot_params in RSI, as the boot protocol has it.
 */
void snp_emu_install_blob(CPUX86State *env)
{
    hwaddr bp = env->regs[R_ESI];
    uint8_t *blob = cvm_emu_private_ptr(BLOB_AT, PAGE_SZ);
    uint8_t *secrets = cvm_emu_private_ptr(SECRETS_AT, PAGE_SZ);
    uint8_t *cpuid = cvm_emu_private_ptr(CPUID_AT, PAGE_SZ);
    uint8_t *cc = blob + 32, magic[4], entry[20], at[8], n = E820_MAX;

    if (!snp_emu_copy_private(bp + BP_MAGIC, magic, 4, false) ||
        memcmp(magic, "HdrS", 4)) {
        warn_report("cvm-emu: no boot_params at RSI 0x%" HWADDR_PRIx
                    ": a guest without a confidential-computing blob", bp);
        return;
    }
    memset(blob, 0, PAGE_SZ);
    memset(secrets, 0, PAGE_SZ);
    memset(cpuid, 0, PAGE_SZ);

    stl_le_p(cc, CC_BLOB_MAGIC);
    stq_le_p(cc + 8, SECRETS_AT);
    stl_le_p(cc + 16, PAGE_SZ);
    stq_le_p(cc + 24, CPUID_AT);
    stl_le_p(cc + 32, PAGE_SZ);
    stl_le_p(secrets, 3);               /* its version */
    fill_cpuid(env, cpuid);

    /* at the head of the list; where it went on is the first word of both */
    snp_emu_copy_private(bp + BP_SETUP_DATA, blob, 8, false);
    stl_le_p(blob + 8, SETUP_CC_BLOB);
    stl_le_p(blob + 12, 4);
    stl_le_p(blob + 16, BLOB_AT + 32);
    stq_le_p(at, BLOB_AT);
    snp_emu_copy_private(bp + BP_SETUP_DATA, at, 8, true);

    /* the higher type wins where entries overlap */
    snp_emu_copy_private(bp + BP_E820_ENTRIES, &n, 1, false);
    if (n < E820_MAX) {
        stq_le_p(entry, BLOB_AT);
        stq_le_p(entry + 8, BLOB_END - BLOB_AT);
        stl_le_p(entry + 16, E820_ACPI);
        snp_emu_copy_private(bp + BP_E820 + 20 * n++, entry, 20, true);
        snp_emu_copy_private(bp + BP_E820_ENTRIES, &n, 1, true);
    }
    if (env_archcpu(env)->cvm_emu.unaccepted) {
        snp_emu_install_efi(bp, env_archcpu(env)->cvm_emu.unaccepted);
    }
}
