// SPDX-License-Identifier: MIT
// The hash is part of the format: its values are written out here.
#include <annals/detail/hash.hpp>

#include <cstdint>
#include <vector>

// A program's own xxHash, included behind the header, is as if that had not been there.
#if defined(XXH_INLINE_ALL) || defined(XXH64) || defined(XXH_PUBLIC_API) || defined(XXH_NAMESPACE)
#error "hash.hpp leaks macros of xxHash"
#endif
#include <xxhash.h>

#include "catch.hpp"

using annals::detail::hash;

namespace {

std::vector<std::byte> some_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 3);
    return bytes;
}

}  // namespace

TEST_CASE("the hash is XXH3 of 64 bits, in each of its branches by length") {
    struct Known {
        std::size_t size;
        std::uint64_t unseeded;
        std::uint64_t with_42;
    };
    Known const all[] = {
        {0, 0x2D06800538D394C2, 0xB029411FF43D84D2},
        {1, 0x13E608BC156DEFED, 0xD0C83C4BDEED078B},
        {3, 0xA9088DDA485B481C, 0x3A6EB7A191052C81},
        {8, 0x60539DB630471163, 0x53A895CA319FAB31},
        {16, 0xB8C859B0F030B585, 0x6B1B54F65D114C69},
        {24, 0x2BC2A377DB6C309D, 0x5546DC83CB957CCF},
        {100, 0xB5937857F0D78C9F, 0x223CE4409957D0CE},
        {240, 0x64556DC6B462A6CF, 0x722964F8A7F16DE3},
        {241, 0x8BEADD3A8874FE17, 0x59FDC74E63A7AEE7},
        {1024, 0x9B81661C641C72B1, 0x6015BC0DCADBE10D},
        {4096, 0xD7428746842BE37E, 0x48590469274A04AC},
    };
    for (Known const& known : all) {
        auto const bytes = some_bytes(known.size);
        CHECK(hash(bytes) == known.unseeded);
        CHECK(hash(bytes, 42) == known.with_42);
        CHECK(hash(bytes.data(), bytes.size(), 42) == known.with_42);
    }
}

TEST_CASE("xxHash included behind the header still declares its own functions") {
    static_assert(XXH_VERSION_NUMBER >= 800);
    static_assert(std::is_same_v<decltype(XXH3_64bits_withSeed(nullptr, 0, 0)), XXH64_hash_t>);
    SUCCEED("checked when compiling");
}
