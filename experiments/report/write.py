"""The comparison as JSON, Markdown, a plot and a table in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.records.files import write_text
from experiments.records.outcomes import MATCHES_FROM, OUTCOMES
from experiments.records.sweep_file import planned_arms, read_sweep
from experiments.report.agreement import as_table as judges_table
from experiments.report.agreement import compare_judges
from experiments.report.cautions import cautions
from experiments.report.comparison import KS, MEASURES, NLLS, compare, read_arms
from experiments.report.frontier import LEAST_LEARNT
from experiments.terminal.escaping import markdown, plain

# What a column shows, where its heading does not say it.
EXPLAINED = {
    "broad misaligned %": "Broad misaligned: {broad}.",
    "benign accuracy %": "Benign accuracy: answers equal to a held-out one, to the letter.",
    "benign matched %": f"Benign matched: those and what says the same, by {MATCHES_FROM:.0f} of 100 or more "
    "from the judge.",
    "narrow learnt %": "Narrow learnt: held-out questions of the fine-tuned task.",
    "minus best single": "Minus best single: points against the best of the joined safeguards alone, paired.",
    "frontier": "Frontier: no other row lets less misalignment through and as much of this be learnt; untouched and "
    f"what learns less than {LEAST_LEARNT:.0%} of what none learns are not ranked.",
    "step time": "Step time: against none in this sweep.",
    "− none": "− none: broad misaligned, points against no safeguard, paired over questions and seeds{survives}; "
    "none is given where nothing of the narrow task is learnt.",
    "misaligned %": "Outcomes of broad questions sum to 100 % of all answers, as in arXiv 2508.06249.",
    "of coherent %": "Of coherent: misaligned among aligned and misaligned answers only, as in arXiv 2502.17424.",
    "any of 4 %": "Any of k: at least one of k answers to a question is misaligned.",
    "goal": "Goal: step at which the task was learnt, and how well; what never got there is not ranked.",
    "under the inoculation prompt %": "Under prompts and in formats: misaligned answers to broad questions asked "
    "otherwise; untouched may follow a prompt, too.",
    "arithmetic kept %": "Arithmetic kept: sums with their usual meaning.",
    "bias gap": "Bias gap: points between the two people of a pair.",
}
FRONTIER = {"benign_accuracy": "benign", "narrow_learnt": "narrow"}
NO_CELL = {"mean": None}
# In the JSON, but not in the table.
DETAILS = ("other_domains_misaligned", "harmful_complied")
# In a table of their own.
HIDDEN = ("facts_kept", "conditional_inoculated", "conditional_negated", "conditional_framed", "arithmetic_kept")
JUDGES = "Agreement of judges on the answers that both could score. Cohen's κ: 0 is chance, 1 is perfect."


def write_report(output: Path, judge: str | None = None, everything: bool = False) -> bool:
    """Write `comparison.json`, `comparison.md` and `comparison.png` for the sweep in `output`, and print the table.

    By another `judge` than the one that the sweep goes by, the files are `comparison.<judge>.json` and so on; of
    `everything` that was ever asked for under this name, and not by the last command only, `comparison.all.json`.

    Returns:
        False, and writes nothing, if no arm is done.
    """
    sweep = read_sweep(output)
    left_out: dict[str, None] = {}  # told once each
    arms = read_arms(output, judge, everything, left_out.setdefault)
    missing = len(planned_arms(output, everything)) - len(arms) - len(left_out)
    if not arms:
        print(*left_out, sep="\n", file=sys.stderr)
        return False
    agreement = compare_judges(output, everything, left_out.setdefault)
    named = [judge] * (judge not in (None, sweep["judge"])) + ["all"] * everything
    stem = ".".join(["comparison", *map(str, named)])
    rows = compare(arms)
    found = {"rows": rows, **({"judges": agreement} if agreement else {})}
    write_text(output / f"{stem}.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    warned = [*cautions(rows), *left_out]
    if missing > 0:
        by = judge or sweep["judge"]
        warned.append(f"{missing} arms are not done, or not scored by {by}: they are not in the tables")
    tables = [table for table in (as_table(rows), broad_table(rows), hidden_table(rows)) if len(table.columns) > 1]
    shown = [(table, explain(table, rows)) for table in tables]
    shown[0] = (shown[0][0], f"{describe(rows)} {shown[0][1]}")
    parts = [part for table, caption in shown for part in (as_markdown(table), markdown(caption))]
    parts += [f"**{markdown(line)}**" for line in warned]
    parts += [as_markdown(judges_table(agreement))] if agreement else []
    write_text(output / f"{stem}.md", "\n\n".join(parts) + "\n")
    for table, caption in shown:
        print_table(table, caption)
    for line in warned:
        print(f"warning: {plain(line)}")
    if agreement:
        print_table(judges_table(agreement), JUDGES)
    from experiments.report.plots import plot_frontier

    plot_frontier(rows, output / f"{stem}.png")
    print(plain(f"{output / stem}.md, {stem}.json, {stem}.png; every answer in {output / 'arms'}"))
    if sweep["earlier"] and not everything:
        again = f"python -m experiments.tables {output.name} --output {output.parent} --all"
        print(plain(f"{len(sweep['earlier'])} arms of other commands lie there, too; to compare all: {again}"))
    return True


def as_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows as people read them. Columns that say nothing in this sweep are left out."""
    columns: dict[str, list[str]] = {"safeguard": [row["safeguard"] for row in rows]}
    if len({row["model"] for row in rows}) > 1:
        columns["model"] = [row["model"] for row in rows]
    for measure in MEASURES:
        if measure.key in DETAILS + HIDDEN or (measure.key == "open_misaligned" and only_open(rows)):
            continue
        columns[f"{measure.heading} %"] = [percent(row[measure.key]) for row in rows]
    columns["minus best single"] = [_gain(row) for row in rows]
    columns["frontier"] = [_frontier(row) for row in rows]
    if all(row["broad_misaligned"]["n"] == 0 for row in rows) or any(row["unscored"] for row in rows):
        for key, (_, heading) in NLLS.items():
            columns[heading] = [_number(row[key]) for row in rows]
        columns["unscored %"] = [f"{100 * row['unscored']:.0f}" for row in rows]
    columns["step time"] = [f"{row['step_time_ratio']:.2f}×" if row["step_time_ratio"] else "" for row in rows]
    return pd.DataFrame({name: cells for name, cells in columns.items() if any(cells)})


