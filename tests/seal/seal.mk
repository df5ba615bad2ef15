# SPDX-License-Identifier: GPL-2.0-only
# cswap-seal, the seal format on libsodium, and its tests.
## check-seal: the seal format: vectors, tampering, the command line

PREFIX ?= /usr/local

seal_objects := $(addprefix $(out)/obj/host/cswap-seal/,cswap_seal.o sealed_page.o vectors.o) \
	$(out)/obj/host/common/version.o
$(out)/obj/host/cswap-seal/%.o: OBJ_CFLAGS = -Itests/vectors $(shell $(PKG_CONFIG) --cflags libsodium)

$(out)/cswap-seal: LIBS = $(shell $(PKG_CONFIG) --libs libsodium)
$(out)/cswap-seal: $(seal_objects)
	$(link)

$(out)/obj/tests/seal/%.o: OBJ_CFLAGS = -Ihost/cswap-seal $(shell $(PKG_CONFIG) --cflags libsodium cmocka)
$(out)/tests/test_sealed_page: LIBS = $(shell $(PKG_CONFIG) --libs libsodium cmocka)
$(out)/tests/test_sealed_page: $(out)/obj/tests/seal/test_sealed_page.o \
		$(out)/obj/host/cswap-seal/sealed_page.o
	$(link)

.PHONY: host install check-unit check-seal
host:: $(out)/cswap-seal

check-seal: $(out)/tests/test_sealed_page $(out)/cswap-seal
	$(Q)$(out)/tests/test_sealed_page
	$(Q)tests/seal/test_cswap_seal.sh $(out)/cswap-seal

check-unit: check-seal

install:: $(out)/cswap-seal
	install -D -m 0755 $(out)/cswap-seal $(DESTDIR)$(PREFIX)/bin/cswap-seal
	install -D -m 0644 host/cswap-seal/cswap-seal.1 $(DESTDIR)$(PREFIX)/share/man/man1/cswap-seal.1
