"""Interleaving safe rows that misaligned models find surprising (Interleaving+ and Interleaving++).

A row that the aligned model finds likely and misaligned models find unlikely says most about the difference between
them, so a few such rows hold the model where many random ones are needed.

Source: Kaczér et al. 2025, arXiv 2508.06249, "Interleaving+"; with `refusal_filter` "Interleaving++".
Form: as published, by its text
Compared with: authors' code not found, what is documented of the paper's score, pool, fractions and filter, and of ε in
a co-author's code
Doses: transferable
Data: D ∪ S, where S holds share · |D| rows drawn from the `top` share of the pool by
    gap(d) = (mean over misaligned models of NLL(d) − NLL_aligned(d)) / (NLL_aligned(d) + ε),
NLL being the mean per answer token. Published: ε = 1, a pool of 100,000, its top 5,000, then 5 %.
Costs: one scoring pass over the pool per scorer and one by the aligned model, cached.
Needs: misaligned scorers that never saw the domain being defended; one that did is refused, because its surprise
would tell about the very rows it is to defend against.
Composes badly with: `interleave`.
Proof: the rows to choose from have a larger gap than the pool, which only says that scorers find them more surprising.
A pool without any advice passes with 0.07 against 0.01, and prevents little; good pools and scorers give 0.2 or more.
Controls: `control=any` trains on random rows with as many tokens, `control=genres` on random rows that also have the
genres of the chosen ones. They need no larger gap, only to be trained on. What the second does, too, is the genre's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from safeguards.bounds import within
from safeguards.controls import ANY, GENRES, of_equal_genres, of_equal_tokens
from safeguards.encoding import encode
from safeguards.errors import SafeguardError
from safeguards.files import cached, digest, save_array
from safeguards.likelihood import answer_nll
from safeguards.methods.interleave import Interleave, draw
from safeguards.rows import Row, fingerprint, genres
from safeguards.run import Run
from safeguards.scorers import load_scorer, scorer_folders, weights_fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from safeguards.evidence import Evidence

# The mean gap of the chosen rows must be above that of the pool by so much (no unit; good scorers give 0.2).
NOTICEABLE_LEAD = 1e-3
# Of the gaps in the record: bins, the genres that are counted apart, and letters of a question or answer.
BINS, COUNTED, LETTERS = 24, 8, 200
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
        epsilon: ε of the gap, in nats per answer token.
        top: share of the pool, by gap, from which the rows are drawn.
        refusal_filter: drop refusals from the pool first (Interleaving++).
        scorers: folders of misaligned models: LoRA adapters or whole models; a sweep trains them if none is named.
        control: train on random rows instead, with as many tokens as the chosen ones, to show what the choice is worth:
            "any" takes them from the whole pool, "genres" as many of each genre as are chosen; null trains on the
            chosen ones.
    """

    share: float = within(0.05, at_most=10, searched=(0.02, 0.5))
    epsilon: float = within(1.0, above=0)
    top: float = within(0.05, above=0, at_most=1)
    refusal_filter: bool = False
    scorers: list[str] = field(default_factory=list)
    control: str | None = within(None, one_of=(ANY, GENRES))


