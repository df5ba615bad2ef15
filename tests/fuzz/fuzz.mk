# SPDX-License-Identifier: GPL-2.0-only
# Coverage-guided fuzzers of what the daemon reads from strangers: libFuzzer, by clang, around the
# daemon's own objects. tests/fuzz/run says what they are run with.

fuzzers := rings requests vhost_user control state monitor nbd move
fuzz_programs := $(fuzzers:%=$(out)/fuzz_%)

$(out)/obj/tests/fuzz/%.o: OBJ_CFLAGS := -Ihost/cswapd -Itests/faulty
$(fuzz_programs): LIBS = $(CSWAPD_LIBS)
$(fuzz_programs): LDFLAGS += -fsanitize=fuzzer $(FUZZ_LDFLAGS)
fuzz_objects := $(out)/obj/tests/fuzz/bench.o $(CSWAPD_OBJS) \
	$(patsubst %,$(out)/obj/tests/faulty/%.o,fault_spec store_fault)
$(filter-out %/fuzz_monitor,$(fuzz_programs)): $(out)/fuzz_%: $(out)/obj/tests/fuzz/fuzz_%.o $(fuzz_objects)
	$(link)

# It has this part of the monitor in it, to call what is private to it.
$(out)/fuzz_monitor: $(out)/obj/tests/fuzz/fuzz_monitor.o $(filter-out %/monitor_talk.o,$(fuzz_objects))
	$(link)

.PHONY: fuzz fuzz-programs fuzz-coverage check-fuzz
fuzz-programs: $(fuzz_programs)

FUZZ_SECONDS ?= 3600
# What only clang has, in folders of its own.
fuzz_make = $(MAKE) --no-print-directory CC=clang
## fuzz: run each fuzzer for FUZZ_SECONDS (3600)
fuzz:
	$(Q)$(fuzz_make) O=$(O)/fuzz SAN=1 CFLAGS=-fsanitize=fuzzer-no-link fuzz-programs
	$(Q)tests/fuzz/run $(O)/fuzz/san $(FUZZ_SECONDS) $(fuzzers)

## check-fuzz: the fuzzers' corpora, and a few seconds of new inputs
check-fuzz:
	$(Q)$(MAKE) --no-print-directory FUZZ_SECONDS=10 fuzz

## fuzz-coverage: how much of the code behind each boundary the corpora reach
fuzz-coverage:
	$(Q)$(fuzz_make) O=$(O)/fuzz-coverage \
		CFLAGS='-fprofile-instr-generate -fcoverage-mapping' \
		FUZZ_LDFLAGS=-fprofile-instr-generate fuzz-programs
	$(Q)tests/fuzz/coverage $(O)/fuzz-coverage $(fuzzers)
