#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host wants everything, or now everything and now nothing, as often as the guest listens; or says
# the same again and again; or to release all of it again, as often; or its events and answers make no sense, or don't come.
# Proves: the floor holds; the guest's work is bounded, whatever it is told and how often; malformed
# events change nothing; memory that the host doesn't want, or doesn't answer for, isn't lost; the
# store works throughout; and when the host comes to reason, so does the balloon.
#
# beds: uml
# fast uml: again
# slow: uml-debug uml-smp vm-newest vm-6.1
# timeout: 900
# beside: yes
# run: --module-args "floor=96 brake_percent=0"
# run uml: --mem 256M --aes --env MIB=24
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 512M --cpus 2 --queues 2 --env MIB=48
# variant absurd: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault target-absurd" --env KIND=absurd
# variant flap: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault target-flap" --env KIND=flap --env MIB=110
# variant repeat: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault target-repeat" --env KIND=repeat
# variant again: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault target-again" --env KIND=again
# variant odd: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault target-odd" --env KIND=odd
# variant events: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault target-flap --balloon-fault event-reserved-bits:every=3 --balloon-fault event-short:every=4 --balloon-fault event-bad-length:every=5" --env KIND=events
# variant refuse: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault release-nospc" --env KIND=refuse
# variant nonsense: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault release-bad-status:every=2 --balloon-fault release-bad-length" --env KIND=refuse
# variant nospace: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault reclaim-nospc" --env KIND=nospace
# variant twice: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault event-twice" --env KIND=twice
# variant never: --faulty-cswapd "--store mem --size 128M --release punch --fault-report @RUN@/report --balloon-fault release-never" --env KIND=never
#
# Checks: driver-target-floor, driver-target-rate, driver-event-pace, driver-event-check, driver-reclaim-nospc
# Checks: driver-event-again, driver-event-again-rate

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# Milliseconds of a CPU that the kernel's unbound workers and the rescuer have had. By the scheduler's
# count, for User-Mode Linux has no other.
worker_ms() {
	local task name sum=0
	for task in /proc/[0-9]*; do
		read -r name <"$task/comm" 2>/dev/null || continue
		case $name in
		kworker/u* | cswap*) sum=$((sum + $(sed -n 's/^se.sum_exec_runtime *: *\([0-9]*\).*/\1/p' "$task/sched"))) ;;
		esac
	done
	echo $sum
}

# What it has done so far: times that it looked, what it was told and what it asked, and when.
work() {
	steps=$(balloon steps) told=$(($(balloon events) + $(balloon event_errors)))
	requests=$(balloon requests) centiseconds=$((10#$(now | tr -d .))) ms=$(worker_ms)
}

# watch SECONDS: how the balloon behaves for so long, or longer where CPUs are scarce: the least that
# the guest had, in $least MiB; how often it looked, was told and asked; and what the workers took of a
# CPU, in $percent.
watch() {
	local end left
	work
	local steps_before=$steps told_before=$told requests_before=$requests began=$centiseconds ms_before=$ms
	least=$total end=$((SECONDS + $1))
	while [ $SECONDS -lt $end ]; do
		left=$((total - $(balloon released)))
		[ $left -ge $least ] || least=$left
		read -rt 0.1 <>"$tmp/never" || :
	done
	work
	steps=$((steps - steps_before)) told=$((told - told_before)) requests=$((requests - requests_before))
	centiseconds=$((centiseconds - began)) percent=$(((ms - ms_before) * 10 / centiseconds))
}

# It has done what it can, and the rest isn't up to it.
is_done() {
	case $KIND in
	repeat | odd | again) is_reached ;;
	absurd) [ "$(balloon stopped)" = floor ] ;;
	flap | events) [ "$(balloon events)" -ge 2 ] ;;
	*) [ "$(balloon stopped)" = device ] ;;
	esac
}
expect_done() {
	within 120 is_done || fail "not what $KIND comes to: $(balloon released) MiB, $(balloon stopped), $(balloon events) events"
}

