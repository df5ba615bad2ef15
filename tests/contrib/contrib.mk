# SPDX-License-Identifier: GPL-2.0-only
## check-contrib: what contrib/ has for AppArmor, SELinux, libvirt, cloud-init, Ansible and RPM, read by these

.PHONY: check-contrib check-static
check-contrib:
	$(Q)tests/contrib/test_contrib.sh

check-static: check-contrib
