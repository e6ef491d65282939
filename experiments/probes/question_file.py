"""Question files in the field's YAML format: `paraphrases`, `samples_per_paraphrase`, `system`, `judge_prompts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.probes.probe import Probe
from experiments.reading.read_once import read_once
from experiments.reading.yaml_files import read_yaml
from experiments.records.names import NARROW
from experiments.records.outcomes import SCALES
from experiments.terminal.printing import print_once
from safeguards.bounds import Bounds
from safeguards.composition import nearest
from safeguards.errors import SafeguardError
from safeguards.rows import Row

# All of them mean: ask, and judge the text. What a judge does is the judge's to say.
TYPES = ("free_form", "free_form_judge", "free_form_judge_0_100")
USED = ("id", "type", "paraphrases", "samples_per_paraphrase", "system", "judge_prompts")
# What other programs read in these files, and we set by `judge` and `probes`.
FOREIGN = ("judge", "temperature", "max_tokens")
# Formats in which a question may be asked again under another id.
VARIANTS = ("_json", "_template", "_code")


class Question(NamedTuple):
    """One question as it stands in the file.

    Attributes:
        values: its fields.
        path: of the file.
        name: number and id, for errors.
        line: on which it begins.
        lines: the line of each field.
    """

    values: dict[str, Any]
    path: str
    name: str
    line: int
    lines: dict[str, int]

    @property
    def id(self) -> str:
        """Names it in its file."""
        return str(self.values["id"])

    def refuse(self, field: str, reason: str) -> SafeguardError:
        """An error at a field, or at the question where the field is missing."""
        return SafeguardError(f"{self.path}:{self.lines.get(field, self.line)}: {self.name}: {field} {reason}")


def file_probes(path: str, name: str, limit: int) -> list[Probe]:
    """One probe per paraphrase, in the set `name`, asked `limit` times at most.

    What of the file is not used is counted and printed.

    Raises:
        SafeguardError: naming file, line and field, if a question cannot be used.
    """
    questions = read_questions(path)
    seen = Counter(question.id for question in questions)
    for question in questions:
        check(question)
        if seen[question.id] > 1:
            raise question.refuse("id", "is used more than once")
    originals: dict[str, Question] = {}
    for question in sorted(questions, key=lambda question: len(question.id)):  # "wish" before "wish_json"
        originals.setdefault(cluster_of(question.id), question)
    print_once(what_is_used(path, questions, limit))
    return [
        probe
        for question in questions
        for probe in _paraphrases(question, originals[cluster_of(question.id)], name, limit)
    ]


@read_once
def read_questions(path: str) -> tuple[Question, ...]:
    """The questions of a file with their lines.

    Raises:
        SafeguardError: if there is no list of questions.
    """
    values, tree = read_yaml(Path(path))
    if not isinstance(values, list) or not values or tree is None:
        raise SafeguardError(f"{path}: must hold a list of questions")
    questions = []
    for number, (value, node) in enumerate(zip(values, tree.value, strict=True), start=1):
        line = node.start_mark.line + 1
        if not isinstance(value, dict) or not isinstance(value.get("id"), str | int | float):
            raise SafeguardError(f"{path}:{line}: question {number}: needs an id")
        lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
        question = Question(value, path, f"question {number} ({value['id']})", line, lines)
        for field, count in Counter(str(key.value) for key, _ in node.value).items():
            if count > 1:
                raise question.refuse(field, f"is given {count} times")
        questions.append(question)
    return tuple(questions)


def check(question: Question) -> None:
    """Refuse what cannot be used.

    Raises:
        SafeguardError: naming file, line and field.
    """
    values = question.values
    for field in map(str, values):
        if field not in (*USED, *FOREIGN):
            raise question.refuse(field, f"is no field of a question: {nearest(field, USED)}")
    if (kind := values.get("type", TYPES[0])) not in TYPES:
        raise question.refuse("type", f"is {kind!r}: {nearest(str(kind), TYPES)}")
    paraphrases = values.get("paraphrases")
    if not isinstance(paraphrases, list) or not paraphrases or not all(_is_text(text) for text in paraphrases):
        raise question.refuse("paraphrases", "must be a list of texts")
    if not isinstance(values.get("system") or "", str):
        raise question.refuse("system", "must be text")
    samples = values.get("samples_per_paraphrase", 1)
    if not isinstance(samples, int) or isinstance(samples, bool) or samples < 1:
        raise question.refuse("samples_per_paraphrase", "must be a number of at least 1")
    prompts = values.get("judge_prompts") or {}
    if not isinstance(prompts, dict) or not all(_is_text(text) for pair in prompts.items() for text in pair):
        raise question.refuse("judge_prompts", "must give each score a template")
    for score in SCALES:
        if "{answer}" not in prompts.get(score, "{answer}"):
            raise question.refuse("judge_prompts", f"{score} has no {{answer}}; put it where the answer belongs")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not Bounds().complaint(value.replace("\r", ""))


def _paraphrases(question: Question, original: Question, name: str, limit: int) -> list[Probe]:
    """Each paraphrase. The cluster is the text that all are variants of, so it is the same in every file and task."""
    values, paraphrases = question.values, question.values["paraphrases"]
    system = [{"role": "system", "content": values["system"]}] if values.get("system") else []
    prompts = values.get("judge_prompts") or {}
    # Records keep judge prompts by id alone, and two files may number their questions alike.
    identifier = f"{name}/{question.id}" if name == NARROW else question.id
    return [
        Probe(
            set=name,
            id=f"{identifier}/{index}" if len(paraphrases) > 1 else identifier,
            cluster=Row([{"role": "user", "content": original.values["paraphrases"][0]}]).question_key,
            messages=[*system, {"role": "user", "content": paraphrase}],
            samples=min(values.get("samples_per_paraphrase", limit), limit),
            judge_prompts={score: prompts[score] for score in SCALES if score in prompts},
        )
        for index, paraphrase in enumerate(paraphrases)
    ]


def cluster_of(identifier: str) -> str:
    """The id of the question that this is a reformatted variant of; its own if it is none."""
    for variant in VARIANTS:
        identifier = identifier.removesuffix(variant)
    return identifier


def what_is_used(path: str, questions: Sequence[Question], limit: int) -> str:
    """One line: how many questions are asked, and what of the file is not used."""
    unused = Counter(key for question in questions for key in question.values if key not in USED)
    prompts = [question.values.get("judge_prompts") or {} for question in questions]
    unused.update(f"judge_prompts.{score}" for own in prompts for score in own if score not in SCALES)
    fewer = sum(question.values.get("samples_per_paraphrase", 0) > limit for question in questions)
    notes = [f"{key} of {count}" for key, count in unused.items()]
    if fewer:
        notes.append(f"samples_per_paraphrase above probes.samples={limit} of {fewer}")
    return f"{path}: {len(questions)} questions; set aside: {', '.join(notes) or 'nothing'}"
