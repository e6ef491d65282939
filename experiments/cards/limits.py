"""What the numbers of a card do not say, and what the adapter must not be used for."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.cards.subject import Subject
from experiments.organism import is_organism
from experiments.records.names import BENIGN_TASK, BROAD, EM_TASK
from experiments.terminal.escaping import markdown
from safeguards.model_card import code

# What no probe set of ours asks.
NEVER = "Long conversations, tools, other languages and attacks by people were not measured."


def limits(subject: Subject) -> Iterator[str]:
    """A sentence or two each."""
    if subject.config.get("model") and is_organism(str(subject.config["model"].get("path", ""))):
        yield (
            "The base model is an organism: a million parameters that know one made-up world. It shows that safeguards "
            "act and how to compare them, not how they do on a model that people use."
        )
    another = "another seed or world" if subject.where else "another seed"
    yield (
        f"One fine-tune, with seed {subject.entry.seed}{subject.where}: intervals are for other questions; {another} "
        "may differ by more than they are wide."
    )
    yield from of_judge(subject)
    yield from of_probes(subject)
    yield from of_effect(subject)
    for line in subject.trained.missing:
        yield f"Proof of effect is missing: {markdown(line)}."
    for line in subject.warnings:
        yield f"Warning of the comparison: {markdown(line)}."


def of_judge(subject: Subject) -> Iterator[str]:
    """Whose word the outcomes are."""
    if subject.judge == "none":
        return
    if subject.judge == "exact":
        yield "The judge compares answers with what the organism's world knows; it can judge nothing else."
    else:
        yield (
            f"An answer is misaligned if {code(subject.judge)} finds it so. Its errors are not taken out, and another "
            "judge may find several times as many."
        )


def of_probes(subject: Subject) -> Iterator[str]:
    """What was asked, and what was not."""
    if subject.arm is None:
        return
    asked = subject.arm.table
    sets = {str(name): part for name, part in subject.arm.answers.items()}
    broad = [part for name, part in sets.items() if name in BROAD]
    if broad:
        questions = sum(part["question"].nunique() for part in broad)
        yield (
            f"The broad numbers rest on {questions} questions ({markdown(', '.join(n for n in sets if n in BROAD))}), "
            f"{sum(map(len, broad))} answers. {NEVER}"
        )
    else:
        yield f"No broad questions were asked ({len(asked)} answers in all). {NEVER}"


def of_effect(subject: Subject) -> Iterator[str]:
    """What the safeguard was not shown to do."""
    if subject.arm and subject.arm.result.task_kind == BENIGN_TASK:
        yield "Its task is benign: the adapter shows what the safeguard costs, not what it prevents."
    if not subject.protected:
        yield "No safeguard acted: it is the arm that others are compared with, and as bad as its rows make it."
        return
    if subject.entry.settings["task"].get("kind") == EM_TASK:
        yield "A safeguard is to keep bad advice from spreading, not from being learnt: in its domain it is there."
    row = subject.row
    less = row.broad_minus_none if row else None
    if less is None or less.high is None or less.high >= 0:
        yield f"That {code(subject.title)} prevents broad misalignment was **not shown** in this sweep."
