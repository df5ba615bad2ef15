# SPDX-License-Identifier: GPL-2.0-only
# The balancer's tests: its policy, its configuration, the service with real daemons.
## check-balancer: the balancer's unit tests, and the service beside daemons with simulated guests
## bench-balancer: how long a decision takes, and the policy beside others' in a simulator
## check-overcommit: three guests of 150 % of a memory limit, with and without the balancer
## demo-overcommit: three guests of 150 % of a memory limit, shown as it happens
## check-balancer-mutants: faults put into the balancer's policy, each must be found

$(out)/obj/tests/balancer/%.o: OBJ_CFLAGS := -Ihost/cswap-balancer -Ihost/cswapd
$(out)/obj/tests/balancer/balancer_sim.o: OBJ_CFLAGS := -Ihost/cswap-balancer $(SHIM_CFLAGS)

$(out)/tests/test_balancer_policy: LIBS = $(shell $(PKG_CONFIG) --libs cmocka)
$(out)/tests/test_balancer_policy: $(out)/obj/tests/balancer/test_balancer_policy.o \
		$(out)/obj/host/cswap-balancer/policy.o
	$(link)

$(out)/tests/test_balancer_modes: LIBS = $(shell $(PKG_CONFIG) --libs cmocka)
$(out)/tests/test_balancer_modes: $(patsubst %,$(out)/obj/%.o,tests/balancer/test_balancer_modes \
		host/cswap-balancer/modes host/common/log)
	$(link)

$(out)/balancer-sim: LIBS := -lm
$(out)/balancer-sim: $(out)/obj/tests/balancer/balancer_sim.o $(out)/obj/host/cswap-balancer/policy.o \
		$(out)/obj/guest/cswap_policy.o
	$(link)

.PHONY: bench-balancer
bench-balancer: $(out)/balancer-sim
	$< --bench
	$< --svg $(out)/balancer.svg
	$< --guests 1000 --seconds 600 shift spike

.PHONY: check-balancer check-balancer-mutants
# The service's tests wait more than they compute.
check-balancer: $(out)/tests/test_balancer_policy $(out)/tests/test_balancer_modes \
		$(addprefix $(out)/,cswap-balancer balancer-sim cswapd cswapctl cswap-sim)
	$(Q)$(out)/tests/test_balancer_policy
	$(Q)$(out)/tests/test_balancer_modes
	$(Q)$(out)/balancer-sim >$(out)/balancer-sim.log || { cat $(out)/balancer-sim.log; exit 1; }
	$(Q)for guests in 2 3 5 8 21 40; do \
		$(out)/balancer-sim --guests $$guests thieves liars >$(out)/balancer-sim.log || \
			{ cat $(out)/balancer-sim.log; exit 1; }; done
	tests/balancer/test_balancer.py $(out) --part=1/2 & \
		tests/balancer/test_balancer.py $(out) --part=2/2; code=$$?; wait $$! && exit $$code

check-balancer-mutants:
	$(Q)CC="$(CC)" CFLAGS="$(CSWAP_CFLAGS) -O1 $(CSWAP_LDFLAGS)" \
		tests/balancer/mutants $(out)/balancer-mutants

.PHONY: check-overcommit demo-overcommit
check-overcommit demo-overcommit:
	$(Q)tests/install-deps
	$(Q)tests/bed/provision uml
	$(Q)tests/balancer/overcommit $(if $(filter demo-%,$@),--demo)

check-unit: check-balancer
