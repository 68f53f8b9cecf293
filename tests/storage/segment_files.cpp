// SPDX-License-Identifier: MIT
// Where segment files come from: complete before they have a name, or not there at all.
#include <annals/storage/segment_files.hpp>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;

#define BOTH_PLATFORMS NativePlatform, MemoryPlatform

TEMPLATE_TEST_CASE(
    "a segment made in advance has its blocks and its header, and is no part of the log", "",
    BOTH_PLATFORMS) {
    auto const blocks = GENERATE(Blocks::reserved, Blocks::zeroed);
    Site<TestType> const site;
    auto const info = site.files()->create_spare(3, 2 * small_segment, blocks);
    CHECK(info.ordinal == 3);
    CHECK(info.capacity == 2 * small_segment);
    CHECK(site.names() == "00000003.seg control");
    auto const page = site.first_page(3);
    CHECK(page.activation == format::RecordState::absent);
    CHECK_FALSE(page.completion);
    CHECK(page.info.salt == info.salt);
    CHECK(page.info.capacity == info.capacity);
    auto const bytes = site.dump().at("00000003.seg");
    CHECK(bytes.size() == 2 * small_segment);
    CHECK(bytes.find_first_not_of('\0', sizeof(format::SegmentHeader)) == std::string::npos);
}

