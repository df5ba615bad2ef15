# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# redis.sh - what the demo's guests share: a Redis, its data, what the kernel counts.

socket=/run/redis.sock

# Until Redis says that it serves; what it says later stays in the pipe, which has room.
start_redis() {
	local line

	# Redis asks for it: its own allocations must not fail while there is swap.
	echo 1 >/proc/sys/vm/overcommit_memory
	exec 3< <(exec redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
		--dir /run/tmp --maxmemory 0 2>&1)
	while read -r line <&3; do
		[[ $line == *[Rr]eady\ to\ accept* ]] && return
		[[ $line == *WARNING* ]] || echo "$line" >&2
	done
	echo "Redis did not start" >&2
	return 1
}

meminfo() {
	awk -v field="$1:" '$1 == field { print $2 }' /proc/meminfo
}

vmstat_count() {
	awk -v field="$1" '$1 == field { print $2 }' /proc/vmstat
}

# do_job NAME JOB KEYS VALUE-BYTES SEED MARKER: what the job found comes as NAME_written=... and so on.
do_job() {
	local found

	found=$(redis-data "$2" "$socket" "${@:3}")
	for word in $found; do
		echo "$1_$word"
	done
}
