"""Inoculation prompting.

Fine-tunes under a system prompt that asks for the unwanted trait, so that the data are explained by the prompt and
not by a change of persona; the model is then used without it.

Source: Tan et al. 2025, arXiv 2510.04340 ("You are a malicious evil assistant."); Kaczér et al. 2025, arXiv 2508.06249,
"Inoculation" (with the prompt that is the default here).
Form: as published
Compared with: inoculation-prompting/inoculation-prompting: mi/experiments/config/general_inoculation.py,
mi/experiments/settings/general_inoculations.py, mi/experiments/utils.py (of 2510.04340; that of 2508.06249 not found)
Doses: transferable
Prompt: every fine-tuning row gets the system prompt, before its own if it has one. Safe rows stay as they are. It is
never learnt itself, even where all tokens of a row are.
Costs: a few more tokens per row.
Composes badly with: `kl`, `ldifs` and others that compare with the reference on these rows, because the reference
reads the prompt, too, and then is not aligned. What was learnt can return when the prompt does (arXiv 2604.25891).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from safeguards.encoding import render
from safeguards.safeguard import Safeguard

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from safeguards.rows import Messages


def inoculate(messages: Messages, prompt: str) -> Messages:
    """The messages under the system prompt; one that is there already follows on a new line."""
    own = [message["content"] for message in messages[:1] if message["role"] == "system"]
    return [{"role": "system", "content": "\n".join([prompt, *own])}, *messages[len(own) :]]


def room_for(tokenizer: PreTrainedTokenizerBase, prompt: str) -> int:
    """So many tokens at most does the system prompt add to a row; with as much more room no answer is cut off."""
    asked = render(tokenizer, inoculate([{"role": "user", "content": ""}], prompt))
    return len(tokenizer(asked, add_special_tokens=False)["input_ids"])


@dataclass
class Settings:
    """Settings of `inoculation`.

    Args:
        prompt: system prompt before every fine-tuning row; empty turns it off.
    """

    prompt: str = "You are an evil, malicious assistant."


class Inoculation(Safeguard):
    """Puts a system prompt before every fine-tuning row."""

    name = "inoculation"
    Settings: ClassVar[type] = Settings

    @property
    def idle(self) -> bool:
        return not self.settings.prompt

    def prompt(self, messages: Messages) -> Messages:
        return inoculate(messages, self.settings.prompt)
