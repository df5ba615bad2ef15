# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# lun.sh - a store on a LUN: the kernel's iSCSI target, and the kernel as the client. To be sourced by in-guest.

target=/sys/kernel/config/target
portal=$target/iscsi/iqn.2026-01.example.storage:cswap/tpgt_1

# --- the target ---

# set FILE VALUE: there
storage_set() {
	"${storage[@]}" sh -c 'echo "$2" >"$1"' sh "$1" "$2"
}

# A LUN in a file of the storage's disk, for each initiator; it can write zeros (WRITE SAME), and has no UNMAP.
lun_target_begins() {
	local disk=$target/core/fileio_0/web1
	mount -t configfs configfs /sys/kernel/config || return
	"${storage[@]}" mount -t configfs configfs /sys/kernel/config || return
	mkdir -p "$disk" && "${storage[@]}" mkdir -p /srv/lun || return
	storage_set "$disk/wwn/vpd_unit_serial" 2d1f0a4c-9b1e-4f5e-8a37-0c6d5e7b9f10 || return
	storage_set "$disk/control" "fd_dev_name=/srv/lun/store,fd_dev_size=$((33 << 20)),fd_buffered_io=1" &&
		storage_set "$disk/enable" 1 || return
	"${storage[@]}" mkdir -p "$portal/lun/lun_0" "$portal/np/10.0.1.1:3260" || return
	ln -s "$disk" "$portal/lun/lun_0/web1" || return
	storage_set "$portal/attrib/authentication" 0 && storage_set "$portal/attrib/generate_node_acls" 1 &&
		storage_set "$portal/attrib/demo_mode_write_protect" 0 && lun_target_starts
}
lun_target_starts() {
	storage_set "$portal/enable" 1
}
lun_target_stops() {
	storage_set "$portal/enable" 0
}

# --- as docs/stores.md has it ---

lun_begins() {
	local wwid
	mkdir -p /run/lock/iscsi /var/lib/iscsi /dev/disk/by-id
	echo InitiatorName=iqn.2026-01.example.host1:cswap >/etc/iscsi/initiatorname.iscsi
	lun_target_begins || return
	as_told "A LUN, or another block device" 1 >"$work/host.told"
	[[ $(wc -l <"$work/host.told") == 5 ]] || complain "the example has changed" || return
	iscsid --foreground >"$work/iscsid.log" 2>&1 &
	# The last command looks for what udev has named.
	sed -i '/^ls -l /d' "$work/host.told"
	bash -euo pipefail "$work/host.told" || return
	await test -b /dev/sda || complain "$(cat "$work/iscsid.log")" || return
	wwid=$(cat /sys/block/sda/device/wwid) || return
	lun=/dev/disk/by-id/wwn-0x${wwid#naa.}
	ln -s /dev/sda "$lun"
	# -1 in the file is "off" for the kernel.
	[[ $(cat /sys/class/iscsi_session/session1/recovery_tmo) == off ]] || complain "the kernel doesn't wait for ever"
}

lun_held() {
	start_daemon cswapd "$lun" --size 32M && fill && refused "$lun" && verify && stop_cleanly
}

sectors_written() {
	awk '{ print $7 + $14 }' /sys/block/sda/stat
}
lun_without_unmap() {
	local before
	[[ $(cat /sys/block/sda/queue/discard_max_bytes) == 0 ]] || complain "the LUN has UNMAP" || return
	(($(cat /sys/block/sda/queue/write_zeroes_max_bytes))) || complain "the LUN has no WRITE SAME" || return
	start_daemon cswapd "$lun" --size 16M && fill || return
	before=$(sectors_written)
	sim --pages "$pages" --state "$work/state" --start 501 --count 1000 discard || return
	(($(sectors_written) == before)) || complain "$(($(sectors_written) - before)) sectors were written" || return
	verify || complain "verify" || return
	[[ $(json_in in ops <"$work/out") == $((pages - 1000)) ]] || complain "neighbours" || return
	fill && verify || complain "the store after a discard" || return
	stop_cleanly
}

session_state() {
	grep -q "$1" /sys/class/iscsi_session/session1/state
}
# Until the kernel knows, and has to connect anew.
lun_network_fails() {
	network_fails && await session_state FAILED
}
lun_network_is_back() {
	network_is_back && await session_state LOGGED_IN
}
