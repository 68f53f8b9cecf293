// SPDX-License-Identifier: MIT
// The control file byte by byte: where each part lies, what survives damage to another part.
#include <annals/format/control.hpp>

#include <string>
#include <vector>

#include "catch.hpp"
#include "format/hex.hpp"
#include "platform/machines.hpp"

using namespace annals;
using namespace annals::format;
using namespace annals::test;

namespace {

Control full_control() {
    Control control;
    control.header.topic_id.fill(std::byte{0xAB});
    control.header.partition = 3;
    control.clean = CleanMark{.ordinal = 7, .count = 8, .end = 4'128};
    control.syncing = 7;
    control.syncing_boot.fill(std::byte{0xEF});
    control.repairs = 6;
    control.writer = WriterIdentity{.device = 1, .inode = 2, .mount = 3, .started = 4};
    control.writer->boot_id.fill(std::byte{0xCD});
    control.watermark =
        Watermark{.sequence = 4, .ordinal = 7, .device = 1, .inode = 9, .count = 5, .end = 4'120};
    control.beginning = Beginning{.sequence = 3, .offset = 50};
    control.epochs = {{1, 0}, {2, 100}, {5, 300}};
    return control;
}

std::string part(std::vector<std::byte> const& file, std::uint64_t place, std::size_t size) {
    return hex(Bytes{file}.subspan(place, size));
}

std::string text(Control const& control) { return hex(encode_control(control)); }

}  // namespace

TEST_CASE("a control file's parts lie at their places") {
    auto const file = encode_control(full_control());
    REQUIRE(file.size() == 20'480);
    CHECK(part(file, 0, 48) ==
          "41 4e 4e 41 4c 43 54 4c 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
          "ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab 03 00 00 00 00 00 00 00");
    CHECK(part(file, 512, 24) ==
          "07 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00 20 10 00 00 00 00 00 00");
    CHECK(part(file, 1'024, 32) ==
          "07 00 00 00 00 00 00 00 ef ef ef ef ef ef ef ef ef ef ef ef ef ef ef ef "
          "06 00 00 00 00 00 00 00");
    CHECK(part(file, 1'536, 48) ==
          "cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd "
          "01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 "
          "03 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00");
    CHECK(part(file, 4'096, 48) ==  // an even sequence: slot 0
          "04 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 "
          "09 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 18 10 00 00 00 00 00 00");
    CHECK(part(file, 12'800, 16) == "03 00 00 00 00 00 00 00 32 00 00 00 00 00 00 00");  // odd: 1
    CHECK(part(file, 16'384, 8) == "03 00 00 00 00 00 00 00");
    CHECK(part(file, 16'408, 48) ==
          "01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
          "02 00 00 00 00 00 00 00 64 00 00 00 00 00 00 00 "
          "05 00 00 00 00 00 00 00 2c 01 00 00 00 00 00 00");
    std::size_t others = 0;
    for (std::size_t i = 0; i < file.size(); ++i) {
        bool const is_used = i < 56 || (i >= 512 && i < 544) || (i >= 1'024 && i < 1'056) ||
                             (i >= 1'536 && i < 1'592) || (i >= 4'096 && i < 4'152) ||
                             (i >= 12'800 && i < 12'824) || (i >= 16'384 && i < 16'456);
        if (!is_used && file[i] != std::byte{0}) ++others;
    }
    CHECK(others == 0);
}

TEST_CASE("the checks of a control file's parts are what they were when the format was fixed") {
    auto const file = encode_control(full_control());
    CHECK(part(file, 48, 8) == "d4 ba 19 c1 45 38 31 d2");
    CHECK(part(file, 536, 8) == "eb ce 4b 61 09 02 e7 9e");
    CHECK(part(file, 1'584, 8) == "d2 0f f3 1a eb 6d fe be");
    CHECK(part(file, 4'144, 8) == "9d 12 85 f5 2d 3d 4e 25");
    CHECK(part(file, 12'816, 8) == "57 84 75 dc 9b 93 b1 a1");
    CHECK(part(file, 16'392, 16) == "25 3d 45 bc c3 1c cd ad c2 62 6b 2c 75 18 80 09");
}

TEST_CASE("a control file comes back as it was written, whole or almost empty") {
    for (Control const& control : {full_control(), Control{}, Control{.epochs = {{1, 0}}}}) {
        auto const decoded = decode_control(encode_control(control), "control");
        REQUIRE(decoded);
        CHECK(text(*decoded) == text(control));
        CHECK(decoded->epochs == control.epochs);
        CHECK(decoded->clean.has_value() == control.clean.has_value());
        CHECK(decoded->watermark.has_value() == control.watermark.has_value());
    }
}

TEST_CASE("epochs beyond the first page make the file longer") {
    Control control;
    for (std::uint64_t i = 1; i <= 1'000; ++i) control.epochs.push_back({i, 10 * i});
    auto const file = encode_control(control);
    CHECK(file.size() == 32'768);
    auto const decoded = decode_control(file, "control");
    REQUIRE(decoded);
    CHECK(decoded->epochs == control.epochs);
}

TEST_CASE("of two slots the newer good one counts") {
    auto file = encode_control(full_control());
    auto const put = [&](auto const& places, auto record) {
        annals::detail::store(file.data() + places[record.sequence % 2], checked(record));
    };
    put(watermark_places, Watermark{.sequence = 5, .ordinal = 8, .count = 6});
    put(beginning_places, Beginning{.sequence = 2, .offset = 40});
    auto const both = decode_control(file, "control");
    CHECK(both->watermark->count == 6);
    CHECK(both->beginning->offset == 50);

    file[watermark_places[1]] ^= std::byte{1};
    file[beginning_places[1]] ^= std::byte{1};
    auto const older = decode_control(file, "control");
    CHECK(older->watermark->count == 5);
    CHECK(older->beginning->offset == 40);

    file[watermark_places[0]] ^= std::byte{1};
    file[beginning_places[0]] ^= std::byte{1};
    auto const none = decode_control(file, "control");
    REQUIRE(none);
    CHECK_FALSE(none->watermark);
    CHECK_FALSE(none->beginning);
}

TEST_CASE("damage to one part of a control file leaves out that part and no other") {
    auto const file = encode_control(full_control());
    struct Part {
        std::uint64_t place;
        std::uint64_t bytes;
        void (*take_away)(Control&);
    };
    Part const parts[] = {
        {clean_mark_place, sizeof(CleanMark), [](Control& c) { c.clean.reset(); }},
        {writer_place, sizeof(WriterIdentity), [](Control& c) { c.writer.reset(); }},
        {watermark_places[0], sizeof(Watermark), [](Control& c) { c.watermark.reset(); }},
        {beginning_places[1], sizeof(Beginning), [](Control& c) { c.beginning.reset(); }},
        {epochs_place, sizeof(EpochsHeader) + 3 * sizeof(Epoch),
         [](Control& c) { c.epochs.clear(); }},
    };
    for (Part const& each : parts) {
        Control expected = full_control();
        each.take_away(expected);
        std::string const left = text(expected);
        for (std::uint64_t at = each.place; at < each.place + each.bytes; ++at) {
            auto damaged = file;
            damaged[at] ^= std::byte{0x10};
            auto const decoded = decode_control(damaged, "control");
            INFO("byte " << at);
            REQUIRE(decoded);
            CHECK(text(*decoded) == left);
        }
    }
}

TEST_CASE("a control file with a damaged head counts as none") {
    auto const file = encode_control(full_control());
    for (std::size_t at = 0; at < sizeof(ControlHeader); ++at) {
        if (at >= 8 && at < 10) continue;   // another major version
        if (at >= 12 && at < 16) continue;  // incompatible features
        auto damaged = file;
        damaged[at] ^= std::byte{0x10};
        INFO("byte " << at);
        CHECK_FALSE(decode_control(damaged, "control"));
    }
}

TEST_CASE("a control file that is cut short counts as none, or loses its epochs") {
    auto const file = encode_control(full_control());
    for (std::size_t const size : {0u, 7u, 24u, 55u, 56u, 512u, 4'096u, 16'383u}) {
        INFO(size);
        CHECK_FALSE(decode_control(Bytes{file}.first(size), "control"));
    }
    for (std::size_t const size : {16'384u, 16'385u, 16'408u, 16'455u}) {
        auto const decoded = decode_control(Bytes{file}.first(size), "control");
        INFO(size);
        REQUIRE(decoded);
        CHECK(decoded->epochs.empty());
        CHECK(decoded->watermark);
    }
    CHECK(decode_control(Bytes{file}.first(16'456), "control")->epochs.size() == 3);
}

TEST_CASE("a count of epochs that the file cannot hold is not believed") {
    auto file = encode_control(full_control());
    for (std::uint64_t const count :
         {std::uint64_t{255}, std::uint64_t{1} << 60, ~std::uint64_t{0}}) {
        annals::detail::store(file.data() + epochs_place, checked(EpochsHeader{.count = count}));
        auto const decoded = decode_control(file, "control");
        REQUIRE(decoded);
        CHECK(decoded->epochs.empty());
    }
}

TEST_CASE(
    "a control file of a newer format is refused, whether its check is where we look or not") {
    for (bool const has_check : {false, true}) {
        auto const changed = [&](auto change) {
            auto file = encode_control(full_control());
            auto header = annals::detail::load<ControlHeader>(file.data());
            change(header.preamble);
            annals::detail::store(file.data(), has_check ? checked(header) : header);
            return code_of([&] {
                auto const decoded = decode_control(file, "control");
                if (!decoded) annals::detail::raise(Errc::corrupt, "told by the test");
            });
        };
        CHECK(changed([](Preamble& p) { p.major = 2; }) == Errc::unsupported_format);
        CHECK(changed([](Preamble& p) { p.incompatible_features = 4; }) ==
              Errc::unsupported_format);
        if (!has_check) continue;
        CHECK(changed([](Preamble& p) { p.minor = 7; }) == Errc::ok);
        CHECK(changed([](Preamble& p) { p.compatible_features = 4; }) == Errc::ok);
    }
}
