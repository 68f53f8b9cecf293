// SPDX-License-Identifier: MIT
#include <annals/codec/buffer.hpp>

#include <cstdint>
#include <thread>
#include <vector>

#include "codec/helpers.hpp"

using namespace annals;
using namespace codec_tests;

TEST_CASE("a buffer grows at its end") {
    Buffer buffer;
    CHECK(buffer.bytes().empty());
    buffer.append_le(std::uint16_t{0x0102});
    buffer.append(as_bytes("ab"));
    buffer.append({});
    buffer.append_le(true);
    CHECK(to_hex(buffer.bytes()) == "0201616201");
    CHECK(buffer.size() == 5);
}

TEST_CASE("what a buffer is extended by is zero until it is written, also after reuse") {
    Buffer buffer;
    buffer.append(as_bytes("xxxxxxxx"));
    buffer.clear();
    buffer.append_le(std::uint8_t{1});
    MutableBytes const added = buffer.extend(3);
    CHECK(added.size() == 3);
    CHECK(to_hex(buffer.bytes()) == "01000000");
    store_le(added, std::uint8_t{7});
    CHECK(to_hex(buffer.bytes()) == "01070000");
}

TEST_CASE("what was written can be corrected later") {
    Buffer buffer;
    buffer.append_le(std::uint32_t{0});
    buffer.append(as_bytes("abc"));
    store_le(buffer.bytes(), std::uint32_t{3});
    CHECK(to_hex(buffer.bytes()) == "03000000616263");
}

TEST_CASE("buffers that are leased at the same time are not the same") {
    detail::BufferLease outer;
    outer->append(as_bytes("outer"));
    {
        detail::BufferLease inner;
        CHECK(inner->size() == 0);
        inner->append(as_bytes("inner"));
        CHECK(as_text(outer->bytes()) == "outer");
    }
    detail::BufferLease again;
    CHECK(again->size() == 0);
    again->append(as_bytes("again"));
    CHECK(as_text(outer->bytes()) == "outer");
}

TEST_CASE("a leased buffer comes back with its memory, unless that is huge") {
    std::thread{[] {
        std::byte const* first = nullptr;
        {
            detail::BufferLease lease;
            first = lease->extend(1000).data();
        }
        {
            detail::BufferLease lease;
            CHECK(lease->size() == 0);
            CHECK(lease->extend(1000).data() == first);
            lease->extend(detail::SpareBuffers::largest_kept);
        }
        detail::BufferLease const lease;
        CHECK(lease->capacity() == 0);
    }}.join();
}

TEST_CASE("more leases than a thread keeps buffers are only slower") {
    std::vector<detail::BufferLease> leases(20);
    for (std::size_t i = 0; i < leases.size(); ++i) leases[i]->append_le(i);
    for (std::size_t i = 0; i < leases.size(); ++i) {
        CHECK(load_le<std::size_t>(leases[i]->bytes()) == i);
    }
}

namespace {

// Destroyed after the thread's spare buffers, because it was made before them.
struct SendsAtTheVeryEnd {
    std::size_t* sent;
    ~SendsAtTheVeryEnd() {
        for (int i = 0; i < 2; ++i) {
            detail::BufferLease lease;
            lease->append(as_bytes("last words"));
            *sent += lease->size();
        }
    }
};

}  // namespace

TEST_CASE("a buffer can be leased after the thread's spare buffers are gone") {
    std::size_t sent = 0;
    std::thread{[&sent] {
        thread_local SendsAtTheVeryEnd const last{&sent};
        CHECK(last.sent == &sent);
        detail::BufferLease lease;
        lease->append(as_bytes("first words"));
    }}.join();
    CHECK(sent == 20);
}
