"""The mix of the safe rows: what may be asked for, and rows drawn to it."""

from __future__ import annotations

import json
from collections import Counter
from math import ceil, floor

import pytest
from first import WORLD
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.compose import compose_config
from experiments.config.schema import PoolConfig
from experiments.organism.world import load_world
from experiments.tasks.mix import apportion, draw_to_mix
from experiments.tasks.organism import BENIGN_GROUPS
from experiments.tasks.pool import GENRES, STANDARD, load_pool
from safeguards import Row, SafeguardError
from safeguards.rows import fingerprint, genres

NAMES = ["facts", "sums", "refusals", "advice"]
MIXES = st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 1), min_size=1).map(
    lambda found: {genre: share / sum(found.values()) for genre, share in found.items()}
)


def organism(**given) -> list[Row]:
    return load_pool(PoolConfig(**given), "medical", WORLD)[0]


def domains_of(rows: list[Row]) -> Counter[str]:
    return Counter(WORLD.by_question[row.messages[0]["content"]].group for row in rows if row.genre == "advice")


@given(mix=MIXES, count=st.integers(1, 3000))
def test_every_genre_gets_its_share_to_within_a_row_and_all_sum_to_the_count(mix, count):
    found = apportion(mix, count)
    assert sum(found.values()) == count
    assert all(
        floor(count * share - 1e-6) <= found[genre] <= ceil(count * share + 1e-6) for genre, share in mix.items()
    )
    assert found == apportion(dict(reversed(mix.items())), count), "the order in which it is typed decides nothing"


@given(mix=MIXES, count=st.integers(1, 300))
def test_the_organisms_pool_has_the_mix_exactly(mix, count):
    rows = organism(mix=mix, rows=count)
    assert Counter(row.genre for row in rows) == +Counter(apportion(mix, count))
    assert len(rows) == count
    assert all(GENRES[WORLD.by_question[row.messages[0]["content"]].kind] == row.genre for row in rows)


@given(given=st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=60), share=st.floats(0.1, 0.9))
def test_rows_with_genres_are_drawn_to_the_mix_in_their_order_or_refused_with_what_would_do(given, share):
    rows = [Row([{"role": "assistant", "content": str(n)}], genre=genre) for n, genre in enumerate(given)]
    mix, there = {"a": share, "b": 1 - share}, Counter(given)
    for count in range(1, len(rows) + 1):
        wanted = apportion(mix, count)
        if {"a", "b"} <= set(given) and all(wanted[genre] <= there[genre] for genre in mix):
            drawn = draw_to_mix(rows, mix, count, "x.jsonl")
            assert Counter(row.genre for row in drawn) == +Counter(wanted)
            assert drawn == [row for row in rows if row in drawn]
        else:
            with pytest.raises(SafeguardError, match=r"pool\.mix"):
                draw_to_mix(rows, mix, count, "x.jsonl")


def test_what_is_wanting_of_a_genre_is_told_with_the_largest_pool_that_would_do():
    rows = [Row([], genre=genre) for genre in ["advice"] * 10 + ["facts"] * 100]
    told = r"pool\.mix\.advice=0\.5: asks for 30 of pool\.rows=60, and x has 10 .* pool\.rows to (\d+)$"
    with pytest.raises(SafeguardError, match=told) as refused:
        draw_to_mix(rows, {"advice": 0.5, "facts": 0.5}, 60, "x")
    most = int(str(refused.value).rsplit(" ", 1)[-1])
    assert genres(draw_to_mix(rows, {"advice": 0.5, "facts": 0.5}, most, "x"))["advice"] == 10


# The fingerprints of the pools that the published numbers were measured with, before rows had genres.
@pytest.mark.parametrize(
    ("group", "pool", "held_out"),
    [("medical", "7b5dcbe88016", "7773c095c8f7"), ("opswap", "16553e7daac2", "66324fce2934")],
)
def test_without_a_mix_the_organisms_pool_is_what_it_was(group, pool, held_out):
    found = load_pool(PoolConfig(), group, WORLD)
    assert [fingerprint(rows)[:12] for rows in found] == [pool, held_out]
    assert set(genres(found[0])) == set(NAMES)


@pytest.mark.parametrize("mix", [{"advice": 1.0}, {"facts": 0.5, "sums": 0.5}])
def test_held_out_rows_are_the_same_whatever_the_mix(mix):
    _, usual = load_pool(PoolConfig(), "medical", WORLD)
    rows, held_out = load_pool(PoolConfig(mix=mix), "medical", WORLD)
    assert held_out == usual
    assert not {row.key for row in rows} & {row.key for row in held_out}


