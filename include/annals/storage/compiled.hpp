// SPDX-License-Identifier: MIT
// What one source of a program can compile for all of them: the engine below the types, but for
// what senders and readers want inlined. ANNALS_COMPILED says that some source does it, and
// ANNALS_COMPILED_HERE, in addition, that this one does. In CMake that is annals::compiled.
#pragma once

#include <annals/config.hpp>
#include <annals/platform/native.hpp>
#include <annals/storage/log_state.hpp>
#include <annals/storage/partition_state.hpp>
#include <annals/storage/topic_state.hpp>
#include <annals/storage/writer.hpp>

#ifdef ANNALS_COMPILED
#ifdef ANNALS_COMPILED_HERE
#define ANNALS_ENGINE template class
#else
#define ANNALS_ENGINE extern template class
#endif

namespace annals::inline v1::storage {

ANNALS_ENGINE LogState<NativePlatform>;
ANNALS_ENGINE TopicState<NativePlatform>;
ANNALS_ENGINE PartitionState<NativePlatform>;
ANNALS_ENGINE Writer<NativePlatform>;

}  // namespace annals::inline v1::storage

#undef ANNALS_ENGINE
#endif
