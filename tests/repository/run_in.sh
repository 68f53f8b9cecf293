#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a program in a directory of its own and compares what it prints.
# usage: run_in.sh fresh|again DIRECTORY EXPECTED COMMAND...
#   fresh empties the directory first; EXPECTED is a file, or - where any output will do
set -eu
state=$1 directory=$2 expected=$3
shift 3

[ "$state" = again ] || rm -rf "$directory"
mkdir -p "$directory"
cd "$directory"
if [ "$expected" = - ]; then
    exec "$@"
fi
"$@" >"$directory.out"
diff -u "$expected" "$directory.out"
