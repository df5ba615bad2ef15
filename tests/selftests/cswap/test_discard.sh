#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Slots that the swap core frees are discarded, and can be stored to again.
# shellcheck source-path=SCRIPTDIR source=cswap_lib.sh
. "$(dirname "$0")/cswap_lib.sh"
ktap_begin
command -v swap_verify >/dev/null || skip_all "swap_verify was not built"
# The first character of the feature string is bit 0, VIRTIO_CSWAP_F_DISCARD.
case $(cat "/sys/block/${disk##*/}/device/features") in
1*) ;;
*) skip_all "the device has no DISCARD" ;;
esac
swap_begin
mib=$(some_mib)
pages=$((mib * 256))
bad_begin

# shellcheck disable=SC2317	# called by wait_until
discarded() { # BEFORE PAGES
	[ "$(since discards "$1")" -ge "$2" ]
}

# Pages that nobody reads back are discarded when their owner exits; the swap cache may spare a few.
before=$(counter discards)
echo | swap_verify -w "$mib" >/dev/null
check "one round, verified" test $? = 0
check "freed slots are discarded" wait_until 60 discarded "$before" $((pages / 2))

before=$(counter discards)
swap_verify -w "$mib" </dev/null >/dev/null
check "a process that ends with its pages out" test $? = 2
check "its slots are discarded" wait_until 60 discarded "$before" $((pages / 2))

# Stores to slots whose discards may be under way.
before=$(counter discards)
swap_verify -r 3 "$mib" >/dev/null
check "three rounds over the same slots" test $? = 0
check "all of them discarded in the end" wait_until 60 discarded "$before" $((pages / 2))
check "no page was refused" bad_end
ktap_end
