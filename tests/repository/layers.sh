#!/bin/sh
# SPDX-License-Identifier: MIT
# A header includes only lower layers and its own folder's part of its own layer, and no cycles.
# usage: layers.sh INCLUDE_DIR
set -eu
cd "$1/annals"

layer() {
    case "$1" in
        config.hpp | detail/*) echo 0 ;;
        error.hpp | types.hpp | options.hpp) echo 1 ;;
        format/* | platform/* | codec/* | codec.hpp | partitioner.hpp) echo 2 ;;
        storage/*) echo 3 ;;
        record.hpp | partition.hpp | cursor.hpp) echo 4 ;;
        producer.hpp | consumer.hpp | replay.hpp) echo 5 ;;
        topic.hpp | log.hpp) echo 6 ;;
        annals.hpp | fmt.hpp) echo 7 ;;
        *) echo unknown ;;
    esac
}

room() { # the folder; what a folder's namesake beside it gathers up belongs to it too
    if [ -d "${1%.hpp}" ]; then echo "${1%.hpp}"; else dirname "$1"; fi
}

edges=$(mktemp)
trap 'rm -f "$edges"' EXIT
failed=0
complain() {
    echo "$*"
    failed=1
}

for header in $(find . -name '*.hpp' | sed 's|^\./||' | sort); do
    from=$(layer "$header")
    [ "$from" != unknown ] || complain "$header: belongs to no layer"
    ! grep -n '^ *# *include *"' "$header" || complain "$header: includes by quotes"
    for included in $(sed -n 's|^ *# *include *<annals/\([^>]*\)>.*|\1|p' "$header"); do
        [ -f "$included" ] || complain "$header: includes $included, which is not there"
        echo "$header $included" >>"$edges"
        to=$(layer "$included")
        [ "$from" != unknown ] && [ "$to" != unknown ] || continue
        if [ "$included" = config.hpp ]; then
            continue # the floor that all stand on
        elif [ "$to" -gt "$from" ]; then
            complain "$header (layer $from) includes $included (layer $to)"
        elif [ "$to" -eq "$from" ] && [ "$(room "$header")" != "$(room "$included")" ]; then
            complain "$header includes $included: the same layer, but another folder"
        fi
    done
done
tsort "$edges" >/dev/null || complain "the headers above include each other"
exit $failed
