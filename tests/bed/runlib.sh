# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# runlib.sh - what tests/uml/run and tests/vm/run share: one contract for both beds.
#
# Theory of operation. A run has two halves of the same script. The outer half, on the machine,
# parses the options, makes whatever is missing (root, kernel, module, programs), makes the run's
# folder, and starts the inner half by tests/bed/enter --contain. That one starts the daemons and
# the guest and writes down how each ended. It is the first process of a PID namespace, so when it
# ends, for whatever reason, nothing of the run is left. Then the outer half judges: it trusts
# only what the guest wrote to the file "status", and the kernel's log.
#
# The run's folder (same path on the machine, in the root and in the guest: $CSWAP_RUN):
#	env		the guest's settings		status		exit status of the script
#	console.log	the guest's console		output		what the script printed
#	results/	the script's to fill		*.log		the daemons' logs
#	*.exit		how each daemon ended		guest.exit	how the VMM ended

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Words that only the kernel's log of something broken has.
splats='BUG:|WARNING:|Oops|KASAN|UBSAN:|Kernel panic|general protection|segfault at|hung_task'
splats+='|INFO: (possible|trying to register|task .* blocked|suspicious|rcu)|possible (recursive|circular)|rcu: INFO'
splats+='|inconsistent lock state|DEBUG_LOCKS_WARN|list_(add|del) corruption|ODEBUG|refcount_t'
splats+='|unreferenced object|kmemleak: [0-9]+ new|alg: .*(failed|unavailable)|Bad page (state|map)'

opt_kernel="" opt_mem="" opt_cpus="" opt_queues="" opt_timeout=120 opt_results="" opt_append=""
opt_module_args="" opt_beside="" opt_driver=auto opt_shell=0 opt_kmemleak=0 opt_aes=0 opt_quiet=0
opt_cswapd=() opt_daemons=() opt_devices=() opt_disks=() opt_allow=() opt_env=() opt_modprobe=()
opt_files=() opt_programs=() opt_insmod=() opt_may_die=0 opt_cvm="" opt_cvm_args="" opt_qemu=() opt_with="" opt_nodes=1 opt_huge=0 opt_reconnect=0 script=() interpreter=()

run_usage() {
	cat <<-EOT
	Usage: $1 [OPTION]... SCRIPT [ARG]...

	Boots a guest, runs SCRIPT in it and exits with SCRIPT's status. Other exits: 2 usage, 120 the
	kernel's log has a splat, 121 a daemon failed, 122 the guest could not run SCRIPT or did not
	finish, 123 the command beside it failed, 124 timed out, 125 set-up failed.
	$2
	  --mem SIZE           the guest's memory ($3)
	  --cpus N             ($4)
	  --cswapd ARGS        start cswapd with these arguments and attach it (device 13); may be
	                       words like "--store mem --size 256M"; @RUN@ is the run's folder;
	                       its control socket is @RUN@/cswapd.ctl
	  --faulty-cswapd ARGS the same with cswapd-faulty
	  --evil-cswapd ARGS   the same with cswapd-evil
	  --queues N           queue pairs (1)
	  --daemon ID CMD      start another vhost-user daemon; @SOCK@ in CMD is its socket
	                       (CMD is for bash; if it is several commands, exec the last)
	  --daemon-may-die     a daemon that ends early or not with 0 is no failure
	  --device SOCK:ID     attach a daemon that runs already
	  --disk FILE          a plain disk (/dev/bed/disk0, disk1... in the guest)
	  --module-args ARGS   parameters of the driver
	  --no-driver          don't load the driver, though there is a device 13
	  --modprobe NAME      load one of the kernel's modules
	  --insmod FILE        load a module file
	  --env NAME=VALUE     set in SCRIPT's environment
	  --append ARGS        more of the kernel's command line
	  --beside CMD         run CMD on the host's side while the guest runs; it may use \$CSWAP_RUN
	                       and \$CSWAP_CONTROL (mconsole or QMP socket)
	  --kmemleak           fail if the kernel leaked memory (debug kernels)
	  --allow REGEX        lines of the kernel's log that are no failure
	  --timeout SECONDS    (120)
	  --results DIR        keep the run's folder there
	  --quiet              print SCRIPT's output only if it fails
	  --shell              an interactive shell instead of SCRIPT
	SCRIPT finds: CSWAP_BED, CSWAP_KERNEL, CSWAP_RUN, CSWAP_RESULTS (what it writes there comes back),
	CSWAP_DISK (/dev/cswap0), TMPDIR; swapstress and the like in PATH.
	EOT
}

