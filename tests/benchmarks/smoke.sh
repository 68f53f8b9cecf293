#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every benchmark at tiny sizes in the current, empty directory: each leaves its figures, in
# the form that is promised, and nothing else. What is measured is not judged here.
# usage: smoke.sh ANNALS_BENCH
set -eu
bench=$1

fail() {
    echo "smoke: $*" >&2
    exit 1
}

"$bench" --quick --json figures.json --markdown figures.md >figures.txt || fail "ended with $?"

"$bench" --list | while read -r name _; do
    grep -q "\"benchmark\": \"$name.*\"subject\": \"annals\"" figures.json ||
        fail "$name: no figure of annals in the JSON"
    grep -q "^$name" figures.md || fail "$name: not in the Markdown"
    grep -q "^$name" figures.txt || fail "$name: not in the table"
done

number='-\{0,1\}[0-9][-+.e0-9]*'
line='  {"benchmark": "[A-Za-z0-9_.]*", "value_bytes": [0-9]*, "producers": [0-9]*, "batch": [0-9]*,'
line="$line \"subject\": \"[a-z]*\", \"unit\": \"[a-z/]*\", \"median\": $number, \"min\": $number,"
line="$line \"max\": $number, \"runs\": [0-9]*},\{0,1\}"
if grep -vx -e '\[' -e '\]' -e "$line" figures.json; then fail "these lines are not as promised"; fi

[ "$(ls -A | tr '\n' ' ')" = "figures.json figures.md figures.txt " ] ||
    fail "something is left behind: $(ls -A)"
