#!/bin/sh
# SPDX-License-Identifier: MIT
# What #include <annals/annals.hpp> costs: at most 60,000 lines, and none of the heavy headers.
# usage: include_budget.sh COMPILER INCLUDE_FLAGS...
set -eu
compiler=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '#include <annals/annals.hpp>' >"$work/all.cpp"

"$compiler" -std=c++20 "$@" -E -P "$work/all.cpp" >"$work/all.ii"
lines=$(wc -l <"$work/all.ii")
started=$(date +%s%N)
"$compiler" -std=c++20 "$@" -fsyntax-only "$work/all.cpp"
ended=$(date +%s%N)
echo "annals.hpp: $lines lines of 60000, compiled in $(((ended - started) / 1000000)) ms"

failed=0
[ "$lines" -le 60000 ] || failed=1
"$compiler" -std=c++20 "$@" -M "$work/all.cpp" | tr ' ' '\n' >"$work/files"
if grep -E '/(iostream|filesystem|regex)$|/fmt/' "$work/files"; then
    echo "annals.hpp must not include these"
    failed=1
fi
exit $failed
