#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test_cswapctl.sh DIR - what an operator sees of a simulated guest, and has it do (TAP).
#
# DIR is where cswapd, cswapctl and cswap-sim were built. The guest has 64 MiB that it can release,
# and does so down to a floor of 16 MiB.
# shellcheck disable=SC2317	# functions are called by check
set -euo pipefail
shopt -s extglob

# shellcheck source-path=SCRIPTDIR source=../packaging/tap.sh
. "$(dirname "$0")/../packaging/tap.sh"
bin=$(cd "$1" && pwd)
dir=$(mktemp -d)
daemon='' guest='' mute='' balancer='' plain='' declining='' number=0
work=$dir/check
mkdir "$work"
cleanup() {
	[[ -z $guest ]] || kill -KILL "$guest" 2>/dev/null || true
	[[ -z $daemon ]] || kill "$daemon" 2>/dev/null || true
	[[ -z $declining ]] || kill -KILL "$declining" 2>/dev/null || true
	[[ -z $plain ]] || kill "$plain" 2>/dev/null || true
	[[ -z $balancer ]] || kill -KILL "$balancer" 2>/dev/null || true
	[[ -z $mute ]] || kill -KILL -- "-$mute" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT

ctl() {
	"$bin/cswapctl" --socket "$dir/ctl" "$@"
}

# expect NAME STATUS TEXT ARGS...: cswapctl's exit status, and that regex in what it prints.
expect() {
	local name=$1 status=$2 text=$3 got=0
	shift 3
	ctl "$@" >"$dir/out" 2>&1 || got=$?
	check "$name" says "$got" "$status" "$text"
}
says() {
	[[ $1 == "$2" ]] || { echo "exit status $1"; return 1; }
	grep -qE -- "$3" "$dir/out"
}

not_reached() {
	grep -q 'of 30 MiB' "$dir/out" && ! grep 'the target is reached' "$dir/out"
}

# What cswapctl said last, for check.
explain() {
	[[ ! -e $dir/out ]] || cat "$dir/out"
}

# measured: bytes that the memory's files occupy, as the host sees it, in each line of status.
measured() {
	sed -un 's/.*"memory_file_bytes":\([0-9]*\).*/\1/p'
}
# fell_by BYTES: what is taken back is occupied when the guest touches it, in its own time.
fell_by() {
	local now lines=0
	while ((lines++ < 200)) && read -r now; do
		((before - now != $1)) || return 0
	done < <(ctl --json watch --interval 0.05 | measured)
	echo "from $before to $now"
	return 1
}

# start LOG COMMAND...: in the background, until it says that it's ready.
start() {
	local log=$1 line
	shift
	mkfifo "$dir/fifo"
	"$@" >"$dir/fifo" 2>&1 &
	started=$!
	exec 9<"$dir/fifo"
	rm "$dir/fifo"
	while read -r -t 60 line <&9; do
		echo "$line" >>"$log"
		[[ $line != *ready* ]] || break
	done
	cat <&9 >>"$log" &
	exec 9<&-
}

expect "no daemon there" 1 "No such file" status
start "$dir/cswapd.log" "$bin/cswapd" --socket "$dir/socket" --control "$dir/ctl" --store mem \
	--size 16M --release punch
daemon=$started
expect "no guest yet" 0 "balloon +absent, by punch" status
check "what isn't known says why" grep -q "memory's files     unknown (no VMM shares memory)" "$dir/out"
check "and nobody keeps an unknown amount" sh -c "! grep 'keeps unknown' '$dir/out'"
expect "percents need a guest" 1 "no front end is connected" target 50%
start "$dir/guest.log" "$bin/cswap-sim" --socket "$dir/socket" obey
guest=$started

expect "status" 0 "it keeps" status
expect "status: the balloon is there" 0 "balloon +ready" status
check "status: claims and measures apart" \
	test "$(grep -nE 'claims:|released|measures:|files' "$dir/out" | cut -d: -f1 | sort -n | wc -l)" = 4
before=$(ctl --json status | measured)
expect "a target is reached" 0 "released 16 MiB of 16 MiB, the guest keeps .*the target is reached" \
	target 16M --wait
check "the host measures what was released" fell_by $((16 << 20))
expect "the report is shown" 0 "last report" status
expect "as JSON" 0 '^\{"ok":true,.*"claimed":\{"released_bytes":16777216\},"report":\{"number":' \
	--json status
expect "less again" 0 "released 6 MiB of 6 MiB" target 6MiB --wait
check "the guest has it back" fell_by $((6 << 20))
expect "short of the target: it says why" 3 "stopped short of the target: it has reached its floor" \
	target 60M --wait
check "what is released stays released" fell_by $((48 << 20))
expect "the same target again: the same answer" 3 "released 48 MiB of 60 MiB" target 60M --wait \
	--timeout 20
expect "all back" 0 "released 0 MiB of 0 MiB" target 0 --wait
check "all of it" fell_by 0
expect "without waiting" 0 "of 4 MiB" target 4M
expect "a percentage" 0 "the guest keeps" target 12.5% --wait --timeout 20
kill -STOP "$guest"
expect "timed out" 4 "wasn't reached in time" target 30M --wait --timeout 0.3
# Its last report was about another target.
check "nor does it say that it was" not_reached
kill -CONT "$guest"
expect "when it goes on, so does the guest" 0 "released 30 MiB of 30 MiB" target 30M --wait
expect "no more than there is" 1 "doesn't have so much memory" target 1T
check "watch" test "$(ctl watch --interval 0.05 | head -n 4 | grep -c '^released 30 MiB')" = 4
expect "no such target" 2 "neither a size .* nor a percentage" target lots
expect "no such percentage" 2 "neither a size .* nor a percentage" target 101%
expect "no target" 2 "how much" target
expect "no such command" 2 "no such command" explode
expect "no such option" 2 "unrecognized" --explode
expect "too many words" 2 "unexpected argument" status web1 web2
expect "a guest and a socket" 2 "not together" --guest x status
expect "a guest by name and a socket" 2 "unexpected argument" status x
expect "half a gibibyte and a half" 1 "doesn't have so much memory" target 1.5G
expect "no half bytes" 2 "neither a size" target 1.5
expect "an option of another command" 2 "only target can --wait" status --wait
expect "no time-out without waiting" 2 "needs target --wait" target 30M --timeout 5

# --- shrink: more than the target, for as long as a command runs
asked_for() { # TARGET SHRINK: MiB
	ctl --json status | grep -q "\"target_bytes\":$(($1 << 20)),\"shrink_bytes\":$(($2 << 20)),"
}
# What the guest was told last, and has done.
until_released() { # MIB
	local line
	while read -r -t 60 line; do
		[[ $line != *"\"claimed\":{\"released_bytes\":$(($1 << 20))}"* ]] || return 0
	done < <(ctl --json watch --interval 0.05)
	echo "never: $line"
	return 1
}
# shellcheck disable=SC2016	# it's for a shell of its own
in_the_meantime='"$bin/cswapctl" --socket "$dir/ctl" --json status >"$dir/meantime"; exit 5'
export bin dir
expect "shrink runs a command, and ends as it does" 5 "has released 40 MiB: so much is released" \
	shrink 40M -- bash -c "$in_the_meantime"
check "the guest has shrunk meanwhile" grep -q '"claimed":{"released_bytes":41943040}' "$dir/meantime"
check "the target stays" grep -q "\"target_bytes\":$((30 << 20)),\"shrink_bytes\":$((40 << 20))," "$dir/meantime"
check "and is all that the guest is asked for afterwards" until_released 30
check "nothing is left of it" asked_for 30 0
expect "shrink: to the guest's floor" 0 "has released 48 MiB: it has reached its floor" shrink 60M -- true
expect "shrink by less than the target is nothing" 0 "has released 30 MiB: so much is released" shrink 1M -- true
until_released 30 >/dev/null
kill -STOP "$guest"
expect "shrink: when the time is up the command runs" 6 "the time is up" shrink 40M --timeout 0.3 -- sh -c "exit 6"
kill -CONT "$guest"
until_released 30 >/dev/null
# However it ends: nobody has to undo anything.
killed() {
	local pid status=0
	mkfifo "$dir/begun"
	"$bin/cswapctl" --socket "$dir/ctl" shrink 40M -- sh -c "echo >'$dir/begun'; exec sleep 600" 2>/dev/null &
	pid=$!
	read -r <"$dir/begun"
	asked_for 30 40 || status=1
	! ctl shrink 41M -- true 2>"$dir/out" || status=1
	grep -q 'another operator has the guest shrink' "$dir/out" || status=1
	pkill -KILL -P "$pid" sleep || true
	wait "$pid" || true
	until_released 30 || status=1
	"$bin/cswapctl" --socket "$dir/ctl" shrink 40M -- sh -c "echo \$\$ >'$dir/begun'; exec sleep 600" 2>/dev/null &
	pid=$!
	local command
	read -r command <"$dir/begun"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	until_released 30 && asked_for 30 0 || status=1
	kill "$command"
	return "$status"
}
check "shrink: one operator at a time, and whoever dies leaves nothing behind" killed
expect "shrink needs a command" 2 "which command" shrink 40M
expect "shrink needs an amount" 2 "how much" shrink -- true
expect "no command for others" 2 "only shrink runs a command" target 30M -- true
expect "shrink: a command that there isn't" 127 "can't run" shrink 31M -- "$dir/nothing"
until_released 30 >/dev/null
expect "help says what a target is" 0 "not$" --help
check "help says it plainly" grep -q "is left to the guest" "$dir/out"

# --- all guests: this one, one whose daemon is gone, and one that doesn't answer
mkdir -p "$dir"/run/{web1,gone,mute}
ln -s "$dir/ctl" "$dir/run/web1/control"
# In a group of its own: all of its processes are stopped.
setsid "$bin/cswapd" --socket "$dir/socket2" --control "$dir/run/mute/control" --store mem --size 16M \
	>"$dir/mute.log" 2>&1 &
mute=$!
listed_mute() {
	for ((tries = 0; tries < 500; tries++)); do
		all list 2>/dev/null | grep -q 'mute .*no guest' && return
		sleep 0.02
	done
	return 1
}
all() {
	"$bin/cswapctl" --directory "$dir/run" "$@"
}
expect_all() { # NAME TEXT ARGS...
	local name=$1 text=$2 got=0
	shift 2
	all "$@" >"$dir/out" 2>&1 || got=$?
	check "$name" says "$got" 0 "$text"
}
check "list: a daemon without a guest" listed_mute
kill -STOP -- "-$mute"
ln -s "$dir/nowhere" "$dir/run/gone/control"
expect_all "list: a line for each guest" '^web1 +.* 30M +30M .*at target' list
check "list: one that doesn't answer" grep -q '^mute .* no answer' "$dir/out"
# More guests than a process usually may have open.
few_descriptors() {
	local name code=0
	for name in many{a..l}; do
		mkdir "$dir/run/$name" && ln -s "$dir/ctl" "$dir/run/$name/control"
	done
	(ulimit -Sn 10 && all list) >"$dir/many" 2>&1 || true
	[[ $(grep -c '^many. .* 30M ' "$dir/many") == 12 ]] || code=1
	rm -r "$dir"/run/many?
	return "$code"
}
check "list: as many as there are descriptors, if more may be had" few_descriptors
check "list: nor one that died" grep -q '^gone .* no answer' "$dir/out"
expect_all "list, as JSON" \
	'^\{"guests":\[\{"name":"gone",.*\{"name":"mute",.*"status":null\},\{"name":"web1",.*"status":\{"ok":true' --json list
expect_all "a guest by its name" "released 30 MiB" --guest web1 target 30M
expect_all "a guest by its name, as a word" "released 30 MiB" target web1 30M
expect_all "a fraction" "released .* of 1.5 MiB" target web1 1.5M
expect_all "and back" "of 30 MiB, the guest keeps .*the target is reached" target web1 30M --wait
expect_all "a guest's status" "released +30 MiB" status web1
refuses() { # TEXT ARGS...
	local text=$1 got=0
	shift
	all "$@" >"$dir/out" 2>&1 || got=$?
	says "$got" 1 "$text"
}
check "no such guest: it names those that there are" refuses "no guest nosuch; there are: .*web1" status nosuch
check "which guest?" refuses "which guest\? There are: .*web1" status
not_root() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$bin/cswapctl" --socket "$dir/ctl" status >"$dir/out" 2>&1 &&
		return 1
	grep -q "permission denied; run as root" "$dir/out"
}
if [[ $(id -u) == 0 ]]; then
	chmod 755 "$dir"
	check "who isn't root is told so" not_root
