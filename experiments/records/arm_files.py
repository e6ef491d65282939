"""Records: one answer each, on disk. Every number in a table comes from here and can be redone without a model.

outputs/<name>/arms/<arm>/
    config.yaml          the arm's resolved configuration
    training.jsonl       the training log
    checkpoint-<step>/   while it trains with `training.checkpoint_steps`, what to go on from (`checkpoint_file`)
    adapter, training.json   what a finished training leaves (`experiments.training.trained`)
    drawn.jsonl          while it answers, the batches that are drawn (`drawn_file`)
    answers.jsonl        a line per answer
    choices.jsonl        a line per choice, if there were any: how likely each of its two answers is
    judge_prompts.json   prompts that the question file brings for its own questions, if it does
    result.json          measures, timings and a hash of the answers; written last, so an arm counts as done only when
                         all above is there
    scores.<judge>.jsonl a line per answer, in the order of answers.jsonl: what a judge said of it
    judge.<judge>.json   the settings of that judge; of people, whose labels are scores, too, the judge they correct
    looks/step-<n>/      of `none`, answers on its way: `answers.jsonl`, `result.json` and scores as those of an arm
    error.txt            instead, why the arm stopped
<arm>.damaged-<time>/    an arm whose records could not be used any more; also single files are set aside in this way
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from experiments.records.answer import Answer
from experiments.records.files import DamagedError, read_object, read_records, write_json, write_lines
from experiments.records.outcomes import Score
from experiments.records.preferences import FILE as CHOICES
from experiments.records.training_file import AnchorRecord, TrainingRecord

ARMS = "arms"  # below the folder of a sweep
LOOKS = "looks"  # below that of an arm
ANSWERS, PROMPTS, RESULT, ERROR = "answers.jsonl", "judge_prompts.json", "result.json", "error.txt"


@dataclass(frozen=True)
class Likelihoods:
    """NLL per answer token of held-out rows, in nats: those of the task, and safe ones."""

    task: list[float]
    safe: list[float]


@dataclass(frozen=True)
class Result:
    """What an arm measured besides its answers.

    Args:
        task_kind: `EM_TASK` or `BENIGN_TASK`.
        training, anchor: of its training, if there was one.
        nll: None for imported answers.
        evaluation_seconds: likewise.
        answers, choices: hashes of the answers and of what was found of choices, which `write_result` fills in.
        looks: of an arm, the steps before the end of its training at which it was asked, too.
        weights: of a look, a hash of the trained weights.
    """

    task_kind: str
    training: TrainingRecord | None = None
    anchor: AnchorRecord | None = None
    nll: Likelihoods | None = None
    evaluation_seconds: float | None = None
    answers: str | None = None
    choices: str | None = None
    looks: list[int] = field(default_factory=list)
    weights: str | None = None


def look_folder(folder: Path, step: int) -> Path:
    """Where the answers of an arm at a step of its training are."""
    return folder / LOOKS / f"step-{step}"


def places_of(folder: Path) -> list[Path]:
    """Where the answers of an arm are: in its folder, and in those of the looks on its way, in order.

    Raises:
        DamagedError: as `read_result`.
    """
    result = read_result(folder)
    return [folder, *(look_folder(folder, step) for step in (result.looks if result else []))]


def write_answers(folder: Path, answers: Iterable[Answer], prompts: Mapping[str, Mapping[str, str]]) -> None:
    """All answers of an arm, and the judge prompts that their questions bring. Scores of other answers are removed."""
    before = _digest(folder / ANSWERS)
    write_lines(folder / ANSWERS, (json.dumps(asdict(answer), ensure_ascii=False) + "\n" for answer in answers))
    if _digest(folder / ANSWERS) != before:
        for judge in judges_of(folder):
            scores_file(folder, judge).unlink()
    if prompts:
        write_json(folder / PROMPTS, prompts)


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    found = path.stat()
    return _digest_as_of(path, found.st_mtime_ns, found.st_size, found.st_ino)


# A command asks whether an arm is done before, while and after it runs.
@cache
def _digest_as_of(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_answers(folder: Path) -> Iterator[Answer]:
    """All answers of an arm, in order."""
    return read_records(folder / ANSWERS, Answer)


def read_prompts(folder: Path) -> dict[str, dict[str, str]]:
    """The judge prompts that an arm's questions bring; none if they bring none."""
    return read_object(folder / PROMPTS, dict[str, dict[str, str]]) or {}


