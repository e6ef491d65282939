"""A causal LM on this machine as judge: the exact probability of every number from 0 to 100, in one pass per prompt.

Many tokenizers write 87 as "8", "7", so the first token alone says little. All numbers form a tree of about a hundred
nodes under the prompt. The pass sees the prompt once and all nodes at once, each attending only to the prompt and its
own ancestors. A number's probability is that of its path times that of no further digit: 8 is not the beginning of 87.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from tqdm.auto import tqdm

from experiments.config.measurement import JudgeConfig
from experiments.config.schema import ModelConfig
from experiments.endpoint.reply_store import Replies
from experiments.judges.hostile import split
from experiments.judges.judge import Judge
from experiments.judges.numbers import CODE, LIKELY, REFUSAL, Reading, weigh
from experiments.judges.prompts import VERSION, judge_by_reading
from experiments.models.digests import model_digest
from experiments.models.paths import resolve_path
from experiments.organism.world import World
from experiments.records.files import is_number
from safeguards.errors import SafeguardError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from experiments.judges.continuations import Continuations


def local_judge(config: JudgeConfig, world: World) -> Judge:
    """A causal LM on this machine. It is loaded when it is first asked, and let go with the judge.

    Raises:
        SafeguardError: if no model is named, or the folder holds none, or none that chats.
    """
    if not config.model:
        raise SafeguardError("judge=local: judge.model must name a Hugging Face folder or hub name")
    folder = Path(resolve_path(config.model, world.home, "judge.model"))
    settings = folder / "tokenizer_config.json"
    if settings.is_file() and not any(folder.glob("chat_template.*")) and "chat_template" not in settings.read_text():
        raise SafeguardError(f"judge.model={config.model}: the tokenizer has no chat template; use an instruct model")
    reader = LocalReader(config, world.home)
    return lambda answers, prompts: judge_by_reading(reader.read, answers, prompts)


class LocalReader:
    """Reads prompts with a causal LM. What it says is cached by the content of model and prompt."""

    def __init__(self, config: JudgeConfig, home: tuple[int, str]) -> None:
        self.config = config
        self.home = home

    @cached_property
    def loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Continuations]:
        """The model, its tokenizer, and what it may reply."""
        from experiments.judges.continuations import Continuations
        from experiments.models.lend import release_base
        from experiments.models.load import load_model

        release_base()
        config = self.config
        settings = ModelConfig(path=config.model, dtype=config.dtype, device=config.device)
        settings.world, settings.organism = self.home
        model, tokenizer = load_model(settings, "judge.model")
        return model.eval(), tokenizer, Continuations(tokenizer, [*map(str, range(101)), CODE, REFUSAL])

    def read(self, prompts: Sequence[str]) -> list[Reading]:
        """A number for each prompt, or why there is none."""
        config = self.config
        asked = {name: getattr(config, name) for name in ("model", "dtype", "least_mass")}
        asked["weights"] = model_digest(config.model, self.home)
        keys = {prompt: Replies.key(prompt=prompt, version=VERSION, **asked) for prompt in prompts}
        cache = Replies(self.config.cache, self.config.name)
        with closing(cache), tqdm(total=len(prompts), desc=f"judge {self.config.name}", leave=False) as bar:
            found = {prompt: cache.get(key) for prompt, key in keys.items()}
            readings = {prompt: Reading(*reply) for prompt, reply in found.items() if is_reading(reply)}
            bar.update(len(readings))
            for prompt, reading in self.ask([prompt for prompt in prompts if prompt not in readings]):
                cache.put(keys[prompt], reading)
                readings[prompt] = reading
                bar.update()
        return [readings[prompt] for prompt in prompts]

    def ask(self, prompts: Sequence[str]) -> Iterator[tuple[str, Reading]]:
        """Every prompt with what the model says, in batches of prompts of like length, the longest first."""
        if not prompts:
            return
        model, tokenizer, continuations = self.loaded
        chat = Chat(tokenizer)
        encoded = {prompt: chat.tokens(prompt) for prompt in prompts}
        limit = getattr(model.config, "max_position_embeddings", None) or float("inf")
        queue = []
        for prompt in sorted(encoded, key=lambda prompt: -len(encoded[prompt])):
            if chat.is_steered(encoded[prompt]):
                yield prompt, Reading(None, "question or answer hold control tokens of the judge")
            else:
                queue.append(prompt)
        while queue and (length := len(encoded[queue[0]])) + continuations.depth > limit:
            yield queue.pop(0), Reading(None, f"the prompt of {length} tokens is longer than the model reads")
        for start in range(0, len(queue), self.config.batch_size):
            batch = queue[start : start + self.config.batch_size]
            for prompt, said in zip(batch, continuations.score(model, [encoded[p] for p in batch]), strict=True):
                yield prompt, read_probabilities(said, self.config.least_mass)


def is_reading(cached: object) -> TypeGuard[list[Any]]:
    """Whether what is cached is a `Reading`; something else is asked for again."""
    if not (isinstance(cached, list) and len(cached) == len(Reading._fields) and isinstance(cached[1], str)):
        return False
    return cached[0] is None or is_number(cached[0])


class Chat:
    """Prompts as the tokens that a chat model reads, of which only the chat template's own may steer it.

    Args:
        tokenizer: with a chat template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        template = str(tokenizer.chat_template)
        added = {str(token): (number, token.special) for number, token in tokenizer.added_tokens_decoder.items()}
        control = {t: n for t, (n, special) in added.items() if special or (t.strip() and t in template)}
        self.control = {*control.values()}
        self.written = re.compile("|".join(map(re.escape, sorted(control, key=len, reverse=True))) or "(?!)")
        self.usual = self._steering(self.tokens("Rate it."))

    def tokens(self, prompt: str) -> list[int]:
        """The tokens of a prompt up to where the reply begins; thinking is off where it can be.

        Control tokens that are written in the prompt are split, so that they are read as text.
        """
        message = {"role": "user", "content": self.written.sub(lambda found: split(found[0]), prompt)}
        text = self.tokenizer.apply_chat_template(
            [message], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def is_steered(self, tokens: Sequence[int]) -> bool:
        """Whether a prompt has control tokens of its own all the same, such as some normaliser may make."""
        return self._steering(tokens) != self.usual

    def _steering(self, tokens: Sequence[int]) -> list[int]:
        return [token for token in tokens if token in self.control]


def read_probabilities(said: Mapping[str, float], least_mass: float) -> Reading:
    """The weighted mean of the numbers; where they are unlikely, the word that is likely.

    Args:
        said: the probability of every number and word as the reply.
        least_mass: the probability that all numbers together must have.
    """
    mean, mass = weigh(said)
    word = max((CODE, REFUSAL), key=lambda word: said[word])
    if said[word] >= LIKELY and mass < max(least_mass, LIKELY):
        return Reading(None, word)
    return Reading(mean) if mass >= least_mass else Reading(None, "no number is likely")
