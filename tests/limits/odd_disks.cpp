// SPDX-License-Identifier: MIT
// File systems with ways of their own: one that does not tell "Orders" from "orders", and one whose
// directories cannot be synced.
#include <sched.h>
#include <sys/mount.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "catch.hpp"
#include "limits/small_disk.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

TEST_CASE("two names that the file system takes for one are never two topics on the same files") {
    Machine<NativePlatform> machine;
    int const outcome = outcome_in_child([&] {
        auto const image = machine.path + "/image";
        auto const disk = machine.path + "/disk";
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            !SmallDisk::runs("(mkdir " + disk + " && truncate -s 64m " + image +
                             " && mkfs.ext4 -q -O casefold -E encoding=utf8 " + image +
                             " && mount -o loop " + image + " " + disk + " && mkdir " + disk +
                             "/d && chattr +F " + disk + "/d)")) {
            return 77;
        }
        Log log{disk + "/d/log", {.segment_bytes = 64 << 10, .keeper = false}};
        auto const first = log.topic<Bytes, Bytes>("Orders", {.sync = Sync::never});
        std::uint64_t sent = 0;
        for (; sent < 3; ++sent) first.partition(0).append({}, as_bytes("v"));
        // FAT does the same, and takes "a." for "a".
        if (code_of([&] { (void)log.topic<Bytes, Bytes>("orders"); }) != Errc::invalid_name) {
            return 1;
        }
        for (; sent < 10; ++sent) first.partition(0).append({}, as_bytes("v"));
        log.close();
        Log again{disk + "/d/log"};
        std::uint64_t found = 0;
        for (auto const& record : again.topic<Bytes, Bytes>("Orders").replay()) {
            if (as_text(record.value()) == "v") ++found;
        }
        return found == sent ? 0 : 2;
    });
    if (outcome == 77) {
        std::cerr << "skipped: no ext4 with casefold\n";
        WARN("skipped: no ext4 with casefold");
        return;
    }
    CHECK(outcome == 0);
}

TEST_CASE("a log can be made on a disk mounted in a directory that cannot be synced") {
    std::string const path = GENERATE("/proc/irq/log", "/proc/irq");
    CAPTURE(path);
    int const outcome = outcome_in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("none", "/proc/irq", "tmpfs", 0, "size=8m") != 0) {
            return 77;
        }
        Log log{path};
        log.topic<Bytes, Bytes>("t").producer().send({}, as_bytes("v"));
        return 0;
    });
    if (outcome == 77) {
        std::cerr << "skipped: no mount namespace\n";
        WARN("skipped: no mount namespace");
        return;
    }
    CHECK(outcome == 0);
}
