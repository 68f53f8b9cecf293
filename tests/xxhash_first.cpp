// SPDX-License-Identifier: MIT
// A program that has included xxHash before Annals keeps its own; detail/hash.cpp does it the other
// way round, and both are linked.
#include <xxhash.h>

#include <annals/annals.hpp>

#include <cstdint>
#include <type_traits>

#include "catch.hpp"

TEST_CASE("xxHash included before Annals stays as it was, and the hash is the same") {
    static_assert(std::is_same_v<decltype(XXH3_64bits(nullptr, 0)), XXH64_hash_t>);
    static_assert(XXH_VERSION_NUMBER >= 800);
    CHECK(annals::detail::hash(annals::Bytes{}) == 0x2D06800538D394C2);
}
