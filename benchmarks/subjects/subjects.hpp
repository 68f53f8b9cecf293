// SPDX-License-Identifier: MIT
// How each subject is opened; those of the peers exist where the peer was found at build time.
#pragma once

#include <memory>

#include "subjects/store.hpp"

namespace bench {

[[nodiscard]] std::unique_ptr<Store> open_annals(Setup const& setup);
[[nodiscard]] std::unique_ptr<Store> open_ceiling(Setup const& setup);
/// The same copies where the pages are got meanwhile, by a second thread.
[[nodiscard]] std::unique_ptr<Store> open_supplied(Setup const& setup);
/// Reading the same frames one by one, each handed out by itself and, where checks are made,
/// checked.
[[nodiscard]] std::unique_ptr<Store> open_singly(Setup const& setup);
[[nodiscard]] std::unique_ptr<Store> open_stdio(Setup const& setup);
[[nodiscard]] std::unique_ptr<Store> open_write(Setup const& setup);
[[nodiscard]] std::unique_ptr<Store> open_rocksdb(Setup const& setup);
[[nodiscard]] std::unique_ptr<Store> open_leveldb(Setup const& setup);
[[nodiscard]] std::unique_ptr<Store> open_lmdb(Setup const& setup);
[[nodiscard]] std::unique_ptr<Store> open_sqlite(Setup const& setup);

}  // namespace bench
