# SPDX-License-Identifier: GPL-2.0-only

$(out)/tsc-khz: $(out)/obj/tests/vm/tsc_khz.o
	$(link)

.PHONY: bed-programs
bed-programs:: $(out)/tsc-khz
