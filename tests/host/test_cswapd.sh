#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_cswapd.sh CSWAPD UNIT - how the daemon starts, refuses to start and ends (TAP).
set -euo pipefail

cswapd=$1
unit=$2
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$dir"' EXIT
number=0
failed=0

result() { # STATUS NAME
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' "$dir/log" || true
		failed=1
	fi
}

# Run to the end; expect that exit status, and that text in what it says.
refuses() { # NAME STATUS TEXT ARGS...
	local name=$1 status=$2 text=$3 got=0
	shift 3
	"$cswapd" "$@" >"$dir/log" 2>&1 || got=$?
	[ "$got" = "$status" ] && grep -qF -- "$text" "$dir/log" && got=0 || got=1
	result "$got" "$name"
}

# Start in the background and wait until it is ready, or has ended.
start() { # ARGS...
	local line
	mkfifo "$dir/stderr"
	"$cswapd" "$@" 2>"$dir/stderr" &
	pid=$!
	exec 3<"$dir/stderr"
	rm "$dir/stderr"
	: >"$dir/log"
	while IFS= read -r line <&3; do
		echo "$line" >>"$dir/log"
		[[ $line != *ready:* ]] || break
	done
}

stop() { # SIGNAL; its exit status is left in $status, all it said in the log
	status=0
	kill "-$1" "$pid" || true
	wait "$pid" 2>/dev/null || status=$?
	cat <&3 >>"$dir/log"
	exec 3<&-
	pid=
}

mem=(--store mem --size 16M)
sock=$dir/sock

refuses "help" 0 "usage:" --help
refuses "version" 0 "cswapd " --version
refuses "layout of what is kept" 0 "-" --keep-layout
refuses "no size" 2 "--size is missing" --socket "$sock" --store mem
refuses "no socket" 1 "neither --socket nor --fd" "${mem[@]}"
refuses "fd is no socket" 1 "is not a socket" --fd 0 "${mem[@]}" </dev/null
refuses "store is a directory" 1 "neither a regular file nor a block device" \
	--socket "$sock" --store "$dir" --size 16M
refuses "store in a missing directory" 1 "can't open" \
	--socket "$sock" --store "$dir/none/store" --size 16M
touch "$dir/file"
echo precious >"$dir/letter"
refuses "store is a file with other content" 1 "is no store but data" \
	--socket "$sock" --store "$dir/letter" --size 16M
refuses "tags are" 1 "is no store's tags but data" \
	--socket "$sock" --store "$dir/none" --tags "$dir/letter" --size 16M
[ "$(cat "$dir/letter")" = precious ] && got=0 || got=1
result "$got" "which is as it was"
refuses "store is a mistyped device" 1 "no file is made there" \
	--socket "$sock" --store /dev/cswap-nosuch --tags "$dir/tags" --size 16M
refuses "socket path is a file" 1 "exists and is not a socket" --socket "$dir/file" "${mem[@]}"
refuses "sandbox of another kind" 2 "sandbox perhaps: the value must be auto, strict or off" --sandbox perhaps \
	--socket "$sock" "${mem[@]}"
refuses "a size that no slots fill" 2 "size 5000: the value must be a multiple of 4096 bytes" --socket "$sock" \
	--store mem --size 5000
refuses "a word too many" 2 "unexpected argument extra" --socket "$sock" "${mem[@]}" extra
refuses "socket path too long" 1 "too long" --socket "$dir/$(printf 'x%.0s' {1..120})" "${mem[@]}"

start --socket "$sock" --store "$dir/store" --size 16M
refuses "socket in use" 1 "is in use" --socket "$sock" "${mem[@]}"
refuses "store in use" 1 "is in use" --socket "$sock.2" --store "$dir/store" --size 16M
kill -0 "$pid" && result 0 "the first one is not disturbed"
kill -USR1 "$pid"
stop TERM
result "$status" "SIGTERM ends it with 0"
grep -q "pages stored 0" "$dir/log" && got=0 || got=1
result "$got" "counters are logged"
[ ! -e "$sock" ] && got=0 || got=1
result "$got" "the socket is removed"

