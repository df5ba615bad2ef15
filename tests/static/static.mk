# SPDX-License-Identifier: GPL-2.0-only
## check-static: shellcheck, clang-tidy, manual pages, spelling, checkpatch, W=1, sparse: all quiet (needs the bed's root)
.PHONY: check-static
check-static:
	$(Q)tests/static/run
