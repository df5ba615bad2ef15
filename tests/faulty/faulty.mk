# SPDX-License-Identifier: GPL-2.0-only
# cswapd-faulty: the daemon's own objects, lying on demand: by its variant (host/cswapd/daemon.h), a
# store around the store, and functions that stand around the daemon's.

$(out)/obj/tests/faulty/%.o: OBJ_CFLAGS := -Ihost/cswapd

# What eavesdrop.c stands around.
EAVESDROP_LDFLAGS = -Wl,--wrap=vring_pop,--wrap=vring_push,--wrap=memory_remove,--wrap=memory_clear

# What answer_fault.c stands around.
ANSWER_LDFLAGS = -Wl,--wrap=device_make_ack,--wrap=device_ack_room,--wrap=device_put_acks,--wrap=device_put_data \
	-Wl,--wrap=device_put_control,--wrap=device_make_event,--wrap=device_put_event \
	-Wl,--wrap=answer_control,--wrap=answer_event,--wrap=control_begin,--wrap=control_answer \
	-Wl,--wrap=balloon_get_wanted,--wrap=worker_hurry

$(out)/cswapd-faulty: LIBS = $(CSWAPD_LIBS)
$(out)/cswapd-faulty: LDFLAGS += $(EAVESDROP_LDFLAGS) $(ANSWER_LDFLAGS)
$(out)/cswapd-faulty: $(CSWAPD_OBJS) \
		$(patsubst %,$(out)/obj/tests/faulty/%.o,answer_fault fault_spec store_fault balloon_fault eavesdrop bad_config cswapd_faulty)
	$(link)

host:: $(out)/cswapd-faulty
