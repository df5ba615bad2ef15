# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# cswapctl.bash - completion of cswapctl's command line for bash.

_cswapctl() {
	local word=$2 previous=$3 guests=/run/cswapd dir i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} != --directory ]] || guests=${COMP_WORDS[i + 1]}
	done
	case $previous in
	--socket | --balancer | --output)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--directory | --configuration | stores)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	--guest | status | watch | explain | drain | pause | resume)
		for dir in "$guests/$word"*/; do
			[[ ! -S ${dir}control ]] || COMPREPLY+=("$(basename "$dir")")
		done
		return
		;;
	--timeout | --interval) return ;;
	target | shrink)
		mapfile -t COMPREPLY < <(compgen -W '0 25% 50%' -- "$word")
		for dir in "$guests/$word"*/; do
			[[ ! -S ${dir}control ]] || COMPREPLY+=("$(basename "$dir")")
		done
		return
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '--guest --socket --directory --balancer --configuration --output --json --wait --timeout
			--interval --help --version' -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W 'list top metrics stores status target shrink watch balancer explain pause drain resume' -- "$word")
	fi
}
complete -F _cswapctl cswapctl
