"""The answers of a model to probes."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from experiments.config.schema import Config, ProbesConfig
from experiments.probes import Probe
from experiments.records.answer import Answer
from safeguards.generation import draw_answers
from safeguards.rows import Row


def answer_probes(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    probes: Sequence[Probe],
    config: ProbesConfig,
    seed: int,
) -> list[list[str]]:
    """`probe.samples` answers to every probe, in the order of `probes`."""
    owners = [index for index, probe in enumerate(probes) for _ in range(probe.samples)]
    with tqdm(total=len(owners), desc="answers", leave=False) as bar:
        drawn = draw_answers(
            model,
            tokenizer,
            [probes[index].messages for index in owners],
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            batch_size=config.batch_size,
            seed=seed,
            advance=bar.update,
        )
    answers: list[list[str]] = [[] for _ in probes]
    for index, text in zip(owners, drawn, strict=True):
        answers[index].append(text)
    return answers


def ask(
    config: Config, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, probes: list[Probe]
) -> list[Answer]:
    """Every answer to every probe."""
    from experiments.arm.answering import answer_probes

    drawn = answer_probes(model, tokenizer, probes, config.probes, config.seed)
    arm = (config.safeguard, config.task.name, config.seed)
    return [
        Answer(*arm, probe.set, probe.id, probe.cluster, sample, probe.messages, text, probe.expected)
        for probe, texts in zip(probes, drawn, strict=True)
        for sample, text in enumerate(texts)
    ]


def measure_nll(
    config: Config, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sets: dict[str, list[Row]]
) -> dict[str, list[float]]:
    """NLL per answer token of held-out rows, in nats: what can be said without a judge."""
    from safeguards.likelihood import answer_nll
    from safeguards.model import unwrap

    training = config.training
    return {
        name: answer_nll(unwrap(model), tokenizer, rows, 4 * training.batch_size, training.max_length).tolist()
        for name, rows in sets.items()
    }