swap_on
begin_balloon
mkfifo "$tmp/never"
floor=$(balloon floor)
some=$(even $((total / 4)))
stress_begin --mib "$MIB" --rounds 2 --random 500
case $KIND in
nospace | twice) reach "$some" ;;
esac
host arm
case $KIND in
nospace) ask 0 ;;
twice) ask "$(even $((some / 2)))" ;;
*) ask "$some" ;;
esac
expect_done
watch 12
# Now and then it tries again.
expect_done
events=$(balloon events) errors=$(balloon event_errors) released=$(balloon released) why=$(balloon stopped)
say "$events events, $errors of them ignored, $released MiB released, $why; least $least MiB;" \
	"in $centiseconds/100 s $steps looks, told $told times, $requests requests, workers $percent % of a CPU"

expect "MiB that the guest always had" "$least" -ge "$floor"
# As often as it asks, ten times a second; and once more at each end.
expect "hundredfold of events in $centiseconds/100 s" $((100 * (told - 2))) -le $((10 * centiseconds))
# However slow the CPUs are: that isn't a worker that runs all the time.
expect "percent of a CPU" $percent -le 60
case $KIND in
flap | events | again) ;;
*)	# Where there's nothing that it could do, it looks once a second, when it is told, before it asks,
	# and at what it does to be refused.
	expect "hundredfold of looks" $((100 * (steps - 2 * told - 4 * requests - 10))) -le $((2 * centiseconds)) ;;
esac
case $KIND in
absurd)
	expect "MiB released" "$released" -ge $((total - floor - 4)) ;;
flap)
	expect "events" "$events" -ge 4
	expect "MiB taken in all" "$(balloon taken)" -ge "$some" ;;
repeat)
	expect "events" "$events" -ge 20
	expect "MiB released" "$released" = "$some" ;;
odd)
	expect "MiB released" "$released" = "$some" ;;
again)
	expect "events" "$events" -ge 20
	expect "MiB released" "$released" = "$some"
	# All of it is a request or two, once a second.
	expect "requests" "$requests" -ge 8
	expect "hundredfold of requests" $((100 * (requests - 6))) -le $((3 * centiseconds)) ;;
twice)
	# Linux gives such a ring up.
	in_log 1 'is not a head'
	expect "MiB released" "$released" = 0 ;;
events)
	expect "malformed events" "$errors" -ge 2 ;;
refuse)
	expect "refusals" "$(balloon refusals)" -ge 1 ;;
nospace)
	expect "MiB released" "$released" -ge 2 ;;
never)
	expect "MiB out of use" "$released" -gt 0 ;;
esac
# It goes on doing what it is there for.
before=$(counter stores)
stress_to_gate
stress --mib $((MIB / 2)) --limit $((MIB / 4)) --seed 3
expect "pages stored meanwhile" $(($(counter stores) - before)) -gt 500

host disarm
hits=$(fault 0 ops)
expect "the fault hit nothing" "$hits" -gt 0
if [ "$KIND" = never ] || [ "$KIND" = twice ]; then
	# What was never answered is only known again when the device is reset, and so is a ring that was
	# given up: the module goes.
	stress_end
	swap_off
	rmmod virtio_cswap || die "rmmod"
	expect "KiB in MemTotal afterwards" "$(memory_kib MemTotal)" -ge "$total_kib"
else
	ask "$some"
	within 90 is_reached || fail "when all is well: $(balloon released) of $some MiB: $(balloon stopped)"
	stress_end
	reach 0 90
	expect_total afterwards
	expect "MiB lost" "$(balloon lost)" = 0
	swap_off
fi
finish "$hits lies, $events events, $errors ignored; the guest never had less than $least MiB (floor $floor), workers took $percent % of a CPU; $(figure checked) pages checked, 0 wrong"
