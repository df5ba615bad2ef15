#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The module's parameters, the disk's geometry and its counters are there, and make sense.
# shellcheck source-path=SCRIPTDIR source=cswap_lib.sh
. "$(dirname "$0")/cswap_lib.sh"
ktap_begin
parameters=/sys/module/virtio_cswap/parameters

for name in queues rekey_pages stall_ms load_timeout_s; do
	check "parameter $name can be read" test -n "$(cat "$parameters/$name")"
done
for name in stall_ms load_timeout_s; do
	before=$(cat "$parameters/$name")
	at_exit "echo $before >$parameters/$name"
	echo $((before + 1)) >"$parameters/$name"
	check "parameter $name can be changed" test "$(cat "$parameters/$name")" = $((before + 1))
	echo "$before" >"$parameters/$name"
	if echo nonsense 2>/dev/null >"$parameters/$name"; then
		fail "parameter $name takes nonsense"
	else
		check "parameter $name refuses nonsense" \
			test "$(cat "$parameters/$name")" = "$before"
	fi
done
# refused NAME VALUE: it stays as it was, and the log says what is allowed.
refused() {
	kept=$(cat "$parameters/$1")
	echo "$2" 2>/dev/null >"$parameters/$1" && fail "parameter $1 takes $2"
	check "parameter $1 refuses $2" test "$(cat "$parameters/$1")" = "$kept"
	check "the log says why" said "$1=$2 is refused: it must be "
	echo "$kept" >"$parameters/$1"
}
said() {
	dmesg | grep -qF "$1"
}
# The disk's own settings stand in for the module's, until they are "default" again.
settings=/sys/block/$(basename "$disk")/cswap
for name in stall_ms load_timeout_s; do
	before=$(cat "$parameters/$name")
	check "$name of the disk is the module's" test "$(cat "$settings/$name")" = "$before"
	echo 777 >"$settings/$name"
	check "$name of the disk can be changed" test "$(cat "$settings/$name")" = 777
	check "and the module's stays" test "$(cat "$parameters/$name")" = "$before"
	for value in -1 nonsense 700000; do
		if echo $value 2>/dev/null >"$settings/$name"; then
			fail "$name of the disk takes $value"
		else
			check "$name of the disk refuses $value" \
				test "$(cat "$settings/$name")" = 777
		fi
	done
	echo default >"$settings/$name"
	check "$name of the disk is the module's again" test "$(cat "$settings/$name")" = "$before"
done
refused stall_ms 0
refused stall_ms 600001
refused load_timeout_s 86401
refused load_timeout_s 4294967297
refused brake_percent 101
at_exit "echo $(cat "$parameters/floor") >$parameters/floor"
for floor in 0 15 0% 101% 25%% '16 MiB' '' -1; do
	refused floor "$floor"
done
for floor in 16 100% 1%; do
	echo "$floor" >"$parameters/floor"
	check "floor $floor is taken" test "$(cat "$parameters/floor")" = "$floor"
done

for name in queues rekey_pages; do
	check "parameter $name is for loading only" \
		test "$(stat -c %a "$parameters/$name")" = 444
done

for name in stores loads pool_loads store_errors store_refusals load_errors \
	load_timeouts retries tampered protocol_errors load_ns discards kept copies \
	keys queue_pairs; do
	case $(counter $name) in
	'' | *[!0-9]*) fail "$name is '$(counter $name)'" ;;
	*) pass "$name is a number" ;;
	esac
	check "$name can't be written" test "$(stat -c %a "$counters/$name")" = 444
done
check "there is a key" test "$(counter keys)" -ge 1
check "there is a queue pair" test "$(counter queue_pairs)" -ge 1
check "there are copies to keep sealed pages in" test "$(counter copies)" -ge 1
check "the cipher is named" test -n "$(counter cipher)"

queue=/sys/block/${disk##*/}/queue
check "blocks are 4096 bytes" test "$(cat "$queue/logical_block_size")" = 4096
check "the disk is whole blocks" test $(($(cat "/sys/block/${disk##*/}/size") % 8)) = 0
check "and not empty" test "$(cat "/sys/block/${disk##*/}/size")" -gt 0
ktap_end