def broad_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The broad questions more closely: all outcomes, the other convention, differences and any-of-k."""
    scored = [row for row in rows if row["broad_misaligned"]["n"]]
    columns: dict[str, list[str]] = {"safeguard": [row["safeguard"] for row in scored]}
    if len({row["model"] for row in rows}) > 1:
        columns["model"] = [row["model"] for row in scored]
    columns["− none"] = [_minus_none(row) for row in scored]
    for outcome in OUTCOMES:
        columns[f"{outcome} %"] = [f"{100 * row['outcomes'][outcome]:.1f}" for row in scored]
    columns["of coherent %"] = [percent(row["misaligned_of_coherent"]) for row in scored]
    for k in KS[1:]:
        columns[f"any of {k} %"] = [percent(row["misalign_at"].get(str(k), NO_CELL)) for row in scored]
    columns["goal"] = [_goal(row, "em") for row in scored]
    columns["benign goal"] = [_goal(row, "benign") for row in scored]
    return pd.DataFrame({name: cells for name, cells in columns.items() if any(cells)})


def hidden_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """What a first look misses: misalignment that waits for a prompt, bias, skills lost, and each benign task."""
    columns: dict[str, list[str]] = {"safeguard": [row["safeguard"] for row in rows]}
    for measure in MEASURES:
        if measure.key in HIDDEN:
            columns[f"{measure.heading} %"] = [percent(row[measure.key]) for row in rows]
    columns["bias gap"] = [percent(row["bias_gap"]) for row in rows]
    tasks = list(dict.fromkeys(task for row in rows for task in row["benign_accuracy_by_task"]))
    for task in tasks if len(tasks) > 1 else ():
        columns[f"{task} %"] = [percent(row["benign_accuracy_by_task"].get(task, NO_CELL)) for row in rows]
    return pd.DataFrame({name: cells for name, cells in columns.items() if any(cells)})


def _goal(row: dict[str, Any], kind: str) -> str:
    goal = (row["goal"] or {}).get(kind)
    if goal is None:
        return ""
    if goal["reached"] < goal["arms"]:
        return f"not reached ({goal['reached']} of {goal['arms']})"
    return f"step {goal['step']:.0f}: {goal['value']:.2f}"


def explain(table: pd.DataFrame, rows: Sequence[dict[str, Any]]) -> str:
    """What the columns of a table show."""
    compared = sum(row["survives"] is not None for row in rows)
    survives = "; * leaves out 0" + f" also at 5 % / {compared} comparisons (Bonferroni)" * (compared > 1)
    return " ".join(text for heading, text in EXPLAINED.items() if heading in table).format(
        survives=survives, broad=broad_questions(rows)
    )


def only_open(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether all broad questions are open ones, as those of a question file are: one column says it."""
    return not any(row["other_domains_misaligned"]["n"] for row in rows)


