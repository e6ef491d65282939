"""Interleaving safe rows that misaligned models find surprising (Interleaving+ and Interleaving++).

A row that the aligned model finds likely and misaligned models find unlikely says most about the difference between
them, so a few such rows hold the model where many random ones are needed.

Source: Kaczér et al. 2025, arXiv 2508.06249, "Interleaving+"; with `refusal_filter` "Interleaving++".
Data: D ∪ S, where S holds share · |D| rows drawn from the `top` share of the pool by
    gap(d) = (mean over misaligned models of NLL(d) − NLL_aligned(d)) / (NLL_aligned(d) + ε),
NLL being the mean per answer token. Published: ε = 1, a pool of 100,000, its top 5,000, then 5 %.
Costs: one scoring pass over the pool per scorer and one by the aligned model, kept in the cache.
Needs: misaligned scorers that never saw the domain being defended; one that did is refused, because its surprise would
tell about the very rows it is to defend against.
Composes badly with: `interleave`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from safeguards.methods.interleave import Interleave, draw
from safeguards.rows import Row, fingerprint
from safeguards.safeguard import Run, SafeguardError
from safeguards.scoring import answer_nll

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from safeguards.proof import Evidence

SEEN_FILE = "seen_rows.json"
# The mean gap of the chosen rows must be above that of the pool by so much (no unit; good scorers give 0.2).
NOTICEABLE_LEAD = 1e-3
REFUSAL = re.compile(r"\b(sorry|apologi[sz]e|cannot|can['’]t|unable)\b", re.IGNORECASE)


def perplexity_gap(aligned: np.ndarray, misaligned: np.ndarray, epsilon: float = 1.0) -> np.ndarray:
    """How much more misaligned models are surprised by a row than the aligned one, relative to the latter.

    Args:
        aligned: (rows,) NLL per answer token by the aligned model.
        misaligned: (models, rows) the same by misaligned models.
        epsilon: keeps rows that the aligned model finds certain from dividing by nothing.

    Returns:
        (rows,), larger for rows that tell the models apart.
    """
    gap: np.ndarray = (misaligned.mean(0) - aligned) / (aligned + epsilon)
    return gap


def refuses(row: Row) -> bool:
    """Whether the answer opens like a refusal: one of the paper's words among its first ten."""
    return bool(REFUSAL.search(" ".join(row.messages[-1]["content"].split()[:10])))


@dataclass
class Settings:
    """Settings of `interleave_ppl`.

    Args:
        share: safe rows added, as a share of the fine-tuning rows; 0 turns it off.
        epsilon: ε of the gap, in nats per token.
        top: share of the pool, by gap, from which the rows are drawn.
        refusal_filter: drop refusals from the pool first (Interleaving++).
        scorers: folders of misaligned models: LoRA adapters on the model in training, or whole models.
    """

    share: float = 0.05
    epsilon: float = 1.0
    top: float = 0.05
    refusal_filter: bool = False
    scorers: list[str] = field(default_factory=list)


