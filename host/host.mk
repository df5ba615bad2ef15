# SPDX-License-Identifier: GPL-2.0-only
# What runs on the host: cswapd, the store daemon; cswapctl, the operator's view of it; cswap-balancer,
# which divides the host's memory.
## host: build the host's programs
## install: install the host's programs, man pages and units (PREFIX, DESTDIR)

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(PREFIX)/share/man
LIBEXECDIR ?= $(PREFIX)/libexec/virtio-cswap
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
INSTALL ?= install

# What the programs say that they are. The commit is nobody's choice, so it's looked up each time.
cswap_commit := $(shell git -C $(CURDIR) rev-parse --short=12 HEAD 2>/dev/null)
cswap_found_version := $(shell cat VERSION)$(if $(cswap_commit), ($(cswap_commit)))
$(out)/obj/host/common/version.o: OBJ_CFLAGS := -DCSWAP_FOUND_VERSION='"$(cswap_found_version)"'
$(out)/obj/host/common/version.o: $(out)/version
$(out)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(cswap_found_version) $(CPPFLAGS)' | cmp -s - $@ || echo '$(cswap_found_version) $(CPPFLAGS)' >$@
.PHONY: FORCE
FORCE:

CSWAPD_LIBS = $(shell $(PKG_CONFIG) --libs liburing libsystemd json-c libseccomp blkid) -lpthread
# What the daemons share.
COMMON_OBJS := $(patsubst %,$(out)/obj/host/common/%.o,ctl listener log signature version)
# The threads that serve: host/cswapd/serve/worker_parts.h.
WORKER_PARTS := $(addprefix serve/worker,.o _answer.o _attach.o _control.o _loop.o _op.o _owed.o _pair.o _request.o _ring.o)
# All of cswapd but main(); the tests link these as well.
CSWAPD_PARTS := conf.o daemon.o $(WORKER_PARTS) serve/device.o \
	$(addprefix frontend/,dirty_log.o memory.o sealed_file.o vhost_user.o vhost_user_move.o vhost_user_ring.o vu_message.o) $(addprefix rings/,inflight.o vring.o) \
	$(addprefix store/,nbd_claim.o nbd_conn.o nbd_dial.o nbd_hello.o owed.o store.o store_block.o store_file.o store_files.o \
		store_found.o store_lock.o store_mem.o store_nbd.o store_place.o store_slots.o store_tagged.o store_uring.o tags_file.o tags_mem.o \
		tags_room.o) \
	$(addprefix frontend/,handover.o) life/device_state.o \
	$(addprefix balloon/,balloon.o blockmap.o measure.o) $(addprefix operator/,command.o health.o) \
	$(addprefix life/,fdstore.o keep.o link.o monitor.o monitor_kept.o monitor_talk.o own_memory.o sandbox.o \
		watchdog.o)
CSWAPD_OBJS := $(CSWAPD_PARTS:%=$(out)/obj/host/cswapd/%) $(COMMON_OBJS)
$(out)/obj/host/cswapd/%.o: OBJ_CFLAGS := -Ihost/cswapd

$(out)/cswapd: LIBS = $(CSWAPD_LIBS)
$(out)/cswapd: $(CSWAPD_OBJS) $(out)/obj/host/cswapd/cswapd.o
	$(link)

CSWAPCTL_OBJS := $(patsubst %,$(out)/obj/host/cswapctl/%.o,\
	balancer connection cswapctl found guest instances list metrics print screen shrink status stores top) \
	$(patsubst %,$(out)/obj/host/common/%.o,signature version)

$(out)/cswapctl: LIBS = $(shell $(PKG_CONFIG) --libs json-c libsystemd)
$(out)/cswapctl: $(CSWAPCTL_OBJS)
	$(link)

BALANCER_PARTS := answers check config guests host modes notes policy requests
BALANCER_OBJS := $(BALANCER_PARTS:%=$(out)/obj/host/cswap-balancer/%.o) $(COMMON_OBJS)

