# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# hosts.sh - hosts in one guest: each has a network, mounts and a name of its own. To be sourced by in-guest.
#
# The guest itself is host1, where the daemon runs; "storage" has the disks, and "host2" is another host that reaches
# the same storage. A host is a process that holds its namespaces.

storage=() host2=()	# what has a command run there

# host_begin ARRAY: until its namespaces are there
host_begin() {
	local -n inside=$1
	unshare --net --mount --uts --propagation private busybox sleep 1000000 &
	inside=(nsenter --target "$!" --net --mount --uts --)
	await is_called "$!" busybox || return
	"${inside[@]}" hostname "$1" && "${inside[@]}" ip link set lo up
}
# unshare becomes busybox when all else is done.
is_called() { # PID NAME
	[[ $(<"/proc/$1/comm") == "$2" ]]
}

# storage_end INTERFACE PEER ADDRESS: makes both, one end here
storage_end() {
	ip link add "$2" type veth peer name "$1" netns "${storage[2]}" && "${storage[@]}" ip address add "$3/24" dev "$1" &&
		"${storage[@]}" ip link set "$1" up
}
hosts_begin() {
	hostname host1
	printf '%s\n' "127.0.0.1 localhost" "10.0.1.1 storage.example" "10.0.1.2 host1.example" "10.0.2.2 host2.example" >/etc/hosts
	echo 'hosts: files' >/etc/nsswitch.conf
	host_begin storage && host_begin host2 || return
	storage_end to-host1 from-host1 10.0.1.1 && ip address add 10.0.1.2/24 dev from-host1 && ip link set from-host1 up ||
		return
	storage_end to-host2 from-host2 10.0.2.1 && ip link set from-host2 netns "${host2[2]}" &&
		"${host2[@]}" ip address add 10.0.2.2/24 dev from-host2 && "${host2[@]}" ip link set from-host2 up &&
		"${host2[@]}" ip route add default via 10.0.2.1
}

# The network between the daemon's host and the storage.
network_fails() {
	"${storage[@]}" ip link set to-host1 down
}
network_is_back() {
	"${storage[@]}" ip link set to-host1 up
}

# as_told SECTION N: the commands of the N-th example there in docs/stores.md
as_told() {
	awk -v section="## $1" -v wanted="$2" '
		/^## / { inside = $0 == section; block = 0 }
		inside && /^    / { block += !before; if (block == wanted) print substr($0, 5) }
		{ before = /^    / }' "$repo/docs/stores.md"
}