run_parse() {
	local words

	while [[ ${1-} == --* ]]; do
		case $1 in
		--kernel) opt_kernel=$2; shift ;;
		--mem) opt_mem=$2; shift ;;
		--cpus | --smp) opt_cpus=$2; shift ;;
		--cswapd) opt_cswapd=(cswapd "$2"); shift ;;
		--faulty-cswapd) opt_cswapd=(cswapd-faulty "$2"); shift ;;
		--evil-cswapd) opt_cswapd=(cswapd-evil "$2"); shift ;;
		--queues) opt_queues=$2; shift ;;
		--daemon) opt_daemons+=("$2" "$3"); shift 2 ;;
		--daemon-may-die) opt_may_die=1 ;;
		--device) opt_devices+=("$2"); shift ;;
		--disk) opt_disks+=("$(realpath "$2")"); shift ;;
		--module-args) opt_module_args=$2; shift ;;
		--no-driver) opt_driver=no ;;
		--modprobe) opt_modprobe+=("$2"); shift ;;
		--insmod) opt_insmod+=("$(realpath "$2")"); shift ;;
		--env) opt_env+=("$2"); shift ;;
		--append) opt_append+=" $2"; shift ;;
		--beside) opt_beside=$2; shift ;;
		--kmemleak) opt_kmemleak=1 ;;
		--tdx | --snp) opt_cvm=${1#--} ;;
		--cvm-args) opt_cvm_args+=",x-cvm-emu-${2//,/,x-cvm-emu-}"; shift ;;
		--nodes) opt_nodes=$2; shift ;;
		--huge) opt_huge=1 ;;
		--reconnect) opt_reconnect=1 ;;
		--qemu) read -ra words <<<"$2"; opt_qemu+=("${words[@]}"); shift ;;
		--aes) opt_aes=1 ;;
		--allow) opt_allow+=("$2"); shift ;;
		--file) opt_files+=("$(realpath "$2")"); shift ;;
		--program) opt_programs+=("$2"); shift ;;
		--with) opt_with=$2; shift ;;
		--timeout) opt_timeout=$2; shift ;;
		--results) opt_results=$2; shift ;;
		--quiet) opt_quiet=1 ;;
		--shell) opt_shell=1 ;;
		--help) run_help; exit 0 ;;
		*) run_help >&2; exit 2 ;;
		esac
		shift
	done
	script=("$@")
	[[ ${#script[@]} != 0 || $opt_shell == 1 ]] || { run_help >&2; exit 2; }
	if ((${#script[@]})); then
		[[ -r ${script[0]} ]] || die "no script ${script[0]}"
		script[0]=$(realpath "${script[0]}")
		[[ -x ${script[0]} ]] || interpreter=(bash)
	fi
	# The driver is wanted where there is a device for it.
	if [[ $opt_driver == auto ]]; then
		opt_driver=no
		local word
		for word in "${opt_cswapd[@]}" "${opt_devices[@]}"; do
			[[ $word == cswapd* || $word == *:13 ]] && opt_driver=yes
		done
	fi
	[[ $opt_shell == 0 ]] || opt_timeout=0
}

# ---- the outer half

# run_build_programs: what the guests and this script run, built inside the root.
run_build_programs() {
	local targets=(bed-programs)

	((${#opt_cswapd[@]})) && targets+=(host)
	mkdir -p "$repo/build/bed"
	(
		flock 8
		cd "$repo" || exit
		"$bed/enter" make -s O=build/bed "${targets[@]}" >"build/bed/build.$$.log" 2>&1 </dev/null ||
			{ cat "build/bed/build.$$.log" >&2; die "building ${targets[*]} failed"; }
		rm -f "build/bed/build.$$.log"
	) 8>"$repo/build/bed/.lock"
}

# The modules to load, in order; the driver comes last.
run_build_modules() {
	local built

	if ((opt_aes)); then
		"$bed/build-module" "$opt_kernel" tests/uml >/dev/null
		opt_insmod=("$repo/build/bed/$opt_kernel/tests/uml/uml_aesni.ko" "${opt_insmod[@]}")
	fi
	if [[ $opt_driver == yes ]]; then
		built=$("$bed/build-module" "$opt_kernel")
		opt_insmod+=(${built:+"$built"})
	fi
}

# run_write_env: the guest's settings, as assignments for its shell.
run_write_env() {
	local name setting

	{
		printf 'CSWAP_%s=%q\n' BED "$run_bed" KERNEL "$opt_kernel" RUN "$run" RESULTS "$run/results" \
			OUTPUT "$run_output" CWD "$PWD" SHELL "$opt_shell" KMEMLEAK "$opt_kmemleak" \
			CONSOLE "$run_console" MODPROBE "${opt_modprobe[*]}" INSMOD "${opt_insmod[*]}" \
			MODULE_ARGS "$opt_module_args" COMMAND "$(printf '%q ' "${interpreter[@]}" "${script[@]}")"
		[[ $opt_driver == yes ]] && printf 'CSWAP_%s=%q\n' DISK /dev/cswap0 WAIT_DISKS /dev/cswap0
		printf '%s=%q\n' PATH "$repo/build/bed/guest:/usr/sbin:/usr/bin:/sbin:/bin" TMPDIR /run/tmp
		for setting in "${opt_env[@]}"; do
			printf '%s=%q\n' "${setting%%=*}" "${setting#*=}"
		done
	} | sed 's/^/export /' >"$run/env"
}

# run_judge STATUS: says what became of the run, and keeps the folder if there is anything to see.
run_judge() {
	local status=0 log allow broken exits

	allow=$(IFS='|'; echo "${opt_allow[*]}")
	broken=$(cat "$run/console.log" "$run/results/dmesg" "$run/results/kmemleak" "$run/cvm-broken" 2>/dev/null |
		grep -aE "$splats" | { grep -avE "${allow:-^$}" || true; } | sort -u | head -n 12)
	exits=$(grep -sHv '^0$' "$run"/*.daemon.exit || true)
	if [[ $1 != 0 ]]; then
		status=125
		echo "run: set-up failed ($1)" >&2
	elif [[ ! -s $run/status ]]; then
		status=122
		[[ $(cat "$run/guest.exit") != 137 ]] || status=124
		echo "run: the guest did not finish ($([[ $status == 124 ]] && echo "killed after $opt_timeout s" ||
			echo "VMM exit $(cat "$run/guest.exit")")); end of its console:" >&2
		tail -n 15 "$run/console.log" >&2
	elif [[ $(cat "$run/status") == setup* ]]; then
		status=122
		echo "run: the guest could not run the script" >&2
	else
		status=$(cat "$run/status")
	fi
	[[ -z $broken ]] || { printf '%s\n' "run: the kernel's log has:" "$broken" >&2; }
	[[ -z $exits || $opt_may_die == 1 ]] || { echo "run: a daemon failed: ${exits//"$run/"/}" >&2; }
	if [[ $status == 0 ]]; then
		[[ ! -e $run/beside.exit || $(cat "$run/beside.exit") == 0 ]] || status=123
		[[ -z $exits || $opt_may_die == 1 ]] || status=121
		[[ -z $broken ]] || status=120
	fi
	return "$status"
}

run_finish() {
	local status=$1

	if [[ $opt_shell == 0 ]] && [[ $opt_quiet == 0 || $status != 0 ]]; then
		cat "$run/output" 2>/dev/null || true
		[[ $status == 0 || $status == 4 ]] || tail -n 10 "$run"/*.log 2>/dev/null | sed 's/^/    /' >&2 || true
	fi
	if [[ -n $opt_results ]]; then
		mkdir -p "$opt_results"
		cp -r --sparse=always "$run/." "$opt_results/" 2>/dev/null || true
	fi
	if [[ $status == 0 || $status == 4 || -n $opt_results ]]; then
		rm -rf "$run"
	else
		echo "run: exit $status; all of it is in $run" >&2
	fi
	exit "$status"
}

run_outer() {
	local status=0 path binds=()

	need root "$(root_dir)"
	for path in "${script[@]:0:1}" "${opt_disks[@]}" "${opt_insmod[@]}" "${opt_files[@]}"; do
		binds+=(--bind "$(dirname "$path")")
	done
	run_prepare
	run_build_programs
	run_build_modules
	run=$(mktemp -d /tmp/cswap-run.XXXXXX)
	mkdir "$run/results"
	run_paths
	run_write_env
	run_prepare_folder
	# The guest's own terminal, if it has one, stays as it was.
	CSWAP_INNER=$run "$bed/enter" --contain "${binds[@]}" "$(realpath "$0")" "$@" || status=$?
	run_judge "$status" && status=0 || status=$?
	run_finish "$status"
}

# ---- the inner half: the first process of the namespace

# run_start_daemon NAME SOCK COMMAND...: returns when the daemon listens.
run_start_daemon() {
	local name=$1 sock=$2 tries

	shift 2
	(
		status=0
		"$@" >"$run/$name.log" 2>&1 </dev/null &
		echo $! >"$run/$name.pid"
		wait $! || status=$?
		echo "$status" >"$run/$name.daemon.exit"
	) &
	daemon_names+=("$name")
	# Listening is a flag in the kernel's table; connecting to see would take the only connection.
	for ((tries = 0; tries < 3000; tries++)); do
		awk -v sock="$sock" '$4 == "00010000" && $NF == sock { ok = 1 } END { exit !ok }' /proc/net/unix && return
		[[ ! -e $run/$name.daemon.exit ]] || break
		run_moment
	done
	cat "$run/$name.log" >&2
	die "$name does not listen at $sock"
}

# Sleep without a process.
run_moment() {
	[[ -p $run/moment ]] || mkfifo "$run/moment"
	read -rt 0.01 <>"$run/moment" || true
}

# run_start_daemons: fills in devices, a list of SOCKET:ID.
run_start_daemons() {
	local i words command

	devices=("${opt_devices[@]}")
	daemon_names=()
	if ((${#opt_cswapd[@]})); then
		read -ra words <<<"${opt_cswapd[1]//@RUN@/$run}"
		run_start_daemon cswapd "$run/cswapd.sock" "$repo/build/bed/${opt_cswapd[0]}" \
			--socket "$run/cswapd.sock" --control "$run/cswapd.ctl" --queues "${opt_queues:-1}" "${words[@]}"
		devices+=("$run/cswapd.sock:13")
	fi
	for ((i = 0; i < ${#opt_daemons[@]}; i += 2)); do
		command=${opt_daemons[i + 1]//@RUN@/$run}
		run_start_daemon "daemon$i" "$run/daemon$i.sock" bash -c "${command//@SOCK@/"$run/daemon$i.sock"}"
		devices+=("$run/daemon$i.sock:${opt_daemons[i]}")
	done
}

# Ask each daemon to end; one that doesn't within half a minute is killed, and that is its exit.
run_stop_daemons() {
	local name tries

	for name in "${daemon_names[@]}"; do
		[[ -e $run/$name.daemon.exit ]] || kill "$(cat "$run/$name.pid")" 2>/dev/null || true
		for ((tries = 0; tries < 3000; tries++)); do
			[[ -e $run/$name.daemon.exit ]] && break
			run_moment
		done
		[[ -e $run/$name.daemon.exit ]] || echo "did not end by SIGTERM" >"$run/$name.daemon.exit"
	done
}

# run_guest_process COMMAND...: the VMM, with the time limit. A guest that will soon be killed says
# what its tasks do, if the bed has a way to ask.
run_guest_process() {
	local status=0 vmm

	if ((opt_shell)); then
		"$@" || status=$?
	else
		timeout --foreground -s KILL "$opt_timeout" "$@" >"$run/vmm.log" 2>&1 </dev/null &
		vmm=$!
		timeout $((opt_timeout * 9 / 10)) tail --pid="$vmm" -f /dev/null || run_show_tasks >"$run/tasks.log" 2>&1 &
		wait "$vmm" || status=$?
	fi
	echo "$status" >"$run/guest.exit"
}

run_inner() {
	local beside=''

	run=$CSWAP_INNER
	run_paths
	trap 'exit 143' TERM INT
	run_start_daemons
	if [[ -n $opt_beside ]]; then
		(
			CSWAP_RUN=$run CSWAP_CONTROL=$run_control bash -c "$opt_beside" >"$run/beside.log" 2>&1 </dev/null
			echo $? >"$run/beside.exit"
		) &
		beside=$!
	fi
	run_guest
	run_stop_daemons
	# It may have waited for the guest's end; then it is done by now, or it never will be.
	if [[ -n $beside ]]; then
		timeout -s KILL 10 tail --pid="$beside" -f /dev/null || echo "did not end" >"$run/beside.exit"
	fi
	exit 0
}

run_main() {
	run_parse "$@"
	run_defaults
	if [[ -n ${CSWAP_INNER-} ]]; then
		run_inner
	else
		run_outer "$@"
	fi
}
