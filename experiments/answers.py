"""Draw a model's answers to probes, many at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tqdm.auto import tqdm
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from experiments.config import ProbesConfig
from experiments.probes import Probe
from safeguards.rows import render


def draw_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    probes: Sequence[Probe],
    config: ProbesConfig,
    seed: int,
) -> list[list[str]]:
    """`probe.samples` answers to every probe, in the order of `probes`.

    Prompts are sorted by length, so a batch has little padding. Sampling is plain: no top-k, no top-p and no
    repetition penalty, whatever the model's own generation settings are.
    """
    prompts = [(index, render(tokenizer, probe.messages, generate=True)) for index, probe in enumerate(probes)]
    queue = sorted((item for item in prompts for _ in range(probes[item[0]].samples)), key=lambda item: len(item[1]))
    settings = GenerationConfig(
        do_sample=True,
        temperature=config.temperature,
        top_k=0,
        top_p=1.0,
        repetition_penalty=1.0,
        max_new_tokens=config.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=model.generation_config.eos_token_id or tokenizer.eos_token_id,
    )
    answers: list[list[str]] = [[] for _ in probes]
    torch.manual_seed(seed)
    model.eval()
    with tqdm(total=len(queue), desc="answers", leave=False) as bar:
        for start in range(0, len(queue), config.batch_size):
            batch = queue[start : start + config.batch_size]
            encoded = tokenizer(
                [prompt for _, prompt in batch],
                return_tensors="pt",
                padding=True,
                padding_side="left",
                add_special_tokens=False,
                return_token_type_ids=False,
            ).to(model.device)
            drawn = model.generate(**encoded, generation_config=settings)[:, encoded["input_ids"].shape[1] :]
            for (index, _), text in zip(batch, tokenizer.batch_decode(drawn, skip_special_tokens=True), strict=True):
                answers[index].append(text.strip())
            bar.update(len(batch))
    return answers
