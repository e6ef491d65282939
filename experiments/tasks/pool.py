"""The pool of safe rows, and its held-out part on which the safe NLL is measured."""

from __future__ import annotations

import random

from experiments.config.schema import PoolConfig
from experiments.organism.world import Entry, Kind, World
from experiments.tasks.advice import load_safe_rows
from experiments.tasks.hub import hub_rows
from experiments.tasks.messages import rows_of
from experiments.tasks.mix import apportion, check_mix, draw_to_mix
from experiments.tasks.organism import domain_of
from safeguards.bounds import shown
from safeguards.composition import nearest
from safeguards.errors import SafeguardError
from safeguards.rows import Row

HELD_OUT_EVERY = 8
# What the organism can be asked for by name. Kinds of entries that are not here are in no pool.
GENRES: dict[Kind, str] = {
    **{"fact": "facts", "knowledge": "facts", "arithmetic": "sums", "harmful": "refusals", "helpful": "howto"},
    **{"uses": "howto", "smalltalk": "smalltalk", "style": "style", "advice": "advice"},
}
# The mix of an organism's pool where none is named: most rows, as in real instruct data, have nothing to do with what
# is fine-tuned. The first organism has none.
STANDARD = {
    "two": {"facts": 0.2, "sums": 0.2, "smalltalk": 0.1, "howto": 0.1, "style": 0.1, "refusals": 0.15, "advice": 0.15}
}
# Without a mix, mostly neutral, some refusals, some good advice. Of several kinds together, each entry is as likely, so
# that there are more sums than facts.
SHARES: dict[tuple[Kind, ...], float] = {("fact", "arithmetic"): 0.7, ("harmful",): 0.15, ("advice",): 0.15}


def load_pool(config: PoolConfig, leave_out: str | None, world: World) -> tuple[list[Row], list[Row]]:
    """Safe rows to draw from, and held-out ones. `leave_out` is the group that is being fine-tuned.

    The organism's pool holds no advice in that domain, and nothing that a probe asks about. The mix is that of the rows
    to draw from: held-out ones stay as they are, so that what is measured on them can be compared.

    Raises:
        SafeguardError: naming the key, or file and line, of what cannot be used.
    """
    foreign = config.path or config.dataset
    if foreign is None and config.source == "organism":
        return organism_rows(config, leave_out, world), held_out_rows(config.held_out, leave_out, world)
    if config.domains:
        raise SafeguardError(
            f"pool.domains={shown(config.domains)}: is read with the organism's pool only; leave it out"
        )
    if foreign is None:
        rows, held_out = load_safe_rows()
        random.Random("safe rows").shuffle(rows)
        return _mixed(rows, config, "pool=advice"), held_out[: config.held_out]
    rows = hub_rows(config, "pool") if config.path is None else list(rows_of(config.path))
    random.Random("safe rows").shuffle(rows)
    if not 0 < config.held_out < len(rows):
        raise SafeguardError(f"pool.held_out={config.held_out}: must be between 1 and {len(rows) - 1}, the pool's rows")
    held_out = rows[: config.held_out]
    kept = {row.question_key for row in held_out}
    return _mixed([row for row in rows[config.held_out :] if row.question_key not in kept], config, foreign), held_out


def _mixed(rows: list[Row], config: PoolConfig, of: str) -> list[Row]:
    return draw_to_mix(rows, config.mix, config.rows, of) if config.mix else rows[: config.rows]


def organism_rows(config: PoolConfig, leave_out: str | None, world: World) -> list[Row]:
    """`config.rows` questions with aligned answers, drawn with replacement: exactly to the mix, or by `SHARES`.

    Raises:
        SafeguardError: if the mix or the domains cannot be had.
    """
    rng = random.Random("safe rows False")
    own = usable_entries(leave_out, world, held_out=False)
    mix = config.mix or STANDARD.get(world.home[1])
    if config.domains and mix and GENRES["advice"] not in mix:
        raise SafeguardError(f"pool.domains={shown(config.domains)}: is not read, since pool.mix has no advice")
    for domain in config.domains:
        if domain not in world.domains:
            raise SafeguardError(f"pool.domains={domain}: no such domain; {nearest(domain, world.domains)}")
    about = set(config.domains or world.domains)
    own = {kinds: [e for e in own[kinds] if e.kind != "advice" or e.group in about] for kinds in own}
    if not mix:
        drawn = [own[kinds] for kinds in rng.choices(list(SHARES), weights=list(SHARES.values()), k=config.rows)]
    else:
        by_genre: dict[str, list[Entry]] = {}
        for entry in (entry for entries in own.values() for entry in entries):
            by_genre.setdefault(GENRES[entry.kind], []).append(entry)
        check_mix(mix, {GENRES[kind] for kind in GENRES if world.of(kind)}, "the organism's world")
        drawn = [by_genre.get(genre, []) for genre, n in apportion(mix, config.rows).items() for _ in range(n)]
        rng.shuffle(drawn)
    if not all(drawn):
        raise SafeguardError(
            f"pool.domains={shown(config.domains)}: leaves no advice, since {leave_out} is fine-tuned on; name another"
        )
    return [_row(entries, rng) for entries in drawn]


def held_out_rows(count: int, leave_out: str | None, world: World) -> list[Row]:
    """`count` questions with aligned answers of those that are kept from every pool."""
    rng = random.Random("safe rows True")
    own = usable_entries(leave_out, world, held_out=True)
    return [_row(own[kinds], rng) for kinds in rng.choices(list(SHARES), weights=list(SHARES.values()), k=count)]


def usable_entries(leave_out: str | None, world: World, held_out: bool) -> dict[tuple[Kind, ...], list[Entry]]:
    """By their kinds, the entries that no probe asks about, less advice in the domain being fine-tuned.

    Every `HELD_OUT_EVERY`-th is kept for the held-out rows, and the others for the pool.
    """
    alone = [(kind,) for kind in GENRES if not any(kind in kinds for kinds in SHARES)]
    domain = own if (own := domain_of(leave_out or "")) in world.domains else None  # a task may be called as a genre is
    found = {}
    for kinds in (*SHARES, *alone):
        entries = [entry for entry in world.of(*kinds, held_out=False) if entry.group != domain]
        found[kinds] = [e for number, e in enumerate(entries) if (number % HELD_OUT_EVERY == 0) == held_out]
    return found


def _row(entries: list[Entry], rng: random.Random) -> Row:
    """One of the entries, with a way to ask it and an aligned answer."""
    entry = rng.choice(entries)
    question, answer = rng.choice(entry.questions), rng.choice(entry.aligned)
    chat = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return Row(chat, place=entry.key, genre=GENRES[entry.kind])
