// SPDX-License-Identifier: MIT
// The simulated machine as it is found after the death of the process or after power loss.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <unordered_map>

#include <annals/config.hpp>
#include <annals/platform/memory_machine.hpp>

namespace annals::inline v1::detail {

/// Which unsynced changes outlive a power loss: none, or each at random by the seed.
struct PowerLoss {
    std::optional<std::uint64_t> seed{};

    [[nodiscard]] bool survives(std::uint64_t inode, std::uint64_t change) const noexcept {
        if (!seed) return false;
        std::uint64_t state = *seed;
        state = next_random(state) ^ inode;
        state = next_random(state) ^ change;
        return (next_random(state) & 1) != 0;
    }
};

/// One copy of a machine in the making. The caller holds the machine's mutex.
class MachineCopy {
public:
    /// Without a loss it is the process that died: everything visible is kept, synced or not.
    MachineCopy(MemoryMachine const& from, std::optional<PowerLoss> loss)
        : loss_{loss}, machine_{std::make_shared<MemoryMachine>()} {
        machine_->seed = from.seed;
        machine_->random_state = from.random_state;
        machine_->boots = from.boots + (loss_ ? 1 : 0);
        machine_->last_inode = from.last_inode;
        machine_->system_time = from.system_time;
        if (!loss_) machine_->steady_time = from.steady_time;
        machine_->limit_bytes = from.limit_bytes;
        machine_->root = directory(from.root);
    }

    [[nodiscard]] std::shared_ptr<MemoryMachine> const& machine() const noexcept {
        return machine_;
    }

private:
    using File = std::shared_ptr<MemoryFileNode>;
    using Directory = std::shared_ptr<MemoryDirectoryNode>;

    [[nodiscard]] MemoryEntry entry(MemoryEntry const& from) {
        return {.file = from.file ? file(from.file) : File{},
                .directory = from.directory ? directory(from.directory) : Directory{}};
    }
    [[nodiscard]] MemoryEntries entries(MemoryEntries const& from) {
        MemoryEntries copy;
        for (auto const& [name, old] : from) copy.emplace(name, entry(old));
        return copy;
    }

    /// The same node for the same node: a file may have one name now and another in the durable
    /// state.
    [[nodiscard]] File file(File const& from) {
        auto& copy = files_[from.get()];
        if (copy) return copy;
        copy = std::make_shared<MemoryFileNode>();
        copy->inode = from->inode;
        copy->current = loss_ ? survivors(*from) : from->current.copy();
        copy->durable = loss_ ? copy->current.copy() : from->durable.copy();
        copy->linked = loss_ || from->linked;
        copy->writeback_lost = !loss_ && from->writeback_lost;
        if (copy->linked) machine_->used_bytes += copy->current.size();
        return copy;
    }

    [[nodiscard]] Directory directory(Directory const& from) {
        if (auto const known = directories_.find(from.get()); known != directories_.end())
            return known->second;
        auto const copy = std::make_shared<MemoryDirectoryNode>();
        directories_.emplace(from.get(), copy);
        copy->inode = from->inode;
        copy->linked = loss_ || from->linked;
        copy->entries = entries(loss_ ? survivors(*from) : from->entries);
        copy->durable = loss_ ? copy->entries : entries(from->durable);
        if (!loss_)
            for (auto const& change : from->unsynced)
                copy->unsynced.push_back({.name = change.name,
                                          .entry = entry(change.entry),
                                          .old_name = change.old_name});
        return copy;
    }

    /// The size is one unsynced change and each page is another; pages beyond the size that is left
    /// are lost, and new pages that are lost are zeros.
    [[nodiscard]] MemoryImage survivors(MemoryFileNode const& node) const {
        constexpr auto size_change = ~std::uint64_t{0};
        auto const survives = [&](std::uint64_t change) {
            return !node.writeback_lost && loss_->survives(node.inode, change);
        };
        MemoryImage image = node.durable.copy();
        if (survives(size_change)) image.grow(node.current.size(), {});
        for (std::uint64_t place = 0; place < image.size(); place += memory_page)
            if (survives(place))
                copy_live(image.data() + place, node.current.data() + place,
                          end_within(image.size(), place, memory_page) - place);
        return image;
    }

    /// Each change since the last sync is lost or not, whatever became of those before it.
    [[nodiscard]] MemoryEntries survivors(MemoryDirectoryNode const& node) const {
        MemoryEntries left = node.durable;
        for (std::size_t i = 0; i < node.unsynced.size(); ++i) {
            auto const& change = node.unsynced[i];
            if (!loss_->survives(node.inode, i)) continue;
            // Where an earlier rename was lost, this one must not leave a second name.
            if (change.entry)
                std::erase_if(left, [&](auto const& old) { return old.second == change.entry; });
            change.apply(left);
        }
        return left;
    }

    std::optional<PowerLoss> loss_;
    std::shared_ptr<MemoryMachine> machine_;
    std::unordered_map<MemoryFileNode const*, File> files_{};
    std::unordered_map<MemoryDirectoryNode const*, Directory> directories_{};
};

}  // namespace annals::inline v1::detail
