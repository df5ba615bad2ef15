# SPDX-License-Identifier: GPL-2.0-only
# The malicious device: cswapd with lies around its rings.

EVIL_LDFLAGS := -Wl,--wrap=vring_pop,--wrap=vring_push,--wrap=vring_call_due,--wrap=vring_attach \
	-Wl,--wrap=worker_start,--wrap=worker_attach,--wrap=worker_detach \
	-Wl,--wrap=memory_remove,--wrap=memory_clear

$(out)/obj/tests/evil/%.o: OBJ_CFLAGS := -Ihost/cswapd -Itests/faulty
$(out)/cswapd-evil: LIBS = $(CSWAPD_LIBS)
$(out)/cswapd-evil: LDFLAGS += $(EVIL_LDFLAGS)
$(out)/cswapd-evil: $(CSWAPD_OBJS) \
		$(patsubst %,$(out)/obj/tests/evil/%.o,cswapd_evil heard liar lies rings)
	$(link)

$(out)/find-key: $(out)/obj/tests/evil/find_key.o
	$(link)

bed-programs:: $(out)/cswapd-evil $(out)/find-key
