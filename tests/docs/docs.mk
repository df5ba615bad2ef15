# SPDX-License-Identifier: GPL-2.0-only
## check-docs: links, pictures, messages, and the commands and options of README, guides and man pages, by running them
## pictures: the documents' pictures, made anew (root; Debian: graphviz, chromium, python3-pyte)

.PHONY: check-docs check-unit pictures
check-docs: $(addprefix $(out)/,cswapd cswapctl cswap-balancer cswap-seal cswap-sim)
	$(Q)tests/docs/check-links
	$(Q)tests/docs/check-messages
	$(Q)tests/docs/check-pictures
	$(Q)tests/docs/check-commands $(out)

# Sanitizers find nothing in documents.
ifeq ($(SAN),)
check-unit: check-docs
endif

pictures: $(addprefix $(out)/,cswapd cswapctl cswap-sim)
	dot -Tsvg docs/architecture.dot >docs/architecture.svg
	tests/docs/make-pictures $(out) docs/pictures
