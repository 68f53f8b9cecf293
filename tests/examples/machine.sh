#!/bin/sh
# SPDX-License-Identifier: MIT
# package_history beside dpkg itself, on this machine's own log.
# usage: machine.sh PACKAGE_HISTORY
set -eu
export LC_ALL=C
log=/var/log/dpkg.log

if ! [ -s "$log" ] || ! command -v dpkg-query >/dev/null; then
    echo "skipped: this machine has no dpkg, or no $log"
    exit 77
fi
cp "$log" dpkg.log
"$1" --log history --tsv dpkg.log >view.tsv 2>summary.txt
cat summary.txt

# Every package whose last status line says so, and no other, is in the view.
awk '$3 == "status" { last[$5] = $4 }
     END { for (package in last) if (last[package] == "installed") print package }' dpkg.log |
    sort >expected.txt
cut -f 1 view.tsv | diff expected.txt - || { echo "the view has other packages"; exit 1; }

# No version disagrees with what dpkg says is installed.
dpkg-query -W -f '${Package}:${Architecture}\t${Version}\t${db:Status-Status}\n' |
    awk -F '\t' '$3 == "installed" { print $1 "\t" $2 }' | sort >dpkg.tsv
cut -f 1,2 view.tsv | join -t "$(printf '\t')" - dpkg.tsv >both.tsv
awk -F '\t' '$2 != $3 { print "disagrees: " $0; bad = 1 } END { exit bad }' both.tsv
echo "$(wc -l <view.tsv) packages in the view, $(wc -l <both.tsv) of them compared with dpkg"
[ -s both.tsv ] || ! [ -s view.tsv ]
