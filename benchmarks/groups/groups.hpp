// SPDX-License-Identifier: MIT
// The benchmarks, by what they are about; the table in annals_bench.cpp says what each measures.
#pragma once

#include "harness/bench.hpp"

namespace bench {

void append_singly(Bench& bench);
void append_batches(Bench& bench);
void append_given_time(Bench& bench);
void append_coarse_clock(Bench& bench);
void append_sustained(Bench& bench);
void append_one_partition(Bench& bench);
void append_own_partitions(Bench& bench);

void latency_flat_out(Bench& bench);
void latency_fixed_rate(Bench& bench);

void durable_singly(Bench& bench);
void durable_batches(Bench& bench);
void durable_together(Bench& bench);

void replay_warm(Bench& bench);
void replay_unchecked(Bench& bench);
void replay_keys(Bench& bench);
void replay_cold(Bench& bench);
void replay_merged(Bench& bench);

void hand_over_sleeping(Bench& bench);
void hand_over_spinning(Bench& bench);

void seek_offset(Bench& bench);
void seek_time(Bench& bench);

void open_stores(Bench& bench);

void space_on_disk(Bench& bench);
void memory_idle(Bench& bench);

}  // namespace bench
