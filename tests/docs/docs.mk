# SPDX-License-Identifier: GPL-2.0-only
## check-docs: links and pictures of README and guides
## pictures: the documents' pictures, made anew (root; Debian: graphviz, chromium, python3-pyte)

.PHONY: check-docs check-unit pictures
check-docs:
	$(Q)tests/docs/check-links
	$(Q)tests/docs/check-pictures

check-unit: check-docs

pictures: $(addprefix $(out)/,cswapd cswapctl cswap-sim)
	dot -Tsvg docs/architecture.dot >docs/architecture.svg
	tests/docs/make-pictures $(out) docs/pictures
