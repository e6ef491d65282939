"""Random rows that are as like chosen ones as can be."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeguards import Row
from safeguards.controls import of_equal_genres, of_equal_tokens
from safeguards.rows import SAFE, genres

POOL = st.lists(st.tuples(st.sampled_from(["advice", "facts", ""]), st.integers(1, 50)), min_size=1, max_size=40)


def rows_of(found: list[tuple[str, int]]) -> list[Row]:
    return [
        Row([{"role": "assistant", "content": f"{number}"}], genre=genre, place=f"row {number}")
        for number, (genre, _) in enumerate(found)
    ]


def length_of(drawn: list[Row], lengths: list[int]) -> int:
    return sum(lengths[int(row.messages[0]["content"])] for row in drawn)


@given(found=POOL, data=st.data(), seed=st.integers(0, 3))
def test_a_control_of_genres_has_their_numbers_and_no_exchange_brings_its_tokens_nearer(found, data, seed):
    pool, lengths = rows_of(found), [length for _, length in found]
    chosen = data.draw(st.lists(st.sampled_from(pool), unique_by=lambda row: row.place))
    tokens = length_of(chosen, lengths)
    drawn = of_equal_genres(pool, lengths, chosen, tokens, seed)
    assert genres(drawn) == genres(chosen)
    assert len({row.place for row in drawn}) == len(drawn)
    assert all(row.source == SAFE for row in drawn)
    assert drawn == of_equal_genres(pool, lengths, chosen, tokens, seed)
    over, inside = length_of(drawn, lengths) - tokens, {row.place for row in drawn}
    for row in drawn:
        for other in (other for other in pool if other.genre == row.genre and other.place not in inside):
            assert abs(over + length_of([other], lengths) - length_of([row], lengths)) >= abs(over)


@given(found=POOL, tokens=st.integers(0, 500), seed=st.integers(0, 3))
def test_a_control_of_any_rows_is_the_beginning_of_a_random_order_that_is_nearest_in_tokens(found, tokens, seed):
    pool, lengths = rows_of(found), [length for _, length in found]
    whole = of_equal_tokens(pool, lengths, 10**9, seed)
    drawn = of_equal_tokens(pool, lengths, tokens, seed)
    assert Counter(row.place for row in whole) == Counter(row.place for row in pool)
    assert drawn == whole[: len(drawn)]
    ends = [abs(length_of(whole[:count], lengths) - tokens) for count in range(1, len(whole) + 1)]
    assert abs(length_of(drawn, lengths) - tokens) == min(ends)


@pytest.mark.parametrize("seed", range(3))
def test_where_all_rows_are_of_one_length_none_is_exchanged(seed):
    # Each of 100 rows of a genre is as likely; the chosen ones are no likelier than others.
    pool = rows_of([("advice", 7)] * 100)
    drawn = of_equal_genres(pool, [7] * 100, pool[:50], 350, seed)
    assert 10 < len({row.place for row in drawn} & {row.place for row in pool[:50]}) < 40


def test_only_as_many_rows_are_exchanged_as_it_takes():
    # All ten short rows would be drawn often enough; one long one makes up for what they lack.
    pool = rows_of([("advice", 1)] * 30 + [("advice", 21)])
    drawn = of_equal_genres(pool, [1] * 30 + [21], pool[21:31], 30, 0)
    assert length_of(drawn, [1] * 30 + [21]) == 30
