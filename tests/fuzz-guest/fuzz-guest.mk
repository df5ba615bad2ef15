# SPDX-License-Identifier: GPL-2.0-only
# Coverage-guided fuzzers of the driver's pure code, compiled as it is in userspace (clang's libFuzzer).
## fuzz-guest: fuzz what the driver makes of the device's words, FUZZ_SECONDS (600) for each fuzzer
## check-fuzz-guest: fuzz what the driver makes of the device's words, for a few seconds

FUZZ_GUEST := wire slots balloon epochs
fuzz_guest_sources := $(patsubst %,guest/cswap_%.c,wire slots blocks policy epochs)

$(out)/fuzz-guest/%: tests/fuzz-guest/fuzz_%.c tests/fuzz-guest/input.h $(fuzz_guest_sources) \
		$(wildcard guest/*.h)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD      fuzz-guest/$(notdir $@)")
	$(Q)clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		-D_GNU_SOURCE -Iinclude/uapi $(SHIM_CFLAGS) -o $@ $< $(fuzz_guest_sources)

.PHONY: fuzz-guest check-fuzz-guest check-unit
FUZZ_SECONDS ?= 600
fuzz-guest:
	$(Q)tests/fuzz-guest/run $(out)/fuzz-guest $(FUZZ_SECONDS) $(FUZZ_GUEST)

check-fuzz-guest:
	$(Q)tests/fuzz-guest/run $(out)/fuzz-guest 4 $(FUZZ_GUEST)

ifneq ($(SAN),)
check-unit: check-fuzz-guest
endif