# Namespaces take root.
[ "$(id -u)" = 0 ] && mode=strict || mode=auto
start --socket "$sock" --control "$sock.ctl" --sandbox "$mode" "${mem[@]}"
got=0
for process in "$pid" $(<"/proc/$pid/task/$pid/children"); do
	grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$process/status" || got=1
	grep -q '^Seccomp:[[:space:]]*2$' "/proc/$process/status" || got=1
done
result "$got" "both processes can gain no privilege, and have a filter of system calls"
stop TERM
result "$status" "all of the sandbox, and it ends with 0"
grep -q "sandbox: sealed" "$dir/log" && got=0 || got=1
result "$got" "the sandbox is sealed"
[ ! -e "$sock" ] && [ ! -e "$sock.ctl" ] && got=0 || got=1
result "$got" "both sockets are removed from inside"

# Started without any of the three: what is logged must not go to a file that was opened later.
are_null() { # PID...
	local process fd
	for process; do
		for fd in 0 1 2; do
			[ "$(readlink "/proc/$process/fd/$fd")" = /dev/null ] || return
		done
	done
}
"$cswapd" --socket "$sock" --control "$sock.ctl" "${mem[@]}" <&- >&- 2>&- &
pid=$!
until [ -S "$sock.ctl" ]; do kill -0 "$pid"; done
# shellcheck disable=SC2046	# one each
are_null "$pid" $(<"/proc/$pid/task/$pid/children") && got=0 || got=1
kill "$pid"
wait "$pid" || got=1
pid=
result "$got" "without stdin, stdout and stderr, nothing else has their numbers"

# systemd, as far as a watchdog goes: told once that it's ready, and again and again that it's there.
# Prints what it was told.
cat >"$dir/systemd.py" <<'END'
import os, signal, socket, subprocess, sys
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(sys.argv[1])
notify.settimeout(60)
env = dict(os.environ, NOTIFY_SOCKET=sys.argv[1], WATCHDOG_USEC="200000")
daemon = subprocess.Popen(sys.argv[2:], env=env, stderr=subprocess.DEVNULL)
told = []
while told.count("WATCHDOG=1") < 5:
    told.append(notify.recv(4096).decode())
daemon.send_signal(signal.SIGTERM)
while "STOPPING=1" not in told:
    told.append(notify.recv(4096).decode())
# How it is, in words, is for people.
told = [text for text in told if not text.startswith("STATUS=")]
print(*sorted(set(told)), told.count("READY=1"), daemon.wait())
END
python3 "$dir/systemd.py" "$dir/notify" "$cswapd" --socket "$sock" "${mem[@]}" >"$dir/log" 2>&1 || true
[ "$(cat "$dir/log")" = "READY=1 STOPPING=1 WATCHDOG=1 1 0" ] && got=0 || got=1
result "$got" "systemd hears of it as often as it wants to"

start --socket "$sock" "${mem[@]}"
stop KILL
[ -S "$sock" ] && got=0 || got=1
result "$got" "killed, it leaves its socket behind"
start --socket "$sock" "${mem[@]}"
result 0 "a stale socket is replaced"
stop INT
result "$status" "SIGINT ends it with 0"

# The unit, with the program where it was built; the man page is elsewhere yet.
name="systemd accepts the unit"
if command -v systemd-analyze >/dev/null; then
	sed -E "s,@(SBIN|LIBEXEC)DIR@,$(dirname "$(realpath "$cswapd")"),g; /^Documentation=/d" "$unit" \
		>"$dir/cswapd@test.service"
	systemd-analyze verify "$dir/cswapd@test.service" >"$dir/log" 2>&1 || true
	[ ! -s "$dir/log" ] && got=0 || got=1
	result "$got" "$name"
	# In tenths: 10.0 is a service that may do everything.
	got=0
	systemd-analyze security --offline=true --threshold=15 "$dir/cswapd@test.service" \
		>"$dir/log" 2>&1 || got=1
	result "$got" "systemd finds it exposed by 1.5 of 10 or less"
else
	for name in "$name" "systemd finds it exposed by 1.5 of 10 or less"; do
		number=$((number + 1))
		echo "ok $number - $name # SKIP no systemd-analyze"
	done
fi

echo "1..$number"
exit "$failed"
