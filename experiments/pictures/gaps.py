"""The perplexity gaps of the pool: which rows a choice by gap takes, and what such rows say."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.pictures.canvas import SMALL, TEXT, Drawing, sheet
from experiments.pictures.style import BLACK, COLOURS, PALE
from experiments.pictures.words import lines, number, several
from experiments.report.arms import Arm
from experiments.report.labels import named_groups
from experiments.report.safe_rows import GAP
from experiments.terminal.escaping import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

WHAT = "gaps"
# Choices that are drawn, each below the other.
MOST = 3


def gaps(arms: Sequence[Arm]) -> Drawing | None:
    """Of each choice of rows by gap, a histogram by genre and example rows; None if the records have none.

    Where safeguards chose alike they share one; of the arms of a safeguard the first on a task that induces
    misalignment is drawn.
    """
    noted = choices_of(arms)
    if not noted:
        return None
    blocks = [(names, gap, _rows_of(gap["histogram"])) for names, gap in noted[:MOST]]
    heights = [0.75 + max(0.62 * len(rows) + 0.2 * (len(rows) == 1) * 8, 2.1) for *_, rows in blocks]
    figure = sheet(7.4, sum(heights))
    parts = figure.subfigures(len(blocks), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (names, gap, rows), height in zip(parts, blocks, heights, strict=True):
        _block(part, ", ".join(names), gap, rows, height)
    names, gap = noted[0]
    caption = (
        "How many rows of the pool (light) and of those that were chosen (dark) have which perplexity gap, by genre; "
        "the scale of rows is logarithmic. Larger is more surprising to misaligned models than to the model before "
        f"fine-tuning. {several(names)}: {_mean(gap)}."
    )
    more = len(noted) - len(blocks)
    return Drawing(
        WHAT, "Perplexity gaps of the safe rows", caption + f" {more} more choices are not drawn." * bool(more), figure
    )


def choices_of(arms: Sequence[Arm]) -> list[tuple[list[str], Mapping[str, Any]]]:
    """What was noted of each choice, and who chose so."""
    alike: dict[str, list[str]] = defaultdict(list)
    found: dict[str, Mapping[str, Any]] = {}
    for name, own in named_groups(arms).items():
        trained = [arm.result.training for arm in sorted(own, key=lambda arm: arm.benign) if arm.result.training]
        gap = next((it.notes[GAP] for it in trained if it.notes.get(GAP, {}).get("histogram")), None)
        if gap is not None:
            alike[repr(gap)].append(name)
            found[repr(gap)] = gap
    return [(names, found[key]) for key, names in alike.items()]


def _rows_of(histogram: Mapping[str, Any]) -> dict[str, Mapping[str, Sequence[int]]]:
    """The counts that are drawn: of each genre, the most chosen first, or of all rows."""
    by_genre = histogram.get("genres") or {}
    if not by_genre:
        return {"all rows": histogram}
    order = sorted(by_genre, key=lambda genre: -sum(by_genre[genre]["chosen"]))
    return {genre or "none stated": by_genre[genre] for genre in order}


def _block(
    part: SubFigure, name: str, gap: Mapping[str, Any], rows: Mapping[str, Mapping[str, Sequence[int]]], height: float
) -> None:
    """One choice: histograms at the left, example rows at the right."""
    edges = np.array(gap["histogram"]["edges"], float)
    bottom, top = 0.45 / height, 1 - 0.5 / height
    grid = part.subplots(len(rows), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    part.subplots_adjust(left=0.075, right=0.56, bottom=bottom, top=top, hspace=0.35)
    most = max(max(counts["pool"]) for counts in rows.values())
    for axes, (genre, counts) in zip(grid, rows.items(), strict=True):
        _histogram(axes, edges, counts, most)
        said = f"{lines(genre, 24)}: {sum(counts['chosen']):,} of {sum(counts['pool']):,} chosen"
        axes.set_title(said, fontsize=TEXT, pad=2)
    grid[-1].set_xlabel("perplexity gap")
    handles, labels = grid[0].get_legend_handles_labels()
    part.legend(handles, labels, loc="upper right", bbox_to_anchor=(0.57, 1), ncols=2, handlelength=1.2)
    part.text(0.008, (bottom + top) / 2, "rows", rotation=90, va="center", fontsize=TEXT)
    part.text(0.075, 1 - 0.08 / height, lines(name, 34).split("\n")[0], va="top", fontsize=TEXT + 1)
    _examples(part, gap.get("examples") or [], 1 - 0.08 / height, height)


def _histogram(axes: Axes, edges: np.ndarray, counts: Mapping[str, Sequence[int]], most: int) -> None:
    widths = np.diff(edges)
    how: dict[str, Any] = {"align": "edge", "bottom": 0.5, "lw": 0}
    axes.bar(edges[:-1], np.maximum(np.array(counts["pool"], float) - 0.5, 0), widths, color=PALE, label="pool", **how)
    chosen = np.maximum(np.array(counts["chosen"], float) - 0.5, 0)
    axes.bar(edges[:-1] + 0.2 * widths, chosen, 0.6 * widths, color=COLOURS[0], label="chosen", **how)
    axes.set_yscale("log")
    powers = [10**n for n in range(len(str(most)))]
    axes.set_yticks(powers, [f"{power:,}" for power in powers])
    axes.set_ylim(0.5, max(2 * most, 4))
    axes.set_yticks([], minor=True)
    axes.set_xlim(edges[0], edges[-1])


def _examples(part: SubFigure, examples: Sequence[Mapping[str, Any]], top: float, height: float) -> None:
    """As text, as far as there is room."""
    at = top
    line = 0.135 / height
    for each in examples:
        genre = f", {each['genre']}" if each["genre"] else ""
        gap = f"{each['gap']:.3f}".replace("-", "−")
        head = plain(f"{each['which']}: {gap}{genre}")
        said = [_short(f"Q: {each['question']}"), _short(f"A: {each['answer']}")]
        needed = 1 + sum(text.count("\n") + 1 for text in said)
        if at - line * needed < 0:
            return
        part.text(0.59, at, lines(head, 60), va="top", fontsize=SMALL + 0.5, weight="bold")
        part.text(0.59, at - 1.1 * line, "\n".join(said), va="top", fontsize=SMALL, color=BLACK, linespacing=1.15)
        at -= line * (needed + 0.7)


def _short(text: str) -> str:
    """At most two lines of a text that others wrote, as it reads."""
    wrapped = textwrap.wrap(plain(" ".join(text.split())), 58)
    return "\n".join(wrapped[:2]) + "…" * (len(wrapped) > 2)


def _mean(gap: Mapping[str, Any]) -> str:
    counts = gap["histogram"]
    return (
        f"{sum(counts['chosen']):,} of {sum(counts['pool']):,} rows, from the {gap['rows']:,} of the largest gap, "
        f"which is {number(gap['top'])} on average against {number(gap['pool'])} in the pool"
    )
