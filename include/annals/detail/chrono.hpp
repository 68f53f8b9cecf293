// SPDX-License-Identifier: MIT
// Clocks, durations and time points: the part of <chrono> that the interface needs. The whole of
// it, with calendars and the streams that print them, would take too much of the include budget.
#pragma once

#if __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif
