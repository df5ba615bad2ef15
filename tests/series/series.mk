# SPDX-License-Identifier: GPL-2.0-only
# The driver as patches for the kernel.
## series: the driver as a series of patches for a Linux source tree (KTREE=DIR), in build/series
## check-series: the series on Debian's newest source: checkpatch, each patch builds, boots, KUnit, kselftest (root; slow)
## check-series-module: what the series makes of the driver, as a module of the bed's kernel: builds, KUnit, kselftest (root)

.PHONY: series check-series check-series-module check-series-tool check-unit check-slow
series:
	$(Q)tools/series "$(or $(KTREE),$(error Name the Linux source tree: make series KTREE=DIR))" $(O)/series

check-series:
	$(Q)tests/series/run || [ $$? = 4 ]

check-series-module:
	$(Q)tests/series/module || [ $$? = 4 ]

# A tree of a few lines is enough for the tool itself.
check-series-tool:
	$(Q)tests/series/test_series.sh || [ $$? = 4 ]

check-unit: check-series-tool
check-slow: check-series
