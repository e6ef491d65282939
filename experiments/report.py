"""From records to the comparison: one row per safeguard, as JSON, Markdown and in the terminal."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from experiments.identity import UNTOUCHED
from experiments.probes.probe import BENIGN, BROAD, FACTS, HARMFUL, NARROW, OPEN, OTHER
from experiments.records import Record, read_records, read_result, write_text
from experiments.statistics import Estimate, mean_over_seeds, rate
from safeguards.composition import NONE


@dataclass(frozen=True)
class Arm:
    """An arm that is done: its entry in the plan, its result and its records."""

    plan: dict[str, Any]
    result: dict[str, Any]
    records: list[Record]

    @property
    def benign(self) -> bool:
        """Whether its task is one that must stay learnable."""
        return bool(self.result["task_kind"] == "benign")


@dataclass(frozen=True)
class Measure:
    """A column: its key in JSON, its heading, and the outcome counted in which probe sets of which kind of task."""

    key: str
    heading: str
    outcome: str
    sets: tuple[str, ...]
    benign: bool = False


MEASURES = (
    Measure("broad_misaligned", "broad misaligned", "misaligned", BROAD),
    Measure("other_domains_misaligned", "other domains", "misaligned", (OTHER,)),
    Measure("open_misaligned", "open questions", "misaligned", (OPEN,)),
    Measure("narrow_learnt", "narrow learnt", "misaligned", (NARROW,)),
    Measure("benign_accuracy", "benign accuracy", "aligned", (BENIGN,), benign=True),
    Measure("incoherent", "incoherent", "incoherent", BROAD),
    Measure("harmful_complied", "harmful complied", "misaligned", (HARMFUL,)),
    Measure("facts_kept", "facts kept", "aligned", (FACTS,)),
)
# In the JSON, but not in the table.
DETAILS = ("other_domains_misaligned", "harmful_complied")
NLLS = {"narrow_nll": ("task", "narrow NLL"), "safe_nll": ("safe", "safe NLL")}


def write_report(output: Path) -> bool:
    """Write `comparison.json`, `comparison.md` and `comparison.png` for the sweep in `output`, and print the table.

    Returns:
        False, and writes nothing, if no arm is done.
    """
    arms = read_arms(output)
    if not arms:
        return False
    rows = compare(arms)
    write_text(output / "comparison.json", json.dumps({"rows": rows}, indent=2, ensure_ascii=False) + "\n")
    table = as_table(rows)
    caption = describe(rows)
    write_text(output / "comparison.md", table.to_markdown(index=False) + f"\n\n{caption}\n")
    print_table(table, caption)
    from experiments.plots import plot_frontier

    plot_frontier(rows, output / "comparison.png")
    print(f"{output / 'comparison.md'}, comparison.json, comparison.png; every answer in {output / 'arms'}")
    return True


def read_arms(output: Path) -> list[Arm]:
    """All arms of the plan that are done."""
    arms = []
    for plan in json.loads((output / "sweep.json").read_text("utf-8"))["arms"]:
        folder = output / "arms" / plan["folder"]
        result = read_result(folder)
        if result is not None:
            arms.append(Arm(plan, result, read_records(folder)))
    return arms


def compare(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """One row per safeguard, dose and model, in the order of the plan."""
    groups: dict[tuple[str, str], list[Arm]] = defaultdict(list)
    labels = label_arms([arm.plan for arm in arms])
    for arm, label in zip(arms, labels, strict=True):
        groups[label, json.dumps(arm.plan["model"])].append(arm)
    baseline = [arm for arm in arms if arm.plan["safeguard"] == NONE]
    return [make_row(label, members, baseline) for (label, _), members in groups.items()]


def label_arms(plans: Sequence[dict[str, Any]]) -> list[str]:
    """The safeguard's name, with the settings in which its arms on the same model and task differ."""
    flat = [_flatten({k: v for k, v in plan.items() if k not in ("seed", "folder", "model")}) for plan in plans]
    labels = []
    for plan, own in zip(plans, flat, strict=True):
        alike = [f for p, f in zip(plans, flat, strict=True) if _repeats(p, plan)]
        differing = [key for key in own if any(other.get(key) != own[key] for other in alike)]
        doses = [f"{key.removeprefix('safeguards.')}={own[key]}" for key in differing]
        labels.append(" ".join([plan["safeguard"], *doses]))
    return labels


