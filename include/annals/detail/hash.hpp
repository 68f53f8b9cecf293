// SPDX-License-Identifier: MIT
// XXH3, inlined, in a namespace of its own: a program that includes <xxhash.h>, before or after,
// finds it as if this header were not there. (With XXH_INLINE_ALL it must do so before: g++ cannot
// have both.)
#pragma once

#include <cassert>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include <annals/config.hpp>

// xxhash.h includes these itself; inside a namespace it must find them done.
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(XXH_INLINE_ALL_31684351384)
namespace annals::inline v1::detail::xxh {
using ::XXH3_64bits_withSeed;
}
#define ANNALS_XXHASH_INLINED_BEFORE
#else
#if defined(XXHASH_H_5627135585666179)
#define ANNALS_XXHASH_DECLARED_BEFORE
#endif
#define XXH_INLINE_ALL
namespace annals::inline v1::detail::xxh {
#include <xxhash.h>
}
#endif

namespace annals::inline v1::detail {

/// XXH3, 64 bits (Yann Collet, https://github.com/Cyan4973/xxHash).
[[nodiscard, gnu::always_inline]] inline std::uint64_t hash(std::byte const* data, std::size_t size,
                                                            std::uint64_t seed) noexcept {
    return xxh::XXH3_64bits_withSeed(data, size, seed);
}

[[nodiscard]] inline std::uint64_t hash(std::span<std::byte const> bytes,
                                        std::uint64_t seed = 0) noexcept {
    return hash(bytes.data(), bytes.size(), seed);
}

}  // namespace annals::inline v1::detail

// A name that stays defined would rename, or hide, the program's own xxHash.
#if !defined(ANNALS_XXHASH_INLINED_BEFORE)
#undef XXH_INLINE_ALL
#undef XXH_INLINE_ALL_31684351384
#undef XXH_IMPLEM_13a8737387
#undef XXHASH_H_STATIC_13879238742
#undef XXH_STATIC_LINKING_ONLY
#undef XXH_IMPLEMENTATION
#undef XXH_PUBLIC_API
#undef XXH_NAMESPACE
#undef XXH_IPREF
#undef XXH_CAT
#undef XXH_NAME2
#undef XXH128
#undef XXH128_canonicalFromHash
#undef XXH128_canonical_t
#undef XXH128_cmp
#undef XXH128_hashFromCanonical
#undef XXH128_hash_t
#undef XXH128_isEqual
#undef XXH32
#undef XXH32_canonicalFromHash
#undef XXH32_canonical_t
#undef XXH32_copyState
#undef XXH32_createState
#undef XXH32_digest
#undef XXH32_freeState
#undef XXH32_hashFromCanonical
#undef XXH32_reset
#undef XXH32_state_s
#undef XXH32_state_t
#undef XXH32_update
#undef XXH3_128bits
#undef XXH3_128bits_digest
#undef XXH3_128bits_reset
#undef XXH3_128bits_reset_withSecret
#undef XXH3_128bits_reset_withSecretandSeed
#undef XXH3_128bits_reset_withSeed
#undef XXH3_128bits_update
#undef XXH3_128bits_withSecret
#undef XXH3_128bits_withSecretandSeed
#undef XXH3_128bits_withSeed
#undef XXH3_64bits
#undef XXH3_64bits_digest
#undef XXH3_64bits_reset
#undef XXH3_64bits_reset_withSecret
#undef XXH3_64bits_reset_withSecretandSeed
#undef XXH3_64bits_reset_withSeed
#undef XXH3_64bits_update
#undef XXH3_64bits_withSecret
#undef XXH3_64bits_withSecretandSeed
#undef XXH3_64bits_withSeed
#undef XXH3_copyState
#undef XXH3_createState
#undef XXH3_freeState
#undef XXH3_generateSecret
#undef XXH3_generateSecret_fromSeed
#undef XXH3_state_s
#undef XXH3_state_t
#undef XXH64
#undef XXH64_canonicalFromHash
#undef XXH64_canonical_t
#undef XXH64_copyState
#undef XXH64_createState
#undef XXH64_digest
#undef XXH64_freeState
#undef XXH64_hashFromCanonical
#undef XXH64_reset
#undef XXH64_state_s
#undef XXH64_state_t
#undef XXH64_update
#undef XXH_ERROR
#undef XXH_OK
#undef XXH_errorcode
#undef XXH_versionNumber
#if !defined(ANNALS_XXHASH_DECLARED_BEFORE)
#undef XXHASH_H_5627135585666179
#endif
#endif
#undef ANNALS_XXHASH_INLINED_BEFORE
#undef ANNALS_XXHASH_DECLARED_BEFORE
