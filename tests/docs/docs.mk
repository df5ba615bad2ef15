# SPDX-License-Identifier: GPL-2.0-only
## check-docs: links of README and guides

.PHONY: check-docs check-unit
check-docs:
	$(Q)tests/docs/check-links

check-unit: check-docs
