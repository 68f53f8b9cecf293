// SPDX-License-Identifier: MIT
// Codecs: how the key and value types of a topic become bytes and come back. What one of one's own
// must have stands at Codec in codec/traits.hpp.
#pragma once

#include <annals/codec/alternatives.hpp>
#include <annals/codec/buffer.hpp>
#include <annals/codec/encoder.hpp>
#include <annals/codec/load_store.hpp>
#include <annals/codec/plain.hpp>
#include <annals/codec/sequence.hpp>
#include <annals/codec/traits.hpp>
