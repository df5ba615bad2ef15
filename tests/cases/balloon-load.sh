#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A Redis is at work, all the time, while the guest gives up half of itself, then three quarters, and
# takes it back.
# Proves: what the host measures as freed is what was released, at either size; all values are right,
# during and after; in the end MemTotal is what it was, to the page.
# guest-programs: redis-server redis-cli
#
# beds: uml
# slow: uml vm-newest vm-6.1 vm-6.12 uml-smp tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 1500
# beside: yes
# run: --cswapd "--store mem --size 1G --release punch"
# run uml-smp: --mem 640M --cpus 2 --queues 2
# run uml: --mem 384M --env MIB=80 --module-args "floor=32 brake_percent=0"
# run vm: --mem 640M --cpus 2 --queues 2 --env MIB=160 --module-args "floor=96 brake_percent=0"
# run vm: --modprobe aesni_intel

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

socket=/run/redis.sock
value_bytes=4000
keys=$((MIB * mib / value_bytes / 16 * 16))

# Until Redis says that it serves; what it says later stays in the pipe, which has room.
start_redis() {
	local line
	exec 3< <(exec redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
		--dir "$tmp" --maxmemory 0 2>&1)
	while read -r line <&3; do
		case $line in *[Rr]eady\ to\ accept*) return ;; esac
	done
	die "Redis did not start"
}
# data JOB: what redis-data found is added to $tmp/JOB.
data() {
	redis-data "$1" "$socket" "$keys" "$value_bytes" 7 load-marker >>"$tmp/$1" 2>&1
}
# found JOB NAME: the sum of it over all its runs.
found() {
	tr ' ' '\n' <"$tmp/$1" | awk -F = -v name="$2" '$1 == name { sum += $2 } END { print sum + 0 }'
}
# Every value is looked at, again and again, until the file goes.
work() {
	while [ -e "$tmp/work" ]; do
		data verify || break
	done
}

swap_on
echo 1 >/proc/sys/vm/overcommit_memory
begin_balloon
start_redis
data fill || die "filling Redis: $(cat "$tmp/fill")"
data use || die "using Redis: $(cat "$tmp/use")"
touch_all
: >"$tmp/work"
work &
worker=$!
host_measure
before=$host_kib absent=$host_absent_kib

results=
for percent in 50 75; do
	size=$(even $((total * percent / 100)))
	reach "$size" 400
	expect_freed "$before" "$absent" "$size"
	expect "MiB in MemTotal at $percent %" "$(memory MemTotal)" -le $((total - size))
	results="$results $percent %: $size MiB in $took s, host measures $((freed_kib / 1024));"
done
reach 0 120
rm "$tmp/work"
wait $worker
expect "values looked at meanwhile" "$(found verify verified)" -ge "$keys"
data verify || fail "verifying: $(tail -n 1 "$tmp/verify")"
for job in fill use verify; do
	expect "wrong values, $job" "$(found $job wrong)" = 0
done
expect_clean
end_balloon
swap_off
finish "$keys values;$results $(found verify verified) looked at, 0 wrong, MemTotal as it was"