fi
expect_all "metrics" '^cswap_claimed_released_bytes\{guest="web1"\} 31457280$' metrics
check "metrics: who doesn't answer" grep -qx 'cswap_up{guest="mute"} 0' "$dir/out"
check "metrics: what tags take" grep -qE '^cswap_store_tags_memory_bytes\{guest="web1"\} [0-9]+$' "$dir/out"
check "metrics: what is owed" grep -qx 'cswap_store_owed_bytes{guest="web1"} 0' "$dir/out"
check "metrics: errors by kind" grep -q '^cswap_store_errors_total{guest="web1",kind="io"} 0$' "$dir/out"
# In the text format each name is described once, before its samples, which stand together.
well_formed() {
	awk '/^# HELP /{ name = $3; next }
		/^# TYPE /{ if ($3 != name || seen[name]++ || $4 !~ /^(gauge|counter)$/) exit 1
			if (($4 == "counter") != (name ~ /_total$/)) exit 1; next }
		{ sub(/\{.*/, "", $1); if ($1 != name || $NF !~ /^[0-9.e+-]+$/) { print; exit 1 } }' "$dir/out"
}
check "metrics: well formed" well_formed
check_with promtool "metrics: promtool has nothing to say" sh -c "promtool check metrics <'$dir/out'"
dashboard=$(dirname "$0")/../../host/cswapctl/grafana.json
only_existing() {
	local name names
	names=$(grep -E '"(expr|query)": "' "$dashboard" | grep -oE 'cswap_[a-z_]+' | sort -u)
	[[ $(wc -w <<<"$names") -gt 10 ]] || return
	for name in $names; do
		grep -q "^# TYPE $name " "$dir/out" || { echo "no $name"; return 1; }
	done
}
check "the dashboard asks for what there is" only_existing
# Of the balancer there are none yet.
alerts_exist() {
	local name names rules
	rules=$(dirname "$0")/../../host/cswapctl/cswap.rules.yml
	names=$(sed -n 's/^ *expr: //p' "$rules" | grep -oE '\bcswap_[a-z_]+' | grep -v '^cswap_balancer_' | sort -u)
	[[ $(wc -w <<<"$names") -gt 5 ]] || return
	for name in $names; do
		grep -q "^# TYPE $name " "$dir/out" || { echo "no $name"; return 1; }
	done
}
check "the alerts ask for what there is" alerts_exist
check_with promtool "the alerts fire when they should" promtool test rules "$(dirname "$0")/alerts.yml"
check "metrics: a file" all metrics --output "$dir/cswap.prom"
check "it's whole, and can be read" test "$(stat -c %a "$dir/cswap.prom")" = 644 -a ! -e "$dir/cswap.prom.partial"
check "with the same in it" grep -qx 'cswap_up{guest="web1"} 1' "$dir/cswap.prom"
check "metrics: no such folder" sh -c "! '$bin/cswapctl' --directory '$dir/run' metrics --output '$dir/no/cswap.prom'"
# Names: long ones, and such as have more bytes than characters.
long=zürich-production-database-replica-17
mkdir "$dir/run/$long"
ln -s "$dir/nowhere" "$dir/run/$long/control"
# Everybody's state begins where the title says so.
in_columns() {
	local LC_ALL=C.UTF-8 line before title=''
	while IFS= read -r line; do
		before=${line%@(STATE|no answer|at target)}
		title=${title:-${#before}}
		((${#before} == title)) || { echo "$line"; return 1; }
	done <"$dir/out"
}
expect_all "list: names are whole" "^$long " list
check "list: in columns" in_columns
# script(1) gives it a terminal.
top() { # KEYS
	TERM=xterm LC_ALL=C.UTF-8 timeout 20 script -qec \
		"stty cols ${2-80} rows 12; '$bin/cswapctl' --directory '$dir/run' top" /dev/null <<<"$1" >"$dir/out"
}
check "top: q quits" top q
check "top: the guest was there" grep -q 'web1.*30M.*at target' "$dir/out"
check "top: a long name is shown without its middle" grep -q 'züric.*~ca-17 ' "$dir/out"
# Lines as they are seen: without what only steers the terminal.
narrow() {
	local LC_ALL=C.UTF-8 line
	while IFS= read -r line; do
		((${#line} <= 80)) || { echo "$line"; return 1; }
	done < <(sed 's/\x1b\[[?0-9]*[a-zA-Z]//g; s/\r//g' "$dir/out")
}
check "top: 80 columns are enough" narrow
check "top: it says how it's sorted" top nq
check "top: and does so" grep -q 'sorted by name' "$dir/out"
check "top: a wide terminal shows it all" top q 120
check "top: with the name as it is" grep -q "$long " "$dir/out"
check "top: the terminal is given back" grep -q "$(printf '\033')\[?1049l" "$dir/out"
check "top: needs a terminal" sh -c "! '$bin/cswapctl' --directory '$dir/run' top </dev/null"
kill -CONT -- "-$mute"
kill "$mute"
wait "$mute" || true
# --- a guest that can't be asked for memory
start "$dir/plain.log" "$bin/cswapd" --socket "$dir/plain" --control "$dir/run/gone/ctl" --store mem --size 16M
plain=$started
ln -sf ctl "$dir/run/gone/control"
expect_all "no VMM: it says so" "no VMM is connected" --guest gone target 16M
start "$dir/decline.log" "$bin/cswap-sim" --socket "$dir/plain" decline
declining=$started
expect_all "a guest without a balloon: status says what helps" "declined the balloon.*--release punch" \
	--guest gone status
declined() {
	local got=0
	all --guest gone target 16M --wait >"$dir/out" 2>&1 || got=$?
	says "$got" 3 "stopped short of the target: .*--release punch"
}
check "waiting for it ends at once, and says why" declined
expect_all "list: it isn't at target" '^gone .* declined$' list
kill "$plain"
wait "$plain" "$declining" || true
plain='' declining=''
# --- completion, as bash asks for it
completes() { # EXPECTED WORD...
	local expected=$1 cswapctl COMPREPLY COMP_WORDS COMP_CWORD
	shift
	cswapctl=$(dirname "${BASH_SOURCE[0]}")/../../host/cswapctl/cswapctl.bash
	# shellcheck source=/dev/null
	. "$cswapctl"
	COMP_WORDS=(cswapctl "$@") COMP_CWORD=$#
	_cswapctl cswapctl "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
	[[ ${COMPREPLY[*]} == "$expected" ]] || { echo "${COMPREPLY[*]}"; return 1; }
}
check "completion: commands" completes "list top metrics stores status target shrink watch balancer explain pause drain resume" ""
check "completion: of a command" completes "metrics" m
check "completion: an option" completes "--balancer" --b
check "completion: guests, where they are" completes "web1" --directory "$dir/run" --guest w
check "completion: of a command's guest" completes "web1" --directory "$dir/run" explain w
all_told() {
	local option
	completes nothing -- >"$dir/offered" || true
	for option in $("$bin/cswapctl" --help | sed -nE 's/^ *(--[a-z]+).*/\1/p'); do
		grep -q -e "$option" "$dir/offered" || { echo "$option isn't offered"; return 1; }
		grep -qF -e "${option//-/\\-}" "$(dirname "$0")/../../host/cswapctl/cswapctl.1" || { echo "$option isn't in the manual"; return 1; }
	done
}
check "completion and manual: each option that help has" all_told
# --- what the balancer is asked
printf 'guests = %s\ninterval = 100ms\nreserve = 16M\n' "$dir/run" >"$dir/balancer.conf"
"$bin/cswap-balancer" --config "$dir/balancer.conf" --control "$dir/balancer" >"$dir/balancer.log" 2>&1 &
balancer=$!
ask() {
	"$bin/cswapctl" --balancer "$dir/balancer" "$@" >"$dir/out" 2>&1
}
# It finds the guests, and hears of them, in its own time.
knows_guest() {
	for ((tries = 0; tries < 500; tries++)); do
		ask explain web1 && grep -q '^web1: managed' "$dir/out" && grep -q '^  1\. ' "$dir/out" && return
		sleep 0.02
	done
	cat "$dir/balancer.log"
	return 1
}
check "explain: why, step by step" knows_guest
knows_guest
narrow_explanation() {
	awk 'length > 80 || / $/ { print; bad = 1 } /^  1\. / { some = 1 } END { exit bad || !some }' "$dir/out"
}
check "explain: 80 columns are enough" narrow_explanation
never_heard() {
	ask explain gone && grep -q '^gone: late' "$dir/out" && ! grep -q '^  1\. ' "$dir/out"
}
check "explain: nothing is reckoned of a guest that was never heard" never_heard
check "explain, as JSON" sh -c "'$bin/cswapctl' --balancer '$dir/balancer' --json explain web1 | grep -q '\"steps\":'"
# --- a store in a file: how long it takes to bring all of it back
told() {
	for ((tries = 0; tries < 500; tries++)); do
		all --guest gone status >"$dir/out" 2>&1 && grep -q "$1" "$dir/out" && return
		sleep 0.02
	done
	cat "$dir/out"
	return 1
}
rm -f "$dir/run/gone/ctl"
start "$dir/plain.log" "$bin/cswapd" --socket "$dir/plain" --control "$dir/run/gone/ctl" --store "$dir/store" --size 128M \
	--release punch
plain=$started
check "an empty store: nothing is to be swapped in" sh -c "! '$bin/cswapctl' --directory '$dir/run' --guest gone status |
	grep 'swapped in.* MiB'"
# As if the guest had stored so much.
fallocate --keep-size --offset 1M --length 100M "$dir/store"
check "how much is to be swapped in" told "to be swapped in   up to 100.* MiB; the guest has read too little to tell"
start "$dir/obey.log" "$bin/cswap-sim" --socket "$dir/plain" obey
declining=$started
check "how long that takes, by the guest's own measure" \
	told "up to 100.* MiB, in up to 3 s: the guest has waited 100 us for a page so far; 36.* MiB more memory than it has"
knows_other() {
	for ((tries = 0; tries < 500; tries++)); do
		ask explain gone && grep -q '^gone: managed' "$dir/out" && return
		sleep 0.02
	done
	return 1
}
check "the balancer has heard of it" knows_other
told_before() {
	ask drain gone && grep -qE '^cswapctl: swapoff in gone then brings back up to 100.* MiB, in up to 3 s: ' "$dir/out" &&
		grep -q '^gone: draining' "$dir/out"
}
check "drain tells it before" told_before
kill "$plain"
wait "$plain" "$declining" || true
plain='' declining=''
check "pause" ask pause web1
check "it says so" grep -q '^web1: paused' "$dir/out"
check "drain" ask drain web1
check "it says so" grep -q '^web1: draining' "$dir/out"
drained() {
	for ((tries = 0; tries < 1000; tries++)); do
		all list | grep -qE '^web1 .* 0 +0 ' && return
		sleep 0.02
	done
	all list
	return 1
}
check "and the guest has its memory back" drained
check "resume" ask resume web1
check "pause all" ask pause
check "it says so" grep -q '^balancer paused' "$dir/out"
both() {
	"$bin/cswapctl" --balancer "$dir/balancer" --directory "$dir/run" "$@" >"$dir/out" 2>&1
}
both_say() { # TEXT ARGS...
	local text=$1
	shift
	both "$@" && grep -qE -- "$text" "$dir/out"
}
check "balancer: the host" both_say '^  host .* in reserve' balancer
check "balancer: each guest, and why" grep -qE '^web1 .* paused: ' "$dir/out"
check "balancer, as JSON" both_say '"guests":\[.*"why":' --json balancer
check "list: what the balancer does" both_say '^web1 .* at target, paused$' list
check "metrics: the balancer's" both_say '^cswap_balancer_state\{guest="web1",state="paused",reason=".*"\} 1$' metrics
check "metrics: its reserve" grep -qx 'cswap_balancer_reserve_bytes 16777216' "$dir/out"
check "metrics: still well formed" well_formed
check "resume all" ask resume
check "a target that the balancer will replace" both_say 'will replace yours: cswapctl pause web1' target web1 0
check "pause all again" ask pause
check "a paused one stays" both_say 'released' target web1 0
check "and nothing is said of it" sh -c "! grep 'replace' '$dir/out'"
check "no such guest" sh -c "! '$bin/cswapctl' --balancer '$dir/balancer' drain nobody"
kill "$balancer"
wait "$balancer" || true
balancer=''
expect_all "metrics: no balancer" '^cswap_balancer_up 0$' metrics
no_balancer() {
	! "$bin/cswapctl" --balancer "$dir/none" pause >"$dir/out" 2>&1 && grep -q "cswap-balancer doesn't run (systemctl start" "$dir/out"
}
check "no balancer: what helps" no_balancer
whom() {
	local got=0
	"$bin/cswapctl" "${@:2}" >"$dir/out" 2>&1 || got=$?
	says "$got" 2 "$1"
}
check "explain whom?" whom "which guest" explain
check "drain: one at a time" whom "unexpected argument" drain web1 web2

kill "$daemon"
wait "$daemon" || true
daemon=''
status=0
wait "$guest" || status=$?
guest=''
check "the guest saw the daemon go" test "$status" = 0
check "the control socket is removed" test ! -e "$dir/ctl"
echo "1..$number"
((failures == 0))