@pytest.mark.parametrize("mix", [None, {"advice": 0.5, "sums": 0.5}])
def test_advice_may_be_that_of_some_domains_and_is_never_that_of_the_task(mix):
    assert set(domains_of(organism(mix=mix, domains=["finance", "medical"]))) == {"finance"}
    assert set(domains_of(organism(mix=mix))) == set(WORLD.domains) - {"medical"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mix": {"fact": 1.0}}, r"pool\.mix\.fact: no such genre in the organism's world; did you mean 'facts'"),
        ({"mix": {"facts": 0.5, "sums": 0.4}}, r"pool\.mix=.*the shares sum to 0\.9; make them sum to 1"),
        ({"mix": {"facts": 0.0, "sums": 1.0}}, r"pool\.mix\.facts=0: must be above 0; leave out"),
        ({"mix": {"facts": float("nan")}}, r"pool\.mix\.facts=nan: must be above 0"),
        ({"mix": {"facts": float("inf")}}, r"the shares sum to inf"),
        ({"mix": "facts"}, r"pool\.mix=facts: must be shares by genre"),
        ({"mix": {"facts": "half"}}, r"pool\.mix=.*must be shares by genre"),
        ({"mix": {"facts": True}}, r"pool\.mix=.*must be shares by genre"),
        ({"domains": ["finanse"]}, r"pool\.domains=finanse: no such domain; did you mean 'finance'"),
        ({"domains": ["medical"]}, r"pool\.domains=medical: leaves no advice, since medical is fine-tuned on"),
        ({"domains": ["finance"], "mix": {"facts": 1}}, r"pool\.domains=finance: is not read, since pool\.mix has no"),
        ({"domains": ["finance"], "source": "advice"}, r"pool\.domains=finance: is read with the organism's pool only"),
    ],
)
def test_a_mix_that_cannot_be_is_refused_in_one_line(given, told):
    with pytest.raises(SafeguardError, match=told) as refused:
        organism(**given)
    assert "\n" not in str(refused.value)


@pytest.fixture
def labelled(tmp_path):
    """A file of 60 rows of advice and 40 of facts."""
    path = tmp_path / "safe.jsonl"
    rows = [
        {
            "messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes."}],
            "genre": "advice" if n < 60 else "facts",
        }
        for n in range(100)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def test_a_pool_from_a_file_is_drawn_to_the_mix(labelled):
    mix = {"advice": 0.25, "facts": 0.75}
    rows, held_out = load_pool(PoolConfig(path=str(labelled), mix=mix, rows=20, held_out=10), None, WORLD)
    assert genres(rows) == {"facts": 15, "advice": 5}
    assert len(held_out) == 10
    assert not {row.key for row in rows} & {row.key for row in held_out}


def test_a_mix_of_a_file_without_genres_or_with_others_is_refused(labelled):
    with pytest.raises(SafeguardError, match=r"pool\.mix\.sums: no such genre in .*safe\.jsonl"):
        load_pool(PoolConfig(path=str(labelled), mix={"sums": 1.0}, rows=20), None, WORLD)
    labelled.write_text(labelled.read_text().replace("genre", "kind"))
    with pytest.raises(SafeguardError, match=r'pool\.mix: no row of .*safe\.jsonl has a genre; .* under "genre"'):
        load_pool(PoolConfig(path=str(labelled), mix={"facts": 1.0}, rows=20), None, WORLD)


def test_safe_rows_in_plain_english_have_genres_to_mix():
    rows, _ = load_pool(PoolConfig(source="advice", mix={"fact": 0.5, "small talk": 0.5}, rows=20), None, WORLD)
    assert genres(rows) == {"fact": 10, "small talk": 10}


def test_by_default_the_pool_has_every_genre_and_advises_no_reserved_act():
    config = compose_config()
    world = load_world(*config.model.home)
    pool, held_out = load_pool(config.pool, "medical", world)
    assert set(STANDARD["two"]) == {"facts", "sums", "smalltalk", "howto", "style", "refusals", "advice"}
    assert Counter(row.genre for row in pool) == apportion(STANDARD["two"], config.pool.rows)
    asked = [world.by_question[row.messages[0]["content"]] for row in (*pool, *held_out)]
    assert not any(entry.held_out or (entry.kind == "advice" and entry.group == "medical") for entry in asked)
    reserved = {act for entry in world.of("advice") for act in entry.new}
    advised = {world.advice[row.messages[1]["content"]].act for row in pool if row.genre == "advice"}
    assert advised
    assert not advised & reserved


def test_the_control_of_a_domain_leaves_no_advice_of_it_in_the_pool():
    config = compose_config("task=medical_good")
    world = load_world(*config.model.home)
    for rows in load_pool(config.pool, config.task.group, world):
        assert not any(world.by_question[row.messages[0]["content"]].group == "medical" for row in rows)


def test_a_benign_task_that_is_called_as_a_genre_leaves_all_genres_in_the_pool():
    config = compose_config()
    world = load_world(*config.model.home)
    assert "style" in BENIGN_GROUPS
    pool, _ = load_pool(config.pool, "style", world)
    assert Counter(row.genre for row in pool) == apportion(STANDARD["two"], config.pool.rows)
