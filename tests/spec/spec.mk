# SPDX-License-Identifier: GPL-2.0-only
# The specification's chapter against the header, and in itself.
## check-spec: the specification's chapter agrees with the header

.PHONY: check-spec check-unit
check-spec:
	$(Q)tests/spec/check-abi
	$(Q)tests/spec/test_check_abi.sh

check-unit:: check-spec