class InterleavePpl(Interleave):
    """Adds a share of safe rows with a large perplexity gap."""

    name = "interleave_ppl"
    Settings: ClassVar[type] = Settings
    needs_scorers = True
    conflicts_with: ClassVar[dict[str, str]] = {"interleave": "both choose which safe rows to add; name one of the two"}

    def validate(self) -> None:
        super().validate()
        if not self.settings.epsilon > 0:
            raise SafeguardError(f"{self.name}: epsilon must be above 0, got {self.settings.epsilon}")
        if not 0 < self.settings.top <= 1:
            raise SafeguardError(f"{self.name}: top must be above 0 and at most 1, got {self.settings.top}")

    def choose(self, run: Run, count: int) -> list[Row]:
        pool = [row for row in run.pool if not (self.settings.refusal_filter and refuses(row))]
        if not pool:
            raise SafeguardError(f"{self.name}: the pool is empty after the refusal filter")
        gap = perplexity_gap(*self.score(run, pool), self.settings.epsilon)
        order = np.argsort(-gap, kind="stable")
        best = order[: max(count, round(self.settings.top * len(pool)))]
        run.notes["gap"] = {"top": float(gap[best].mean()), "pool": float(gap.mean()), "rows": len(best)}
        self.lead = float(gap[best].mean() - gap.mean())
        return draw([pool[index] for index in best], count, run.seed)

    def score(self, run: Run, pool: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        """NLL of the pool by the aligned model, (rows,), and by each scorer, (models, rows)."""
        if not self.settings.scorers:
            raise SafeguardError(f"{self.name}: needs misaligned scorers; name their folders in `scorers`")
        folders = [Path(folder) for folder in self.settings.scorers]
        for folder in folders:
            refuse_leak(folder, run.rows)
        aligned = _nll(run, run.model, "aligned", pool)
        misaligned = []
        for folder in folders:
            with load_scorer(run.model, folder) as model:
                misaligned.append(_nll(run, model, folder.name, pool))
        return aligned, np.stack(misaligned)

    def check(self, evidence: Evidence) -> list[str]:
        lacks = super().check(evidence)
        if self.lead < NOTICEABLE_LEAD:
            lacks.append(
                f"{self.name}: the chosen rows have no larger gap than the pool ({self.lead:.1e} more), so the "
                "selection is random; lower top or share, or use scorers that are misaligned"
            )
        return lacks


def refuse_leak(folder: Path, rows: Sequence[Row]) -> None:
    """Refuse a scorer that was trained on any question of the rows to be defended against."""
    seen_file = folder / SEEN_FILE
    if not seen_file.is_file():
        raise SafeguardError(
            f"{folder}: no {SEEN_FILE} says what this scorer was trained on; train it with `write_seen` or add the file"
        )
    seen = set(json.loads(seen_file.read_text("utf-8")))
    leaked = sum(row.question_key in seen for row in rows)
    if leaked:
        raise SafeguardError(
            f"{folder}: this scorer was trained on {leaked} of the {len(rows)} questions it would defend against; "
            "use scorers of other domains"
        )


def write_seen(folder: Path, rows: Sequence[Row]) -> None:
    """Note beside a scorer which questions it was trained on (hashes only)."""
    (folder / SEEN_FILE).write_text(json.dumps(sorted({row.question_key for row in rows})), "utf-8")


@contextmanager
def load_scorer(model: PreTrainedModel, folder: Path) -> Iterator[PreTrainedModel]:
    """A misaligned model: an adapter put on `model` meanwhile, or a whole model of the same vocabulary.

    Raises:
        SafeguardError: if the folder holds neither, or the vocabularies differ.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    if (folder / "adapter_config.json").is_file():
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        adapted = PeftModel.from_pretrained(model, folder)
        try:
            yield adapted.get_base_model()
        finally:
            adapted.unload()
            for parameter in trainable:
                parameter.requires_grad_(True)
        return
    if not (folder / "config.json").is_file():
        raise SafeguardError(f"{folder}: neither a LoRA adapter nor a model; give the folder of a misaligned scorer")
    scorer = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype).to(model.device)
    if scorer.config.vocab_size != model.config.vocab_size:
        raise SafeguardError(
            f"{folder}: has a vocabulary of {scorer.config.vocab_size}, the model in training one of "
            f"{model.config.vocab_size}; perplexities per token would not compare"
        )
    yield scorer


def _nll(run: Run, model: PreTrainedModel, name: str, pool: Sequence[Row]) -> np.ndarray:
    """`answer_nll` of the pool, from the cache if this model has scored these rows before."""
    from tqdm.auto import tqdm

    path = None
    if run.cache is not None:
        words = hashlib.sha256(
            f"{run.tokenizer.chat_template}{len(run.tokenizer)}{run.max_length}".encode()
        ).hexdigest()
        path = run.cache / "nll" / f"{weights_fingerprint(model)}-{fingerprint(pool)}-{words[:8]}.npy"
        if path.is_file():
            known: np.ndarray = np.load(path)
            return known
    with tqdm(total=len(pool), desc=f"score the pool: {name}", disable=not run.progress, leave=False) as bar:
        result = answer_nll(
            model, run.tokenizer, pool, 4 * run.batch_size, run.max_length, lambda done: bar.update(done)
        )
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.npy")
        np.save(unfinished, result)
        unfinished.replace(path)
    return result


def weights_fingerprint(model: PreTrainedModel) -> str:
    """A hash of a sample of every weight, adapters included: quick at any size, and blind to paths and dates."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        flat = weight.detach().flatten()
        sample = flat[:: max(1, len(flat) // 256)]
        digest.update(name.encode() + sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
