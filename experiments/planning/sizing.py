"""What an arm will need, from the shape of its model: memory by part, operations, disk. No model is loaded.

Memory is that of tensors at the peak, which in training is the step with the longest row, when the gradient of its loss
begins: all activations are there, and the most logits. It is within a tenth of what tensors hold on a CPU in float32
and bfloat16; libraries, and what an allocator holds back, come on top.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from experiments.config.schema import Config
from experiments.planning.shape import shape_of, width_of
from experiments.planning.step_memory import DIVERGING, step_memory
from experiments.records.names import UNTOUCHED

NF4 = 0.52  # bytes of a weight in 4 bits, with its scales
# Of one trained number: itself, its gradient, and two moments of the optimiser, each in float32.
TRAINED = 16.0
# What 4 bits spare of the weights, if those are of 16.
SPARED = 0.7
# The sweep trains on whole models only.
OWN_SCRIPT = "over several devices only SafeguardTrainer in a script of your own takes a model apart (FSDP2)"


@dataclass(frozen=True)
class Size:
    """What one arm needs.

    Attributes:
        parameters: of the model.
        training: bytes by part, at the peak of training; nothing for `untouched`.
        answering: bytes by part, while answers are drawn.
        flops: operations of training, preparing and answering.
        disk: bytes of its records.
        answers: that it gives, those in looks on its way included.
        looked: how many of them these are.
    """

    parameters: int
    training: Mapping[str, float]
    answering: Mapping[str, float]
    flops: float
    disk: float
    answers: int = 0
    looked: int = 0

    @property
    def memory(self) -> float:
        """Bytes at the peak."""
        return max(sum(self.training.values()), sum(self.answering.values()))


def size_of(
    config: Config, rows: int, row_tokens: float, longest: float, answers: int, pool: int, looked: int = 0
) -> Size:
    """What an arm needs.

    Args:
        config: of the arm.
        rows: that it is fine-tuned on.
        row_tokens: of a typical row.
        longest: tokens of the longest row, to which its micro-batch is padded.
        answers: that are drawn from it at its end.
        pool: safe rows, which some safeguards score.
        looked: answers that are drawn from it on its way.
    """
    shape, training, named = shape_of(config), config.training, {one.name for one in config.named}
    width = width_of(config)
    weights = shape.linear * (NF4 if config.model.quantization else width) + shape.embeddings * width
    adapter, head = shape.lora(training.lora.r), shape.vocabulary * shape.hidden
    memory: dict[str, float] = {}
    learning = 0.0
    if config.safeguard != UNTOUCHED:
        memory = {"weights": weights, "LoRA, optimiser": adapter * TRAINED} | step_memory(config, shape, longest)
        if "safelora" in named:
            memory["unaligned base"] = weights
        again, reference = 2 * training.gradient_checkpointing, 2 * any(one.needs_reference for one in config.named)
        # Forward, and back to the inputs of all layers: weights of the base have no gradient, those of the adapter do.
        # The loss makes its logits twice.
        learning = shape.linear * (4 + again + reference) + adapter * (6 + again)
        learning += head * (6 + 6 * bool(named & DIVERGING))
    context = row_tokens + config.probes.max_new_tokens
    at_once = min(config.probes.batch_size, answers)
    cache = at_once * context * shape.layers * 2 * shape.keys * width
    answering = {"weights": weights, "KV cache": cache, "logits": at_once * shape.vocabulary * 4 * 2}
    if looked:  # training waits meanwhile
        answering["LoRA, optimiser"] = adapter * TRAINED
    active = shape.linear + head
    scored = pool * 2 * (1 + config.scorers.count) * ("interleave_ppl" in named)
    given = answers + looked
    flops = row_tokens * (learning * rows * training.epochs + active * scored) + 2 * active * context * given
    disk = adapter * 4 * bool(memory) + 2_000 * given
    return Size(shape.linear + shape.embeddings, memory, answering, flops, disk, given, looked)


# Bytes of a process before any model: torch, transformers, trl and the sweep.
LIBRARIES = 0.6e9


def engine_for(size: Size, room: float, arms: int = 2, cores: int | None = None) -> str:
    """Which engine suits so many arms on devices with `room` bytes each, and so many cores if they are known."""
    need, weights = size.memory, size.answering["weights"]
    fit = int(0.9 * room // (need + LIBRARIES))
    workers = min(fit, arms, cores or fit)
    if workers > 1:
        return (
            f"hydra/launcher=joblib hydra.launcher.n_jobs={workers} ({fit} arms fit into a device; each wants a core)"
        )
    if need <= 0.9 * room:
        return "one process; several devices: one arm on each (joblib), or one arm over all (accelerate, DDP)"
    if need - SPARED * weights <= 0.9 * room:
        return f"model.quantization=nf4 on one device; {OWN_SCRIPT}"
    return f"none of the sweep's: a smaller model, rows or batch, or more memory; {OWN_SCRIPT}"


def measured() -> float:
    """Operations in a second of one matrix product on this machine's device, in float32 on a CPU, else in bfloat16."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    one = torch.randn(1024, 1024, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(4):
            product = one @ one
        float(product[0, 0])
        best = min(best, time.perf_counter() - started)
    return 4 * 2 * 1024**3 / best
