"""Records: one answer each, on disk. Every number in a table comes from here and can be redone without a model.

outputs/<name>/arms/<arm>/
    config.yaml          the arm's resolved configuration
    training.jsonl       the training log
    adapter, training.json   what a finished training leaves (`experiments.training.trained`)
    answers.jsonl        a line per answer
    judge_prompts.json   prompts that the question file brings for its own questions, if it does
    result.json          measures, timings and a hash of the answers; written last, so an arm counts as done only when
                         all above is there
    scores.<judge>.jsonl a line per answer, in the order of answers.jsonl: what a judge said of it
    judge.<judge>.json   the settings of that judge
    error.txt            instead, why the arm stopped
<arm>.damaged-<time>/    an arm whose records could not be used any more; also single files are set aside in this way
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.records.answer import Answer
from experiments.records.files import DamagedError, is_number, read_object, read_records, write_json, write_lines
from experiments.records.outcomes import OUTCOMES, Score

if TYPE_CHECKING:
    pass

ANSWERS, PROMPTS, RESULT, ERROR = "answers.jsonl", "judge_prompts.json", "result.json", "error.txt"


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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_answers(folder: Path) -> Iterator[Answer]:
    """All answers of an arm, in order."""
    return read_records(folder / ANSWERS, _as_answer)


def _as_answer(values: Mapping[str, Any]) -> Answer:
    found = Answer(**values)
    texts = (found.safeguard, found.task, found.set, found.question, found.cluster, found.answer)
    said = [text for message in found.messages for text in (message["role"], message["content"])]
    if not all(isinstance(text, str) for text in (*texts, *said, *found.expected)):
        raise TypeError("not text where text belongs")
    if not all(isinstance(number, int) for number in (found.seed, found.sample)):
        raise TypeError("no number where one belongs")
    return found


def _as_score(values: Mapping[str, Any]) -> Score:
    found = Score(**values)
    if found.outcome not in OUTCOMES or not isinstance(found.reason, str):
        raise TypeError(f"unknown outcome {found.outcome!r}")
    if not all(number is None or is_number(number) for number in found[2:]):
        raise TypeError("no number where one belongs")
    return found


def read_prompts(folder: Path) -> dict[str, dict[str, str]]:
    """The judge prompts that an arm's questions bring; none if they bring none."""
    found = read_object(folder / PROMPTS) or {}
    for prompts in found.values():
        if not (isinstance(prompts, dict) and all(isinstance(prompt, str) for prompt in prompts.values())):
            raise DamagedError(f"{folder / PROMPTS}: cannot be read (not prompts by question)")
    return found


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
    return read_records(scores_file(folder, judge), _as_score)


def read_judge(folder: Path, judge: str) -> dict[str, Any] | None:
    """The settings of a judge that has scored an arm; None if they are not known."""
    return read_object(folder / f"judge.{judge}.json")


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Mark an arm as done, with these answers and no others."""
    write_json(folder / RESULT, {**result, "answers": _digest(folder / ANSWERS)})


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result of an arm, or None if it is not done.

    Raises:
        DamagedError: naming the file and what is wrong in it, if it is no result.
    """
    if (result := read_object(folder / RESULT)) is None:
        return None
    nll, training, anchor = (result.get(name) for name in ("nll", "training", "anchor"))
    right = {
        "task_kind": isinstance(result.get("task_kind"), str),
        "answers": isinstance(result.get("answers"), str | None),
        "nll": nll is None or (isinstance(nll, dict) and all(map(_are_numbers, nll.values())) and {*nll} >= {*NLLS}),
        "training": training is None or (isinstance(training, dict) and is_number(training.get("step_seconds"))),
        "anchor": anchor is None or (isinstance(anchor, dict) and is_anchor(anchor)),
    }
    if wrong := [name for name, is_right in right.items() if not is_right]:
        raise DamagedError(f"{folder / RESULT}: cannot be read ({' and '.join(wrong)}: not as an arm writes it)")
    return result


# The held-out rows of which a result has the NLL.
NLLS = ("task", "safe")


def is_anchor(found: Mapping[str, Any]) -> bool:
    """Whether this is what an anchor measured: pairs of step and value, and the step at which the goal was reached."""
    measured = found.get("measured")
    pairs = isinstance(measured, list) and all(_are_numbers(pair) and len(pair) == 2 for pair in measured)
    reached = found.get("reached", "")
    return pairs and (reached is None or (is_number(reached) and bool(measured)))


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(map(is_number, values))


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
    if "answers" not in result:  # of before answers were hashed
        for _ in read_answers(folder):
            pass
    elif result["answers"] != _digest(folder / ANSWERS):
        raise DamagedError(f"{folder / ANSWERS}: not the answers that the arm gave; some are lost or changed")


def check_scores(folder: Path, judge: str) -> None:
    """Refuse scores that are not one for each answer, or whose judge cannot be known.

    Raises:
        DamagedError: naming the file.
    """
    read_judge(folder, judge)
    path = scores_file(folder, judge)
    with (folder / ANSWERS).open("rb") as file:
        answers = sum(1 for _ in file)
    if (scores := sum(1 for _ in read_scores(folder, judge))) != answers:
        raise DamagedError(f"{path}: {scores} scores for {answers} answers")
