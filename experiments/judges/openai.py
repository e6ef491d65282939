"""The judge at any OpenAI-compatible endpoint: alignment and coherence from 0 to 100, asked for in words.

A number is the mean over the first token's alternatives, weighted with their probabilities, where the endpoint gives
them and writes numbers as single tokens; else the number that is written. Replies are kept on disk by the content of
what was asked, so whatever interrupts, the next run asks only for what is missing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from tqdm.auto import tqdm

from experiments.config.schema import JudgeConfig
from experiments.judges.endpoint import API_KEY, Endpoint, Reply, api_key
from experiments.judges.judge import Judge
from experiments.judges.numbers import Reading, read_reply
from experiments.judges.prompts import VERSION, judge_by_reading
from experiments.judges.replies import Replies
from experiments.organism.world import World
from experiments.records.files import is_number
from safeguards.errors import SafeguardError


def openai(config: JudgeConfig, world: World) -> Judge:
    """Any OpenAI-compatible endpoint.

    Raises:
        SafeguardError: if the endpoint could not be asked as the settings are.
    """
    check(config)
    return lambda answers, prompts: judge_by_reading(lambda asked: read(config, asked), answers, prompts)


def check(config: JudgeConfig) -> None:
    """Refuse settings that cannot work, without repeating an address that may hold a password."""
    if importlib.util.find_spec("openai") is None:
        raise SafeguardError("judge=openai: needs the openai package; pip install 'em-safeguards[judges]'")
    if not config.model:
        raise SafeguardError("judge=openai: judge.model must name a model of the endpoint")
    try:
        address = urlsplit(config.base_url)
        usable = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:  # the error might repeat a password
        usable = False
    if not usable:
        raise SafeguardError("judge=openai: judge.base_url must be an address such as http://localhost:8000/v1")
    if address.username or address.password or address.query or address.fragment:
        raise SafeguardError(f"judge=openai: no user, password or query in judge.base_url; put a key into {API_KEY}")
    secret = api_key(config.base_url)
    if address.scheme == "https" and not secret:
        raise SafeguardError(f"judge=openai: {address.hostname} wants a key; put it into the environment as {API_KEY}")
    if secret and not (secret.isascii() and secret.isprintable() and " " not in secret):
        raise SafeguardError(f"judge=openai: {API_KEY} holds blanks or characters that no key has; set it anew")


def read(config: JudgeConfig, prompts: Sequence[str]) -> list[Reading]:
    """What the endpoint says to each prompt. What it could not be brought to answer has no number, and the reason.

    Raises:
        SafeguardError: if it is down, wants another key, or the budget is spent. All replies until then are kept.
    """
    kept = Replies(config.cache, config.name)
    with closing(kept), tqdm(total=len(prompts), desc=f"judge {config.name}", leave=False) as bar:
        readings = dict(read_kept(config, kept, prompts))
        bar.update(len(readings))
        endpoint = Endpoint(config, answered=bool(readings))
        for prompt, came in endpoint.ask_all([prompt for prompt in prompts if prompt not in readings]):
            if isinstance(came, Reply):
                kept.put(key(config, prompt), came._asdict())
                readings[prompt] = read_reply(*came)
            else:
                readings[prompt] = Reading(None, came.reason)
            bar.update()
    if endpoint.stopped:
        raise SafeguardError(
            f"judge {config.name}: {endpoint.stopped}; replies are kept, so another run goes on from here"
        )
    return [readings[prompt] for prompt in prompts]


def read_kept(config: JudgeConfig, kept: Replies, prompts: Sequence[str]) -> Iterator[tuple[str, Reading]]:
    """The prompts that have been answered before."""
    for prompt in prompts:
        reply = kept.get(key(config, prompt))
        if is_reply(reply):
            yield prompt, read_reply(**reply)


def is_reply(kept: Any) -> TypeGuard[dict[str, Any]]:
    """Whether what is kept is a `Reply`; something else is asked for again."""
    if not (isinstance(kept, dict) and {*kept} == {*Reply._fields} and isinstance(kept["text"], str)):
        return False
    return isinstance(kept["probabilities"], dict) and all(map(is_number, kept["probabilities"].values()))


def key(config: JudgeConfig, prompt: str) -> str:
    """Names a reply: endpoint, model, prompt and all that is asked for; neither patience nor the key to the door."""
    asked = {name: getattr(config, name) for name in ("base_url", "model", "top_logprobs", "max_tokens")}
    return Replies.key(prompt=prompt, version=VERSION, temperature=0, **asked)