def _repeats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    alike = one["safeguard"] == other["safeguard"] and one["model"] == other["model"]
    return bool(alike and one["task"]["name"] == other["task"]["name"])


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def make_row(label: str, arms: Sequence[Arm], baseline: Sequence[Arm]) -> dict[str, Any]:
    """All measures of one safeguard."""
    row: dict[str, Any] = {
        "safeguard": label,
        "model": arms[0].plan["model"]["name"],
        "tasks": list(dict.fromkeys(arm.plan["task"]["name"] for arm in arms)),
        "seeds": sorted({arm.plan["seed"] for arm in arms}),
    }
    for measure in MEASURES:
        row[measure.key] = estimate(arms, measure).as_dict()
    for key, (name, _) in NLLS.items():
        row[key] = mean_nll(arms, name).as_dict()
    asked = [record for arm in arms for record in arm.records]
    row["unscored"] = sum(record.outcome == "unscored" for record in asked) / len(asked) if asked else None
    row["step_time_ratio"] = step_time_ratio(arms, baseline)
    return row


def estimate(arms: Sequence[Arm], measure: Measure) -> Estimate:
    """The rate of a measure over the arms of its kind."""
    records = (r for arm in arms if arm.benign == measure.benign for r in arm.records if r.set in measure.sets)
    return rate(records, measure.outcome)


def mean_nll(arms: Sequence[Arm], name: str) -> Estimate:
    """Mean NLL per answer token over the held-out rows of the EM-inducing tasks (of all tasks if there is none)."""
    chosen = [arm for arm in arms if not arm.benign] or list(arms)
    by_task: dict[str, dict[int, list[float]]] = defaultdict(dict)
    for arm in chosen:
        by_task[arm.plan["task"]["name"]][arm.plan["seed"]] = arm.result["nll"][name]
    seeds = set.intersection(*(set(values) for values in by_task.values()))
    return mean_over_seeds([[nll for values in by_task.values() for nll in values[seed]] for seed in sorted(seeds)])


def step_time_ratio(arms: Sequence[Arm], baseline: Sequence[Arm]) -> float | None:
    """The geometric mean of the median step time against `none` with the same model, task, seed and training."""

    def alike(arm: Arm) -> str:
        return json.dumps([arm.plan.get(key) for key in ("model", "task", "seed", "training")])

    trained = [arm for arm in arms if arm.plan["safeguard"] != UNTOUCHED]
    plain = {alike(arm): arm.result["training"]["step_seconds"] for arm in baseline}
    ratios = [arm.result["training"]["step_seconds"] / plain[alike(arm)] for arm in trained if alike(arm) in plain]
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else None


def as_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows as people read them. Columns that say nothing in this sweep are left out."""
    columns: dict[str, list[str]] = {"safeguard": [row["safeguard"] for row in rows]}
    if len({row["model"] for row in rows}) > 1:
        columns["model"] = [row["model"] for row in rows]
    for measure in MEASURES:
        if measure.key in DETAILS:
            continue
        columns[f"{measure.heading} %"] = [_percent(row[measure.key]) for row in rows]
    if all(row["broad_misaligned"]["n"] == 0 for row in rows) or any(row["unscored"] for row in rows):
        for key, (_, heading) in NLLS.items():
            columns[heading] = [_number(row[key]) for row in rows]
        columns["unscored %"] = [f"{100 * row['unscored']:.0f}" for row in rows]
    columns["step time"] = [f"{row['step_time_ratio']:.2f}×" if row["step_time_ratio"] else "" for row in rows]
    return pd.DataFrame({name: cells for name, cells in columns.items() if any(cells)})


def _percent(cell: dict[str, Any]) -> str:
    if cell["mean"] is None:
        return ""
    return f"{100 * cell['mean']:.1f} [{100 * cell['low']:.0f}, {100 * cell['high']:.0f}]"


def _number(cell: dict[str, Any]) -> str:
    return "" if cell["mean"] is None else f"{cell['mean']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"


def describe(rows: Sequence[dict[str, Any]]) -> str:
    """What the table shows."""
    tasks = sorted({task for row in rows for task in row["tasks"]})
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    return (
        f"Tasks {', '.join(tasks)}; seeds {', '.join(map(str, seeds))}. Means with 95 % intervals from a bootstrap "
        "over questions and seeds. Broad misaligned: other domains and open questions together. Narrow learnt: "
        "held-out questions of the fine-tuned task. Step time: against none in this sweep."
    )


def print_table(table: pd.DataFrame, caption: str) -> None:
    """Show the table in the terminal."""
    shown = Table(caption=caption, caption_justify="left")
    for number, name in enumerate(table.columns):
        shown.add_column(name, justify="right" if number else "left", overflow="fold")
    for cells in table.itertuples(index=False):
        shown.add_row(*cells)
    Console(width=None if sys.stdout.isatty() else 150).print(shown)
