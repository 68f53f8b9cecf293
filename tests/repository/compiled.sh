#!/bin/sh
# SPDX-License-Identifier: MIT
# What annals::compiled has, a program that links it does not compile again: neither recovery nor
# what the keeper does.
# usage: compiled.sh LIBRARY OBJECT...
set -eu
library=$1
shift
engine='annals::v1::storage::(Opening|Gate|Keeper|Retention)<'
has_engine() { nm -C --defined-only "$1" 2>/dev/null | grep -Eq " [TtWw] $engine"; }
has_engine "$library" || { echo "$library: has no engine"; exit 1; }
for object; do
    ! has_engine "$object" || { echo "$object: compiles the engine:"
        nm -C --defined-only "$object" | grep -E " [TtWw] $engine" | cut -c 1-120; exit 1; }
done
