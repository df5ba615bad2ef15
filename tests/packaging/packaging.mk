# SPDX-License-Identifier: GPL-2.0-only
# What gets installed in a guest, or into a kernel tree.
## check-packaging: swapping on, DKMS layout, kernel tree, kselftests without a device

.PHONY: check-packaging check-unit
check-packaging:
	$(Q)tests/packaging/test_swapon.sh
	$(Q)tests/packaging/test_packaging.sh

check-unit:: check-packaging
