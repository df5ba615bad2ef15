# SPDX-License-Identifier: GPL-2.0-only
# What runs in guests: the driver, in User-Mode Linux and in QEMU.
## check-uml: the cases that run in User-Mode Linux (debug kernels)
## check-vm: the cases that run in QEMU, with Debian's kernels
## check-builtin: a kernel with the driver in its tree, built in and as a module, swaps (builds two kernels)
## check-slow: the cases that check leaves out, more kernels and more variants (confidential guests: check-tdx, check-snp)

$(out)/guest/swap_verify: LIBS := -lpthread
$(out)/guest/swap_verify: $(out)/obj/tests/selftests/cswap/swap_verify.o
	$(link)
bed-programs:: $(out)/guest/swap_verify

.PHONY: check-uml check-vm check-builtin check-slow
check-uml:
	$(Q)tests/cases/run --jobs 3 --bed uml --bed uml-debug --bed uml-smp

check-vm:
	$(Q)tests/cases/run --bed vm

check-builtin:
	$(Q)tests/cases/run --slow --bed uml-builtin --bed uml-module

check-slow:
	$(Q)$(MAKE) SAN=1 check-unit
	$(Q)tests/bed/build-kselftests
	$(Q)tests/cases/run --only-slow --bed uml --bed uml-debug --bed uml-smp --bed uml-builtin \
		--bed uml-module --bed vm
