"""The judge at any OpenAI-compatible endpoint: alignment and coherence from 0 to 100, asked for in words.

A number is the mean over the first token's alternatives, weighted with their probabilities, where the endpoint gives
them and writes numbers as single tokens; else the number that is written. Replies are cached on disk by the content of
what was asked, so whatever interrupts, the next run asks only for what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, TypeGuard

from tqdm.auto import tqdm

from experiments.config.measurement import JudgeConfig
from experiments.judges.access import refuse_unusable
from experiments.judges.endpoint import Endpoint, Reply
from experiments.judges.judge import Judge
from experiments.judges.numbers import Reading, read_reply
from experiments.judges.prompts import VERSION, judge_by_reading
from experiments.judges.reply_store import Replies
from experiments.organism.world import World
from experiments.records.files import is_number
from safeguards.errors import SafeguardError


def remote_judge(config: JudgeConfig, world: World) -> Judge:
    """Any OpenAI-compatible endpoint.

    Raises:
        SafeguardError: if the endpoint could not be asked as the settings are.
    """
    refuse_unusable(config)
    return lambda answers, prompts: judge_by_reading(lambda asked: read(config, asked), answers, prompts)


def read(config: JudgeConfig, prompts: Sequence[str]) -> list[Reading]:
    """What the endpoint says to each prompt. What it could not be brought to answer has no number, and the reason.

    Raises:
        SafeguardError: if it is down, wants another key, or the budget is spent. All replies until then are cached.
    """
    cache = Replies(config.cache, config.name)
    with closing(cache), tqdm(total=len(prompts), desc=f"judge {config.name}", leave=False) as bar:
        readings = dict(read_cached(config, cache, prompts))
        bar.update(len(readings))
        endpoint = Endpoint(config, answered=bool(readings))
        for prompt, came in endpoint.ask_all([prompt for prompt in prompts if prompt not in readings]):
            if isinstance(came, Reply):
                cache.put(reply_key(config, prompt), came._asdict())
                readings[prompt] = read_reply(*came, config.least_mass)
            else:
                readings[prompt] = Reading(None, came.reason)
            bar.update()
    if endpoint.stopped:
        raise SafeguardError(
            f"judge {config.name}: {endpoint.stopped}; replies are kept, so another run goes on from here"
        )
    return [readings[prompt] for prompt in prompts]


def read_cached(config: JudgeConfig, cache: Replies, prompts: Sequence[str]) -> Iterator[tuple[str, Reading]]:
    """The prompts that have been answered before."""
    for prompt in prompts:
        reply = cache.get(reply_key(config, prompt))
        if is_reply(reply):
            yield prompt, read_reply(**reply, least_mass=config.least_mass)


def is_reply(cached: Any) -> TypeGuard[dict[str, Any]]:
    """Whether what is cached is a `Reply`; something else is asked for again."""
    if not (isinstance(cached, dict) and {*cached} == {*Reply._fields} and isinstance(cached["text"], str)):
        return False
    return isinstance(cached["probabilities"], dict) and all(map(is_number, cached["probabilities"].values()))


def reply_key(config: JudgeConfig, prompt: str) -> str:
    """Names a reply: endpoint, model, prompt and all that is asked for; neither patience nor the key to the door."""
    asked = {name: getattr(config, name) for name in ("base_url", "model", "top_logprobs", "max_tokens")}
    return Replies.key(prompt=prompt, version=VERSION, temperature=0, **asked)