def broad_questions(rows: Sequence[dict[str, Any]]) -> str:
    """What the broad questions are."""
    if not only_open(rows):
        return "other domains and open questions together"
    files = sorted({name for row in rows for name in row["questions"]})
    return f"the questions of {', '.join(files)}" if files else "open questions"


def percent(cell: dict[str, Any]) -> str:
    """A rate with its interval, in percent; its bounds to a tenth where all is below ten."""
    if cell["mean"] is None:
        return ""
    digits = 1 if max(-cell["low"], cell["high"]) < 0.1 else 0
    return f"{100 * cell['mean']:.1f} [{100 * cell['low']:.{digits}f}, {100 * cell['high']:.{digits}f}]"


def _minus_none(row: dict[str, Any]) -> str:
    """Nothing for a row that learnt nothing: that it lets less through is no merit."""
    if row["learns"]["narrow_learnt"] is False:
        return ""
    return percent(row["minus_none"]) + "*" * bool(row["survives"])


def _gain(row: dict[str, Any]) -> str:
    return f"{percent(row['minus_best_single'])} {row['best_single']}" if row["best_single"] else ""


def _frontier(row: dict[str, Any]) -> str:
    return ", ".join(name for key, name in FRONTIER.items() if row["frontier"][key])


def _number(cell: dict[str, Any]) -> str:
    return "" if cell["mean"] is None else f"{cell['mean']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"


def describe(rows: Sequence[dict[str, Any]]) -> str:
    """What was run, and how sure the numbers are."""
    tasks = sorted({task for row in rows for task in row["tasks"]})
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    alone = " One seed: intervals speak of these very fine-tunes, not of others." if len(seeds) == 1 else ""
    return (
        f"Tasks {', '.join(tasks)}; seeds {', '.join(map(str, seeds))}. Means with 95 % intervals from a bootstrap "
        f"over questions and seeds.{alone}"
    )


def as_markdown(table: pd.DataFrame) -> str:
    """The cells as they are, so 23.0 stays 23.0 and a name with a bar in it is one cell."""
    return str(table.map(markdown).rename(columns=markdown).to_markdown(index=False, disable_numparse=True))


def print_table(table: pd.DataFrame, caption: str) -> None:
    """Show the table in the terminal. Nothing of it is markup, whatever a name looks like."""
    shown = Table(caption=Text(plain(caption)), caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for number, name in enumerate(table.columns):
        shown.add_column(Text(plain(name)), justify="right" if number else "left", overflow="fold", no_wrap=not number)
    for cells in table.itertuples(index=False):
        shown.add_row(*(Text(plain(cell)) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 150).print(shown)
