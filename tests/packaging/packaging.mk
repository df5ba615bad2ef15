# SPDX-License-Identifier: GPL-2.0-only
# What gets installed in a guest, or into a kernel tree.
## check-packaging: swapping on, gentle reclaim, DKMS layout, the packages' scripts, kernel tree, kselftests without a device
## check-cswapd-unit: cswapd inside its unit, started by systemd (root)
## check-installed: DKMS on three kernels, and a guest that boots with systemd and swaps by itself (slow)
## check-guides: in a clean Debian 13 and a clean Debian 12 the commands of README and guides are typed (root; slow)
## check-guard: a guest to which the host offers plain swap, with cswap-guard and without it (root; slow)
## check-module-deb: a package with the module built for one kernel: built, signed, installed, removed (root; slow)
## deb: build the Debian packages, into build/deb
## check-deb: the packages built, installed, used, upgraded under load, removed (root; slow)

.PHONY: check-packaging check-cswapd-unit check-installed check-deb check-guides check-guard check-module-deb check-unit check-slow deb
deb:
	$(Q)tests/packaging/build-deb $(O)/deb

check-deb:
	$(Q)tests/packaging/test_deb.sh || [ $$? = 4 ]

check-packaging: $(addprefix $(out)/,cswapd cswapctl cswap-balancer cswap-seal)
	$(Q)tests/packaging/test_version.sh $^
	$(Q)tests/packaging/test_swapon.sh
	$(Q)tests/packaging/test_guard_rules.sh
	$(Q)tests/packaging/test_reclaim.sh
	$(Q)tests/packaging/test_packaging.sh
	$(Q)tests/packaging/test_scripts.sh

check-cswapd-unit:
	$(Q)tests/packaging/test_unit.sh

check-installed:
	$(Q)tests/packaging/test_installed.sh || [ $$? = 4 ]

check-guides:
	$(Q)tests/packaging/test_guides.sh || [ $$? = 4 ]

check-guard:
	$(Q)tests/packaging/test_guard.sh || [ $$? = 4 ]

check-module-deb:
	$(Q)tests/packaging/test_module_deb.sh || [ $$? = 4 ]

check-slow: check-installed check-deb check-guides check-guard check-module-deb

check-unit: check-packaging