$(out)/cswap-balancer: LIBS = $(shell $(PKG_CONFIG) --libs libsystemd json-c)
$(out)/cswap-balancer: $(BALANCER_OBJS) $(out)/obj/host/cswap-balancer/cswap_balancer.o
	$(link)

$(out)/io-flusher: $(out)/obj/host/cswapd-nbd/io_flusher.o
	$(link)

.PHONY: host install
host:: $(out)/cswap-balancer
host:: $(out)/cswapd $(out)/cswapctl $(out)/io-flusher

install:: $(out)/cswapd $(out)/cswapctl $(out)/cswap-balancer $(out)/io-flusher
	$(INSTALL) -D -m 755 $(out)/cswapd $(DESTDIR)$(SBINDIR)/cswapd
	$(INSTALL) -D -m 755 $(out)/cswapctl $(DESTDIR)$(BINDIR)/cswapctl
	$(INSTALL) -D -m 755 $(out)/cswap-balancer $(DESTDIR)$(SBINDIR)/cswap-balancer
	$(INSTALL) -D -m 644 host/cswap-balancer/cswap-balancer.8 $(DESTDIR)$(MANDIR)/man8/cswap-balancer.8
	$(INSTALL) -D -m 644 host/cswapctl/cswapctl.1 $(DESTDIR)$(MANDIR)/man1/cswapctl.1
	$(INSTALL) -D -m 644 host/cswapctl/cswapctl.bash $(DESTDIR)$(COMPLETIONDIR)/cswapctl
	$(INSTALL) -D -m 644 host/cswapctl/grafana.json $(DESTDIR)$(DATADIR)/virtio-cswap/grafana.json
	$(INSTALL) -D -m 644 host/cswapctl/cswap.rules.yml $(DESTDIR)$(DATADIR)/virtio-cswap/cswap.rules.yml
	$(INSTALL) -D -m 644 host/cswapd/cswapd.8 $(DESTDIR)$(MANDIR)/man8/cswapd.8
	$(INSTALL) -d $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(SBINDIR)|g' host/cswap-balancer/cswap-balancer.service \
		>$(DESTDIR)$(UNITDIR)/cswap-balancer.service
	sed 's|@BINDIR@|$(BINDIR)|' host/cswapctl/cswap-metrics.service >$(DESTDIR)$(UNITDIR)/cswap-metrics.service
	$(INSTALL) -m 644 host/cswapctl/cswap-metrics.timer $(DESTDIR)$(UNITDIR)/cswap-metrics.timer
	sed 's|@SBINDIR@|$(SBINDIR)|; s|@LIBEXECDIR@|$(LIBEXECDIR)|' host/cswapd/cswapd@.service >$(DESTDIR)$(UNITDIR)/cswapd@.service
	$(INSTALL) -m 644 host/cswapd-nbd/cswapd-nbd@.service $(DESTDIR)$(UNITDIR)/cswapd-nbd@.service
	$(INSTALL) -D -m 755 host/cswapd-nbd/rbd-unlock $(DESTDIR)$(LIBEXECDIR)/rbd-unlock
	$(INSTALL) -m 755 $(out)/io-flusher $(DESTDIR)$(LIBEXECDIR)/io-flusher
	$(INSTALL) -d $(DESTDIR)$(DATADIR)/virtio-cswap/stores
	for example in host/cswapd-nbd/examples/*.conf; do \
		sed 's|@LIBEXECDIR@|$(LIBEXECDIR)|' $$example \
			>$(DESTDIR)$(DATADIR)/virtio-cswap/stores/$${example##*/} || exit; done
	for example in apparmor/usr.sbin.cswapd apparmor/libvirt-qemu.local selinux/cswap_svirt.te libvirt/qemu \
			cloud-init/guest.yaml ansible/host.yml ansible/guest.yml pull/cswap-pull pull/README.md; do \
		mode=644; [ ! -x contrib/$$example ] || mode=755; \
		$(INSTALL) -D -m $$mode contrib/$$example $(DESTDIR)$(DATADIR)/virtio-cswap/contrib/$$example || exit; done
