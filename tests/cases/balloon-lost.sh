#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# LOADs are lost while the balloon moves what is in memory: a page that is read is locked, and the
# balloon's worker waits for it. Only a reset, or the device's end, brings an answer.
# Proves: neither waits for the worker. The driver resets the device itself; the device asks for a reset
# while readers wait for ever, and the page is read; the device is taken away, and the readers get SIGBUS.
#
# beds: uml
# fast uml: lost
# slow: uml-debug vm-newest
# timeout: 360
# beside: yes
# module: tests/kmod/reset
# run: --module-args "load_timeout_s=0 floor=32 brake_percent=0 reclaim=0"
# run: --faulty-cswapd "--store mem --size 256M --release punch --fault-report @RUN@/report --fault stall:every=2:times=1"
# run: --queues 1 --env MIB=2 --env READERS=10 --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 256M --env TARGET=200
# run uml-debug: --mem 256M --env TARGET=160
# run vm: --mem 384M --env TARGET=300
# variant lost: --env END=lost
# variant asked: --env END=asked
# variant unbind: --env END=unbind

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317,SC2119,SC2153	# functions are called by within; READERS comes with the run
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# So many of the readers wait for a page.
readers_wait() {
	[ "$(cat /proc/[0-9]*/task/*/stat 2>/dev/null | grep -c '^[0-9]* (swapstress) D ')" -ge "$1" ]
}
# For so long that it's no lock which it waits for; the worker says its queue in its name.
worker_waits() {
	local steps stat
	stat=$(grep -shE '^[0-9]+ \(kworker/.*cswap_balloon\) D ' /proc/[0-9]*/stat) || return
	worker=/proc/${stat%% *}/stat
	steps=$(counter balloon_steps)
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		read -r stat <"$worker" && [[ $stat == *") D "* ]] || return
		moment 0.1
	done
	[ "$(counter balloon_steps)" = "$steps" ]
}
is_gone() {
	[ ! -e "$driver/$device" ] && [ ! -e "$disk" ]
}
is_reset() {
	[ "$(counter resets)" -ge 1 ]
}
# The readers' figures, in all.
collect() {
	local pid
	for pid in "${readers[@]}"; do
		wait "$pid"
	done
	cat "$tmp"/reader* >"$tmp/stress.all"
	checked=$(total checked) sigbus=$(total sigbus)
	expect "pages with wrong content" "$(total wrong)" = 0
	expect "pages found or given up" $((checked + sigbus)) -ge $((READERS * MIB * 256))
}
total() {
	tr ' ' '\n' <"$tmp/stress.all" | awk -F = -v name="$1" '$1 == name { sum += $2 } END { print sum + 0 }'
}

driver=/sys/bus/virtio/drivers/virtio_cswap
device=$(basename "$(readlink -f "/sys/block/${disk##*/}/device")")
insmod "$MODULE" || die "insmod $MODULE"
swap_on
begin_balloon
readers=()
for ((i = 0; i < READERS; i++)); do
	mkfifo "$tmp/gate$i"
	swapstress --mib "$MIB" --rounds 1 --rewrite 0 --pageout --tolerate-sigbus --gate "$tmp/gate$i" >"$tmp/reader$i" 2>&1 &
	readers+=($!)
	wait_until 60 grep -q gate "$tmp/reader$i" || die "swapstress ended before its gate"
done
# Files of 1 MiB fill the memory, and each other one goes: from the holes the balloon gets no block
# without moving something. The readers begin in between, so that the pages that they wait for lie
# everywhere.
mkdir "$tmp/fill"
mount -t tmpfs -o size=100% none "$tmp/fill"
files=$(($(memory MemFree) * 70 / 100))
for ((i = 0; i < files; i++)); do
	dd if=/dev/zero of="$tmp/fill/$i" bs=1M count=1 2>/dev/null || die "no memory for the files"
done
host arm
began=$SECONDS
for ((i = 0; i < READERS; i++)); do
	for ((file = files * i / READERS / 2 * 2; file < files * (i + 1) / READERS; file += 2)); do
		rm -f "$tmp/fill/$file"
	done
	: >"$tmp/gate$i"
	within 30 readers_wait $((i + 1)) || die "reader $i doesn't wait"
done
host target "${TARGET}M"
within 90 worker_waits || die "the balloon's worker doesn't wait: $(balloon stopped), $(balloon released) MiB," \
	"$(balloon moved_blocks) blocks moved"
expect "resets before" "$(counter resets)" = 0
say "waits after $(balloon released) MiB, $(balloon moved_blocks) blocks moved"
case $END in
lost)
	# The reset is due five seconds from now, whenever the first page was lost.
	limit=$((3 * (SECONDS - began + 5)))
	echo $limit >/sys/module/virtio_cswap/parameters/load_timeout_s
	;;
asked) echo 1 >/sys/module/cswap_reset/parameters/ask ;;
unbind) echo "$device" >$driver/unbind & ;;
esac
if [ "$END" = unbind ]; then
	within 30 is_gone || die "the driver still has the device"
	host disarm
	collect
	expect "SIGBUS" "$sigbus" -gt 0
	finish "the device went, $checked pages checked, $sigbus SIGBUS"
fi
within "${limit-60}" is_reset || die "it was not reset"
host disarm
collect
for name in load_timeouts load_errors tampered protocol_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
expect "SIGBUS" "$sigbus" = 0
umount "$tmp/fill"
end_balloon
swap_off
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "reset, $checked pages checked, 0 wrong, no SIGBUS"
