# SPDX-License-Identifier: GPL-2.0-only
## check-contrib: what contrib/ has for AppArmor, SELinux, libvirt, cloud-init, Ansible and RPM, read by these
## check-apparmor: cswapd confined by its AppArmor profile, in a virtual machine (root; slow)

.PHONY: check-contrib check-apparmor check-static check-slow
check-contrib:
	$(Q)tests/contrib/test_contrib.sh

check-static: check-contrib

check-apparmor:
	$(Q)tests/contrib/test_apparmor.sh || [ $$? = 4 ]

check-slow: check-apparmor
