# SPDX-License-Identifier: GPL-2.0-only
# Programs that run inside guests. They are built in the provisioned root, whose libraries they use.

$(out)/guest/swapstress: LIBS := -lpthread
$(out)/guest/swapstress: $(out)/obj/tests/guest/swapstress.o
	$(link)

$(out)/guest/keepwrites: $(out)/obj/tests/guest/keepwrites.o
	$(link)

$(out)/guest/diskload: $(out)/obj/tests/guest/diskload.o
	$(link)

$(out)/guest/kexec_now: $(out)/obj/tests/guest/kexec_now.o
	$(link)

$(out)/guest/memkinds: LIBS := -lpthread
$(out)/guest/memkinds: $(out)/obj/tests/guest/memkinds.o
	$(link)

$(out)/guest/pin_pages: $(out)/obj/tests/guest/pin_pages.o
	$(link)

$(out)/guest/lateread: LIBS := -lpthread
$(out)/guest/lateread: $(out)/obj/tests/guest/lateread.o
	$(link)

# The daemon's own measure.
$(out)/obj/tests/guest/measure_kept.o: OBJ_CFLAGS := -Ihost/cswapd
$(out)/guest/measure_kept: LIBS := -lpthread
$(out)/guest/measure_kept: $(out)/obj/tests/guest/measure_kept.o $(out)/obj/host/cswapd/balloon/measure.o $(out)/obj/host/common/log.o
	$(link)

# In the sanitizers' build there is nothing to lock: they map terabytes.
.PHONY: check-unit check-swapstress bed-programs
ifeq ($(SAN),)
check-swapstress: $(out)/guest/swapstress
	tests/guest/test-swapstress $< || [ $$? = 4 ]

check-unit: check-swapstress
endif

bed-programs:: $(out)/guest/swapstress $(out)/guest/keepwrites $(out)/guest/diskload $(out)/guest/kexec_now \
	$(out)/guest/memkinds $(out)/guest/pin_pages $(out)/guest/lateread \
	$(out)/guest/measure_kept
