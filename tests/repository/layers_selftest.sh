#!/bin/sh
# SPDX-License-Identifier: MIT
# Whether layers.sh sees what it is there to see: each bad tree below must be refused.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

fresh() {
    rm -rf "$tree/annals"
    mkdir -p "$tree/annals/detail" "$tree/annals/format" "$tree/annals/platform" "$tree/annals/storage"
    touch "$tree/annals/config.hpp" "$tree/annals/platform/platform.hpp"
    echo '#include <annals/config.hpp>' >"$tree/annals/error.hpp"
    echo '#include <annals/error.hpp>' >"$tree/annals/format/frame.hpp"
    echo '#include <annals/format/frame.hpp>' >"$tree/annals/storage/segment.hpp"
}
include() { echo "#include <annals/$2>" >>"$tree/annals/$1"; }
refused() {
    if sh "$here/layers.sh" "$tree" >"$tree/said" 2>&1; then
        echo "not noticed: $1"
        exit 1
    fi
    grep -q "$2" "$tree/said" || { echo "$1: the message lacks '$2':"; cat "$tree/said"; exit 1; }
}

fresh
sh "$here/layers.sh" "$tree"

fresh; include error.hpp storage/segment.hpp
refused "a lower layer includes a higher one" "layer 1) includes storage/segment.hpp (layer 3)"
fresh; include format/frame.hpp platform/platform.hpp
refused "another folder of the same layer" "another folder"
fresh; include storage/segment.hpp storage/gone.hpp
refused "an include of nothing" "not there"
fresh; include storage/segment.hpp storage/a.hpp; include storage/a.hpp storage/segment.hpp
refused "a cycle" "include each other"
fresh; touch "$tree/annals/stray.hpp"
refused "a header without a layer" "no layer"
fresh; echo '#include "frame.hpp"' >>"$tree/annals/format/frame.hpp"
refused "an include by quotes" "by quotes"