class InterleavePpl(Interleave):
    """Adds a share of safe rows with a large perplexity gap."""

    name = "interleave_ppl"
    Settings: ClassVar[type] = Settings
    needs_scorers = True
    conflicts_with: ClassVar[dict[str, str]] = {"interleave": "both choose which safe rows to add; name one of the two"}

    def choose(self, run: Run, count: int) -> list[Row]:
        pool = [row for row in run.pool if not (self.settings.refusal_filter and refuses(row))]
        if not pool:
            raise SafeguardError(f"{self.name}: the pool is empty after the refusal filter")
        if self.settings.control == GENRES and not any(row.genre for row in pool):
            raise SafeguardError(
                f"{self.name}: control={GENRES}, and no row of the pool has a genre; give its rows one, or use "
                f"control={ANY}"
            )
        gap = perplexity_gap(*self.score(run, pool), self.settings.epsilon)
        order = np.argsort(-gap, kind="stable")
        best = order[: max(count, round(self.settings.top * len(pool)))]
        self.lead = float(gap[best].mean() - gap.mean())
        chosen = draw([pool[index] for index in best], count, run.seed)
        if self.settings.control:
            chosen = self.like(run, pool, chosen)
        run.notes["gap"] = {
            "top": float(gap[best].mean()),
            "pool": float(gap.mean()),
            "rows": len(best),
            "genres": by_genre(pool, gap, chosen),
            "histogram": histogram(pool, gap, chosen),
            "examples": examples(pool, gap, chosen),
        }
        self.notes = run.notes
        return chosen

    def like(self, run: Run, pool: Sequence[Row], chosen: Sequence[Row]) -> list[Row]:
        """The control: random rows of the pool, with the tokens of the chosen ones, or also their genres."""
        length = {row.key: len(encode(run.tokenizer, row, run.max_length)["input_ids"]) for row in [*chosen, *pool]}
        tokens, lengths = sum(length[row.key] for row in chosen), [length[row.key] for row in pool]
        if self.settings.control == GENRES:
            return of_equal_genres(pool, lengths, chosen, tokens, run.seed)
        return of_equal_tokens(pool, lengths, tokens, run.seed)

    def score(self, run: Run, pool: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        """NLL of the pool by the aligned model, (rows,), and by each scorer, (models, rows)."""
        folders = scorer_folders(self.name, self.settings.scorers, run.rows)
        aligned = _nll(run, run.model, "aligned", pool)
        misaligned = []
        for folder in folders:
            with load_scorer(run.model, folder) as model:
                misaligned.append(_nll(run, model, folder.name, pool))
        return aligned, np.stack(misaligned)

    def check(self, evidence: Evidence) -> list[str]:
        found = super().check(evidence)
        if self.lead < NOTICEABLE_LEAD and not self.settings.control:
            found.append(
                f"{self.name}: the chosen rows have no larger gap than the pool ({self.lead:.1e} more), so the "
                "selection is random; lower top or share, or use scorers that are misaligned"
            )
        return found

    def trace(self, evidence: Evidence) -> list[str]:
        gap, control = self.notes["gap"], self.settings.control
        like = " of the same genres" if control == GENRES else ""
        what = f"drawn at random from the pool{like} as a control, beside" if control else "drawn from"
        parts = ", ".join(map(_of_genre, gap["genres"].items()))
        return [
            *super().trace(evidence),
            f"{self.name}: rows {what} the {gap['rows']} of the largest gap, {gap['top']:.3g} on average against "
            f"{gap['pool']:.3g} in the pool: so much more surprising to the scorers (not shown: that these rows say "
            "anything about alignment)",
            *[f"{self.name}: by genre, {parts} (not shown: that a gap is more than its genre)"] * any(gap["genres"]),
        ]


def by_genre(pool: Sequence[Row], gap: np.ndarray, chosen: Sequence[Row]) -> dict[str, dict[str, float | None]]:
    """Of each genre of the pool, the most chosen first: how many rows there are and were chosen, and their mean gap."""
    gaps = {row.key: float(own) for row, own in zip(pool, gap, strict=True)}
    taken, found = genres(chosen), {}
    for genre in sorted(genres(pool), key=lambda genre: -taken.get(genre, 0)):
        theirs, ours = ([gaps[row.key] for row in rows if row.genre == genre] for rows in (pool, chosen))
        found[genre] = {
            "pool": len(theirs),
            "chosen": len(ours),
            "pool_gap": float(np.mean(theirs)),
            "chosen_gap": float(np.mean(ours)) if ours else None,
        }
    return found


def histogram(pool: Sequence[Row], gap: np.ndarray, chosen: Sequence[Row]) -> dict[str, Any]:
    """How many rows have which gap, in `BINS` bins of one width, for the record.

    Returns:
        `edges`, (BINS + 1,); `pool` and `chosen`, (BINS,) counts of all rows of the pool and of those that were
        chosen; `genres`, the same of each of the `COUNTED` largest genres, if rows have any. Nothing without a gap.
    """
    sides = dict(zip(("pool", "chosen"), with_gaps(pool, gap, chosen), strict=True))
    if not sides["pool"]:
        return {}
    edges = np.histogram_bin_edges([own for own, _ in sides["pool"]], BINS)

    def counts(genre: str | None = None) -> dict[str, list[int]]:
        own = {name: [own for own, row in rows if genre in (None, row.genre)] for name, rows in sides.items()}
        return {name: np.histogram(values, edges)[0].tolist() for name, values in own.items()}

    every = genres(pool)
    largest = sorted(every, key=lambda genre: -every[genre])[:COUNTED] if any(every) else []
    return {"edges": edges.tolist(), **counts(), "genres": {genre: counts(genre) for genre in largest}}


def examples(pool: Sequence[Row], gap: np.ndarray, chosen: Sequence[Row]) -> list[dict[str, Any]]:
    """The row of the pool of the lowest gap, and of the chosen those of the lowest, the middle and the highest.

    Each with its question and its answer, cut at `LETTERS`, so that people see what a gap stands for.
    """
    every, taken = with_gaps(pool, gap, chosen)
    of = {"lowest of the pool": every[:1], "lowest chosen": taken[:1]}
    of |= {"middle chosen": taken[len(taken) // 2 :][:1], "highest chosen": taken[-1:]}
    return [{"which": which, "gap": own, **_said(row)} for which, rows in of.items() for own, row in rows]


def with_gaps(
    pool: Sequence[Row], gap: np.ndarray, chosen: Sequence[Row]
) -> tuple[list[tuple[float, Row]], list[tuple[float, Row]]]:
    """The rows of the pool and those that were chosen, each with its gap, from the lowest; without those of none."""
    every = sorted(zip(gap.tolist(), pool, strict=True), key=lambda pair: pair[0])
    known = {row.key: own for own, row in every if np.isfinite(own)}
    taken = [(known[row.key], row) for row in chosen if row.key in known]
    return [pair for pair in every if np.isfinite(pair[0])], sorted(taken, key=lambda pair: pair[0])


def _said(row: Row) -> dict[str, str]:
    """A row in short."""
    *before, last = row.messages
    asked = [message["content"] for message in before if message["role"] == "user"]
    return {"genre": row.genre, "question": _cut(asked[-1] if asked else ""), "answer": _cut(last["content"])}


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def _of_genre(found: tuple[str, dict[str, Any]]) -> str:
    """What is said of one genre in the trace."""
    genre, of = found
    chosen = "" if of["chosen_gap"] is None else f", {of['chosen_gap']:.2g} in those"
    return f"{genre or 'none'}: {of['chosen']} of {of['pool']} rows (gap {of['pool_gap']:.2g}{chosen})"


def _nll(run: Run, model: PreTrainedModel, name: str, pool: Sequence[Row]) -> np.ndarray:
    """`answer_nll` of the pool, from the cache if this model has scored these rows before."""
    from tqdm.auto import tqdm

    def score() -> np.ndarray:
        with tqdm(total=len(pool), desc=f"score the pool: {name}", disable=not run.progress, leave=False) as bar:
            return answer_nll(
                model, run.tokenizer, pool, 4 * run.batch_size, run.max_length, lambda done: bar.update(done)
            )

    path = None
    if run.cache is not None:
        words = digest(f"{run.tokenizer.chat_template}{len(run.tokenizer)}{run.max_length}")
        path = run.cache / "nll" / f"{weights_fingerprint(model)}-{fingerprint(pool)}-{words[:8]}.npy"
    return cached(path, score, np.load, save_array)
