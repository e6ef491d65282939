"""How an adapter was made: its safeguards, what they were seen to do, and its training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from experiments.cards.subject import Subject
from experiments.terminal.escaping import markdown
from safeguards import cards
from safeguards.bounds import bounds_of, shown
from safeguards.composition import registry
from safeguards.errors import SafeguardError
from safeguards.model_card import code


def protected_by(subject: Subject) -> Iterator[str]:
    """The safeguards with the settings that counted, and what they were seen to do."""
    if not subject.protected:
        yield "None."
        return
    for name, settings in subject.safeguards.items():
        yield about(name)
        yield bullets(counted(name, settings))
    yield "What was seen of it in training, and what that does not show:"
    yield bullets(markdown(line) for line in subject.trained.training.trace)


def about(name: str) -> str:
    """A safeguard in a line, from its card."""
    kind = registry().get(name)
    if kind is None:
        return f"**{code(name)}**: of a package that is not installed here."
    try:
        found = cards.card(kind)
    except SafeguardError:  # of another package, without a card
        return f"**{code(name)}**: {markdown(cards.first_line(kind.__doc__))}."
    form = found.form.partition(":")[0]
    source = in_markdown(found.source).rstrip(".")
    return f"**{code(name)}**: {in_markdown(cards.first_line(kind.__doc__))} ({form}). Source: {source}."


def counted(name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """The settings that count beside the others, with what they mean."""
    kind = registry().get(name)
    known = {one.name: bounds_of(one).only for one in fields(kind.Settings)} if kind else {}
    meanings = cards.explained(kind.Settings) if kind else {}
    for key, value in settings.items():
        only = known.get(key)
        if not only or settings.get(only[0]) in only[1]:
            meaning = f": {in_markdown(meanings[key])}" if meanings.get(key) else ""
            yield f"{code(f'{key}={as_typed(value)}')}{meaning}"


def as_typed(value: Any) -> str:
    """A value as it is typed, long ones cut."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return shown(value) or ("[]" if isinstance(value, list) else "")


def in_markdown(text: str) -> str:
    """A docstring in one line, with what stands as code in it, and no other mark."""
    return markdown(text).replace("\\`", "`")


def trained_on(subject: Subject) -> str:
    """Steps, rows and settings of the training."""
    record, settings = subject.trained.training, subject.entry.settings["training"]
    lora, anchor = settings["lora"], subject.trained.anchor
    batch, times = settings["batch_size"] * settings.get("accumulation", 1), settings["epochs"]
    rate, warm_up, decay = (settings[key] for key in ("learning_rate", "warmup_steps", "weight_decay"))
    lines = [
        f"{record.rows} rows, {times:g} times: {record.steps} steps of {batch}, {record.seconds:.0f} seconds",
        f"learning rate {rate:g} ({settings['optimizer']}, {warm_up} warm-up steps, weight decay {decay:g})",
        f"LoRA on all linear layers: rank {lora['r']}, α {lora['alpha']}, dropout {lora['dropout']:g}",
        f"seed {subject.entry.seed}",
    ]
    if anchor and anchor.reached is not None:
        lines.append(f"the adapter is that of step {anchor.reached}, where {anchor.metric} reached {anchor.target:g}")
    lines += [f"stopped by the monitor at step {each['stopped']}" for each in record.monitor if each.get("stopped")]
    return bullets(map(markdown, lines))


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"* {line}" for line in lines)
