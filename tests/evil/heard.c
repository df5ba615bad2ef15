// SPDX-License-Identifier: GPL-2.0-only
/*
 * heard.c - the eavesdropper of cswapd-faulty, standing between rings.c and the rings.
 *
 * Only one can be around a function by the linker's --wrap, so that one calls the other.
 */
#define __wrap_vring_pop heard_vring_pop
#define __wrap_vring_push heard_vring_push
#define __wrap_memory_remove heard_memory_remove
#define __wrap_memory_clear heard_memory_clear

#include "../faulty/eavesdrop.c"
