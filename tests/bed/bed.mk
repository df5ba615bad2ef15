# SPDX-License-Identifier: GPL-2.0-only
# The test beds: a provisioned Debian root, User-Mode Linux, QEMU. See tests/bed/README.md.
## provision: make the test beds in the cache ($CSWAP_CACHE, default ~/.cache/virtio-cswap)
## bed-host: build the host's and the guests' programs inside the provisioned root, into build/bed

.PHONY: provision bed-host
provision:
	tests/bed/provision all

bed-host:
	tests/bed/enter $(MAKE) O=build/bed host bed-programs
