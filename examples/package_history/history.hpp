// SPDX-License-Identifier: MIT
// The one history that dpkg's log files are pieces of: which lines are known already, and where
// the new ones belong. Files overlap, are rotated, grow, and come in any order.
#pragma once

#include <annals/types.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dpkg_log.hpp"

namespace dpkg {

/// All known lines, in the order in which they happened.
///
/// The n-th equal line within one second is one line, whatever file it comes from. Within a file
/// the order of the lines counts, even where the clock was set back; between files, time.
class History {
public:
    struct Entry {
        Line line;
        annals::Offset offset;  ///< of its record in the topic
    };

    [[nodiscard]] std::list<Entry> const& entries() const { return entries_; }

    /// Takes a record in; records must come in the order of their offsets. `before` is the record
    /// that it stands in front of; without one it is the latest.
    void restore(Line line, annals::Offset offset, std::optional<annals::Offset> before) {
        insert(before ? by_offset_.at(before->value()) : entries_.end(), std::move(line), offset);
    }

    /// Takes in the lines of one file. For each that was not known it calls `append(line, before)`,
    /// which returns the offset of the line's new record.
    template <class Append>
    void merge(std::vector<Line> const& lines, Append append) {
        if (lines.empty()) return;
        auto const known = find(lines);
        Place place = beginning(lines, known);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            if (known[i]) {
                place = std::next(*known[i]);
                continue;
            }
            while (place != entries_.end() && place->line.time() < lines[i].time()) ++place;
            bool const latest = place == entries_.end();
            auto const before = latest ? std::nullopt : std::optional{place->offset};
            insert(place, lines[i], append(lines[i], before));
        }
    }

private:
    using Place = std::list<Entry>::iterator;
    using Places = std::vector<Place>;
    using Found = std::vector<std::optional<Place>>;

    void insert(Place place, Line line, annals::Offset offset) {
        Place const entry = entries_.insert(place, Entry{std::move(line), offset});
        Places& second = seconds_[std::string{entry->line.time()}];
        bool const between = place != entries_.end() && place->line.time() == entry->line.time();
        second.insert(between ? std::find(second.begin(), second.end(), place) : second.end(),
                      entry);
        by_offset_.resize(offset.value() + 1, entries_.end());
        by_offset_.back() = entry;
    }

    [[nodiscard]] bool is_known(Line const& line) const {
        auto const second = seconds_.find(std::string{line.time()});
        return second != seconds_.end() &&
               std::any_of(second->second.begin(), second->second.end(),
                           [&](Place place) { return place->line.text == line.text; });
    }

    /// For each line of a file the entry that it is, if it is known.
    [[nodiscard]] Found find(std::vector<Line> const& lines) const {
        std::unordered_map<std::string_view, std::vector<std::size_t>> numbers;  // by second
        for (std::size_t i = 0; i < lines.size(); ++i) numbers[lines[i].time()].push_back(i);
        Found found(lines.size());
        for (auto const& [time, piece] : numbers) {
            auto const second = seconds_.find(std::string{time});
            if (second != seconds_.end()) find_in(second->second, lines, piece, found);
        }
        return found;
    }

    /// The same for one second: `known` is what is known of it, `piece` the numbers of its lines.
    void find_in(Places const& known, std::vector<Line> const& lines,
                 std::vector<std::size_t> const& piece, Found& found) const {
        if (auto const shift = fit(known, lines, piece)) {
            for (std::size_t k = 0; k < known.size(); ++k) {
                auto const i = static_cast<std::ptrdiff_t>(k) + *shift;
                if (i >= 0 && i < std::ssize(piece))
                    found[piece[static_cast<std::size_t>(i)]] = known[k];
            }
            return;
        }
        // They do not fit, for one of them is a selection. Then only the numbers of equal lines
        // count.
        std::vector<bool> taken(known.size());
        for (std::size_t const i : piece) {
            for (std::size_t k = 0; k < known.size() && !found[i]; ++k) {
                if (taken[k] || known[k]->line.text != lines[i].text) continue;
                taken[k] = true;
                found[i] = known[k];
            }
        }
    }

    /// How a file's piece of one second fits what is known of it: by how many lines what is known
    /// begins later than the piece (below zero: earlier). A rotation may have cut the second in
    /// two, with equal lines on both sides of the cut, and only the fit tells which is which. Of
    /// all fits in which both say the same, as far as both go, it is the one that shares most.
    [[nodiscard]] std::optional<std::ptrdiff_t> fit(Places const& known,
                                                    std::vector<Line> const& lines,
                                                    std::vector<std::size_t> const& piece) const {
        auto const size = std::ssize(piece);
        auto const known_size = std::ssize(known);
        std::ptrdiff_t least = -known_size;
        std::ptrdiff_t most = size;
        // Who has a line before this second has the second's beginning, and who has one after it
        // has its end. Nobody can begin before the beginning.
        if (piece.front() > 0) {
            least = std::max<std::ptrdiff_t>(least, 0);
            if (is_known(lines[piece.front() - 1])) most = std::min<std::ptrdiff_t>(most, 0);
        }
        if (piece.back() + 1 < lines.size()) {
            most = std::min(most, size - known_size);
            if (is_known(lines[piece.back() + 1])) least = std::max(least, size - known_size);
        }

        std::optional<std::ptrdiff_t> best;
        std::ptrdiff_t most_shared = -1;
        auto const attempt = [&](std::ptrdiff_t shift) {
            std::ptrdiff_t const begin = std::max<std::ptrdiff_t>(shift, 0);
            std::ptrdiff_t const end = std::min(size, known_size + shift);
            // One line that stands somewhere in the piece says less than that the piece goes on.
            bool const by_chance = shift > 0 && end - begin == 1 && least == -known_size;
            if (shift < least || shift > most || end - begin <= most_shared || by_chance) return;
            for (std::ptrdiff_t i = begin; i < end; ++i) {
                if (lines[piece[static_cast<std::size_t>(i)]].text !=
                    known[static_cast<std::size_t>(i - shift)]->line.text) {
                    return;
                }
            }
            most_shared = end - begin;
            best = shift;
        };
        attempt(0);  // as a rule both begin where the second does
        for (std::ptrdiff_t shift = least; shift <= most; ++shift) attempt(shift);
        return best;
    }

    /// Where a file's first line stands or belongs.
    [[nodiscard]] Place beginning(std::vector<Line> const& lines, Found const& known) {
        auto const time = lines.front().time();
        for (std::size_t i = 0; i < lines.size() && lines[i].time() == time; ++i)
            if (known[i]) return *known[i];
        Place place = entries_.end();  // after all that is as old
        while (place != entries_.begin() && time < std::prev(place)->line.time()) --place;
        return place;
    }

    std::list<Entry> entries_;
    std::unordered_map<std::string, Places> seconds_;  // what is known of each, in its order
    std::vector<Place> by_offset_;
};

}  // namespace dpkg
