/*
 * snp_emu_efi.c - an emulated SEV-SNP guest: memory that isn't accepted yet.
 *
 * With x-cvm-emu-unaccepted=MIB so much of the RAM below the initrd is left
 * unvalidated at launch, as a firmware leaves most of it.  Linux learns of it
 * from a table that its EFI stub makes of EFI's map of memory; the boot here
 * has no EFI, so what the stub would have left is made for it, in one page: a
 * system table with nothing in it but that configuration table, and a map.
 * The kernel must be told efi=noruntime, since there are no services behind
 * the table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "hw/boards.h"
#include "hw/i386/x86.h"
#include "tcg/cvm_emu.h"

/* In the page of SNP_EMU_EFI_AT: the tables, and the map of memory */
#define CONFIG_AT     0x080
#define VENDOR_AT     0x0c0
#define MAP_AT        0x100
#define UNACCEPTED_AT 0x200
#define BITMAP_AT     (UNACCEPTED_AT + 24)
#define BITMAP_MAX    (0x1000 - BITMAP_AT)

/* Of boot_params */
#define BP_ACPI_RSDP   0x070
#define BP_EFI_INFO    0x1c0
#define BP_INITRD      0x218

#define SYSTEM_TABLE_SIGNATURE 0x5453595320494249ull    /* "IBI SYST" */
#define EFI_REVISION           (2 << 16 | 70)
#define LOADER_SIGNATURE       0x34364c45               /* "EL64" */
#define MEMORY_CONVENTIONAL    7
#define MEMORY_UNACCEPTED      15
#define MEMORY_WB              8
#define DESCRIPTOR_SZ          48

#define UNIT     (2 * MiB)      /* a bit of the table */
#define LOWEST   (128 * MiB)    /* the kernel's own image is below */

/* d5d1de3c-105c-44f9-9ea9-bcef98120031 */
static const uint8_t unaccepted_guid[16] = {
    0x3c, 0xde, 0xd1, 0xd5, 0x5c, 0x10, 0xf9, 0x44,
    0x9e, 0xa9, 0xbc, 0xef, 0x98, 0x12, 0x00, 0x31,
};

static void put_descriptor(uint8_t *page, int n, unsigned type, hwaddr from,
                           hwaddr to)
{
    uint8_t *d = page + MAP_AT + n * DESCRIPTOR_SZ;

    stl_le_p(d, type);
    stq_le_p(d + 8, from);
    stq_le_p(d + 24, (to - from) >> 12);
    stq_le_p(d + 32, MEMORY_WB);
}

/* With an EFI the kernel doesn't look for ACPI's tables where a BIOS has them. */
static uint64_t find_rsdp(void)
{
    char at[8];

    for (hwaddr gpa = 0xe0000; gpa < MiB; gpa += 16) {
        address_space_read(&address_space_memory, gpa, MEMTXATTRS_UNSPECIFIED,
                           at, sizeof(at));
        if (!memcmp(at, "RSD PTR ", sizeof(at))) {
            return gpa;
        }
    }
    return 0;
}

static void put_tables(uint8_t *page, hwaddr from, hwaddr to, hwaddr end)
{
    static const char vendor[] = "c\0v\0m\0-\0e\0m\0u\0\0";

    memset(page, 0, 0x1000);
    stq_le_p(page, SYSTEM_TABLE_SIGNATURE);
    stl_le_p(page + 8, EFI_REVISION);
    stl_le_p(page + 12, 120);
    stq_le_p(page + 24, SNP_EMU_EFI_AT + VENDOR_AT);
    stl_le_p(page + 104, 1);
    stq_le_p(page + 112, SNP_EMU_EFI_AT + CONFIG_AT);
    memcpy(page + VENDOR_AT, vendor, sizeof(vendor));

    memcpy(page + CONFIG_AT, unaccepted_guid, 16);
    stq_le_p(page + CONFIG_AT + 16, SNP_EMU_EFI_AT + UNACCEPTED_AT);

    put_descriptor(page, 0, MEMORY_CONVENTIONAL, MiB, from);
    put_descriptor(page, 1, MEMORY_UNACCEPTED, from, to);
    put_descriptor(page, 2, MEMORY_CONVENTIONAL, to, end);

    stl_le_p(page + UNACCEPTED_AT, 1);                  /* version */
    stl_le_p(page + UNACCEPTED_AT + 4, UNIT);
    stq_le_p(page + UNACCEPTED_AT + 8, from);
    stq_le_p(page + UNACCEPTED_AT + 16, DIV_ROUND_UP((to - from) / UNIT, 64) * 8);
    for (uint64_t i = 0; i < (to - from) / UNIT; i++) {
        page[BITMAP_AT + i / 8] |= 1 << (i % 8);
    }
}

void snp_emu_install_efi(hwaddr bp, uint64_t mib)
{
    hwaddr end = X86_MACHINE(current_machine)->below_4g_mem_size - MiB;
    hwaddr initrd, from, to;
    uint8_t info[32] = { 0 }, word[8];

    snp_emu_copy_private(bp + BP_INITRD, word, 4, false);
    initrd = (uint32_t)ldl_le_p(word);
    to = QEMU_ALIGN_DOWN(initrd ? MIN(initrd, end) : end, UNIT);
    to = MIN(to, LOWEST + BITMAP_MAX * 8ull * UNIT);
    if (to <= LOWEST) {
        warn_report("cvm-emu: too little RAM to leave any unaccepted");
        return;
    }
    from = to - MIN(mib * MiB & -UNIT, to - LOWEST);
    put_tables(cvm_emu_private_ptr(SNP_EMU_EFI_AT, 0x1000), from, to, end);
    cvm_emu_leave_pending(from, to - from);
    info_report("cvm-emu: 0x%" HWADDR_PRIx " to 0x%" HWADDR_PRIx
                " isn't accepted", from, to);

    stl_le_p(info, LOADER_SIGNATURE);
    stl_le_p(info + 4, SNP_EMU_EFI_AT);
    stl_le_p(info + 8, DESCRIPTOR_SZ);
    stl_le_p(info + 12, 1);
    stl_le_p(info + 16, SNP_EMU_EFI_AT + MAP_AT);
    stl_le_p(info + 20, 3 * DESCRIPTOR_SZ);
    snp_emu_copy_private(bp + BP_EFI_INFO, info, sizeof(info), true);
    stq_le_p(word, find_rsdp());
    snp_emu_copy_private(bp + BP_ACPI_RSDP, word, 8, true);
}
