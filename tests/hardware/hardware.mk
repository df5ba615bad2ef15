# SPDX-License-Identifier: GPL-2.0-only
# The acceptance kit for real hardware. See docs/hardware.md.
## check-hardware: cases in confidential guests by KVM, and a report; skipped where there's no SEV-SNP or TDX
## check-hardware-kit: the acceptance kit itself, with emulated guests in the hardware's place

.PHONY: check-hardware check-hardware-kit check-hardware-kit-short check-hardware-probe
check-hardware:
	$(Q)tests/hardware/check-hardware || test $$? = 4

check-hardware-kit: check-hardware-probe
	$(Q)tests/hardware/test-machine
	$(Q)tests/hardware/check-hardware --stand-in tdx
	$(Q)tests/hardware/check-hardware --stand-in snp

check-hardware-kit-short:
	$(Q)tests/hardware/test-machine
	$(Q)tests/hardware/check-hardware --stand-in snp --short

check-hardware-probe:
	$(Q)tests/hardware/test-probe

check-unit: check-hardware-probe
