# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# lib-evil.sh - what the cases with a malicious device share. A case sources this behind lib.sh.

for driver in $CSWAP_INSMOD; do :; done # it comes last

gone() {
	[ ! -e "$disk" ]
}
here() {
	[ -b "$disk" ] && [ -r "$stats/stores" ]
}

# The module goes and comes: rings that lost buffers, or were given up, are made anew.
reload_driver() {
	rmmod virtio_cswap || die "rmmod"
	wait_until 20 gone || die "the disk is still there"
	# shellcheck disable=SC2086	# words
	insmod "$driver" $CSWAP_MODULE_ARGS || die "insmod"
	wait_until 20 here || die "no disk after insmod"
}

# KiB that the kernel can't have back: neither free, nor of files, nor of programs.
kept_kib() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^MemTotal:/ { kib += $2 }
		/^(MemFree|Buffers|Cached|SwapCached|AnonPages|SReclaimable):/ { kib -= $2 }
		END { print kib }' /proc/meminfo
}

# log_records: how many there ever were; the log itself forgets the older ones.
log_records() {
	local record last=0
	while read -r record; do
		case $record in
		[0-9]*,[0-9]*,*) record=${record#*,}; last=${record%%,*} ;;
		esac
	done < <(dd if=/dev/kmsg iflag=nonblock bs=8k 2>/dev/null)
	echo "$last"
}

# When the device doesn't lie any more, all is well.
expect_honest() {
	swap_on
	stress --mib 4 --seed 77 --pageout
	expect_clean
	swap_off
}

# lies_told: the report of `host disarm`, for the reader.
lies_told() {
	say "lies: $(echo "$host_said" | tr ' ' '\n' | paste -d ' ' - - | sed 's/kind=//; s/ ops=/ /; / 0$/d' | tr '\n' ',')"
}
