# SPDX-License-Identifier: GPL-2.0-only
# The host's unit tests: cswapd's parts against hostile rings, requests, messages and full disks.
## check-host: the host daemon's unit tests

host_tests := memory nbd blockmap vring device vhost_user vu_message store store_files conf ctl command sandbox log fdstore \
	watchdog device_state nbd_claim handover away still kick
host_test_programs := $(host_tests:%=$(out)/tests/test_host_%)
# With a worker that dies where it's told to, or whose log is written to meanwhile.
hooked_tests := $(out)/tests/test_host_crash $(out)/tests/test_host_recover
# It has the monitor in it, to call what is private to it.
monitor_test := $(out)/tests/test_host_monitor

$(out)/obj/tests/host/%.o: OBJ_CFLAGS := -Ihost/cswapd -Itests/faulty
$(host_test_programs): LIBS = $(CSWAPD_LIBS) -lcmocka
$(host_test_programs): $(out)/tests/test_host_%: $(out)/obj/tests/host/test_%.o \
		$(CSWAPD_OBJS) $(patsubst %,$(out)/obj/tests/faulty/%.o,fault_spec store_fault)
	$(link)

# What it fetches from the guest changes.
$(out)/tests/test_host_device: LIBS += -Wl,--wrap=vring_copy_from
# It has no room in its io_uring.
$(out)/tests/test_host_kick: LIBS += -Wl,--wrap=store_get_sqe

$(hooked_tests): LIBS = $(CSWAPD_LIBS) -lcmocka
$(hooked_tests): $(out)/tests/test_host_%: $(out)/obj/tests/host/test_%.o $(out)/obj/tests/host/worker_hooked.o \
		$(filter-out $(patsubst %,$(out)/obj/host/cswapd/%,$(WORKER_PARTS) rings/inflight.o),$(CSWAPD_OBJS))
	$(link)

$(monitor_test): LIBS = $(CSWAPD_LIBS) -lcmocka
$(monitor_test): $(out)/obj/tests/host/test_monitor.o $(filter-out %/monitor.o,$(CSWAPD_OBJS))
	$(link)

.PHONY: check-host check-unit
check-host: $(host_test_programs) $(hooked_tests) $(monitor_test) $(out)/cswapd $(out)/io-flusher
	$(Q)for test in $(host_test_programs) $(hooked_tests) $(monitor_test); do $$test || exit 1; done
	$(Q)tests/host/test_cswapd.sh $(out)/cswapd host/cswapd/cswapd@.service

check-unit: check-host
