#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio writes the disk past the page cache, and checks what it reads: blocks of 4 KiB to 1 MiB, in any
# order, by several jobs at once, with trims between them.
# Proves: requests of every number of pages, neighbours of several jobs among them, bring back what was
# written last; a trimmed slot that is written again is as good as new. Nor does it matter what becomes of a
# group when the store fails some of its pages once, spoils some, and is slow with others.
#
# slow: vm-newest vm-6.12 vm-6.1
# timeout: 900
# guest-programs: fio
# run vm: --mem 512M --cpus 2 --queues 2
# variant whole: --cswapd "--store @RUN@/store --size 64M"
# variant faults: --env FAULTS=1 --faulty-cswapd "--store @RUN@/store --size 64M --fault-armed --fault-report @RUN@/report --fault eio-load:every=29:times=1 --fault flip:every=31:times=2 --fault eio-store:every=401:times=1 --fault delay-load:every=97:ms=20:jitter=40 --fault delay-store:every=89:ms=20:jitter=40"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# verified NAME OPTION...: each job has 12 MiB of its own, side by side with the others'.
verified() {
	local name=$1
	shift
	fio --name="$name" --filename="$disk" --direct=1 --ioengine=psync --thread --numjobs=4 \
		--size=12M --offset_increment=12M --bssplit=4k/40:16k/20:32k/20:128k/10:1m/10 \
		--verify=crc32c --verify_fatal=1 --randseed=7 --group_reporting "$@" \
		>"$tmp/$name" 2>&1 || {
		fail "fio $name"
		tail -n 20 "$tmp/$name"
	}
}

trims=$(counter discards)
verified write --rw=randwrite
verified again --rw=randwrite --loops=2
verified trim --rw=randtrimwrite
expect "pages written" "$(counter stores)" -gt 20000
expect "pages read from the device" "$(counter loads)" -gt 5000
expect "slots discarded" "$(counter discards)" -gt "$trims"
for name in tampered protocol_errors store_refusals load_timeouts resets; do
	expect "$name moved" "$(counter $name)" = 0
done
# What happened once is no error that is told of, but it was counted; of LOADs, those of one page only.
for name in store_errors retries; do
	if [ -n "${FAULTS-}" ]; then
		expect "$name" "$(counter $name)" -gt 10
	else
		expect "$name moved" "$(counter $name)" = 0
	fi
done
[ -n "${FAULTS-}" ] || expect "load_errors moved" "$(counter load_errors)" = 0
finish "$(counter stores) pages written by $(counter store_requests) STOREs, $(counter loads) read by $(counter load_requests) LOADs, $(counter discards) slots discarded, all as fio wrote them"
