# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# nfs.sh - a store on NFS: the kernel's server and the kernel's client. To be sourced by in-guest.

nfs=/var/lib/private/cswapd		# where docs/stores.md mounts it

# --- the server ---

# The times are short, or a test would wait for long. NFS 4 needs no other services.
nfs_server_configure() {
	mkdir -p /var/lib/nfs/nfsdcld /run/rpc_pipefs
	touch /var/lib/nfs/etab /var/lib/nfs/rmtab
	printf '[general]\npipefs-directory=/run/rpc_pipefs\n[nfsd]\nvers3=n\ngrace-time=10\nlease-time=10\nthreads=4\n' >/etc/nfs.conf
	"${storage[@]}" mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
	"${storage[@]}" mount -t nfsd nfsd /proc/fs/nfsd
	# nfsdcld remembers the clients, which may claim their locks when the server is started again.
	"${storage[@]}" nfsdcld && "${storage[@]}" rpc.mountd
}
nfs_server_starts() {
	"${storage[@]}" rpc.nfsd
}
nfs_server_stops() {
	"${storage[@]}" rpc.nfsd 0
}

# --- as docs/stores.md has it ---

nfs_begins() {
	nfs_server_configure || return
	as_told NFS 1 | sed 's#host1.example\(([^)]*)\)#& host2.example\1#' >"$work/server.told"
	as_told NFS 2 >"$work/host.told"
	[[ $(wc -l <"$work/server.told") == 3 && $(wc -l <"$work/host.told") == 4 ]] || complain "the examples have changed" || return
	"${storage[@]}" bash -euo pipefail "$work/server.told" && nfs_server_starts || return
	bash -euo pipefail "$work/host.told" && grep -q " $nfs nfs4 .*vers=4.2,.*hard" /proc/mounts
}

# --- what NFS promises ---

nfs_direct() {
	start_daemon cswapd "$nfs/store" --size 32M || return
	! grep O_DIRECT "$work/log" || return 1
	stop_cleanly
}

# Neither by another mount of this host nor on another host.
nfs_locks() {
	start_daemon cswapd "$nfs/store" --size 32M && fill || return
	another_mount vers=4.2 || return
	refused "$work/mnt/store" && refused "$nfs/store" "${host2[@]}" || return
	umount "$work/mnt"
	verify || complain "the first one's pages" || return
	stop_cleanly || return
	runner=("${host2[@]}")
	start_daemon cswapd "$nfs/store" --size 32M && stop_cleanly
	local code=$?
	runner=()
	return "$code"
}
# another_mount OPTION: of the same export, at $work/mnt
another_mount() {
	mkdir -p "$work/mnt"
	mount -t nfs -o "hard,$1" storage.example:/srv/cswap "$work/mnt"
}

# --- space ---

# NFS 4.1 has no request for it: what is discarded stays on the server's disk, and is used again.
nfs_without_deallocate() {
	local before
	another_mount vers=4.1 || return
	start_daemon cswapd "$work/mnt/store" --size 16M && fill || return
	before=$(server_kib)
	sim --pages "$pages" --state "$work/state" --start 501 --count 1024 discard && await nothing_owed || return
	(($(server_kib) == before)) || complain "the server has got space" || return
	(($(status occupied_bytes) >= 8 << 20)) || complain "the status says that the space is free" || return
	verify || complain "verify" || return
	fill && verify || complain "the store after a discard" || return
	stop_cleanly && umount "$work/mnt"
}

# The server has room for all but a MiB of the store: it says so by requests, and what is discarded makes room. (Each
# page that it has no room for costs an emulated server a tenth of a second.) What an earlier store has stays there, or
# the room that the server finds for that one's blocks comes on top.
nfs_full() {
	local left
	another_mount vers=4.2 || return
	[[ ! -e $work/mnt/store ]] || mv "$work/mnt/store" "$work/mnt/earlier"
	left=$(($("${storage[@]}" stat -f -c '%a * %S' /srv/cswap)))
	((left > 31 << 20)) || complain "the server has only $left bytes" || return
	"${storage[@]}" head -c $((left - (31 << 20))) /dev/zero | "${storage[@]}" dd bs=1M of=/srv/cswap/ballast conv=fsync 2>"$work/out" || return
	full_mounted || return
	rm -f "$work/mnt/earlier"
	umount "$work/mnt" && "${storage[@]}" rm /srv/cswap/ballast
}
