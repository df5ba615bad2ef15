# SPDX-License-Identifier: GPL-2.0-only
## check-static: shellcheck, clang-tidy, checkpatch, W=1 and sparse, all quiet (needs the bed's root)
.PHONY: check-static
check-static:
	$(Q)tests/static/run
