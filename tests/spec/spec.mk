# SPDX-License-Identifier: GPL-2.0-only
# The specification's chapter against the header, and in itself.
## check-spec: the specification agrees with the header, and the description of sysfs with the driver
## check-spec-mutants: faults put into the chapter and the header, each must be found
## spec: the chapter as PDF, in build/virtio-cswap.pdf (Debian: texlive-latex-base)
## check-latex: LaTeX compiles the chapter

.PHONY: check-spec check-spec-mutants check-latex check-unit check-slow
check-spec:
	$(Q)tests/spec/check-abi
	$(Q)tests/spec/check-claims
	$(Q)tests/spec/check-sysfs

check-spec-mutants:
	$(Q)tests/spec/test_check_abi.sh

.PHONY: spec
spec:
	$(Q)mkdir -p $(O)
	$(Q)tests/spec/compile --pdf $(O)/virtio-cswap.pdf

# Exit 4 is a skip, which has been said.
check-latex:
	$(Q)tests/spec/compile || [ $$? = 4 ]

check-unit: check-spec
check-slow: check-latex
