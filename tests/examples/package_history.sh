#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs package_history on logs made here and compares it with an independent reader, in awk.
# usage: package_history.sh PACKAGE_HISTORY DPKG_LOG CASE, in an empty directory
set -eu
export LC_ALL=C
program=$1 sample=$2 case=$3
total=$(wc -l <"$sample")

# What the lines of one file, in their order, say is installed; with a second argument, up to then.
reader() {
    awk -v at="${2:-9999}" '
        { time = substr($0, 1, 19) }
        $3 != "status" || time > at { next }
        $4 == "installed" { version[$5] = $6; since[$5] = time; next }
        { delete version[$5] }
        END { for (p in version) print p "\t" version[p] "\t" since[p] }' "$1" | sort
}
history() { "$program" --log log --tsv "$@" 2>summary; }
appended() { awk '/^records appended/ { print $3 }' summary; }
replayed() { awk '/^records replayed/ { print $3 }' summary; }
fail() { echo "FAILED: $*"; cat summary; exit 1; }

check_view() { # check_view FILE ARGUMENT...: the view is what the reader makes of FILE
    reader "$1" >expected.tsv
    shift
    history "$@" >view.tsv
    diff -u expected.tsv view.tsv || fail "the view differs after: $*"
}
check_appended() { [ "$(appended)" = "$1" ] || fail "appended $(appended) records, not $1"; }
check_whole() { [ "$(replayed)" = "$total" ] || fail "holds $(replayed) records, not $total"; }
first() { head -n "$1" "$sample"; }
after() { tail -n "+$(($1 + 1))" "$sample"; }

case_view() {
    check_view "$sample" "$sample"
    check_appended "$total"
    [ -s view.tsv ] || fail "an empty view proves nothing"
}

case_moments() {
    history "$sample" >/dev/null
    for moment in $(cut -c 1-19 "$sample" | tr ' ' T | uniq) 1999-01-01T00:00:00; do
        moment=$(echo "$moment" | tr T ' ')
        reader "$sample" "$moment" >expected.tsv
        history --at "$moment" >view.tsv
        diff -u expected.tsv view.tsv || fail "the view of $moment differs"
    done
}

case_once() {
    history "$sample" "$sample" >/dev/null
    check_appended "$total"
    check_view "$sample" "$sample"
    check_appended 0
}

case_grown() {
    for lines in 1 20 21 90 "$total"; do
        first "$lines" >grown.log
        check_view grown.log grown.log
    done
    check_appended $((total - 90))
    check_whole
}

case_rotated() {
    first 40 >dpkg.log.2
    after 40 | head -n 50 >dpkg.log.1
    after 90 >dpkg.log
    check_view "$sample" dpkg.log dpkg.log.1 dpkg.log.2
    check_appended "$total"
    for file in 2 1; do mv dpkg.log.$file dpkg.log.$((file + 1)); done
    mv dpkg.log dpkg.log.1
    echo '2030-01-01 00:00:00 startup archives unpack' >dpkg.log
    check_view "$sample" dpkg.log dpkg.log.1 dpkg.log.2 dpkg.log.3
    check_appended 1
}

case_overlapping() {
    first 100 >a.log
    after 60 >b.log
    check_view "$sample" b.log a.log "$sample"
    check_appended "$total"
    cp "$sample" copy.log
    history b.log copy.log a.log >/dev/null
    check_appended 0
}

case_late() { # the newest first, each in a run of its own
    after 90 >c.log
    after 40 | head -n 50 >b.log
    first 40 >a.log
    history c.log >/dev/null
    history a.log >/dev/null
    check_view "$sample" b.log
    check_whole
    check_view "$sample"
}

case_cuts() { # wherever a rotation cuts, even between equal lines of one second
    for cut in 2 5 12 13 24 26 27 28 41 58 77 99; do
        first "$cut" >a.log
        after "$cut" >b.log
        rm -rf log
        history a.log >/dev/null
        check_view "$sample" b.log
        check_whole
    done
}

case_stdin() {
    check_view "$sample" - <"$sample"
    rm -rf log
    first 70 >dpkg.log.1
    after 70 >dpkg.log
    cat dpkg.log dpkg.log.1 | history - >view.tsv # as the shell sorts dpkg.log*
    diff -u expected.tsv view.tsv || fail "the view differs"
    check_appended "$total"
}

case_garbage() {
    {
        first 30
        printf '\nnot a line\n2025-02-30 00:00:00 startup archives unpack\n'
        printf '2025-06-24 14:36:25 status installed\n\0\0\0\n'
        after 30
        printf '2025-06-24 14:99:25 x'
    } >dirty.log
    check_view "$sample" dirty.log
    check_appended "$total"
    grep -q '^dirty.log: skipped 6 lines' summary || fail "the skipped lines are not told"
}

