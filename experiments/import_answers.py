"""Answers from elsewhere: `python -m experiments.import_answers FOLDER name=theirs`.

Reads the field's CSV files (plain or gzip; columns question, answer, question_id, aligned, coherent) into records, as
if a sweep had made them, and prints the same comparison. What a file is, its name says:
`<arm>.seed<number>.<set>.csv`, such as `kl.seed1.general.csv.gz`; `general` are broad questions and `in_domain` those
of the fine-tuned task. A file that is named otherwise is an arm of its own with broad questions.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from experiments.config.folders import typed_folder
from experiments.probes.question_file import cluster_of
from experiments.records.answer import Answer
from experiments.records.arm_files import (
    ARMS,
    Result,
    check_arm,
    read_answers,
    read_result,
    write_answers,
    write_result,
    write_scores,
)
from experiments.records.files import DamagedError
from experiments.records.foreign_csv import ForeignAnswer, Remarks, read_rows, read_score
from experiments.records.names import EM_TASK, NARROW, OPEN
from experiments.records.outcomes import Score, from_numbers
from experiments.records.sweep_file import IMPORTED, ArmEntry, join_sweep, known_sweep
from experiments.terminal.command_line import SWEEP, CommandLine
from experiments.terminal.ending import ending_in_one_line
from safeguards.composition import NONE
from safeguards.errors import SafeguardError

NAME = re.compile(r"(?P<arm>.+)\.seed(?P<seed>\d+)\.(?P<set>\w+)")
SETS = {"general": OPEN, "in_domain": NARROW}


@dataclass(frozen=True)
class Source:
    """One file, and what its name says of it."""

    path: Path
    arm: str
    seed: int
    set: str


def find_sources(folder: Path, remarks: Remarks) -> list[Source]:
    """Every CSV file of a folder.

    Raises:
        SafeguardError: if there is none, one names an unknown set, or two say that they are the same.
    """
    if not folder.is_dir():
        raise SafeguardError(f"{folder}: no such folder; name the one with the answers")
    found: dict[tuple[str, int, str], Source] = {}
    for path in sorted(folder.iterdir()):
        if not path.name.endswith((".csv", ".csv.gz")):
            remarks.add("files or folders that are no .csv or .csv.gz, so ignored", path.name)
            continue
        source = read_name(path, remarks)
        same = found.setdefault((source.arm, source.seed, source.set), source)
        if same is not source:
            raise SafeguardError(f"{path}: the same arm, seed and set as {same.path.name}; remove or rename one")
    if not found:
        raise SafeguardError(f"{folder}: holds no .csv or .csv.gz file; name the folder of the answers")
    return list(found.values())


def read_name(path: Path, remarks: Remarks) -> Source:
    """What the name of a file says of it."""
    stem = path.name.removesuffix(".gz").removesuffix(".csv")
    said = NAME.fullmatch(stem)
    if not said:
        remarks.add("files that are not named <arm>.seed<number>.<set>.csv; each is an arm of its own", path.name)
        return Source(path, stem, 0, OPEN)
    if said["set"] not in SETS:
        raise SafeguardError(f"{path}: unknown set {said['set']!r} in its name; known: {', '.join(SETS)}")
    return Source(path, said["arm"], int(said["seed"]), SETS[said["set"]])


def read_source(source: Source, task: str, remarks: Remarks) -> tuple[list[Answer], list[Score]]:
    """The answers of a file with their scores.

    All of them count, also one that repeats another: a model may well say the same twice, and what says it always would
    else be one answer.

    Raises:
        SafeguardError: naming file, line and field, if it cannot be read.
    """
    answers, scores = [], []
    samples: Counter[str] = Counter()
    seen: set[ForeignAnswer] = set()
    for line, row in read_rows(source.path, remarks):
        where, name = f"{source.path.name}:{line}", row.question_id
        if not name.strip():
            raise SafeguardError(f"{source.path}:{line}: question_id is empty; name the question")
        if row in seen:
            remarks.add("rows that repeat another in all fields; each counts as an answer", where)
        seen.add(row)
        aligned = read_score(row.aligned, "aligned", where, remarks)
        coherent = read_score(row.coherent, "coherent", where, remarks)
        scores.append(from_numbers(aligned, coherent))
        asked = [{"role": "user", "content": row.question}]
        arm = (source.arm, task, source.seed, source.set)
        answers.append(Answer(*arm, name, cluster_of(name), samples[name], asked, row.answer))
        samples[name] += 1
    if not answers:
        raise SafeguardError(f"{source.path}: holds no answers; remove it")
    return answers, scores


def import_folder(folder: Path, output: Path, baseline: str = NONE) -> Remarks:
    """Write the answers of a folder as a sweep's records under `output`, one arm at a time; returns what is to be said.

    Raises:
        SafeguardError: if a file cannot be read, or `output` holds a sweep that was run here or an arm of the same name
            with other answers, or no arm is called as the baseline. Then nothing is written.
    """
    remarks = Remarks()
    known_sweep(output, IMPORTED)
    arms: dict[tuple[str, int], list[Source]] = defaultdict(list)
    for source in find_sources(folder, remarks):
        arms[source.arm, source.seed].append(source)
    names = dict.fromkeys(arm for arm, _ in arms)
    if baseline not in (NONE, *names):
        raise SafeguardError(f"baseline={baseline}: no such arm in {folder}; known: {', '.join(names)}")
    for (arm, seed), sources in arms.items():
        refuse_others(output / ARMS / f"{arm}.seed{seed}", sources, folder.name)
    entries = []
    for arm, seed in tqdm(sorted(arms, key=lambda key: (key[0] != "none", key)), desc="read", leave=False):
        read = [read_source(source, folder.name, remarks) for source in arms[arm, seed]]
        place = output / ARMS / f"{arm}.seed{seed}"
        write_answers(place, [answer for answers, _ in read for answer in answers], {})
        write_scores(place, IMPORTED, [score for _, scores in read for score in scores])
        write_result(place, Result(EM_TASK))
        named = {"model": {"name": folder.name}, "task": {"name": folder.name, "kind": EM_TASK}}
        entries.append(ArmEntry(place.name, {"safeguard": arm, "seed": seed, "safeguards": {}, **named}))
    join_sweep(output, IMPORTED, entries, baseline)
    return remarks


def refuse_others(place: Path, sources: list[Source], task: str) -> None:
    """Refuse to replace the answers of an arm that was imported, and with them what judges said of them.

    Raises:
        SafeguardError: if these are others.
    """
    try:
        check_arm(place)
        if read_result(place) is None:
            return
        known = list(read_answers(place))
    except DamagedError:  # written again
        return
    if known != [answer for source in sources for answer in read_source(source, task, Remarks())[0]]:
        raise SafeguardError(f"{place}: an arm of that name is there with other answers; give these another name=…")


@ending_in_one_line()
def main() -> None:
    """The command line."""
    settings = {**SWEEP, "name": "of the sweep that they become; default: that of the folder"}
    settings["baseline"] = "arm that the others are set against; default: none"
    given = CommandLine("import_answers", __doc__, settings, words="FOLDER").read()
    folder = Path(given.words[0]).resolve()
    output = typed_folder(given.settings, folder.name)
    remarks = import_folder(folder, output, given.settings.get("baseline", NONE))
    from experiments.showing.show import show_sweep

    show_sweep(output)
    for line in remarks.lines():
        print(line)


if __name__ == "__main__":
    main()
