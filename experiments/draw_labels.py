"""Draw answers for people to label, to correct a judge by them: `python -m experiments.draw_labels name=demo`.

Writes `labels.csv` into the sweep's folder: questions and answers in no order, without their arms and what the judge
said. Write aligned, misaligned, incoherent or refused under `outcome`; an empty one is not labelled yet. Several people
fill in copies, each named after who does. Then `python -m experiments.rescore name=demo labels=FILE` reads it.

Of each row of the comparison so many answers to the broad questions are drawn at random: a third of those that the
judge finds misaligned, the rest of the others. More of them, later: a larger `per_row=` draws the same ones, and more.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from experiments.config.folders import typed_folder
from experiments.records.answer import Answer
from experiments.records.arm_files import ARMS, check_arm, judges_of, read_answers, read_judge, read_result, read_scores
from experiments.records.files import DamagedError
from experiments.records.human_labels import (
    DRAWN,
    SHEET,
    Drawn,
    answer_id,
    is_labels,
    read_drawn,
    split_labels,
    write_drawn,
    write_sheet,
)
from experiments.records.names import BENIGN_TASK, BROAD
from experiments.records.sweep_file import read_sweep
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from experiments.terminal.escaping import plain
from safeguards.errors import SafeguardError
from safeguards.files import digest

MOST = 1_000_000


class Candidate(NamedTuple):
    """An answer that may be drawn."""

    id: str
    answer: Answer


def draw_labels(output: Path, judge: str | None, per_row: int, seed: int, path: Path) -> Drawn:
    """Write a sheet to label, and how it was drawn.

    Raises:
        SafeguardError: if the sheet is there already, answers were drawn otherwise before, or the judge scored none.
    """
    if path.exists():
        raise SafeguardError(f"{path}: is there, and labels in it would be lost; name another place by labels=…")
    judge = judge or read_sweep(output).judge
    known = read_drawn(output)
    if known is not None and (known.judge, known.seed) != (judge, seed):
        raise SafeguardError(
            f"judge={judge} seed={seed}: {output / DRAWN} says that answers were drawn by judge={known.judge} "
            f"seed={known.seed}; labels of both do not add up, so go on with these"
        )
    sides = find_candidates(output, judge)
    drawn: list[Candidate] = []
    counts: dict[str, dict[str, list[int]]] = {}
    for row, (others, found) in sides.items():
        many = split_labels(per_row, len(found), len(others))
        counts[row] = {"misaligned": [len(found), many[0]], "others": [len(others), many[1]]}
        for side, n in zip((found, others), many, strict=True):
            drawn += sorted(side, key=lambda one: digest(f"{seed}:{one.id}"))[:n]
    drawn.sort(key=lambda one: digest(f"{one.id}:{seed}"))
    write_sheet(path, drawn)
    written = Drawn(judge, per_row, seed, counts)
    write_drawn(output, written)
    return written


def find_candidates(output: Path, judge: str) -> dict[str, tuple[list[Candidate], list[Candidate]]]:
    """By row of the comparison: the broad answers that a judge does not find misaligned, and those that it does.

    Raises:
        SafeguardError: if it scored no broad answers, or is no judge but people.
    """
    from experiments.report.labels import label_arms
    from experiments.report.world_draws import as_one_model

    sides: dict[str, tuple[list[Candidate], list[Candidate]]] = defaultdict(lambda: ([], []))
    entries = [entry for entry, _ in as_one_model(read_sweep(output).planned())]  # as rows are
    for entry, label in zip(entries, label_arms(entries), strict=True):
        folder = output / ARMS / entry.folder
        try:
            result = read_result(folder)
            if result is None or result.task_kind == BENIGN_TASK or judge not in judges_of(folder):
                continue
            check_arm(folder)
            if is_labels(read_judge(folder, judge)):
                raise SafeguardError(f"judge={judge}: these are labels; name the judge that they are to correct")
            both = zip(read_answers(folder), read_scores(folder, judge), strict=True)
            for place, (answer, score) in enumerate(both):
                if answer.set in BROAD:
                    one = Candidate(answer_id(entry.folder, place, answer), answer)
                    sides[f"{label} of {entry.model['name']}"][score.outcome == "misaligned"].append(one)
        except DamagedError as error:
            print(plain(f"left out: {error}"), flush=True)
    if not sides:
        raise SafeguardError(f"{output}: {judge} has scored no broad answers; run experiments.rescore, or name judge=…")
    return sides


@ending_in_one_line()
def main() -> None:
    """The command line."""
    settings = {
        "judge": "that is to be corrected; default: the one that the sweep goes by",
        "per_row": "answers of each row of the comparison; default: 50",
        "seed": "of the draw; default: 0",
        "labels": f"the file to write; default: {SHEET} in the sweep's folder",
    }
    given = CommandLine("draw_labels", __doc__, {**SWEEP, **settings}).read().settings
    numbers = {"per_row": given.get("per_row", "50"), "seed": given.get("seed", "0")}
    for key, least in (("per_row", 2), ("seed", 0)):
        if not (numbers[key].isascii() and numbers[key].isdecimal() and least <= int(numbers[key]) <= MOST):
            raise SafeguardError(f"{key}={numbers[key]}: must be a whole number, at least {least} and at most {MOST}")
    output = typed_folder(given, "sweep")
    path = Path(given["labels"]) if "labels" in given else output / SHEET
    drawn = draw_labels(output, given.get("judge"), int(numbers["per_row"]), int(numbers["seed"]), path)
    for row, sides in drawn.sides.items():
        shown = ", ".join(f"{n} of {whole} {side}" for side, (whole, n) in sides.items())
        print(plain(f"{row}: {shown}, as {drawn.judge} has it"))
    name = f"name={output.name} output={output.parent}"
    print(plain(f"fill in {path}; then: python -m experiments.rescore {name} labels={path}"))


if __name__ == "__main__":
    main()
