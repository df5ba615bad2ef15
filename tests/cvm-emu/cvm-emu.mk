# SPDX-License-Identifier: GPL-2.0-only
# The emulated confidential guests. See tests/cvm-emu/README.md.
## check-tdx: all that runs in the emulated TDX guest, on both of its kernels
## check-snp: all that runs in the emulated SEV-SNP guest, on its three kernels
## check-cvm-short: the parts of check-tdx and check-snp that check runs

.PHONY: check-tdx check-snp check-cvm-short
check-tdx check-snp: check-%:
	$(Q)tests/cvm-emu/micro/run $*
	$(Q)tests/cvm-emu/micro/run $* exits
	$(Q)tests/cvm-emu/canary-check $*
	$(Q)tests/cases/run --slow --bed $*

check-cvm-short:
	$(Q)for vendor in tdx snp; do for mode in "" exits; do tests/cvm-emu/micro/run $$vendor $$mode || exit; done; done
	$(Q)tests/cases/run --bed tdx --bed snp
