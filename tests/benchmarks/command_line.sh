#!/bin/sh
# SPDX-License-Identifier: MIT
# What annals_bench does with its command line, and with an interruption, in the current, empty
# directory.
# usage: command_line.sh ANNALS_BENCH
set -eu
bench=$1

fail() {
    echo "command_line: $*" >&2
    exit 1
}

refuses() {
    code=0
    "$bench" "$@" >out.txt 2>&1 || code=$?
    [ "$code" -eq 2 ] || fail "$*: ended with $code, not 2"
}
refuses --no-such-option
refuses append
refuses --only no_such_benchmark
refuses --only
refuses --runs 0
refuses --runs many
refuses --scale -1
refuses --json
"$bench" --help >out.txt
grep -q -e '--only NAME' out.txt || fail "--help does not help"
rm out.txt

"$bench" --only latency_fixed_rate --scale 0.1 >out.txt 2>&1 &
child=$!
tries=0
until ls -d annals-bench-*/store-* >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -le 600 ] || fail "has not begun after a minute"
    sleep 0.1
done
kill -INT $child
code=0
wait $child || code=$?
[ "$code" -eq 130 ] || fail "interrupted, it ended with $code, not 130"
rm out.txt
[ -z "$(ls -A)" ] || fail "interrupted, it has left behind: $(ls -A)"
