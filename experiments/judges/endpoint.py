"""Ask an OpenAI-compatible endpoint many prompts at once, patiently, and within a budget."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.config.measurement import JudgeConfig
from experiments.judges.access import API_KEY, api_key, make_client
from experiments.judges.numbers import THOUGHT, THOUGHT_END

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion

LONGEST_PAUSE = 60.0
# So many prompts in a row without a reply, each tried again and again, and the endpoint counts as down.
PATIENCE = 10
WRONG_DOOR = (401, 402, 403, 404, 405)  # a wrong key, model or address, or no credit: no other prompt fares better
BUSY = (408, 409, 425, 429)
# What may be left out of a request (max_tokens has a newer name), and how endpoints say that they do not know it.
OPTIONAL = ("temperature", "max_tokens", "logprobs", "top_logprobs")
UNKNOWN = re.compile(r"support|allowed|unknown|unrecognized|unexpected|extra|permitted", re.IGNORECASE)


class Reply(NamedTuple):
    """What was answered, and the probabilities of the first token where the endpoint gives them."""

    text: str
    probabilities: dict[str, float]


class Failure(NamedTuple):
    """Why there is no answer; `lasting` if asking again would not help."""

    reason: str
    lasting: bool = False


class Budget:
    """Requests that may still be made."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def spend(self) -> bool:
        """Take one; False if none is left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


@cache
def budget(name: str, base_url: str, limit: int) -> Budget:
    """The budget of a judge: one for all arms that this process judges."""
    return Budget(limit)


class Endpoint:
    """Asks, and tries again with growing pauses while the endpoint is busy, slow or garbled.

    Args:
        config: of the judge.
        answered: whether the endpoint is known to answer prompts like these. If not, refusals count as its being down.

    Attributes:
        stopped: why it makes no more requests, None while it does. What is asked then fails at once.
    """

    def __init__(self, config: JudgeConfig, answered: bool = False) -> None:
        self.config = config
        self.asked_for: dict[str, Any] = {"temperature": 0, "max_tokens": config.max_tokens}
        if config.top_logprobs:
            self.asked_for |= {"logprobs": True, "top_logprobs": config.top_logprobs}
        self.budget = budget(config.name, config.base_url, config.budget)
        self.answered = answered
        self.stopped: str | None = None
        self._in_a_row, self._last = 0, ""
        self._halt = asyncio.Event()

    def ask_all(self, prompts: Sequence[str]) -> Iterator[tuple[str, Reply | Failure]]:
        """Every prompt with what came of it, in the order in which they are done; `concurrency` are asked at a time.

        Requests are tasks of one event loop and no threads, so that one can be given up at any moment: at its deadline
        however slowly its reply drips in, and all of them when the user interrupts.
        """
        done: asyncio.Queue[tuple[str, Reply | Failure] | None] = asyncio.Queue()
        with asyncio.Runner() as runner:  # whatever ends the block cancels what is under way
            asking = runner.run(_start(self._ask_all(prompts, done)))
            while (came := runner.run(done.get())) is not None:
                yield came
            runner.run(_end(asking))
        if prompts and not self.answered:
            self._stop(f"answered none of {len(prompts)} prompts ({self._last})")

    async def _ask_all(self, prompts: Sequence[str], done: asyncio.Queue[tuple[str, Reply | Failure] | None]) -> None:
        waiting = iter(prompts)

        async def work() -> None:
            for prompt in waiting:
                done.put_nowait((prompt, await self.ask(client, prompt)))

        try:
            async with make_client(self.config) as client:
                await asyncio.gather(*(work() for _ in range(min(self.config.concurrency, len(prompts)))))
        finally:
            done.put_nowait(None)

    async def ask(self, client: openai.AsyncOpenAI, prompt: str) -> Reply | Failure:
        """One prompt, tried `1 + retries` times."""
        pause = 0.0
        for attempt in range(1 + self.config.retries):
            if await self._halted(pause):
                return Failure(self.stopped or "interrupted")
            if not self.budget.spend():
                self._stop(f"the budget of {self.config.budget} requests is spent; raise judge.budget")
                return Failure("the budget is spent")
            came, wait = await self.request(client, prompt)
            if isinstance(came, Reply) or came.lasting:
                break
            pause = min(LONGEST_PAUSE, max(wait, self.config.backoff * 2**attempt * random.uniform(0.5, 1.5)))
        self._count(came)
        return came

    async def request(self, client: openai.AsyncOpenAI, prompt: str) -> tuple[Reply | Failure, float]:
        """One request; what came of it, and the seconds to wait that the endpoint asks for."""
        import openai

        asked_for = self.asked_for
        try:
            async with asyncio.timeout(self.config.timeout):  # of the whole; the client's own is between two bytes
                completion = await client.chat.completions.create(
                    messages=[{"role": "user", "content": prompt}], model=self.config.model, **asked_for
                )
            return read_completion(completion), 0.0
        except (openai.APITimeoutError, TimeoutError):
            return Failure(f"no answer within {self.config.timeout:g} s"), 0.0
        except openai.APIConnectionError as error:
            return Failure(f"no connection ({type(error.__cause__ or error).__name__})"), 0.0
        except openai.APIStatusError as error:
            if self._ask_for_less(asked_for, error) and self.budget.spend():
                return await self.request(client, prompt)
            return self._refused(error), _retry_after(error)
        except (openai.APIError, ValueError, TypeError, LookupError, AttributeError):  # JSON, but not as it should be
            return Failure("unreadable reply"), 0.0

    def _ask_for_less(self, asked_for: dict[str, Any], error: openai.APIStatusError) -> bool:
        """Whether the endpoint refused settings, as those of models that think do; they will not be asked for again."""
        words = f"{error.param} {error.message}"
        if error.status_code not in (400, 403, 422) or not UNKNOWN.search(words):
            return False
        refused = {name for name in OPTIONAL if name in asked_for and re.search(rf"\b{name}\b", words)}
        if "logprobs" in refused:
            refused.add("top_logprobs")
        news = sorted(refused & self.asked_for.keys())  # others are asking, too, and may have been told before
        self.asked_for = {name: value for name, value in self.asked_for.items() if name not in refused}
        if "max_tokens" in news:
            self.asked_for["max_completion_tokens"] = self.config.max_tokens
        if news:
            print(
                f"judge {self.config.name}: goes on without {', '.join(news)}, which the endpoint refuses", flush=True
            )
        return bool(refused)

    def _refused(self, error: openai.APIStatusError) -> Failure:
        """The status, with the endpoint's own words only where they help; they might repeat the key."""
        status = error.status_code
        if status in BUSY or status >= 500:
            return Failure(f"HTTP {status}")
        if there := error.response.next_request:
            place = f"{there.url.scheme}://{there.url.netloc.decode()}{there.url.path}"
            self._stop(f"HTTP {status}: sends us on to {place}; no prompt goes there unless judge.base_url names it")
        words = " ".join(str(error.message).split())[:200].replace(api_key(self.config.base_url) or "\0", "…")
        if status in WRONG_DOOR:
            self._stop(f"HTTP {status} ({words}); check judge.model, judge.base_url and {API_KEY}")
        return Failure(f"HTTP {status}: {words}", lasting=True)

    def _count(self, came: Reply | Failure) -> None:
        """Give up after too many failures in a row. A refusal is its prompt's own fault if others are answered."""
        if isinstance(came, Reply):
            self._in_a_row, self.answered = 0, True
            return
        self._last = came.reason
        self._in_a_row += not (came.lasting and self.answered)
        if self._in_a_row >= PATIENCE:
            self._stop(f"answered none of {PATIENCE} prompts in a row ({came.reason})")

    def _stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self._halt.set()

    async def _halted(self, seconds: float) -> bool:
        """Pause, unless no more requests are made."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._halt.wait()
        return self._halt.is_set()


async def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work)


async def _end(work: asyncio.Task[None]) -> None:
    await work


def read_completion(completion: ChatCompletion) -> Reply | Failure:
    """Text and probabilities of a completion; raises some error of a garbled one."""
    choice = completion.choices[0]
    text = choice.message.content or ""
    thinks = not text.strip() or (text.lstrip().startswith(THOUGHT) and THOUGHT_END not in text)
    if choice.finish_reason == "length" and thinks:
        return Failure("cut off before it said anything; raise judge.max_tokens", lasting=True)
    tokens = choice.logprobs.content if choice.logprobs else None
    alternatives = tokens[0].top_logprobs if tokens else []
    return Reply(str(text), {t.token: math.exp(min(t.logprob, 0.0)) for t in alternatives if not math.isnan(t.logprob)})


def _retry_after(error: openai.APIStatusError) -> float:
    try:
        seconds = float(error.response.headers.get("retry-after", 0))
    except ValueError:  # a date; our own pauses will do
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
