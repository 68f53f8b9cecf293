#!/bin/sh
# SPDX-License-Identifier: MIT
# The repository's own rules: what lies at the top, licence lines, line and file lengths.
# usage: tree.sh REPOSITORY
set -eu
export LC_ALL=C.UTF-8
cd "$1"
failed=0
complain() {
    echo "$*"
    failed=1
}

for name in $(ls -A); do
    case "$name" in
        .ci | .clang-format | .clang-tidy | .gitignore | CMakeLists.txt | CMakePresets.json) ;;
        LICENSE | README.md | benchmarks | cmake | examples | include | tests) ;;
        .git | build | .cache | .idea | .vscode | compile_commands.json | CMakeUserPresets.json) ;;
        *) complain "$name: does not belong at the top" ;;
    esac
done

for file in $(find include tests examples benchmarks cmake .ci CMakeLists.txt -type f); do
    case "$file" in
        *.hpp | *.cpp | *.sh | *.cmake | *.in | */CMakeLists.txt | CMakeLists.txt | .ci/run)
            head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT$' ||
                complain "$file: no SPDX line at its head"
            ;;
    esac
    case "$file" in
        *.hpp | *.cpp)
            long=$(grep -nE '^.{101}' "$file" | cut -d: -f1 | tr '\n' ' ')
            [ -z "$long" ] || complain "$file: more than 100 columns in line $long"
            ! grep -nE '[[:space:]]$' "$file" || complain "$file: space at the end of a line"
            ;;
    esac
    case "$file" in
        include/*.hpp)
            lines=$(wc -l <"$file")
            [ "$lines" -le 400 ] || complain "$file: $lines lines; past 400 it has two ideas in it"
            grep -q '^#pragma once$' "$file" || complain "$file: no #pragma once"
            ;;
    esac
done
exit $failed
