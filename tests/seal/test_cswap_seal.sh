#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_cswap_seal.sh CSWAP-SEAL - the command line of cswap-seal, and the committed vectors. TAP.
set -euo pipefail

seal=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
vectors=$here/../vectors/seal.txt
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

tests=0 failures=0
report() { # STATUS NAME
	tests=$((tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
		sed 's/^/# /' err out 2>/dev/null || true
	fi
}

# expect STATUS NAME COMMAND...: the command's exit status; its output in out and err.
expect() {
	local want=$1 name=$2 got=0
	shift 2
	"$@" >out 2>err || got=$?
	if [ "$got" = "$want" ]; then report 0 "$name"; else report 1 "$name (exit $got, not $want)"; fi
}
# holds NAME COMMAND...: the command succeeds.
holds() {
	local name=$1
	shift
	if "$@"; then report 0 "$name"; else report 1 "$name"; fi
}
# flip FILE OFFSET: invert the lowest bit of one byte.
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

if "$seal" vectors 2>&1 >/dev/null | grep -q AES-NI; then
	echo "1..0 # SKIP this CPU has no AES-NI: nothing of cswap-seal can run"
	exit 0
fi

# --- vectors ---
expect 0 "prints vectors" "$seal" vectors
holds "they are the committed ones" cmp -s out "$vectors"
expect 0 "the committed vectors are right" "$seal" check "$vectors"
holds "it counted them all" grep -qx "$(($(wc -l <"$vectors") - 1)) vectors, 0 wrong" out
expect 0 "vectors from standard input" "$seal" check - <"$vectors"

# Every field of a line, changed, must be noticed.
line=20
for field in key device slot counter page tag head tail; do
	awk -v n=$line -v f="$field" 'NR == n { for (i = 1; i <= NF; i++) if (index($i, f "=") == 1) {
		if (f == "page") $i = "page=zero"
		else { last = substr($i, length($i)); $i = substr($i, 1, length($i) - 1) (last == "1" ? "2" : "1") } } } 1' \
		"$vectors" >wrong.txt
	cmp -s wrong.txt "$vectors" && report 1 "the $field of line $line was not changed"
	expect 1 "a wrong $field is noticed" "$seal" check wrong.txt
	holds "and only there" grep -q ", 1 wrong" out
done
sed "${line}s/tag=../tag=/" "$vectors" >wrong.txt
expect 1 "a short tag is noticed" "$seal" check wrong.txt
sed "${line}s/\$/ /" "$vectors" >wrong.txt
expect 1 "a trailing blank is noticed" "$seal" check wrong.txt
head -c -1 "$vectors" >wrong.txt
expect 1 "a missing last newline is noticed" "$seal" check wrong.txt
head -n 1 "$vectors" >none.txt
expect 1 "no vectors are not right vectors" "$seal" check none.txt
expect 1 "an empty file is not right vectors" "$seal" check /dev/null
expect 2 "no such file" "$seal" check nothing.txt

# --- pages ---
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
id=(--key "$key" --device 1 --slot 7 --counter 42)
printf '%4096s' . >page
expect 0 "seals" "$seal" seal "${id[@]}" page sealed
holds "page and tag are 4112 bytes" [ "$(stat -c %s sealed)" = 4112 ]
expect 0 "opens" "$seal" open "${id[@]}" sealed opened
holds "and it is the page" cmp -s page opened
holds "an opened page is for its owner only" [ "$(stat -c %a opened)" = 600 ]
expect 0 "opens from stdin to stdout" "$seal" open "${id[@]}" <sealed
holds "and it is the page" cmp -s page out

expect 0 "seals with the tag apart" "$seal" seal "${id[@]}" --tag-file tag page data
cat data tag >joined
holds "which is the same" cmp -s joined sealed
expect 0 "opens with the tag apart" "$seal" open "${id[@]}" --tag-file tag data opened
holds "and it is the page" cmp -s page opened

for offset in 0 1 15 16 2048 4095 4096 4111; do
	cp sealed bad
	flip bad $offset
	rm -f opened
	expect 1 "byte $offset changed: not genuine" "$seal" open "${id[@]}" bad opened
	holds "and nothing is written" [ ! -e opened ]
done
expect 1 "another device" "$seal" open -k "$key" -d 2 -s 7 -c 42 sealed
expect 1 "another slot" "$seal" open -k "$key" -d 1 -s 8 -c 42 sealed
expect 1 "another counter" "$seal" open -k "$key" -d 1 -s 7 -c 41 sealed
expect 1 "another key" "$seal" open -k "${key/1f/1e}" -d 1 -s 7 -c 42 sealed
holds "all of it silent on stdout" [ ! -s out ]

# --- keys ---
echo "$key" >key.hex
printf %s "$key" >key.nonl
xxd -r -p key.hex >key.bin 2>/dev/null || printf '%b' "$(sed 's/../\\x&/g' key.hex)" >key.bin
for file in key.hex key.nonl key.bin; do
	expect 0 "key from $file" "$seal" open -K $file -d 1 -s 7 -c 42 sealed opened
	holds "and it is the page" cmp -s page opened
done
head -c 31 key.bin >key.short
cat key.hex key.hex >key.long
for file in key.short key.long page /dev/null; do
	expect 2 "no key in ${file##*/}" "$seal" open -K $file -d 1 -s 7 -c 42 sealed
done
expect 2 "no such key file" "$seal" open -K nothing -d 1 -s 7 -c 42 sealed
expect 2 "a short key" "$seal" open -k "${key%??}" -d 1 -s 7 -c 42 sealed
expect 2 "a long key" "$seal" open -k "${key}00" -d 1 -s 7 -c 42 sealed
expect 2 "no hex" "$seal" open -k "${key/1f/1g}" -d 1 -s 7 -c 42 sealed

# --- trouble ---
head -c 4095 page >short
cat page page >long
expect 2 "a short page" "$seal" seal "${id[@]}" short
holds "says so" grep -q 4095 err
expect 2 "a long page" "$seal" seal "${id[@]}" long
expect 2 "a sealed page without its tag" "$seal" open "${id[@]}" data
expect 2 "an output that can't be" "$seal" seal "${id[@]}" page no/such/dir
expect 2 "a full output" "$seal" seal "${id[@]}" page /dev/full
expect 2 "no slot" "$seal" seal -k "$key" -d 1 -c 42 page
expect 2 "a slot beyond the last" "$seal" seal -k "$key" -d 1 -s 0x1000000000 -c 42 page
expect 0 "the last slot" "$seal" seal -k "$key" -d 1 -s 0xfffffffff -c 42 page
for number in "" x 1x -1 18446744073709551616; do
	expect 2 "counter '$number'" "$seal" seal -k "$key" -d 1 -s 7 -c "$number" page
done
expect 2 "no command" "$seal"
expect 2 "an unknown command" "$seal" unseal
expect 0 "help" "$seal" --help
holds "on stdout" grep -q '^Usage:' out

echo "1..$tests"
[ "$failures" = 0 ] || { echo "# $failures of $tests failed"; exit 1; }
