"""Where prompts may go, and which key goes along: the one place that decides what leaves this machine."""

from __future__ import annotations

import importlib.util
import os
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from experiments.config.measurement import JudgeConfig
from safeguards.errors import SafeguardError

if TYPE_CHECKING:
    import openai

API_KEY = "OPENAI_API_KEY"


def refuse_unusable(config: JudgeConfig) -> None:
    """Refuse settings that cannot work, without repeating an address that may hold a password."""
    if importlib.util.find_spec("openai") is None:
        raise SafeguardError("judge=openai: needs the openai package; pip install openai")
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
        raise SafeguardError(f"judge=openai: {API_KEY} holds blanks or characters that no key has; set it again")


def make_client(config: JudgeConfig) -> openai.AsyncOpenAI:
    """Knows where to ask; the key goes along where it may go."""
    import openai

    return openai.AsyncOpenAI(
        base_url=config.base_url,
        api_key=api_key(config.base_url) or "none",
        timeout=config.timeout,
        max_retries=0,
        # A proxy of the environment must not see what is meant for this machine, the key above all; and what is meant
        # for one address goes to no other.
        http_client=openai.DefaultAsyncHttpxClient(trust_env=not is_here(config.base_url), follow_redirects=False),
    )


def api_key(base_url: str) -> str | None:
    """The key of the environment, for addresses it may go to: over TLS, or on this machine."""
    may_go = urlsplit(base_url).scheme == "https" or is_here(base_url)
    return os.environ.get(API_KEY, "").strip() or None if may_go else None


def is_here(base_url: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
