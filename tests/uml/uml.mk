# SPDX-License-Identifier: GPL-2.0-only

$(out)/mconsole: $(out)/obj/tests/uml/mconsole.o
	$(link)

.PHONY: bed-programs
bed-programs:: $(out)/mconsole
