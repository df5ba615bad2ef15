# SPDX-License-Identifier: GPL-2.0-only
# Putting the driver into a guest: its source for DKMS, and what makes its disk swap by itself.
## install-guest: the driver's source for DKMS, udev rule, units and guard (DESTDIR=, then: dkms install)

cswap_version := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' guest/dkms.conf)
GUEST_UNITDIR ?= /usr/lib/systemd/system
guest_sleepdir = $(dir $(GUEST_UNITDIR))sleep.conf.d
dkms_source = $(DESTDIR)/usr/src/virtio-cswap-$(cswap_version)

.PHONY: install-guest
install-guest:
	install -d $(dkms_source)/guest $(dkms_source)/include/uapi/linux
	install -m 0644 guest/dkms.conf $(dkms_source)/
	install -m 0644 guest/*.[ch] guest/Kbuild guest/Kconfig $(dkms_source)/guest/
	install -m 0644 include/uapi/linux/virtio_cswap.h $(dkms_source)/include/uapi/linux/
	install -D -m 0755 guest/cswap-swapon $(DESTDIR)/usr/lib/cswap/cswap-swapon
	install -D -m 0755 guest/cswap-reclaim $(DESTDIR)/usr/lib/cswap/cswap-reclaim
	install -D -m 0644 guest/59-cswap.rules $(DESTDIR)/usr/lib/udev/rules.d/59-cswap.rules
	install -D -m 0644 guest/cswap-swapon@.service \
		$(DESTDIR)$(GUEST_UNITDIR)/cswap-swapon@.service
	install -D -m 0644 guest/cswap-reclaim.service \
		$(DESTDIR)$(GUEST_UNITDIR)/cswap-reclaim.service
	install -D -m 0755 guest/cswap-guard $(DESTDIR)/usr/sbin/cswap-guard
	install -D -m 0644 guest/cswap-guard.8 $(DESTDIR)/usr/share/man/man8/cswap-guard.8
	install -D -m 0644 guest/cswap-guard@.service $(DESTDIR)$(GUEST_UNITDIR)/cswap-guard@.service
	install -D -m 0644 guest/cswap-guard.swap.conf $(DESTDIR)$(GUEST_UNITDIR)/swap.d/50-cswap-guard.conf
	install -D -m 0644 guest/cswap-guard.sleep.conf $(DESTDIR)$(guest_sleepdir)/50-cswap-guard.conf
	install -D -m 0644 guest/cswap-guard.initramfs $(DESTDIR)/etc/initramfs-tools/conf.d/zz-cswap-guard
