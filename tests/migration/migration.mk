# SPDX-License-Identifier: GPL-2.0-only
# Guests that move between two QEMUs and two daemons with one store: tests/migration/move.

$(out)/guest/pages: $(out)/obj/tests/migration/pages.o
	$(link)

$(out)/migration-nolog.so: tests/migration/nolog.c
	$(Q)$(CC) -O2 -Wall -Wextra -fPIC -shared -o $@ $< -ldl

bed-programs:: $(out)/guest/pages

.PHONY: check-migration check-migration-short
## check-migration: guests move between two QEMUs with their pages swapped out; moves that fail at each stage; cpr; as root
check-migration:
	tests/migration/run
	tests/migration/run --store server --moves 4
	tests/migration/run --store hosts --moves 4
	tests/migration/run --store rbd --moves 4
	tests/migration/run --store local

# What `make check` runs of it.
check-migration-short:
	tests/migration/run --short
