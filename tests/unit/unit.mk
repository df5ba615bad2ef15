# SPDX-License-Identifier: GPL-2.0-only
# Tests of the driver's pure code, compiled as it is in userspace.
## check-slots: slot records: every interleaving of few actors, random runs, threads
## check-explore: slot records: every interleaving of more actors, longer random runs, a minute
## check-mutants: faults put into the pure code, each must be found
## check-blocks: the balloon's blocks: every interleaving, random runs
## check-policy: how large the balloon may be, and what a guest feels of it
## check-wire: what the driver builds and refuses, byte by byte
## check-confidential: which guests are taken for confidential
## check-epochs: the counter of stores and its keys
## check-deep: slot records in larger configurations, groups of three among them, minutes

unit_slots := $(out)/obj/tests/unit/slots_hooked.o
$(out)/obj/tests/unit/%.o: OBJ_CFLAGS := $(SHIM_CFLAGS)
$(out)/obj/guest/%.o: OBJ_CFLAGS := $(SHIM_CFLAGS)

$(out)/tests/explore_slots: $(out)/obj/tests/unit/explore_slots.o $(unit_slots)
	$(link)

$(out)/tests/random_slots: LIBS := -lpthread
$(out)/tests/random_slots: $(out)/obj/tests/unit/random_slots.o $(unit_slots)
	$(link)

# The same sources under TSan, which doesn't mix with SAN=1.
$(out)/tests/random_slots_tsan: tests/unit/random_slots.c tests/unit/slots_hooked.c \
		tests/unit/slots_model.h tests/unit/slots_hooked.h $(wildcard guest/cswap_slots.[ch])
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD      $(notdir $@)")
	$(Q)$(CC) -std=gnu11 -g -O1 -fsanitize=thread -D_GNU_SOURCE -Iinclude/uapi $(SHIM_CFLAGS) \
		-o $@ $(filter %.c,$(wordlist 1,2,$^)) -lpthread

$(out)/tests/test_wire: LIBS = $(shell $(PKG_CONFIG) --libs cmocka) -lpthread
$(out)/tests/test_wire: $(out)/obj/tests/unit/test_wire.o $(out)/obj/guest/cswap_wire.o
	$(link)

$(out)/tests/test_wire_fetch: LIBS = $(shell $(PKG_CONFIG) --libs cmocka)
$(out)/tests/test_wire_fetch: $(out)/obj/tests/unit/test_wire_fetch.o
	$(link)

$(out)/tests/explore_blocks: $(out)/obj/tests/unit/explore_blocks.o $(out)/obj/guest/cswap_blocks.o
	$(link)

$(out)/tests/test_policy: LIBS = $(shell $(PKG_CONFIG) --libs cmocka)
$(out)/tests/test_policy: $(out)/obj/tests/unit/test_policy.o $(out)/obj/guest/cswap_policy.o
	$(link)

$(out)/tests/test_confidential: LIBS = $(shell $(PKG_CONFIG) --libs cmocka)
$(out)/tests/test_confidential: $(out)/obj/tests/unit/test_confidential.o
	$(link)

$(out)/tests/test_epochs: LIBS = $(shell $(PKG_CONFIG) --libs cmocka) -lpthread
$(out)/tests/test_epochs: $(out)/obj/tests/unit/test_epochs.o $(out)/obj/guest/cswap_epochs.o
	$(link)

.PHONY: check-unit check-slow check-slots check-explore check-blocks check-policy check-mutants check-wire check-epochs check-confidential check-deep
check-slots: $(addprefix $(out)/tests/,explore_slots random_slots random_slots_tsan)
	$(Q)$(out)/tests/explore_slots --small
	$(Q)$(out)/tests/random_slots --steps 100000
	$(Q)$(out)/tests/random_slots --threads --steps 20000
	$(Q)$(out)/tests/random_slots_tsan --threads --steps 10000

check-explore: $(addprefix $(out)/tests/,explore_slots random_slots random_slots_tsan)
	$(Q)$(out)/tests/explore_slots
	$(Q)$(out)/tests/random_slots
	$(Q)$(out)/tests/random_slots --threads --steps 50000
	$(Q)$(out)/tests/random_slots_tsan --threads --steps 20000

check-blocks: $(out)/tests/explore_blocks
	$(Q)$(out)/tests/explore_blocks

check-policy: $(out)/tests/test_policy
	$(Q)$(out)/tests/test_policy

check-mutants: $(addprefix $(out)/obj/tests/unit/,explore_slots.o explore_blocks.o test_policy.o test_wire.o test_epochs.o)
	$(Q)CC="$(CC)" CFLAGS="$(CSWAP_CFLAGS) $(CSWAP_LDFLAGS) $(SHIM_CFLAGS)" \
		tests/unit/mutants $(<D) $(out)/mutants

check-wire: $(out)/tests/test_wire $(out)/tests/test_wire_fetch
	$(Q)$(out)/tests/test_wire
	$(Q)$(out)/tests/test_wire_fetch

check-epochs: $(out)/tests/test_epochs
	$(Q)$<

check-confidential: $(out)/tests/test_confidential
	$(Q)$<

check-deep: $(addprefix $(out)/tests/,explore_slots random_slots)
	$(Q)$(out)/tests/explore_slots --deep
	$(Q)$(out)/tests/random_slots --steps 20000000

check-unit: check-slots check-wire check-blocks check-policy check-epochs check-confidential

check-slow: check-deep
