/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * confidential.h - is this guest's memory kept from its host? Each architecture says
 * it in its own way.
 */
#ifndef CSWAP_CONFIDENTIAL_H
#define CSWAP_CONFIDENTIAL_H

#include <linux/cc_platform.h>
#ifdef CONFIG_S390
#include <asm/uv.h>
#endif

static inline bool cswap_guest_is_confidential(void)
{
#ifdef CONFIG_S390
	/* a protected guest is no platform of cc_platform_has() */
	if (is_prot_virt_guest())
		return true;
#endif
	/* on x86 the second is true of a host with SME as well, on arm64 of realms alone */
	return cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT) ||
	       (IS_ENABLED(CONFIG_ARM64) && cc_platform_has(CC_ATTR_MEM_ENCRYPT));
}

#endif /* CSWAP_CONFIDENTIAL_H */