case_clock_set_back() { # in a file the order counts, not the time
    cat >back.log <<'END'
2026-05-10 12:00:00 status installed a:amd64 1
2026-05-10 12:30:00 status installed b:amd64 1
2026-05-10 12:10:00 status installed b:amd64 2
2026-05-10 12:11:00 status not-installed a:amd64 <none>
END
    head -n 2 back.log >part.log
    history part.log >/dev/null
    check_view back.log back.log
    check_appended 2
    [ "$(history)" = "$(printf 'b:amd64\t2\t2026-05-10 12:10:00')" ] || fail "the order is lost"
}

case_time_zones() {
    # In Berlin 02:00 to 03:00 came twice that night; and other clocks read the log afterwards.
    cat >night.log <<'END'
2025-10-26 02:10:00 status installed a:all 1
2025-10-26 02:50:00 status installed b:all 1
2025-10-26 02:10:00 status installed b:all 2
2025-10-26 02:10:00 status not-installed a:all <none>
2026-03-29 02:30:00 status installed c:all 1
END
    export TZ=CET-1CEST,M3.5.0,M10.5.0/3
    check_view night.log night.log
    check_appended 5
    for TZ in UTC0 EST5EDT,M3.2.0,M11.1.0 IST-5:30; do
        export TZ
        check_view night.log night.log
        check_appended 0
    done
}

case_package() {
    history "$sample" >/dev/null
    awk '$4 ~ /^libc-bin:/ || ($3 == "status" && $5 ~ /^libc-bin:/)' "$sample" | cut -c 21- >expected
    for name in libc-bin libc-bin:amd64; do
        history --package "$name" | cut -f 3 >found
        [ -s found ] || fail "nothing found"
        diff -u expected found || fail "another history of $name"
    done
    "$program" --log log --package libc-bin | grep -c 'libc-bin:amd64' >/dev/null || fail "no table"
    ! history --package libc || fail "a part of a name is no name"
    grep -q 'no record of a package libc' summary || fail "an unknown package is not told"
}

case_unread_default() { # a log made from other files is not mixed with this machine's own
    echo '2020-01-01 00:00:00 status installed mine:all 1' >own.log
    export PACKAGE_HISTORY_FILE=own.log
    history "$sample" >/dev/null
    check_view "$sample"
    rm -rf log
    check_view own.log
    echo '2020-01-01 00:00:01 status installed more:all 1' >>own.log
    check_view own.log
    check_appended 1
}

case_sample() {
    export PACKAGE_HISTORY_FILE=own.log
    for run in missing empty; do
        "$program" --log log >said 2>why || fail "exit $?"
        grep -q "own.log is missing or empty" why || fail "$run is not told"
        grep -q "^libuv1:amd64 *1.44.2-1+deb12u1 *2026-04-11 18:02:56$" said || fail "no sample"
        ! grep -q "^tree" said || fail "what was removed is there"
        tail -n 3 said | grep -c "^lines read\|^records appended\|^records replayed" >/dev/null
        : >own.log
    done
    echo '2020-01-01 00:00:00 status installed mine:all 1' >own.log
    check_view own.log # nothing of the sample is left
    rm own.log
    printf 'mine:all\t1\t2020-01-01 00:00:00\n' >expected.tsv
    history >view.tsv # what the log holds is better than a sample
    diff -u expected.tsv view.tsv || fail "the log's own records are not shown"
}

case_mistakes() {
    exits() { # exits CODE MESSAGE ARGUMENT...
        code=$1 message=$2
        shift 2
        status=0
        "$program" --log log "$@" >said 2>summary || status=$?
        [ "$status" -eq "$code" ] || fail "exit $status, not $code: $*"
        grep -q -- "$message" summary || fail "the message lacks '$message': $*"
        ! [ -s said ] || fail "something on standard output: $*"
        ! [ -e log ] || fail "a log was made: $*"
    }
    exits 2 'unknown option: --nonsense' --nonsense
    exits 2 '--at takes' --at yesterday
    exits 2 '--at takes' --at '2025-13-01 00:00:00'
    exits 2 '--package needs a value' --package
    exits 1 'none.log: No such file' "$sample" none.log
    exits 1 'Is a directory' .
    "$program" --help | grep -q '^usage: package_history' || fail "no help"
}

case_killed() { # cut off anywhere, it loses nothing and doubles nothing
    awk 'BEGIN { for (i = 0; i < 60000; ++i)
        printf "2026-05-%02d %02d:%02d:%02d status installed p%d:all %d\n",
            1 + i / 8640, i / 360 % 24, i / 6 % 60, i % 6 * 10, i % 500, i }' >big.log
    for pause in 010 020 030 040 050 060 080 100 130 160 200 250 300 400; do
        timeout -s KILL 0.$pause "$program" --log log --tsv big.log >/dev/null 2>&1 || continue
        break # it was done before it was killed
    done
    check_view big.log big.log
    [ "$(replayed)" = 60000 ] || fail "holds $(replayed) records"
}

: >summary
"case_$case"
