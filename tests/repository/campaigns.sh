#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# campaigns.sh begin|end DIRECTORY TABLE: before a campaign empties the directory of its figures;
# behind it makes the table of them.
set -euo pipefail
directory=$2
table=$3

if [[ -z "${ANNALS_TEST_FIGURES:-}" ]]; then
    echo "no campaign: skipped"
    exit 77
fi
if [[ $1 == begin ]]; then
    rm -rf "$directory"
    mkdir -p "$directory"
    exit
fi
figures=("$directory"/*)
[[ -e ${figures[0]} ]] || { echo "no test has left a figure in $directory"; exit 1; }
{
    echo "# What the long campaigns did"
    echo
    echo "Made by \`cmake --workflow --preset campaign\` on $(date +%F), $(uname -sr), $(nproc) cores."
    echo
    echo "| campaign | outcome |"
    echo "|---|---|"
    cat "${figures[@]}"
} > "$table"
cat "$table"
