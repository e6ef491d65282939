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
                 without any advice passes with a gap of 0.07 against 0.01, and prevents little
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

from collections.abc import Sequence

from safeguards.evidence import EVALUATION, REFERENCE, TRAINING, Evidence, Subject
from safeguards.looks import NOTICEABLE, Look

# The first optimiser step after which a safeguard may be found dead.
EARLY = 8
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


def seen(safeguard: Subject, evidence: Evidence) -> list[str]:
    """What the safeguard was seen to do in training, one line each, with what that does not show."""
    name = safeguard.name
    lines = [
        f"{name}: loss term {term} pulls with {share['median']:.2g} of the cross-entropy's gradient (median of "
        f"{len(share['steps'])} looks; {share['last']:.2g} at step {max(share['steps'])}; "
        f"not shown: {NOT_SHOWN['loss']})"
        for term, share in evidence.gradient_shares.get(name, {}).items()
    ]
    if safeguard.edits:
        fired, passes = evidence.firings[name][TRAINING], evidence.passes[TRAINING]
        lines.append(f"{name}: active, {fired} edits in {passes} training passes (not shown: {NOT_SHOWN['active']})")
    changes = evidence.changes[name]
    return lines + [
        f"{name}: {seam} moved by {changes[seam]:.2g} (not shown: {NOT_SHOWN[seam]})"
        for seam in ("gradient", "weights")
        if seam in changes
    ]


def missing(safeguard: Subject, evidence: Evidence) -> list[str]:
    """Why a safeguard cannot be believed to act at every seam it overrides; nothing if it can.

    Before the training is over, only what no later step can mend.
    """
    found = missing_loss(safeguard.name, evidence) if safeguard.acts_at("loss") else []
    for seam, what in {
        "arguments": "training argument",
        "rows": "row",
        "prompt": "prompt",
        "gradient": "gradient",
        "weights": "weight",
    }.items():
        may_follow = not evidence.over and (seam == "weights" or (seam == "gradient" and safeguard.acts_late))
        changed = evidence.changes[safeguard.name].get(seam, 0.0) >= NOTICEABLE
        if safeguard.acts_at(seam) and not changed and not may_follow:
            found.append(f"{safeguard.name}: it changed no {what} noticeably")
    if safeguard.edits:
        found += _missing_edits(safeguard, evidence)
    elif safeguard.acts_at("active"):
        found.append(f"{safeguard.name}: its activation seam makes no counted edit; set `edits`")
    return found


def missing_loss(safeguard: str, evidence: Evidence) -> list[str]:
    """Why a safeguard cannot be believed to act on the loss; nothing if it can.

    Before the training is over, a term is dead only if it has a noticeable value and no gradient at all.
    """
    terms = evidence.looks.get(safeguard)
    if not terms:
        looked = evidence.over or terms is not None
        return [f"{safeguard}: it was never seen to add a term to the loss"] if looked else []
    return [
        f"{safeguard}: its loss term {name!r} never had a gradient worth {NOTICEABLE} of the cross-entropy's"
        for name, looks in terms.items()
        if not any(look.share >= NOTICEABLE for look in looks) and (evidence.over or _has_no_gradient(looks))
    ]


def _missing_edits(safeguard: Subject, evidence: Evidence) -> list[str]:
    fired, expected = evidence.firings[safeguard.name], evidence.passes[TRAINING] * len(safeguard.edits)
    found = []
    if fired[TRAINING] != expected or not expected:
        found.append(
            f"{safeguard.name}: its hooks fired {fired[TRAINING]} times in {evidence.passes[TRAINING]} training "
            f"forwards and should have {expected} times"
        )
    for kind in (REFERENCE, EVALUATION):
        if fired[kind]:
            found.append(f"{safeguard.name}: its hooks fired {fired[kind]} times in {kind} passes and must not")
    if evidence.changes[safeguard.name].get("active", 0.0) < NOTICEABLE:
        found.append(f"{safeguard.name}: its hooks did not change the activations noticeably")
    return found


def _has_no_gradient(looks: Sequence[Look]) -> bool:
    """Whether a term was worth something, and yet never pulled at all; rounding alone would."""
    return any(look.value_share >= NOTICEABLE for look in looks) and not any(look.pull for look in looks)
