// SPDX-License-Identifier: MIT
#include "harness/figures.hpp"

#include <fmt/format.h>

#include <cmath>

namespace bench {
namespace {

/// Four digits that count, and a unit's thousands in front of it.
[[nodiscard]] std::string with_thousands(double value) {
    if (value >= 1e9) return fmt::format("{:.4g} G", value / 1e9);
    if (value >= 1e6) return fmt::format("{:.4g} M", value / 1e6);
    if (value >= 1e4) return fmt::format("{:.4g} k", value / 1e3);
    return fmt::format("{:.4g}", value);
}

[[nodiscard]] std::string title(Figure const& figure) {
    Work const& work = figure.work;
    std::string text = fmt::format("{}, {}", figure.metric.benchmark, figure.metric.unit);
    if (work.value_bytes != 0) text += fmt::format(", values of {} bytes", work.value_bytes);
    if (work.producers != 1) text += fmt::format(", {} producers", work.producers);
    if (work.batch != 1) text += fmt::format(", batches of {}", work.batch);
    return text;
}

[[nodiscard]] Figure const* find(Table const& table, std::string_view subject) {
    for (Figure const& figure : table) {
        if (figure.subject == subject) return &figure;
    }
    return nullptr;
}

/// How good `figure` is as a share of `other`, or nothing where one of them is missing.
[[nodiscard]] std::string share(Figure const* figure, Figure const* other) {
    if (figure == nullptr || other == nullptr || figure == other) return "";
    double const ratio = advantage(*figure, *other);
    return std::isfinite(ratio) ? fmt::format("{:.3g}", ratio) : "";
}

struct Line {
    std::string subject, median, min, max, of_ceiling, annals_is;
};

[[nodiscard]] std::vector<Line> lines(Table const& table) {
    Figure const* const ceiling = find(table, "ceiling");
    Figure const* const annals = find(table, "annals");
    std::vector<Line> lines;
    for (Figure const& figure : table) {
        lines.push_back({figure.subject, with_thousands(figure.median()),
                         with_thousands(figure.min()), with_thousands(figure.max()),
                         share(&figure, ceiling), share(annals, &figure)});
    }
    return lines;
}

}  // namespace

double Figure::median() const noexcept {
    std::size_t const middle = values.size() / 2;
    if (values.size() % 2 == 1) return values[middle];
    return (values[middle - 1] + values[middle]) / 2;
}

double advantage(Figure const& figure, Figure const& other) noexcept {
    double const ratio = figure.median() / other.median();
    return figure.metric.better == Better::more ? ratio : 1 / ratio;
}

std::string as_text(Table const& table) {
    std::string text =
        fmt::format("\n{}\n  {:<12}{:>12}{:>12}{:>12}{:>12}{:>12}\n", title(table.front()), "",
                    "median", "min", "max", "of ceiling", "annals is");
    for (Line const& line : lines(table)) {
        text += fmt::format("  {:<12}{:>12}{:>12}{:>12}{:>12}{:>12}\n", line.subject, line.median,
                            line.min, line.max, line.of_ceiling, line.annals_is);
    }
    return text;
}

std::string as_markdown(Table const& table) {
    std::string text = fmt::format(
        "\n{}\n\n| subject | median | min | max | of ceiling | annals is |\n"
        "|---|---:|---:|---:|---:|---:|\n",
        title(table.front()));
    for (Line const& line : lines(table)) {
        text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", line.subject, line.median,
                            line.min, line.max, line.of_ceiling, line.annals_is);
    }
    return text;
}

std::string as_json(std::vector<Table> const& tables) {
    std::string text = "[";
    char const* separator = "\n";
    for (Table const& table : tables) {
        for (Figure const& figure : table) {
            // Names and units are this program's own words: nothing in them needs escaping.
            text += fmt::format(
                R"({}  {{"benchmark": "{}", "value_bytes": {}, "producers": {}, "batch": {}, )"
                R"("subject": "{}", "unit": "{}", )"
                R"("median": {}, "min": {}, "max": {}, "runs": {}}})",
                separator, figure.metric.benchmark, figure.work.value_bytes, figure.work.producers,
                figure.work.batch, figure.subject, figure.metric.unit, figure.median(),
                figure.min(), figure.max(), figure.values.size());
            separator = ",\n";
        }
    }
    return text + "\n]\n";
}

}  // namespace bench
