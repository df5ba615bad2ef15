# SPDX-License-Identifier: GPL-2.0-only
# virtio-cswap: swap and overcommit for confidential VMs. `make help` lists what there is.
#
# One make for everything in userspace: each part adds its targets in a fragment of its own
# (host/host.mk, guest/guest.mk, tests/*/*.mk). The guest module is built by Kbuild (guest/Kbuild).
#   O=DIR    where built things go (default: build)
#   SAN=1    build userspace with ASan and UBSan, into $(O)/san
#   V=1      show the commands

O ?= build
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
out := $(abspath $(if $(SAN),$(O)/san,$(O)))

# make has a CC of its own, which isn't a choice of anybody's.
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config
CSWAP_CFLAGS := -std=gnu11 -g -O2 -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	-Werror=implicit-function-declaration -fno-strict-aliasing -D_GNU_SOURCE -Iinclude/uapi -Ihost
ifneq ($(SAN),)
CSWAP_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CSWAP_LDFLAGS += -fsanitize=address,undefined
else
CSWAP_CFLAGS += -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CSWAP_LDFLAGS += -pie -Wl,-z,relro,-z,now
endif
# Guest code that is pure is built in userspace too, against tests/shim.
SHIM_CFLAGS := -Itests/shim -Iguest

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all
all: host

# The longest first, so that the others run beside them.
.PHONY: check-unit
check-unit: check-nbd check-sim check-balancer

# With sanitizers all of check-unit takes longer than CI has: check-slow has it.
.PHONY: check-san
check-san: check-sim check-balancer check-host check-slots check-wire check-blocks check-policy check-epochs \
	check-confidential check-seal check-swapstress check-fuzz-guest

include $(wildcard host/host.mk guest/guest.mk tests/*/*.mk)

# $(call object,SOURCE,EXTRA-CFLAGS): the path of SOURCE's object; one pattern rule builds them all.
$(out)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) $(CSWAP_CFLAGS) $(OBJ_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Link whatever objects a program names as prerequisites.
define link
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD      $(notdir $@)")
	$(Q)$(CC) $(CSWAP_CFLAGS) $(CSWAP_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBS)
endef

-include $(shell find $(out)/obj -name '*.d' 2>/dev/null)

# The guest's module, for the kernel whose build folder KDIR is. Kbuild writes beside the
# sources; tests/bed/build-module builds copies instead.
KDIR ?= /lib/modules/$(shell uname -r)/build
.PHONY: guest
## guest: build the guest's module (KDIR=DIR: for that kernel, default: the running one)
guest:
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR)/guest modules

.PHONY: in-tree
## in-tree: put the driver and its kselftests into a Linux source tree (KTREE=DIR)
in-tree:
	$(Q)tools/in-tree "$(or $(KTREE),$(error Name the Linux source tree: make in-tree KTREE=DIR))"

# The unit tests use all CPUs unless they are told how many, and wait as often as they compute.
# What a target says comes in one piece.
ifneq ($(filter check-unit check-san,$(MAKECMDGOALS)$(filter -j% --jobserver%,$(MAKEFLAGS))),)
MAKEFLAGS += -j$(shell expr 2 \* $$(nproc)) --output-sync=target
endif

.PHONY: check
## check: install what's needed and run all tests that fit in CI's time
## check-unit: the userspace tests alone: no root, no VM, four or five minutes
## check-san: with SAN=1, those of check-unit that meet the most of a peer's bytes
check:
	$(Q)tests/check

# The first word of a target's name says which group it is in; groups and targets keep this order.
define HELP_GROUPS
BEGIN {
	count = split("Build and install|Demonstrations|Tests|Fuzzers|Benchmarks", title, "|")
	split("|demo|check|fuzz|bench", first, "|")
}
{
	word = $$1
	sub(/-.*/, "", word)
	group = 1
	for (i = 2; i <= count; i++)
		if (word == first[i])
			group = i
	lines[group] = lines[group] sprintf("  %-22s %s\n", $$1, $$2)
}
END {
	for (i = 1; i <= count; i++)
		printf "\n%s\n%s", title[i], lines[i]
}
endef
export HELP_GROUPS

.PHONY: help
## help: this list
help:
	@echo "Targets (V=1 shows commands, O=DIR builds there, SAN=1 builds with sanitizers):"
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' "$$HELP_GROUPS"

.PHONY: clean
## clean: remove what was built here (the beds stay in the cache)
clean:
	rm -rf $(O)
