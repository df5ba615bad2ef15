# SPDX-License-Identifier: GPL-2.0-only
# Benchmarks. They measure the machine as well: run them when it has nothing else to do.

BENCH_ARGS ?=

.PHONY: bench-host
## bench-host: cswapd beside vhost-user-blk and the bare file (BENCH_ARGS=--quick)
bench-host: $(out)/cswapd $(out)/cswap-sim
	tests/install-deps fio
	tests/bench/host-bench --bin $(out) $(BENCH_ARGS)

.PHONY: bench-quick
## bench-quick: five minutes; fails when the daemon has become slower beside vhost-user-blk
bench-quick: $(out)/cswapd $(out)/cswap-sim
	tests/bench/quick-bench --bin $(out) $(BENCH_ARGS) || [ $$? = 3 ]

.PHONY: bench-short
## bench-short: a guest's loads while the host is short of memory (root)
bench-short:
	tests/bench/short-bench $(BENCH_ARGS)

.PHONY: bench-guest bench
## bench-guest: sealed swap beside plain, dm-crypt and dm-integrity swap in a guest (needs root)
bench-guest:
	tests/bench/guest-bench $(BENCH_ARGS)
	tests/bench/guest-bench --latency 80 500 $(BENCH_ARGS)

.PHONY: bench-swapout
## bench-swapout: what reclaim writes and scans, beside an older driver (BASE=CLONE) or with a patch (PATCH=FILE; needs root)
bench-swapout:
	tests/bench/swapout-bench $(if $(PATCH),--patch $(PATCH),--base $(BASE)) $(BENCH_ARGS)

.PHONY: bench-discard
## bench-discard: reads of the store while much of it is discarded (needs root)
bench-discard: $(out)/cswapd $(out)/cswap-sim
	tests/bench/discard-bench --bin $(out) $(BENCH_ARGS)

.PHONY: bench-churn
## bench-churn: store, free, store again, with tags in memory and in a file (needs root)
bench-churn: $(out)/cswapd $(out)/cswap-sim
	tests/bench/churn-bench --bin $(out) $(BENCH_ARGS)

.PHONY: bench-balloon
## bench-balloon: the balloon beside virtio-balloon and virtio-mem in the same guests (needs root)
bench-balloon:
	tests/bench/balloon-bench $(BENCH_ARGS)

.PHONY: bench-punch
## bench-punch: what the host pays to punch a GiB of memory, of 4 KiB and of 2 MiB pages (needs root)
bench-punch:
	tests/bench/punch-bench $(BENCH_ARGS)

# cswapd's NBD client beside the library that it isn't: see docs/benchmarks.md.
$(out)/obj/tests/bench/%.o: OBJ_CFLAGS := -Ihost/cswapd
$(out)/nbd-clients: LIBS = $(CSWAPD_LIBS) $(shell $(PKG_CONFIG) --libs libnbd)
$(out)/nbd-clients: $(out)/obj/tests/bench/nbd_clients.o $(CSWAPD_OBJS)
	$(link)

.PHONY: bench-nbd
## bench-nbd: cswapd's NBD client beside libnbd (needs nbdkit and libnbd-dev)
bench-nbd: $(out)/nbd-clients
	tests/bench/nbd-bench --bin $(out) $(BENCH_ARGS)

$(out)/move-state: LIBS = $(CSWAPD_LIBS)
$(out)/move-state: $(out)/obj/tests/bench/move_state.o $(CSWAPD_OBJS)
	$(link)

.PHONY: bench-move
## bench-move: the state of a guest that moves, for each GiB in its store
bench-move: $(out)/move-state
	$(out)/move-state $(BENCH_ARGS)

## bench: all benchmarks, as recorded in docs/benchmarks.md
bench: bench-host bench-short bench-churn bench-nbd bench-move bench-discard bench-guest bench-balloon bench-punch
