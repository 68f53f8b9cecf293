// SPDX-License-Identifier: MIT
// What this program does as a child of itself.
#pragma once

#include <span>

namespace bench {

/// `arguments` are what follows --child. Returns the exit code, or does not return.
int be_child(std::span<char const* const> arguments);

}  // namespace bench