def scores_file(folder: Path, judge: str) -> Path:
    """Where the scores of a judge are."""
    return folder / f"scores.{judge}.jsonl"


def judges_of(folder: Path) -> list[str]:
    """The names of the judges that have scored an arm."""
    return sorted(path.name.removeprefix("scores.").removesuffix(".jsonl") for path in folder.glob("scores.*.jsonl"))


def write_scores(folder: Path, judge: str, scores: Sequence[Score], settings: Mapping[str, Any] | None = None) -> None:
    """What a judge with these settings said, one score per answer in their order."""
    if settings is not None:
        write_json(folder / f"judge.{judge}.json", settings)
    write_lines(
        scores_file(folder, judge), (json.dumps(score._asdict(), ensure_ascii=False) + "\n" for score in scores)
    )


def read_scores(folder: Path, judge: str) -> Iterator[Score]:
    """What a judge said, in the order of the answers."""
    return read_records(scores_file(folder, judge), Score)


def read_judge(folder: Path, judge: str) -> dict[str, Any] | None:
    """The settings of a judge that has scored an arm; None if they are not known."""
    return read_object(folder / f"judge.{judge}.json", dict[str, Any])


def write_result(folder: Path, result: Result) -> None:
    """Mark an arm as done, with these answers and no others."""
    found = asdict(replace(result, answers=_digest(folder / ANSWERS), choices=_digest(folder / CHOICES)))
    always = ("answers", "anchor") if result.training else ("answers",)
    known = {name: value for name, value in found.items() if value not in (None, []) or name in always}
    write_json(folder / RESULT, known)


def read_result(folder: Path) -> Result | None:
    """The result of an arm, or None if it is not done.

    Raises:
        DamagedError: naming the file and what is wrong in it, if it is no result.
    """
    return read_object(folder / RESULT, Result)


def check_arm(folder: Path) -> None:
    """Refuse an arm that is done, but whose records are not what they were.

    Raises:
        DamagedError: naming the file.
    """
    if (result := read_result(folder)) is None:
        return
    read_prompts(folder)
    if not (folder / ANSWERS).is_file():
        raise DamagedError(f"{folder / ANSWERS}: is not there, though the arm is done")
    if result.answers is None:  # of before answers were hashed
        for _ in read_answers(folder):
            pass
    elif result.answers != _digest(folder / ANSWERS):
        raise DamagedError(f"{folder / ANSWERS}: not the answers that the arm gave; some are lost or changed")
    if result.choices != _digest(folder / CHOICES):
        raise DamagedError(f"{folder / CHOICES}: not what the arm found of choices; some is lost or changed")
    for look in places_of(folder)[1:]:
        if read_result(look) is None:
            raise DamagedError(f"{look}: is not there, though the arm is done")
        check_arm(look)


def count_answers(folder: Path) -> int:
    """How many answers an arm gave, without reading them."""
    with (folder / ANSWERS).open("rb") as file:
        return sum(1 for _ in file)


def check_scores(folder: Path, judge: str) -> None:
    """Refuse scores that are not one for each answer, or whose judge cannot be known.

    Raises:
        DamagedError: naming the file.
    """
    read_judge(folder, judge)
    path = scores_file(folder, judge)
    answers = count_answers(folder)
    if (scores := sum(1 for _ in read_scores(folder, judge))) != answers:
        raise DamagedError(f"{path}: {scores} scores for {answers} answers")