TEMPLATE_TEST_CASE("an active segment says what it is from the moment it has a name", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    storage::SegmentInfo const wanted{.ordinal = 4,
                                      .capacity = small_segment,
                                      .base_offset = 100,
                                      .epoch = 7,
                                      .predecessor = 2,
                                      .flags = format::Activation::copy};
    (void)site.files()->create_active(wanted, Blocks::reserved, [&](auto& file, auto const&) {
        CHECK(site.names() == ".tmp-00000004.seg control");
        file.write_at(5'000, as_bytes("filled"));
    });
    auto const page = site.first_page(4);
    CHECK(page.activation == format::RecordState::good);
    CHECK(page.info.base_offset == 100);
    CHECK(page.info.epoch == 7);
    CHECK(page.info.predecessor == 2);
    CHECK(page.info.is_copy());
    CHECK(site.dump().at("00000004.seg").substr(5'000, 6) == "filled");
}

TEST_CASE("every segment has a salt of its own") {
    Site<MemoryPlatform> const site;
    auto const first = site.files()->create_spare(1, small_segment, Blocks::reserved);
    auto const second = site.files()->create_spare(2, small_segment, Blocks::reserved);
    CHECK(first.salt != second.salt);
}

TEST_CASE("a segment is durable with its name, whole") {
    Site<MemoryPlatform> site;
    auto const info = site.files()->create_active(
        {.ordinal = 1, .capacity = small_segment, .epoch = 1}, Blocks::reserved,
        [](auto& file, auto const&) { file.write_at(60'000, as_bytes("end")); });
    Site<MemoryPlatform> const lost{site.platform().after_power_loss()};
    CHECK(lost.names() == "00000001.seg control");
    CHECK(lost.first_page(1).info.salt == info.salt);
    CHECK(lost.dump().at("00000001.seg").substr(60'000, 3) == "end");
}

TEST_CASE("a segment that cannot be made leaves nothing behind and can be made later") {
    Site<MemoryPlatform> site;
    auto const before = site.dump();
    struct Failure {
        Operation operation;
        int number;
        Errc code;
    };
    auto const failure = GENERATE(Failure{Operation::create, EMFILE, Errc::io_error},
                                  Failure{Operation::allocate, ENOSPC, Errc::no_space},
                                  Failure{Operation::allocate, EDQUOT, Errc::no_space},
                                  Failure{Operation::write, EIO, Errc::io_error},
                                  Failure{Operation::sync, EIO, Errc::sync_failed},
                                  Failure{Operation::rename, EIO, Errc::io_error});
    site.platform().fail_next(failure.operation, failure.number);
    auto const make = [&] { (void)site.files()->create_spare(1, small_segment, Blocks::reserved); };
    CHECK(code_of(make) == failure.code);
    CHECK(site.dump() == before);
    CHECK(code_of(make) == Errc::ok);
    CHECK(site.names() == "00000001.seg control");
}

TEST_CASE("a full disk leaves no half of a segment") {
    Site<MemoryPlatform> site;
    site.platform().set_free_space(small_segment - 1);
    CHECK(code_of([&] { (void)site.files()->create_spare(1, small_segment, Blocks::reserved); }) ==
          Errc::no_space);
    CHECK(site.names() == "control");
    site.platform().set_free_space(small_segment);
    (void)site.files()->create_spare(1, small_segment, Blocks::reserved);
}

TEMPLATE_TEST_CASE("ordinals are listed ascending, and other names passed by", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto directory = site.directory();
    for (char const* const name : {"00000010.seg", "00000002.seg", "100000000.seg", "00000002.idx",
                                   "1.seg", "notes.txt", ".tmp-00000007.seg", "00000000.seg"}) {
        (void)directory.create_file(name);
    }
    CHECK(site.files()->ordinals() == std::vector<std::uint64_t>{2, 10, 100'000'000});
}

TEST_CASE("of many segments none is left out of the list while more are made") {
    Site<NativePlatform> const site;
    std::uint64_t made = 0;
    auto const make_one = [&] {
        auto directory = site.directory();
        (void)directory.create_file(format::ordinal_name(++made, format::segment_suffix));
    };
    while (made < 2000) make_one();  // Linux hands them out in several pieces
    std::atomic<bool> is_done{false};
    std::thread making{[&] {
        while (made < 4000) make_one();
        is_done = true;
    }};
    auto const files = site.files();
    while (!is_done) {
        auto const ordinals = files->ordinals();
        CHECK(ordinals.size() == ordinals.back());
    }
    making.join();
}

TEMPLATE_TEST_CASE("a segment is removed with its index, and need not have one", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto directory = site.directory();
    (void)site.files()->create_spare(1, small_segment, Blocks::reserved);
    (void)site.files()->create_spare(2, small_segment, Blocks::reserved);
    make_file(directory, "00000001.idx", "index");
    site.files()->remove_segment(directory, 1);
    site.files()->remove_segment(directory, 2);
    CHECK(site.names() == "control");
}

TEMPLATE_TEST_CASE("paths name the partition's files", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto const files = site.files();
    CHECK(files->path().ends_with("/topics/t/0"));
    CHECK(files->segment_path(12) == files->path() + "/00000012.seg");
    CHECK(files->directory().path() == files->path());
}

TEMPLATE_TEST_CASE("a first page that is too short is corrupt", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    (void)site.files()->create_spare(1, small_segment, Blocks::reserved);
    auto const bytes = site.dump().at("00000001.seg");
    auto directory = site.directory();
    for (std::size_t const size : {0u, 10u, 87u, 88u, 4'095u, 4'096u, 60'000u}) {
        directory.remove_file("00000001.seg");
        auto const file = make_file(directory, "00000001.seg", bytes.substr(0, size));
        CHECK(code_of([&] { (void)site.files()->read_first_page(file, 1); }) == Errc::corrupt);
    }
}

TEMPLATE_TEST_CASE("a completion whose end lies outside the segment is not believed", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto const info = site.files()->create_spare(1, small_segment, Blocks::reserved);
    auto const is_believed = [&](std::uint64_t end) {
        site.patch("00000001.seg", format::completion_place,
                   format::bytes_of(
                       format::checked(format::Completion{.count = 1, .end = end}, info.salt)));
        return site.first_page(1).completion.has_value();
    };
    CHECK(is_believed(4'096));
    CHECK(is_believed(small_segment - 24));
    CHECK_FALSE(is_believed(4'088));
    CHECK_FALSE(is_believed(small_segment - 16));
    CHECK_FALSE(is_believed(~std::uint64_t{0}));
}
