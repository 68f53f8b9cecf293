// SPDX-License-Identifier: MIT
// Everything, for everyday use on the native platform.
#pragma once

#include <annals/codec.hpp>
#include <annals/config.hpp>
#include <annals/consumer.hpp>
#include <annals/cursor.hpp>
#include <annals/error.hpp>
#include <annals/log.hpp>
#include <annals/options.hpp>
#include <annals/partition.hpp>
#include <annals/partitioner.hpp>
#include <annals/platform/native.hpp>
#include <annals/producer.hpp>
#include <annals/record.hpp>
#include <annals/replay.hpp>
#include <annals/storage/compiled.hpp>
#include <annals/topic.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

using Log = BasicLog<NativePlatform>;
using Partition = BasicPartition<NativePlatform>;
using Cursor = BasicCursor<NativePlatform>;

template <class K, class V>
using Topic = BasicTopic<K, V, NativePlatform>;
template <class K, class V>
using Producer = BasicProducer<K, V, NativePlatform>;
template <class K, class V>
using Consumer = BasicConsumer<K, V, NativePlatform>;
template <class K, class V>
using Replay = BasicReplay<K, V, NativePlatform>;

}  // namespace annals::inline v1
