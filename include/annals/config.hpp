// SPDX-License-Identifier: MIT
// What every header of Annals stands on: the version, the inline namespace, assertions, and the
// machines it runs on.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>

// The one place where the version is written; CMake reads it from here.
#define ANNALS_VERSION_MAJOR 0
#define ANNALS_VERSION_MINOR 1
#define ANNALS_VERSION_PATCH 0

// A broken contract of the code itself. Never used on bytes that were read from a disk: those are
// the world's, not ours.
#ifndef ANNALS_ASSERT
#define ANNALS_ASSERT(condition) assert(condition)
#endif

#if defined(__cpp_exceptions)
#define ANNALS_HAS_EXCEPTIONS 1
#else
#define ANNALS_HAS_EXCEPTIONS 0
#endif

// The namespace inside is the epoch of the interface, not the version: two epochs can live in one
// program.
namespace annals::inline v1 {

// The files hold little-endian words that threads and processes share as they lie; 32-bit machines
// cannot map the segments.
static_assert(std::endian::native == std::endian::little, "Annals needs a little-endian machine");
static_assert(sizeof(void*) == 8 && sizeof(std::size_t) == 8, "Annals needs a 64-bit machine");

}  // namespace annals::inline v1
