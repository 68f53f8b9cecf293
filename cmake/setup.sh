#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what building and testing Annals needs on Debian 12, and only what is missing.
# usage: setup.sh [--bench]      with --bench also what the benchmarks compare with, and plot with
set -eu

case "$*" in
    '' | --bench) ;;
    *)
        echo "usage: setup.sh [--bench]" >&2
        exit 2
        ;;
esac

missing=
need() { # need PACKAGE [COMMAND]: a tool may have come from elsewhere; a library must be the package
    if [ $# -eq 2 ] && command -v "$2" >/dev/null 2>&1; then return; fi
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; then return; fi
    missing="$missing $1"
}

need cmake cmake
need ninja-build ninja
need g++ g++
need catch2
need libfmt-dev
need libxxhash-dev
if [ "$*" = --bench ]; then
    need librocksdb-dev
    need libleveldb-dev
    need liblmdb-dev
    need libsqlite3-dev
    need e2fsprogs mkfs.ext4
    need python3-matplotlib
fi

if [ -z "$missing" ]; then
    echo "setup: everything is there"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: no apt-get here; please install what Debian calls:$missing" >&2
    exit 1
fi

as_root() {
    if [ "$(id -u)" -eq 0 ]; then env "$@"; else sudo env "$@"; fi
}
as_root DEBIAN_FRONTEND=noninteractive apt-get -qq update
# shellcheck disable=SC2086  # a list of words
as_root DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
echo "setup: installed$missing"
