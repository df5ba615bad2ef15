# SPDX-License-Identifier: GPL-2.0-only
# Programs that run inside guests. They are built in the provisioned root, whose libraries they use.

$(out)/guest/swapstress: LIBS := -lpthread
$(out)/guest/swapstress: $(out)/obj/tests/guest/swapstress.o
	$(link)

.PHONY: bed-programs
bed-programs:: $(out)/guest/swapstress
