#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws what annals_bench has measured, as SVG.

usage: plots.py FIGURES.json DIRECTORY
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "annals"  # the same figures, the same file
import matplotlib.pyplot as plot  # noqa: E402

COLOURS = {
    "annals": "#c0392b", "ceiling": "#7f8c8d", "rocksdb": "#8e6d3a", "leveldb": "#2e86c1",
    "lmdb": "#27ae60", "sqlite": "#8e44ad", "stdio": "#f39c12", "write": "#16a085",
}


class Figures:
    """What was measured, by benchmark and subject."""

    def __init__(self, path):
        self.all = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))

    def lines(self, benchmark, along):
        """For each subject, in the order of the run: the points (x, median, min, max)."""
        lines = {}
        for figure in self.all:
            if figure["benchmark"] == benchmark:
                point = (figure[along], figure["median"], figure["min"], figure["max"])
                lines.setdefault(figure["subject"], []).append(point)
        return lines


def draw(axes, lines, title, ticks):
    axes.set_title(title, fontsize=10)
    for subject, points in lines.items():
        places, medians, lowest, highest = zip(*sorted(points, key=lambda point: ticks.index(point[0])))
        below = [median - low for median, low in zip(medians, lowest)]
        above = [high - median for median, high in zip(medians, highest)]
        axes.errorbar([ticks.index(place) for place in places], medians, yerr=[below, above],
                      label=subject, marker="o", markersize=4, capsize=3,
                      color=COLOURS.get(subject), linewidth=2.5 if subject == "annals" else 1.2)
    axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    axes.set_yscale("log")
    axes.grid(True, which="major", alpha=0.3)


def save(panels, ticks, along, unit, path):
    """Draws the panels (title, lines) that have lines side by side; no file where none has."""
    panels = [(title, lines) for title, lines in panels if lines]
    if not panels:
        return
    figure, axes = plot.subplots(1, len(panels), figsize=(4 * len(panels) + 1.5, 4.2), sharey=True,
                                 squeeze=False, layout="constrained")
    handles = {}
    for each, (title, lines) in zip(axes[0], panels):
        draw(each, lines, title, ticks)
        each.set_xlabel(along)
        handles.update({label: handle for handle, label in zip(*each.get_legend_handles_labels())})
    axes[0][0].set_ylabel(unit)
    axes[0][-1].legend(handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1, 0.5),
                       fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plot.close(figure)
    print(path)


def by(figures, benchmarks, along):
    return [(title, figures.lines(name, along)) for name, title in benchmarks]


def by_percentile(figures, benchmark, percentiles):
    lines = {}
    for percentile in percentiles:
        for subject, points in figures.lines(f"{benchmark}_{percentile}", "batch").items():
            lines.setdefault(subject, []).append((percentile, *points[0][1:]))
    return lines


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    figures = Figures(sys.argv[1])
    directory = pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)

    throughput = [("append", "append"), ("append_batch", "append, batches of 100"),
                  ("replay", "replay, checked")]
    save(by(figures, throughput, "value_bytes"), [24, 100, 1024], "bytes of a value",
         "records a second", directory / "throughput_by_record_size.svg")

    producers = [("append_one_partition", "one partition"),
                 ("append_own_partitions", "a partition each")]
    save(by(figures, producers, "producers"), [1, 2, 4], "producers", "records a second",
         directory / "throughput_by_producers.svg")

    percentiles = ["p50", "p99", "p99.9", "p99.99", "max"]
    save([("flat out", by_percentile(figures, "latency_flat_out", percentiles)),
          ("100,000 a second", by_percentile(figures, "latency_fixed_rate", percentiles))],
         percentiles, "share of the appends", "nanoseconds",
         directory / "latency_percentiles.svg")


if __name__ == "__main__":
    main()
