/* SPDX-License-Identifier: GPL-2.0-only */
/* asm/uv.h - the ultravisor of s390; the test says whether the guest is one of its. */
#ifndef SHIM_ASM_UV_H
#define SHIM_ASM_UV_H

int is_prot_virt_guest(void);

#endif
