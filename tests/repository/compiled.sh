#!/bin/sh
# SPDX-License-Identifier: MIT
# What annals::compiled has, a program that links it does not compile again: neither recovery nor
# what the keeper does.
# usage: compiled.sh LIBRARY OBJECT...
set -eu
library=$1
shift
engine_in() {
    nm -C --defined-only "$1" 2>/dev/null |
        grep -E ' [TtWw] annals::v1::storage::(Opening|Gate|Keeper|Retention)<' | cut -c 1-120
}
[ -n "$(engine_in "$library")" ] || { echo "$library: has no engine"; exit 1; }
for object; do
    found=$(engine_in "$object")
    [ -z "$found" ] || { echo "$object: compiles the engine:"; echo "$found"; exit 1; }
done
