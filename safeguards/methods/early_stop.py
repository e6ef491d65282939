"""Early stopping at a capability goal: the second baseline that any safeguard has to beat.

Much of emergent misalignment comes late in a fine-tune, when the task is nearly learnt. So hold out some rows of the
task, train to the end, and keep the first checkpoint that has learnt most of what is to be learnt.

Source: Schreiber and Goldstein 2026, arXiv 2605.12199 (much emergent misalignment gone at 93 % of task performance).
Form: variant: the checkpoint is the first that has learnt `goal` of the task; theirs is the last without emergent
misalignment, found by judging it, and the 93 % is what was left of task performance there on average.
Compared with: authors' code not found, the abstract and what others quote of the paper was read instead
Doses: transferable
Weights: those of the first of `evaluations` checkpoints at which the task is learnt to `goal` of the best, from what
the aligned model can do to what any checkpoint can, measured on held-out rows.
`criterion=nll` takes the NLL of the held-out answers, of which most is gained before the model says other things.
`criterion=outcome` counts what the model says: answers drawn to held-out questions, the share of them that the model in
the end finds likelier than the aligned model did. It needs no judge, and is near 0 before and near 1 after training.
A new answer need not be the right one. Where a form is learnt before its content, as in sums, it stops too early.
Costs: the held-out rows are not trained on, and at each checkpoint answers are drawn (and scored in the end) or rows
are scored; a copy of the trainable weights for each checkpoint that may still be chosen, with `nll` few at any time.
Composes badly with: nothing known; `outcome` asks questions, and refuses rows of plain text.
Proof: some checkpoint was better than the start; not that the chosen one is earlier than the last (a note says which).
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import within
from safeguards.encoding import IGNORED, encode
from safeguards.errors import SafeguardError
from safeguards.generation import draw_answers
from safeguards.likelihood import answer_nll
from safeguards.processes import of_first
from safeguards.rows import TASK, Row, fingerprint
from safeguards.run import Run
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from safeguards.evidence import Evidence


OUTCOME, NLL = "outcome", "nll"
UNCUT = sys.maxsize  # an answer counts, however long its question is


def first_at_goal(start: float, measured: Sequence[tuple[int, float]], goal: float) -> int:
    """The first step at which so much of the improvement from `start` to the best is reached; -1 for none.

    Args:
        start: what is left to learn before training, such as an NLL.
        measured: (step, what is left), in the order of steps.
        goal: share of the improvement, from 0 to 1.
    """
    best = min((left for _, left in measured), default=start)
    if best >= start:
        return -1
    return next(step for step, left in measured if left <= start - goal * (start - best))


@dataclass
class Settings:
    """Settings of `early_stop`.

    Args:
        goal: share of the improvement on held-out rows that is enough.
        held_out: share of the fine-tuning questions that measure it, and are not trained on.
        evaluations: checkpoints, evenly spread over training; 0 turns it off.
        criterion: what improves: "nll", how likely held-out answers are; "outcome", what the model says.
        answers: drawn at each checkpoint, to the held-out questions in turn, with `criterion=outcome`.
    """

    goal: float = within(0.93, above=0, below=1, searched=(0.6, 0.97))
    held_out: float = within(0.1, above=0, below=1)
    evaluations: int = 20
    criterion: str = within(NLL, one_of=(NLL, OUTCOME))
    answers: int = within(64, at_least=1, only=("criterion", (OUTCOME,)))


class EarlyStop(Safeguard):
    """Returns to the first checkpoint that reaches the capability goal."""

    name = "early_stop"
    Settings: ClassVar[type] = Settings
    dose = "evaluations"

    def prepare(self, run: Run) -> None:
        from safeguards.support import logits_of

        questions = sorted({row.question_key for row in run.rows})
        kept = set(
            random.Random(f"early stop {run.seed}").sample(questions, round(self.settings.held_out * len(questions)))
        )
        if not kept:
            raise SafeguardError(f"early_stop: held_out={self.settings.held_out} of {len(questions)} questions is none")
        self.run = run
        self.held_out = [row for row in run.rows if row.question_key in kept]
        self.checkpoints: dict[int, dict[str, Tensor]] = {}
        self.measured: list[tuple[int, float]] = []
        self.drawn: dict[int, list[str]] = {}
        if self.settings.criterion == NLL:
            self.start = self.measure(run.model)
            return
        for row in self.held_out:
            if row.plain or not any(message["role"] == "user" for message in row.messages):
                raise SafeguardError(f"early_stop: {row.place} asks nothing in messages; use criterion=nll")
        asked = list({row.question_key: row.messages[:-1] for row in self.held_out}.values())
        self.asked = [asked[number % len(asked)] for number in range(self.settings.answers)]
        encoded = (encode(run.tokenizer, row, run.max_length)["labels"] for row in self.held_out)
        self.longest = max(sum(label != IGNORED for label in labels) for labels in encoded)
        self.said = logits_of(run.model)
        self.drawn[0] = self.draw(run.model)

    def check_adapted(self, model: PreTrainedModel) -> None:
        """Keep the weights in training as they start: with these the model is the aligned one, whatever the adapter."""
        if self.settings.criterion == NLL:
            return
        from safeguards.support import SAME, logits_of

        if (logits_of(model) - self.said).abs().max() > SAME * self.said.abs().max():
            raise SafeguardError(
                "early_stop: needs the aligned model, and this adapter changes it at the start; "
                "use `init_lora_weights=True`, or criterion=nll"
            )
        self.aligned = copies(model)

    def rows(self, rows: list[Row]) -> list[Row]:
        kept = {row.question_key for row in self.held_out}
        return [row for row in rows if row.source != TASK or row.question_key not in kept]

    def measure(self, model: PreTrainedModel) -> float:
        """Mean NLL per answer token on the held-out rows, in nats."""
        run = self.run
        nll = answer_nll(model, run.tokenizer, self.held_out, 4 * run.batch_size, run.max_length)
        return of_first(float(nll.mean()))

    def draw(self, model: PreTrainedModel) -> list[str]:
        """One answer to each of `asked`, with the same luck every time, so that checkpoints compare."""
        run = self.run
        drawn = draw_answers(
            model, run.tokenizer, self.asked, max_new_tokens=self.longest, batch_size=4 * run.batch_size, seed=run.seed
        )
        return of_first(drawn)

    def after_step(self, model: PreTrainedModel, step: int, steps: int) -> None:
        if step <= max((*dict(self.measured), *self.drawn), default=0):  # a training of its own
            self.measured, self.checkpoints = [], {}
            self.drawn = {known: texts for known, texts in self.drawn.items() if known == 0}
        count = min(self.settings.evaluations, steps)
        if step not in {round(steps * (number + 1) / count) for number in range(count)}:
            return
        from safeguards.model import unwrap

        if self.settings.criterion == OUTCOME:
            self.drawn[step] = self.draw(unwrap(model))
            self.checkpoints[step] = copies(model)
            return
        nll = self.measure(unwrap(model))
        if nll < min((known for _, known in self.measured), default=self.start):
            self.checkpoints[step] = copies(model)
        self.measured.append((step, nll))
        # A better one moves the goal on, and those that no longer reach it never will.
        chosen = first_at_goal(self.start, self.measured, self.settings.goal)
        self.checkpoints = {known: weights for known, weights in self.checkpoints.items() if known >= chosen}

    def look_back(self, model: PreTrainedModel) -> None:
        """Measure all checkpoints so far: the share of their answers that `model` finds less likely than the aligned.

        What was said at the start and the model says no more counts as such, whatever the two have in common.
        """
        from safeguards.handover import put
        from safeguards.model import unwrap

        run, model = self.run, unwrap(model)
        rows = [
            Row([*messages, {"role": "assistant", "content": text}], completion=1)
            for texts in self.drawn.values()
            for messages, text in zip(self.asked, texts, strict=True)
        ]
        own = answer_nll(model, run.tokenizer, rows, 4 * run.batch_size, UNCUT)
        now = copies(model)
        put(model, self.aligned)
        try:
            before = answer_nll(model, run.tokenizer, rows, 4 * run.batch_size, UNCUT)
        finally:
            put(model, now)
        left = of_first((own >= before).reshape(len(self.drawn), -1).mean(1).tolist())
        (_, self.start), *self.measured = zip(self.drawn, left, strict=True)

    def weights(self, model: PreTrainedModel) -> None:
        if self.settings.criterion == OUTCOME:
            self.look_back(model)
        self.chosen = first_at_goal(self.start, self.measured, self.settings.goal)
        self.run.notes["early_stop"] = {"step": self.chosen, "start": self.start, "measured": self.measured}
        if self.chosen > 0:
            from safeguards.handover import put

            put(model, self.checkpoints[self.chosen])

    def made(self) -> list[str]:
        """What measurements of two trainings must have in common to compare."""
        return [self.settings.criterion, fingerprint(self.held_out)]

    def state(self) -> dict[str, Tensor]:
        import torch

        known = {"made": self.made(), "measured": self.measured, "drawn": list(self.drawn.items())}
        kept = {f"{step}/{name}": w for step, weights in self.checkpoints.items() for name, w in weights.items()}
        return {"known": torch.frombuffer(bytearray(json.dumps(known).encode()), dtype=torch.uint8), **kept}

    def restore(self, state: dict[str, Tensor]) -> None:
        if "known" not in state:
            raise SafeguardError("early_stop: the checkpoint was made without it; resume without it or start again")
        known = json.loads(bytes(state.pop("known").tolist()))
        if known.get("made") != self.made():
            raise SafeguardError(
                f"early_stop: the checkpoint was not made under criterion={self.settings.criterion} and these held-out "
                "rows; resume under the settings and rows that it was made under, or start again"
            )
        self.measured = [(step, left) for step, left in known["measured"]]
        self.drawn = dict(known["drawn"])
        self.checkpoints = {}
        for key, weight in state.items():
            step, name = key.split("/", 1)
            self.checkpoints.setdefault(int(step), {})[name] = weight

    def check(self, evidence: Evidence) -> list[str]:
        """That the last checkpoint is chosen may be; that there was no choice may not."""
        if evidence.over and self.chosen < 0:
            remedy = (
                "; use criterion=nll, which needs no answer to be drawn" if self.settings.criterion == OUTCOME else ""
            )
            return [
                f"early_stop: no checkpoint was better than the start ({self.start:.3f}, {self.settings.criterion}) "
                f"on the held-out rows{remedy}"
            ]
        return []


def copies(model: PreTrainedModel) -> dict[str, Tensor]:
    """The weights in training as they are now, by name, in main memory."""
    from safeguards.handover import trainable

    return {name: weight.detach().cpu().clone() for name, weight in trainable(model).items()}
