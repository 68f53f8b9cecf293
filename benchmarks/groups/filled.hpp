// SPDX-License-Identifier: MIT
// Stores filled once, before any clock starts, and read again and again.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/appending.hpp"
#include "harness/bench.hpp"
#include "harness/scratch.hpp"
#include "subjects/store.hpp"

namespace bench {

/// A subject's closed store with `setup.records` records. Annals takes them one by one, the others
/// in large batches, which they keep just as they keep single ones. The folder goes with it.
class Filled {
public:
    Filled(Bench& bench, Subject subject, Setup setup)
        : subject_{subject}, setup_{std::move(setup)}, folder_{bench.unused_path()} {
        bench.progress("filling " + std::string{subject.name} + " with " +
                       std::to_string(setup_.records) + " records");
        setup_.directory = folder_.path() / "store";
        bool const takes_singly = subject.name == "annals" || subject.name == "ceiling";
        auto const store = subject_.open(setup_);
        (void)append(*store, {.records = setup_.records, .batch = takes_singly ? 1U : 800U});
    }

    [[nodiscard]] std::string name() const { return std::string{subject_.name}; }
    [[nodiscard]] std::filesystem::path const& directory() const noexcept {
        return setup_.directory;
    }
    [[nodiscard]] std::uint64_t records() const noexcept { return setup_.records; }
    [[nodiscard]] Pool const& pool() const noexcept { return *setup_.pool; }

    /// Opens it afresh, to read.
    [[nodiscard]] std::unique_ptr<Store> attach(Setup how = {}) const {
        how.access = Access::read;
        how.records = setup_.records;
        return open(how);
    }
    /// Opens it as its writer does, with room for `how.records`.
    [[nodiscard]] std::unique_ptr<Store> open(Setup how) const {
        how.directory = setup_.directory;
        how.pool = setup_.pool;
        how.partitions = setup_.partitions;
        return subject_.open(how);
    }

private:
    Subject subject_;
    Setup setup_;
    Folder folder_;
};

/// One for each of the names that this program was built with.
[[nodiscard]] inline std::vector<std::unique_ptr<Filled>> fill(
    Bench& bench, std::vector<std::string_view> const& names, Setup const& setup) {
    std::vector<std::unique_ptr<Filled>> stores;
    for (Subject const& subject : subjects(names)) {
        stores.push_back(std::make_unique<Filled>(bench, subject, setup));
    }
    return stores;
}

}  // namespace bench
