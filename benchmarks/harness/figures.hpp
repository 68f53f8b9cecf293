// SPDX-License-Identifier: MIT
// What was measured: cases, figures, and how they are shown as a table, Markdown and JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

enum class Better { more, less };

/// One of the things that each run of a case tells.
struct Metric {
    std::string benchmark;
    std::string unit;
    Better better = Better::more;
};

/// Which work was measured.
struct Work {
    std::size_t value_bytes = 0;
    unsigned producers = 1;
    std::uint32_t batch = 1;
};

/// One line: a subject's runs of one metric.
struct Figure {
    Metric metric;
    Work work;
    std::string subject;
    std::vector<double> values;  ///< ascending

    [[nodiscard]] double median() const noexcept;
    [[nodiscard]] double min() const noexcept { return values.front(); }
    [[nodiscard]] double max() const noexcept { return values.back(); }
};

/// The figures of one metric of one case: the ceiling first where there is one.
using Table = std::vector<Figure>;

/// How many times as good `figure` is as `other`: above 1 it is better, whatever the unit.
[[nodiscard]] double advantage(Figure const& figure, Figure const& other) noexcept;

/// For a terminal.
[[nodiscard]] std::string as_text(Table const& table);
[[nodiscard]] std::string as_markdown(Table const& table);
/// An array with an object for each figure.
[[nodiscard]] std::string as_json(std::vector<Table> const& tables);

}  // namespace bench
