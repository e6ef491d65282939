"""All that a comparison says of a sweep, made once from its records; other modules write it, draw it and send it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.records.arm_files import ARMS
from experiments.records.measures import BROAD_MISALIGNED
from experiments.records.sweep_file import SEARCH, SweepFile, read_sweep
from experiments.report.agreement import AGREEMENT, Agreement, compare_judges
from experiments.report.arms import Arm, read_arms
from experiments.report.captions import baseline_of, introduction
from experiments.report.cautions import cautions
from experiments.report.choice_columns import CHOICES
from experiments.report.choices import ChoiceRow, choice_rows
from experiments.report.class_agreement import CLASS_AGREEMENT
from experiments.report.columns import BROAD, MAIN, SIDE_EFFECTS, benign_tasks
from experiments.report.comparison import compare
from experiments.report.domain_columns import IN_DOMAIN, task_rows
from experiments.report.doses import DOSES, Doses, over_doses
from experiments.report.labels import group_arms
from experiments.report.margins_table import kept_table
from experiments.report.over_worlds import read_over_worlds
from experiments.report.places import stem
from experiments.report.questions import QuestionRow, question_rows
from experiments.report.row import ComparisonRow
from experiments.report.safe_rows import GENRES, GenreRow, genre_rows, of_pools
from experiments.report.table import Table, make_table
from experiments.report.unlike import unlike
from safeguards.composition import NONE
from safeguards.errors import SafeguardError


@dataclass(frozen=True)
class Wanted:
    """What is to be compared, where that is not what the last command of the sweep asked for.

    Args:
        judge: that tables go by; by default, the one that the sweep goes by.
        everything: also arms that only earlier commands of this name asked for.
        baseline: that rows are set against; by default, that of the sweep.
        worlds: the folders of sweeps of which each is a world, instead of the one in the folder that is written to. A
            sweep with several worlds of its own needs none of this.
    """

    judge: str | None = None
    everything: bool = False
    baseline: str | None = None
    worlds: Sequence[Path] = ()


@dataclass(frozen=True)
class Report:
    """A comparison.

    Args:
        output: the folder that it belongs to.
        wanted: what was asked for.
        sweeps: the plans of the sweep, or of the sweeps of all worlds.
        arms, rows: what is compared, and the comparison; worlds are draws of one model, of one sweep or several.
        families: safeguards over their doses.
        choices, genres, questions: rows of tables of their own; none where there is nothing to say.
        agreement: of each two judges.
        tables, by_judges: for people; the latter are of judges.
        warnings: what a reader must be warned of, a line each.
    """

    output: Path
    wanted: Wanted
    sweeps: Sequence[SweepFile]
    arms: Sequence[Arm]
    rows: Sequence[ComparisonRow]
    families: Sequence[Doses]
    choices: Sequence[ChoiceRow]
    genres: Sequence[GenreRow]
    questions: Sequence[QuestionRow]
    agreement: Sequence[Agreement]
    tables: Sequence[Table]
    by_judges: Sequence[Table]
    warnings: Sequence[str]

    @property
    def judge(self) -> str:
        """The one that tables go by."""
        return self.wanted.judge or self.sweeps[0].judge

    @property
    def answers(self) -> Sequence[Path]:
        """The folders of arms in which every answer is."""
        return [each / ARMS for each in self.wanted.worlds or [self.output]]

    def folder(self, arm: Arm) -> Path:
        """Where the records of an arm are."""
        return arm_folder(self.output, self.wanted.worlds, arm)

    @property
    def left_to_compare(self) -> int:
        """How many arms of other commands lie beside those that are compared."""
        return 0 if self.wanted.everything else sum(len(each.earlier) for each in self.sweeps)

    def path(self, what: str, ending: str) -> Path:
        """Where a file of it belongs, such as ("comparison", "md"); its name says what was asked for."""
        against = None if what == "by_question" else self.wanted.baseline  # which does not enter there
        name = stem(what, self.sweeps[0], self.wanted.judge, self.wanted.everything, against)
        return self.output / f"{name}.{ending}"

    def as_json(self) -> dict[str, Any]:
        """Every number."""
        baseline = baseline_of(self.rows)
        found: dict[str, Any] = {} if baseline == NONE else {"baseline": baseline}
        found |= {"rows": [row.as_json() for row in self.rows]}
        parts = {
            "doses": [family.as_json() for family in self.families],
            "choices": [row.as_json() for row in self.choices],
            "genres": [asdict(row) for row in self.genres],
            "judges": [pair.as_json() for pair in self.agreement],
        }
        return found | {name: part for name, part in parts.items() if part}


def make_report(output: Path, wanted: Wanted | None = None) -> Report | None:
    """The comparison of the sweep in `output`, or of several, each of a world; None if no arm is done.

    Raises:
        SafeguardError: if there is no sweep, no such baseline, or worlds that cannot be set beside each other.
    """
    wanted = wanted or Wanted()
    sweeps = [read_sweep(each) for each in wanted.worlds or [output]]
    left_out: dict[str, None] = {}  # each is reported once
    arms = (
        read_over_worlds(wanted.worlds, wanted.judge, wanted.everything, left_out.setdefault)
        if wanted.worlds
        else read_arms(output, wanted.judge, wanted.everything, left_out.setdefault)
    )
    missing = sum(len(each.planned(wanted.everything)) for each in sweeps) - len(arms) - len(left_out)
    if not arms:
        print(*left_out, sep="\n", end="\n" * bool(left_out), file=sys.stderr)
        return None
    # Sweeps lie apart, each with tables by question and of judges of its own.
    agreement = [] if wanted.worlds else compare_judges(output, wanted.everything, left_out.setdefault)
    rows, instead = compare_or_say(arms, wanted.baseline, sweeps[0])
    judge = wanted.judge or sweeps[0].judge
    mixed = unlike(arms, baseline_of(rows), judge, partial(arm_folder, output, wanted.worlds))
    warned = [*instead, *mixed, *cautions(rows), *left_out]
    searched = [each.name for each in wanted.worlds or [output] if (each / SEARCH).is_file()]
    warned += [f"{name}: a search chose its rows by these very answers; quote {name}-confirmed" for name in searched]
    if missing > 0:
        warned.append(f"{missing} arms are not done, or not scored by {judge}: they are not in the tables")
    families = over_doses(rows, list(group_arms(arms).values()))
    choices, genres = choice_rows(arms, baseline_of(rows)), genre_rows(arms)
    tables = make_tables(rows)
    tables += [make_table(DOSES, families, "Each safeguard over its doses")] * any(
        family.doses > 1 for family in families
    )
    tables += [make_table(CHOICES, choices, "Choices between two answers")] * bool(choices)
    if said := of_pools(arms):
        tables = [replace(table, caption=f"{table.caption} {said}".strip()) for table in tables]
    tables += [make_table(GENRES, genres, "Gap selection by genre")] * bool(genres)
    by_class = [each for pair in agreement for each in pair.classes]
    judges = [
        make_table(AGREEMENT, agreement, "How far judges agree"),
        make_table(CLASS_AGREEMENT, by_class, "How far they agree by outcome"),
    ] * bool(agreement)
    questions = [] if wanted.worlds else question_rows(output, arms)
    return Report(
        output, wanted, sweeps, arms, rows, families, choices, genres, questions, agreement, tables, judges, warned
    )


def arm_folder(output: Path, worlds: Sequence[Path], arm: Arm) -> Path:
    """Where the records of an arm are: in the sweep in `output`, or in that of its world."""
    homes = {world.name: world for world in worlds}
    return homes.get(arm.world, output) / ARMS / arm.entry.folder.removeprefix(f"{arm.world}/")


def compare_or_say(arms: Sequence[Arm], typed: str | None, sweep: SweepFile) -> tuple[list[ComparisonRow], list[str]]:
    """The rows against the baseline that was typed, or that the sweep goes by; in its place `none`, and why.

    Raises:
        SafeguardError: if there is no such baseline as was typed.
    """
    if typed:
        return compare(arms, typed, sweep.claims), []
    try:
        return compare(arms, sweep.baseline, sweep.claims), []
    except SafeguardError as error:  # it may not be done
        return compare(arms, claims=sweep.claims), [f"{error}; rows are set against {NONE}"]


def make_tables(rows: Sequence[ComparisonRow]) -> list[Table]:
    """The tables for people, without those that say nothing; the first begins with what was run."""
    scored = [row for row in rows if row.rates[BROAD_MISALIGNED].n]
    main = make_table(MAIN, rows, "What it prevents, what it costs")
    tables = (
        replace(main, caption=f"{introduction(rows)} {main.caption}"),
        make_table(BROAD, scored, "The broad questions more closely"),
        make_table(SIDE_EFFECTS, rows, "What a first look misses"),
        kept_table(rows),
        make_table(IN_DOMAIN, task_rows(rows), "What the task itself teaches"),
        make_table(benign_tasks(rows), rows, "Several benign tasks"),
    )
    return [table for table in tables if len(table.cells.columns) > 1]
