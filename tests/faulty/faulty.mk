# SPDX-License-Identifier: GPL-2.0-only
# cswapd-faulty: the daemon's own objects, lying on demand: by its variant (host/cswapd/daemon.h), a
# store around the store, and functions that stand around the daemon's.

$(out)/obj/tests/faulty/%.o: OBJ_CFLAGS := -Ihost/cswapd

# What eavesdrop.c stands around.
EAVESDROP_LDFLAGS = -Wl,--wrap=vring_pop,--wrap=vring_push,--wrap=memory_remove,--wrap=memory_clear

$(out)/cswapd-faulty: LIBS = $(CSWAPD_LIBS)
$(out)/cswapd-faulty: LDFLAGS += $(EAVESDROP_LDFLAGS)
$(out)/cswapd-faulty: $(CSWAPD_OBJS) \
		$(patsubst %,$(out)/obj/tests/faulty/%.o,fault_spec store_fault balloon_fault eavesdrop bad_config cswapd_faulty)
	$(link)

host:: $(out)/cswapd-faulty
