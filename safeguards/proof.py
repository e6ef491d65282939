"""Proof of effect: did a safeguard change the update?

A regulariser without gradient, a hook that never fired or a selection that equals chance trains just like no
safeguard, and its row in a table is then a lie. So every training collects evidence, and says what is missing.

When: after optimiser steps 8, 16, 32, … what no later step can mend (`Evidence.over` is false then), so that a dead
safeguard costs seconds; and everything at the end, when the model has been saved. A term whose value is 0, a conflict
that has not come up (`Safeguard.acts_late`) and a pull that is still small have had no opportunity, and wait for one.

What it shows is *that* something acted. What it does not show, seam by seam (`NOT_SHOWN`, also in every trace):

    arguments    an argument differs; not that the new value is any good
    rows         rows differ; not that they teach alignment. `interleave`: that safe rows were trained on, not that they
                 are safe. `interleave_ppl`: that scorers find the chosen rows more surprising than the pool; a pool
                 without any advice passes with a gap of 0.035 against 0.002, and changes nothing
    prompt       rows differ; not that the prompt asks for what the rows teach
    activations  hooks fire in training passes only, and move the activations; not that along the trait (`random=true`
                 passes as well, and is the control)
    loss         a term pulls at the weights; not where to, nor hard enough to matter: 1e-4 of the cross-entropy's pull
                 passes. `adaptive_kl` on rows that do not sound harmful need not act at all, and says so
    gradient     gradients move, and those of `safegrad` not by its pull alone; not that what is taken out goes against
                 alignment
    weights      the weights that are handed over moved; not that what is taken out was misaligned. `early_stop`: that
                 some checkpoint was better than the start; not that it is an earlier one than the last

Only the comparison of arms shows whether a safeguard does what it is meant for.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from safeguards.looks import PATIENCE, Look, add, gradient_norm, is_regular

if TYPE_CHECKING:
    from torch import Tensor, nn

    from safeguards.run import Term
    from safeguards.safeguard import Safeguard


class NoEffectError(RuntimeError):
    """A safeguard did nothing although its settings asked for an effect."""


# A change below this share changes nothing: rounding alone gives 1e-6.
NOTICEABLE = 1e-4
# The first optimiser step after which a safeguard may be found dead.
EARLY = 8
# Passes of the model during training, in which hooks fire or must not fire.
TRAINING, REFERENCE, EVALUATION = "training", "reference", "evaluation"
NOT_SHOWN = {
    "arguments": "that the new value is any good",
    "rows": "that they teach alignment",
    "prompt": "that it asks for what the rows teach",
    "active": "that this is along the trait",
    "loss": "where to, and that it is enough",
    "gradient": "that this was against alignment",
    "weights": "that this was misaligned",
}


def is_early(step: int, steps: int) -> bool:
    """Whether the proof is judged after this optimiser step, before the end."""
    return EARLY <= step < steps and not step & (step - 1)


@dataclass
class Evidence:
    """What was seen of the safeguards during training.

    Attributes:
        looks: per safeguard and term of the loss, what was seen of it, in the order of steps.
        changes: per safeguard and seam, the largest share of rows, or relative change of activations or gradients; of
            weights that of the last time they were finished.
        rows_by_source: how many rows of each source went through training forward passes.
        passes: how many forward passes of each kind there were.
        firings: per safeguard and kind of pass, how often its hooks fired.
        over: whether training is over, so that nothing can follow that is still missing.
    """

    looks: dict[str, dict[str, list[Look]]] = field(default_factory=dict)
    changes: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    rows_by_source: Counter[int] = field(default_factory=Counter)
    passes: Counter[str] = field(default_factory=Counter)
    firings: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    over: bool = False

    # Collecting -----------------------------------------------------------------------------------------------------

    def wants(self, step: int, steps: int, terms: Mapping[str, Mapping[str, Term]]) -> bool:
        """Whether to look at a micro-batch of this optimiser step: at 2, 4, 8, … and the last, and besides at the
        first `PATIENCE` in which a term that has not been seen to pull has a value."""
        if step == 1 or is_regular(step, steps):
            return is_regular(step, steps)
        for safeguard, named in terms.items():
            for name, term in named.items():
                looks = [look for look in self.looks.get(safeguard, {}).get(name, ()) if look.value]
                pulled = any(look.share >= NOTICEABLE for look in looks)
                if not pulled and len(looks) < PATIENCE and float(term.value.detach()):
                    return True
        return False

    def look_at(
        self,
        step: int,
        terms: Mapping[str, Mapping[str, Term]],
        cross_entropy: Tensor,
        parameters: Iterable[nn.Parameter],
        reentrant: bool = False,
    ) -> None:
        """Compare the pull of each weighted term of each safeguard with that of the cross-entropy."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        task_pull = gradient_norm(cross_entropy, trained, reentrant)
        for safeguard, named in terms.items():
            seen = self.looks.setdefault(safeguard, {})
            for name, term in named.items():
                pull = term.weight * gradient_norm(term.value, trained, reentrant)
                value = abs(term.weight * float(term.value.detach()))
                look = Look(step, pull, task_pull, value, float(cross_entropy.detach()))
                add(seen.setdefault(name, []), look)

    def saw(self, safeguard: str, seam: str, change: float) -> None:
        """Note how much a safeguard changed at a seam."""
        seen = self.changes[safeguard]
        seen[seam] = max(seen.get(seam, 0.0), change)

    @contextmanager
    def watching(self, safeguard: Safeguard, seam: str, tensors: Sequence[Tensor]) -> Iterator[None]:
        """Note by how much, relative to their norm, `tensors` change inside.

        Gradients: until it was noticeable. Weights: each time, since only those handed over count.
        """
        known = self.changes[safeguard.name]
        if not safeguard.acts_at(seam) or (seam != "weights" and known.get(seam, 0.0) >= NOTICEABLE):
            yield
            return
        before = [tensor.detach().clone() for tensor in tensors]
        yield
        norm = math.sqrt(sum(float(old.float().pow(2).sum()) for old in before))
        moved = math.sqrt(
            sum(float((new.detach() - old).float().pow(2).sum()) for new, old in zip(tensors, before, strict=True))
        )
        if seam == "weights":
            known.pop(seam, None)
        self.saw(safeguard.name, seam, moved / max(norm, 1e-30))

    @contextmanager
    def counting(self, kind: str, safeguards: Iterable[Safeguard]) -> Iterator[None]:
        """Count one forward pass of a kind, and the hooks that fire in it."""
        before = [(safeguard, sum(edit.firings for edit in safeguard.edits)) for safeguard in safeguards]
        yield
        self.passes[kind] += 1  # not of a pass that ran out of memory and is made again
        for safeguard, already in before:
            self.firings[safeguard.name][kind] += sum(edit.firings for edit in safeguard.edits) - already
            if safeguard.edits:
                self.saw(safeguard.name, "active", max(edit.moved for edit in safeguard.edits))

    @classmethod
    def joined(cls, parts: Iterable[Evidence]) -> Evidence:
        """What all processes saw together, or a training before and after an interruption: passes, rows and looks at
        the same step add up, of changes the largest counts."""
        whole = cls()
        for part in parts:
            for name, terms in part.looks.items():
                known = whole.looks.setdefault(name, {})
                for term, looks in terms.items():
                    for look in looks:
                        add(known.setdefault(term, []), Look(**asdict(look)))
            for name, changes in part.changes.items():
                for seam, change in changes.items():
                    whole.saw(name, seam, change)
            for name, fired in part.firings.items():
                whole.firings[name].update(fired)
            whole.rows_by_source.update(part.rows_by_source)
            whole.passes.update(part.passes)
        return whole

    def as_json(self) -> str:
        """For a checkpoint."""
        return json.dumps({name: value for name, value in vars(self).items() if name != "over"}, default=asdict)

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """What `as_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        part = cls(passes=Counter(values["passes"]))
        part.looks = {
            name: {term: [Look(**look) for look in looks] for term, looks in terms.items()}
            for name, terms in values["looks"].items()
        }
        part.changes.update(values["changes"])
        part.rows_by_source.update({int(source): count for source, count in values["rows_by_source"].items()})
        part.firings.update({name: Counter(fired) for name, fired in values["firings"].items()})
        return part

    # Telling --------------------------------------------------------------------------------------------------------

    @property
    def gradient_shares(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Per safeguard and term, its pull as a share of the cross-entropy's: `median` and `last` over the looks at
        which it had something to act on, and all of those by step."""
        shares: dict[str, dict[str, dict[str, Any]]] = {}
        for name, terms in self.looks.items():
            for term, looks in terms.items():
                steps = {look.step: look.share for look in looks if look.value} or {looks[-1].step: 0.0}
                values = list(steps.values())
                told = {"median": statistics.median(values), "last": values[-1], "steps": steps}
                shares.setdefault(name, {})[term] = told
        return shares

    def trace(self, safeguard: Safeguard) -> list[str]:
        """What the safeguard was seen to do in training, one line each, with what that does not show."""
        name = safeguard.name
        lines = [
            f"{name}: loss term {term} pulls with {share['median']:.2g} of the cross-entropy's gradient (median of "
            f"{len(share['steps'])} looks; {share['last']:.2g} at step {max(share['steps'])}; "
            f"not shown: {NOT_SHOWN['loss']})"
            for term, share in self.gradient_shares.get(name, {}).items()
        ]
        if safeguard.edits:
            fired, passes = self.firings[name][TRAINING], self.passes[TRAINING]
            lines.append(
                f"{name}: active, {fired} edits in {passes} training passes (not shown: {NOT_SHOWN['active']})"
            )
        changes = self.changes[name]
        return lines + [
            f"{name}: {seam} moved by {changes[seam]:.2g} (not shown: {NOT_SHOWN[seam]})"
            for seam in ("gradient", "weights")
            if seam in changes
        ]

    # Judging --------------------------------------------------------------------------------------------------------

    def lacks(self, safeguard: Safeguard) -> list[str]:
        """Why a safeguard cannot be believed to act at every seam it overrides; nothing if it can.

        Before the training is over, only what no later step can mend.
        """
        lacks = self.lacks_loss(safeguard.name) if safeguard.acts_at("loss") else []
        for seam, what in {
            "arguments": "training argument",
            "rows": "row",
            "prompt": "prompt",
            "gradient": "gradient",
            "weights": "weight",
        }.items():
            may_follow = not self.over and (seam == "weights" or (seam == "gradient" and safeguard.acts_late))
            changed = self.changes[safeguard.name].get(seam, 0.0) >= NOTICEABLE
            if safeguard.acts_at(seam) and not changed and not may_follow:
                lacks.append(f"{safeguard.name}: it changed no {what} noticeably")
        if safeguard.edits:
            lacks += self._lacks_edits(safeguard)
        elif safeguard.acts_at("active"):
            lacks.append(f"{safeguard.name}: its activation seam makes no counted edit; set `edits`")
        return lacks

    def lacks_loss(self, safeguard: str) -> list[str]:
        """Why a safeguard cannot be believed to act on the loss; nothing if it can.

        Before the training is over, a term is dead only if it has a noticeable value and no gradient at all.
        """
        terms = self.looks.get(safeguard)
        if not terms:
            looked = self.over or terms is not None
            return [f"{safeguard}: it was never seen to add a term to the loss"] if looked else []
        return [
            f"{safeguard}: its loss term {name!r} never had a gradient worth {NOTICEABLE} of the cross-entropy's"
            for name, looks in terms.items()
            if not any(look.share >= NOTICEABLE for look in looks) and (self.over or _has_no_gradient(looks))
        ]

    def _lacks_edits(self, safeguard: Safeguard) -> list[str]:
        fired, expected = self.firings[safeguard.name], self.passes[TRAINING] * len(safeguard.edits)
        lacks = []
        if fired[TRAINING] != expected or not expected:
            lacks.append(
                f"{safeguard.name}: its hooks fired {fired[TRAINING]} times in {self.passes[TRAINING]} training "
                f"forwards and should have {expected} times"
            )
        for kind in (REFERENCE, EVALUATION):
            if fired[kind]:
                lacks.append(f"{safeguard.name}: its hooks fired {fired[kind]} times in {kind} passes and must not")
        if self.changes[safeguard.name].get("active", 0.0) < NOTICEABLE:
            lacks.append(f"{safeguard.name}: its hooks did not change the activations noticeably")
        return lacks


def _has_no_gradient(looks: Sequence[Look]) -> bool:
    """Whether a term was worth something, and yet never pulled at all; rounding alone would."""
    return any(look.value_share >= NOTICEABLE for look in looks) and not any(look.pull for look in looks)
