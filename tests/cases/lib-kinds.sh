# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# lib-kinds.sh - how cases run memkinds, step by step. A case sources this behind lib.sh.

# kinds_begin [CGROUP] -- ARG...: run it up to its first gate, in a cgroup if one is named.
kinds_begin() {
	local group=
	[ "$1" = -- ] || { group=$1; shift; }
	shift
	: >"$tmp/stress.all"
	mkfifo "$tmp/in" "$tmp/out"
	sh -c "${group:+echo \$\$ >$group/cgroup.procs;} exec memkinds $*" <"$tmp/in" >"$tmp/out" &
	pid=$!
	exec 6>"$tmp/in" 7<"$tmp/out"
	kinds_await
}
kinds_await() {
	local said
	while read -r said <&7; do
		case $said in
		*gate) echo "${said%gate}" >>"$tmp/stress.all"; return ;;
		esac
		echo "$said" >>"$tmp/stress.all"
	done
	die "memkinds ended before its gate"
}
kinds_to_gate() {
	echo >&6
	kinds_await
}
# The last step: what it says of all pages must be good.
kinds_end() {
	echo >&6
	cat <&7 >>"$tmp/stress.all"
	wait "$pid" || fail "memkinds ended with $?"
	expect "pages with wrong content" "$(figure wrong)" = 0
	expect "pages checked" "$(figure checked)" -gt 0
}
