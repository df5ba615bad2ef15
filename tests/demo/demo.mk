# SPDX-License-Identifier: GPL-2.0-only
# The demo: Redis in a guest that is too small for it, and a host that listens; then one that gives
# half of its memory to its host and takes it back.
## demo: a small confidential guest swaps a data set larger than its memory, what the host saw is searched; then the balloon (DEMO_GUEST=tdx|snp|vm|uml, DEMO_SIZE=small)
## demo-balloon: the second act of the demo alone, the balloon (DEMO_GUEST=tdx|snp|vm|uml)

.PHONY: demo demo-balloon
demo:
	tests/demo/demo

demo-balloon:
	tests/demo/balloon

$(out)/guest/redis-data: $(out)/obj/tests/demo/redis_data.o
	$(link)

$(out)/obj/tests/demo/%.o: OBJ_CFLAGS := -Ihost/cswapd -Itests/faulty
$(out)/find-text: $(out)/obj/tests/demo/find_text.o
	$(link)

.PHONY: bed-programs
bed-programs:: $(out)/guest/redis-data $(out)/find-text

$(out)/tests/test_eavesdrop: LIBS = $(CSWAPD_LIBS) -lcmocka
$(out)/tests/test_eavesdrop: LDFLAGS += $(EAVESDROP_LDFLAGS)
$(out)/tests/test_eavesdrop: $(out)/obj/tests/demo/test_eavesdrop.o $(CSWAPD_OBJS) \
		$(out)/obj/tests/faulty/eavesdrop.o
	$(link)

.PHONY: check-unit check-eavesdrop
check-eavesdrop: $(out)/tests/test_eavesdrop
	$(Q)$<

check-unit: check-eavesdrop
