"""What one micro-batch shares between safeguards, each part computed once and only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from safeguards.encoding import IGNORED
from safeguards.model import hidden_states, token_logits, unwrap

if TYPE_CHECKING:
    from safeguards.reference import Reference


class Pass:
    """The hidden states of one forward pass at the positions that predict an answer token.

    N is the number of answer tokens in the micro-batch, d the width, V the vocabulary.
    """

    def __init__(
        self,
        model: nn.Module,
        states: dict[int, Tensor],
        predicts: Tensor,
        head: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._model = unwrap(model)
        self._states = states
        self._predicts = predicts
        self._head = head or partial(token_logits, self._model)

    @cached_property
    def hidden(self) -> Tensor:
        """(N, d): the last hidden states, after the final norm."""
        return self.features(max(self._states))

    def features(self, layer: int, at: Tensor | None = None) -> Tensor:
        """(N, d): the residual stream at `layer` (index as in `Capture`), or where `at` (B, T) is true."""
        if layer not in self._states:
            raise KeyError(f"layer {layer} was not recorded; name it in the safeguard's `layers`")
        state = self._states[layer]
        return state[:, :-1][self._predicts] if at is None else state[at]

    def head(self, hidden: Tensor) -> Tensor:
        """(n, V): the logits of `hidden`, at least in float32."""
        return self._head(hidden)

    @property
    def vocabulary(self) -> int:
        """V."""
        return int(self._model.config.get_text_config().vocab_size)

    @cached_property
    def logits(self) -> Tensor:
        """(N, V): all logits at once. For a large vocabulary use `head` on chunks of `hidden`."""
        return self.head(self.hidden)


class Step:
    """One micro-batch in training, as the loss seam sees it.

    `trained` is the pass of the model in training, with gradient; `reference` that of the aligned model, without.
    `answers` (B, T) is true at the answer tokens, `answer_mask` (B, T − 1) where the next token is one.

    Args:
        model: the model in training, unwrapped from any distributed wrapper.
        inputs: the batch: `input_ids`, `attention_mask`, `labels`, each (B, T); `row_source` and `row_harm`, (B,).
        states: hidden states recorded in the training forward pass.
        tokens: answer tokens in the whole accumulation window, over all processes: the one normaliser of all terms.
        reference: the aligned model.
        paused: context in which no safeguard acts on the activations.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        states: dict[int, Tensor],
        tokens: Tensor | int | float,
        reference: Reference | None = None,
        layers: tuple[int, ...] = (),
        paused: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.answers = inputs["labels"] != IGNORED
        self.answer_mask = self.answers[:, 1:]
        # (N,): of every answer token, the row of the batch it is in, where that row came from, and its harm.
        self.row = self.answer_mask.nonzero()[:, 0]
        self.row_source = inputs["row_source"][self.row]
        self.row_harm = inputs["row_harm"][self.row]
        self.tokens = tokens
        self.trained = Pass(model, states, self.answer_mask)
        self._reference = reference
        self._layers = layers
        self._paused = paused

    @classmethod
    def of(cls, model: nn.Module, batch: dict[str, Tensor], reference: Reference | None) -> Step:
        """The step of a batch that is not trained on, such as one of safe rows: runs the model, with gradient."""
        inputs = {name: tensor.to(unwrap(model).device) for name, tensor in batch.items()}
        return cls(model, inputs, hidden_states(model, inputs), (inputs["labels"][:, 1:] != IGNORED).sum(), reference)

    @cached_property
    def reference(self) -> Pass:
        """The same micro-batch through the aligned model: one pass, however many safeguards ask."""
        if self._reference is None:
            raise RuntimeError("no reference was set up; set `needs_reference = True` on the safeguard")
        with self._paused(), self._reference.as_model() as model:
            states = hidden_states(model, self.inputs, self._layers)
        return Pass(model, states, self.answer_mask, self._reference.head)

    def mean(self, per_token: Tensor) -> Tensor:
        """The mean of (N,) values over the answer tokens of the accumulation window, as the cross-entropy is."""
        return per_token.sum() / self.tokens

    @property
    def share(self) -> Tensor | float:
        """This micro-batch's share of the answer tokens of the accumulation window, over all processes.

        The shares of an optimiser step sum to 1 (where each process counts its own tokens: in every process).
        """
        return len(self.row) / self.tokens

    def once(self, value: Tensor) -> Tensor:
        """A scalar that is no mean over tokens, such as a penalty on the weights: counted once per optimiser step.

        Each micro-batch adds its share, so 8×1 and 1×8 accumulation train alike, on however many processes.
        """
        return value * self.share
