# SPDX-License-Identifier: GPL-2.0-only
# The emulated TDX guest. See tests/cvm-emu/README.md.
## check-tdx: all that runs in the emulated TDX guest, on both of its kernels
## check-tdx-short: the part of check-tdx that check runs

.PHONY: check-tdx check-tdx-short
check-tdx:
	$(Q)tests/cvm-emu/canary-check
	$(Q)tests/cases/run --slow --bed tdx

check-tdx-short:
	$(Q)tests/cases/run --bed tdx
