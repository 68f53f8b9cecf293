// SPDX-License-Identifier: MIT
#include <annals/codec/encoder.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "codec/helpers.hpp"

using namespace annals;
using namespace codec_tests;
using detail::KeyEncoder;
using detail::ValueEncoder;

namespace encoder_tests {

struct Sized {
    std::string text;
};
struct InClaim {
    std::string text;
};
struct Growing {
    int depth;
};
struct Throwing {
    bool now;
};
struct Lazy {  // says three bytes, writes one
    char c;
};
struct Large {
    std::uint64_t words[20];
};

int encodings_in_claim = 0;

template <class Encoder>
std::string written(Encoder const& encoder) {
    std::vector<std::byte> bytes(encoder.size(), std::byte{0xaa});
    encoder.write(bytes);
    return to_hex(bytes);
}

}  // namespace encoder_tests

using namespace encoder_tests;

template <>
struct annals::Codec<Sized> {
    static constexpr std::string_view name = "sized";
    static std::size_t size(Sized const& value) { return value.text.size(); }
    static void encode(Sized const& value, MutableBytes out) {
        copy_bytes(as_bytes(value.text), out);
    }
    static Sized decode(Bytes in) { return {std::string{as_text(in)}}; }
};

template <>
struct annals::Codec<InClaim> {
    static constexpr std::string_view name = "in claim";
    static constexpr bool encode_in_place = true;
    static std::size_t size(InClaim const& value) { return value.text.size(); }
    static void encode(InClaim const& value, MutableBytes out) {
        ++encodings_in_claim;
        copy_bytes(as_bytes(value.text), out);
    }
    static InClaim decode(Bytes in) { return {std::string{as_text(in)}}; }
};

// Encodes others of its kind while it is encoded, as a codec does that sends to a log of its own.
template <>
struct annals::Codec<Growing> {
    static constexpr std::string_view name = "growing";
    static void encode(Growing const& value, Buffer& out) {
        out.append_le(static_cast<std::uint8_t>(value.depth));
        if (value.depth > 0) {
            ValueEncoder<Growing> const inner{Growing{value.depth - 1}};
            std::vector<std::byte> bytes(inner.size());
            inner.write(bytes);
            CHECK(bytes.size() == static_cast<std::size_t>(value.depth));
        }
        for (int i = 0; i < value.depth; ++i) out.append_le(std::uint8_t{0xee});
    }
    static Growing decode(Bytes in) { return {load_le<std::uint8_t>(in)}; }
};

template <>
struct annals::Codec<Throwing> {
    static constexpr std::string_view name = "throwing";
    static void encode(Throwing const& value, Buffer& out) {
        out.append(as_bytes("half"));
        if (value.now) throw std::runtime_error{"a codec's own error"};
    }
    static Throwing decode(Bytes) { return {}; }
};

template <>
struct annals::Codec<Lazy> {
    static constexpr std::string_view name = "lazy";
    static std::size_t size(Lazy) { return 3; }
    static void encode(Lazy value, MutableBytes out) { store_le(out, value.c); }
    static Lazy decode(Bytes in) { return {load_le<char>(in)}; }
};

TEST_CASE("text and bytes are not copied before they are written") {
    std::string const text = "some text that is longer than a small string";
    CHECK(KeyEncoder<std::string>{text}.bytes().data() == as_bytes(text).data());
    CHECK(ValueEncoder<std::string>{text}.bytes().data() == as_bytes(text).data());
    CHECK(ValueEncoder<Bytes>{as_bytes(text)}.bytes().data() == as_bytes(text).data());
    CHECK(ValueEncoder<std::optional<std::string>>{std::optional<std::string_view>{text}}
              .bytes()
              .data() == as_bytes(text).data());
}

TEST_CASE("what is absent has no bytes, which is not the same as an empty value") {
    ValueEncoder<std::string> const absent{std::nullopt};
    CHECK_FALSE(absent.present());
    CHECK(absent.size() == 0);
    absent.write({});
    ValueEncoder<std::string> const empty{""};
    CHECK(empty.present());
    CHECK(empty.size() == 0);

    CHECK_FALSE(KeyEncoder<std::optional<int>>{std::nullopt}.present());
    CHECK_FALSE(KeyEncoder<std::optional<int>>{std::optional<int>{}}.present());
    CHECK(KeyEncoder<std::optional<int>>{std::optional<int>{7}}.present());
    CHECK(to_hex(KeyEncoder<std::optional<int>>{7}.bytes()) == "07000000");
    CHECK(KeyEncoder<std::optional<int>>{std::nullopt}.bytes().empty());
    CHECK_FALSE(ValueEncoder<std::optional<Sized>>{std::optional<Sized>{}}.present());
    std::optional<Sized> const there{Sized{"ab"}};
    CHECK(written(ValueEncoder<std::optional<Sized>>{there}) == "6162");
}

TEST_CASE("a codec that is safe inside the claim encodes when it is written, others before") {
    InClaim const value{"ab"};
    encodings_in_claim = 0;
    ValueEncoder<InClaim> const encoder{value};
    CHECK(encoder.size() == 2);
    CHECK(encodings_in_claim == 0);
    CHECK(written(encoder) == "6162");
    CHECK(encodings_in_claim == 1);

    Sized changing{"ab"};
    ValueEncoder<Sized> const before{changing};
    changing.text = "cd";
    CHECK(written(before) == "6162");
}

TEST_CASE("a key's bytes are known before it is written, whatever its codec") {
    CHECK(to_hex(KeyEncoder<std::uint16_t>{std::uint16_t{0x0102}}.bytes()) == "0201");
    CHECK(to_hex(KeyEncoder<Sized>{Sized{"ab"}}.bytes()) == "6162");
    CHECK(to_hex(KeyEncoder<InClaim>{InClaim{"ab"}}.bytes()) == "6162");
    CHECK(to_hex(KeyEncoder<Growing>{Growing{1}}.bytes()) == "01ee");
    CHECK(to_hex(KeyEncoder<std::variant<int, bool>>{true}.bytes()) == "0101");
    CHECK(KeyEncoder<Large>{Large{}}.bytes().size() == 160);
    CHECK(KeyEncoder<std::monostate>{std::monostate{}}.bytes().empty());
    CHECK(KeyEncoder<std::monostate>{std::monostate{}}.present());
}

TEST_CASE("a codec may encode others while it encodes") {
    KeyEncoder<Growing> const key{Growing{5}};
    ValueEncoder<Growing> const value{Growing{20}};
    CHECK(written(key) == "05eeeeeeeeee");
    CHECK(value.size() == 21);
    CHECK(written(value).substr(0, 4) == "14ee");
}

TEST_CASE("a codec that throws leaves nothing behind for the next") {
    for (int i = 0; i < 10; ++i) {
        CHECK_THROWS_AS(ValueEncoder<Throwing>{Throwing{true}}, std::runtime_error);
        CHECK(written(ValueEncoder<Throwing>{Throwing{false}}) == "68616c66");
    }
}

TEST_CASE("what a codec announces and does not write is zero, never bytes of another record") {
    { ValueEncoder<Sized> const secret{Sized{"secret"}}; }
    CHECK(written(ValueEncoder<Lazy>{Lazy{'x'}}) == "780000");
}

TEST_CASE("encoded values can be collected for a batch") {
    std::vector<ValueEncoder<Sized>> batch;
    for (int i = 0; i < 10; ++i) batch.emplace_back(Sized{std::to_string(i)});
    for (int i = 0; i < 10; ++i) {
        CHECK(written(batch[static_cast<std::size_t>(i)]) == to_hex(as_bytes(std::to_string(i))));
    }
}
