# SPDX-License-Identifier: GPL-2.0-only
# The guest simulator. tests/sim/run-tests drives cswapd with it.

sim_program := $(out)/cswap-sim
sim_objects := $(patsubst %.c,$(out)/obj/%.o,$(filter-out %/slow_disk.c %/count_allocations.c %/away_disk.c %/like_nfs.c,$(wildcard tests/sim/*.c)) \
	guest/cswap_wire.c host/cswap-seal/sealed_page.c)

$(out)/obj/tests/sim/%.o: OBJ_CFLAGS := $(SHIM_CFLAGS) -Ihost
$(out)/obj/guest/%.o: OBJ_CFLAGS := $(SHIM_CFLAGS)

$(sim_program): LIBS := -lsodium -lpthread
$(sim_program): $(sim_objects)
	$(link)

.PHONY: sim
## sim: the guest simulator, cswap-sim
sim: $(sim_program)

# Some cases have a simulated guest inside of a real one.
.PHONY: bed-programs
bed-programs:: $(sim_program)

# Functional cases, attacks, faults and a verified load, against the daemon of this build.
# A disk for nbdkit, which isn't everywhere; without it the tests of it are skipped.
slow_disk := $(if $(wildcard /usr/include/nbdkit-plugin.h),$(out)/nbdkit-slow-disk.so)
$(out)/nbdkit-slow-disk.so: tests/sim/slow_disk.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) -std=gnu11 -g -O2 -Wall -Wextra -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $<

# Libraries for LD_PRELOAD.
sim_preloads := $(out)/count-allocations.so $(out)/away-disk.so $(out)/like-nfs.so
$(out)/count-allocations.so: tests/sim/count_allocations.c
$(out)/away-disk.so: tests/sim/away_disk.c
$(out)/like-nfs.so: tests/sim/like_nfs.c
$(sim_preloads):
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) -std=gnu11 -g -O2 -Wall -Wextra -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $<

.PHONY: check-sim check-nbd check-cswapctl
## check-sim: cswapd under the guest simulator
## check-cswapctl: cswapctl, with daemons that serve simulated guests
check-sim: $(sim_program) $(out)/cswapd $(out)/cswapd-faulty $(out)/cswapctl $(sim_preloads)
	tests/sim/run-tests $(out) --part=1/2 & \
		tests/sim/run-tests $(out) --part=2/2; code=$$?; wait $$! && exit $$code
	tests/sim/test_restart.py $(out)
	$(if $(SAN),,tests/sim/test_allocations.py $(out))

## check-nbd: the same with the store at NBD servers
check-nbd: $(sim_program) $(out)/cswapd $(out)/cswapctl $(slow_disk)
	tests/sim/run-nbd $(out) --part=1/2 & \
		tests/sim/run-nbd $(out) --part=2/2; code=$$?; wait $$! && exit $$code

check-cswapctl: $(sim_program) $(out)/cswapd $(out)/cswapctl $(out)/cswap-balancer
	tests/sim/test_cswapctl.sh $(out)
	tests/sim/test_stores.sh $(out)
	tests/sim/test_strangers.py $(out)

.PHONY: check-crash
KILLS ?= 2000
## check-crash: cswapd, killed KILLS (2000) times at random moments under load, and all of it KILLS / 4 times
check-crash: $(sim_program) $(out)/cswapd $(out)/cswapctl
	export KILLS=$(KILLS); { tests/sim/run-nbd $(out) "crash: " && tests/sim/run-nbd $(out) "restart: "; } & \
		tests/sim/run-tests $(out) "crash: file" && tests/sim/run-tests $(out) "restart: file" && \
		tests/sim/run-tests $(out) "crash: block" && tests/sim/run-tests $(out) "restart: block"; \
		code=$$?; wait $$! && exit $$code

check-unit: check-sim check-nbd check-cswapctl
check-slow: check-crash
