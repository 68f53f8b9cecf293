// SPDX-License-Identifier: MIT
// Includes everything and is linked into every test program beside the tests, which include it too:
// a function that lacks its `inline` is then defined twice, and the link fails.
#include <annals/annals.hpp>
#include <annals/fmt.hpp>
#include <annals/platform/memory.hpp>
