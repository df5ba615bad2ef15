# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# ceph.sh - a Ceph cluster in a folder: one monitor, one OSD (BlueStore in a sparse file), no manager.
#
# To be sourced where Debian's ceph-mon, ceph-osd and ceph-common are, in a network namespace of its own: the cluster
# listens at 127.0.0.1 at the usual ports. It's for tests: a pool has one copy. Without a manager `ceph df` says 0 and
# pool quotas don't work; all else that an RBD client meets does.

# What is written must be somewhere: Debian 13's default is relative, and cls_rbd isn't found (EOPNOTSUPP).
ceph_classes=$(echo /usr/lib/*/rados-classes)

# ceph_up FOLDER GIB: with /etc/ceph/ceph.conf, for client.admin; may be called once.
ceph_up() {
	local dir=$1 gib=$2 id secret uuid
	mkdir -p "$dir"/{mon,osd} /etc/ceph
	cat >"$dir/ceph.conf" <<-EOT
	[global]
	fsid = $(cat /proc/sys/kernel/random/uuid)
	mon host = [v2:127.0.0.1:3300,v1:127.0.0.1:6789]
	public addr = 127.0.0.1
	cluster addr = 127.0.0.1
	auth cluster required = cephx
	auth service required = cephx
	auth client required = cephx
	osd pool default size = 1
	osd pool default min size = 1
	osd pool default pg num = 8
	osd pool default pg autoscale mode = off
	osd crush chooseleaf type = 0
	mon allow pool size one = true
	mon warn on pool no redundancy = false
	mon data avail crit = 1
	mon data avail warn = 2
	run dir = $dir
	admin socket = $dir/\$cluster-\$name.\$pid.asok
	log file = $dir/\$name.log
	pid file = $dir/\$name.pid
	keyring = $dir/\$name.keyring
	mon data = $dir/mon
	osd data = $dir/osd
	[client]
	log file =
	admin socket =
	pid file =
	[osd]
	osd objectstore = bluestore
	osd class dir = $ceph_classes
	bluestore block size = $((gib << 30))
	osd memory target = 939524096
	EOT
	ln -sf "$dir/ceph.conf" /etc/ceph/ceph.conf
	(
		set -e
		cd "$dir"
		ceph-authtool --create-keyring mon.keyring --gen-key -n mon. --cap mon 'allow *'
		ceph-authtool --create-keyring client.admin.keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
		ceph-authtool mon.keyring --import-keyring client.admin.keyring
		monmaptool --create --addv a '[v2:127.0.0.1:3300,v1:127.0.0.1:6789]' \
			--fsid "$(sed -n 's/^fsid = //p' ceph.conf)" monmap
		ceph-mon --mkfs -i a --monmap monmap --keyring mon.keyring
		cp mon.keyring mon.a.keyring
		ceph-mon -i a
		uuid=$(cat /proc/sys/kernel/random/uuid)
		ceph-authtool --create-keyring osd.0.keyring --gen-key -n osd.0
		secret=$(ceph-authtool -p osd.0.keyring -n osd.0)
		id=$(echo "{\"cephx_secret\": \"$secret\"}" | ceph osd new "$uuid" -i -)
		[[ $id == 0 ]]
		cp osd.0.keyring osd/keyring
		ceph-osd -i 0 --mkfs --osd-uuid "$uuid"
		ceph-osd -i 0
	) >"$dir/up.log" 2>&1 || { tail -n 20 "$dir/up.log"; return 1; }
}

# End the cluster's daemons, and wait until they have.
ceph_down() { # FOLDER
	local file pid
	for file in "$1"/*.pid; do
		[[ -e $file ]] || continue
		pid=$(<"$file")
		kill "$pid" 2>/dev/null || continue
		timeout 20 tail -s 0.1 --pid "$pid" -f /dev/null || kill -KILL "$pid"
	done
}
