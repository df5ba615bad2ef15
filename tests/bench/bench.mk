# SPDX-License-Identifier: GPL-2.0-only
# Benchmarks. They measure the machine as well: run them when it has nothing else to do.

BENCH_ARGS ?=

.PHONY: bench-host
## bench-host: cswapd beside vhost-user-blk and the bare file (BENCH_ARGS=--quick)
bench-host: $(out)/cswapd $(out)/cswap-sim
	tests/bench/host-bench --bin $(out) $(BENCH_ARGS)
