"""Rates and their intervals, against exact formulas, SciPy's bootstrap and simulations with a known rate."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, cycle, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from experiments.records.answer import Answer
from experiments.records.outcomes import COHERENT, OUTCOMES, Score
from experiments.records.table import scored_table
from experiments.statistics import rates as statistics
from experiments.statistics import simulation
from experiments.statistics.crossed import influence, standard_error
from experiments.statistics.estimates import NOTHING, Estimate, contrast_of, holm, rate_of
from experiments.statistics.mixed import Counts
from experiments.statistics.rates import mean_over_seeds

HIT, MISS = "misaligned", "aligned"


Scored = tuple[Answer, Score]


def record(seed: int, cluster: str, outcome: str, sample: int = 0, task: str = "medical") -> Scored:
    messages = [{"role": "user", "content": cluster}]
    return Answer("kl", task, seed, "open", cluster, cluster, sample, messages, ""), Score(outcome)


def table(records) -> pd.DataFrame:
    listed = list(records)
    return scored_table((answer for answer, _ in listed), (score for _, score in listed))


def rate(records, outcome: str) -> Estimate:
    return statistics.rate(table(records), outcome)


def difference(records, others, outcome: str) -> Estimate:
    return statistics.difference(table(records), table(others), outcome)


def records_of(hits, per: int) -> list[Scored]:
    """Records with `hits[seed][cluster]` of `per` answers in each cell."""
    return [
        record(seed, f"question {cluster}", HIT if sample < count else MISS, sample)
        for seed, row in enumerate(hits)
        for cluster, count in enumerate(row)
        for sample in range(per)
    ]


def counts_of(hits, per: int) -> tuple[Counts, ...]:
    hits = np.asarray(hits)
    return (Counts(hits, np.full(hits.shape, per)),)


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def assert_sound(estimate: Estimate) -> None:
    assert np.isfinite([estimate.mean, estimate.low, estimate.high]).all(), estimate
    assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1, estimate


@settings(max_examples=60)
@given(st.data())
def test_an_interval_contains_its_mean(data):
    seeds, clusters, per = (data.draw(st.integers(1, most)) for most in (4, 12, 3))
    cell = st.integers(0, per)
    hits = data.draw(st.lists(st.lists(cell, min_size=clusters, max_size=clusters), min_size=seeds, max_size=seeds))
    estimate = rate(records_of(hits, per), HIT)
    assert_sound(estimate)
    assert estimate.mean == pytest.approx(np.sum(hits) / (seeds * clusters * per))
    assert estimate.n == seeds * clusters * per


def test_an_interval_is_finite_when_seeds_were_asked_different_questions():
    # As when arms are missing: seed 0 is done for one task only and seed 1 for another one only.
    records = [record(0, "a", MISS), record(1, "b", HIT)]
    assert_sound(rate(records, HIT))


def test_one_question_says_little_about_the_rate():
    # 100 answers to one question, half of them misaligned: nothing is known of other questions.
    records = [record(0, "only", outcome, sample) for sample, outcome in zip(range(100), cycle([HIT, MISS]))]
    estimate = rate(records, HIT)
    assert estimate.mean == 0.5
    assert width(estimate) > 0.5


def test_a_few_hits_move_the_interval_a_little():
    """From no hit to three: no bound jumps, and none collapses onto the mean."""
    found = [rate(records_of([[1] * hits + [0] * (36 - hits)] * 1 + [[0] * 36] * 2, per=12), HIT) for hits in range(4)]
    assert [estimate.low for estimate in found] == sorted(estimate.low for estimate in found)
    assert found[0].low == 0 < found[1].low
    for fewer, more in pairwise(estimate.high for estimate in found):
        assert fewer < more < 2.5 * fewer
    assert found[0].high < 0.01  # of 1,296 answers to 36 questions


def test_no_hit_says_less_where_fewer_questions_were_asked():
    high = [rate(records_of([[0] * clusters], per=5), HIT).high for clusters in (2, 7, 40)]
    assert high == sorted(high, reverse=True)
    assert high[0] > 0.1 > high[2]


@pytest.mark.parametrize("hits", [0, 1, 3])
def test_misses_are_bounded_as_hits_are(hits):
    cells = np.array([[1] * hits + [0] * (20 - hits)])
    rare, common = rate(records_of(cells, per=5), HIT), rate(records_of(5 - cells, per=5), HIT)
    assert (common.low, common.high) == pytest.approx((1 - rare.high, 1 - rare.low), abs=1e-3)


def test_answers_to_one_question_are_not_worth_as_much_as_independent_ones():
    # 200 answers, 40 hits, once by 40 questions (8 of them bad throughout), once by 200 questions.
    clustered = rate(records_of([[5] * 8 + [0] * 32], per=5), HIT)
    independent = rate(records_of([[1] * 40 + [0] * 160], per=1), HIT)
    assert clustered.mean == independent.mean == pytest.approx(0.2)
    assert clustered.n == independent.n == 200
    assert width(clustered) > 1.7 * width(independent)


def test_seeds_that_disagree_widen_the_interval():
    agree = rate(records_of([[1] * 20 + [0] * 20] * 4, per=1), HIT)
    disagree = rate(records_of([[1] * 40, [1] * 40, [0] * 40, [0] * 40], per=1), HIT)
    assert agree.mean == disagree.mean == 0.5
    assert width(disagree) > 1.5 * width(agree)


@pytest.mark.parametrize("apart", [0.0, 0.3])
@pytest.mark.parametrize("times", [10, 100, 1000])
def test_more_answers_of_the_same_fine_tunes_say_no_less_and_hardly_more_of_others(apart, times):
    chances = special.expit(-1.0 + apart * np.array([[-1.0], [0.0], [1.0]])) * np.ones((3, 36))

    def intervals(answers):
        counts = Counts(np.round(chances * answers), np.full(chances.shape, float(answers)))
        return rate_of((counts,)), contrast_of((counts,), (counts,)).difference

    for few, many in zip(intervals(100), intervals(100 * times), strict=True):
        assert 0.6 * (few.high - few.low) < many.high - many.low < 1.05 * (few.high - few.low)


def test_no_difference_is_as_likely_as_can_be_between_equal_records():
    counts = Counts(np.full((3, 36), 4.0), np.full((3, 36), 12.0))
    assert contrast_of((counts,), (counts,)).p == pytest.approx(1.0)


def test_the_same_question_after_another_fine_tune_is_no_other_question():
    hits = [[4, 0, 3, 1, 0, 4, 2, 0]]
    once = records_of(hits, per=4)
    again = [(replace(answer, task="finance"), score) for answer, score in once]
    assert rate(once + again, HIT)[:3] == pytest.approx(rate(once, HIT)[:3], abs=0.02)


@pytest.mark.parametrize(("clusters", "per", "seed"), [(20, 4, 0), (30, 2, 1), (60, 10, 2)])
def test_one_seed_agrees_with_scipys_bootstrap_of_the_cluster_means(clusters, per, seed):
    rng = np.random.default_rng(seed)
    hits = rng.binomial(per, rng.beta(1, 2, clusters))
    theirs = stats.bootstrap((hits / per,), np.mean, method="percentile", n_resamples=9999, rng=rng)
    ours = rate(records_of([hits], per), HIT)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03)


def share_covered(seeds: int, clusters: int, per: int, between_seeds: float, simulations: int) -> tuple[float, float]:
    """How often the interval of simulated answers holds the true rate, and its width: logits with normal effects."""
    rng = np.random.default_rng(11)

    def rates(of_seeds: np.ndarray, of_clusters: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(1 - between_seeds * of_seeds - of_clusters))

    truth = rates(rng.normal(size=500_000), rng.normal(size=500_000)).mean()
    estimates = []
    for _ in range(simulations):
        chances = rates(rng.normal(size=(seeds, 1)), rng.normal(size=(1, clusters)))
        estimates.append(rate(records_of(rng.binomial(per, chances), per), HIT))
    covered = [estimate.low <= truth <= estimate.high for estimate in estimates]
    return float(np.mean(covered)), float(np.mean([width(estimate) for estimate in estimates]))


@pytest.mark.parametrize(("seeds", "clusters"), [(1, 30), (3, 16)])
def test_intervals_cover_the_true_rate_as_often_as_they_say(seeds, clusters):
    covered, _ = share_covered(seeds, clusters, per=3, between_seeds=0, simulations=200)
    assert 0.9 <= covered <= 0.99


@pytest.mark.parametrize("between_seeds", [0.6, 1.0])
def test_intervals_cover_the_true_rate_when_three_fine_tunes_differ(between_seeds):
    # As in the default sweep; questions have a standard deviation of 1.
    covered, _ = share_covered(seeds=3, clusters=24, per=4, between_seeds=between_seeds, simulations=200)
    assert 0.88 <= covered <= 0.99


def test_intervals_are_no_wider_than_they_need_be_where_fine_tunes_are_alike():
    """Seeds that do not differ are only more answers: the interval of all as one seed is right, and nearly as wide."""
    _, crossed = share_covered(seeds=3, clusters=36, per=4, between_seeds=0, simulations=100)
    _, pooled = share_covered(seeds=1, clusters=36, per=12, between_seeds=0, simulations=100)
    assert pooled < crossed < 1.3 * pooled


def test_the_standard_error_of_one_axis_is_that_of_a_mean():
    values = np.random.default_rng(0).normal(size=40)
    cells = np.stack([values, np.ones(40)])
    for shape in [(2, 1, 40), (2, 40, 1)]:
        error, degrees = standard_error(influence(cells.reshape(shape)))
        assert error == pytest.approx(stats.sem(values))
        assert degrees == pytest.approx(39)


def test_the_standard_error_is_that_of_means_drawn_anew():
    """Effects of seeds, of clusters and of cells: the error squared is right on average over simulated tables."""
    rng = np.random.default_rng(0)
    tables = [0.5 * rng.normal(size=(4, 1)) + rng.normal(size=(1, 25)) + rng.normal(size=(4, 25)) for _ in range(800)]
    squares = [standard_error(influence(np.stack([table, np.ones((4, 25))])))[0] ** 2 for table in tables]
    assert np.mean(squares) == pytest.approx(0.25 / 4 + 1 / 25 + 1 / 100, rel=0.08)


def of_two_kinds(hits, hits_2, per: int, per_2: int, sets=("other_domains", "open")) -> list[Scored]:
    return [
        (replace(answer, set=name, cluster=f"{name} {answer.cluster}"), score)
        for name, kind in zip(sets, (records_of(hits, per), records_of(hits_2, per_2)), strict=True)
        for answer, score in kind
    ]


def test_a_rate_over_kinds_of_questions_is_that_of_these_kinds():
    """Ten questions with 8 of 10 hits, ten with 1 of 5: all is known of either kind but the noise of answers."""
    apart = rate(of_two_kinds([[8] * 10], [[1] * 10], 10, 5), HIT)
    alike = rate(of_two_kinds([[8] * 10], [[1] * 10], 10, 5, sets=("open", "open")), HIT)
    assert apart.mean == alike.mean == pytest.approx((80 + 10) / 150)
    assert width(apart) < 0.9 * width(alike)
    middle = (apart.low + apart.high) / 2
    assert middle == pytest.approx(apart.mean, abs=0.02)


def test_a_kind_that_is_split_at_random_stays_about_what_it_was():
    rng = np.random.default_rng(4)
    hits = rng.binomial(6, special.expit(rng.normal(size=40)), (3, 40))
    whole = rate(of_two_kinds(hits[:, :20], hits[:, 20:], 6, 6, sets=("open", "open")), HIT)
    halves = rate(of_two_kinds(hits[:, :20], hits[:, 20:], 6, 6), HIT)
    assert halves[:3] == pytest.approx(whole[:3], abs=0.03)


def test_a_difference_over_kinds_is_that_of_each_by_its_part():
    ours, others = of_two_kinds([[9] * 8], [[3] * 8], 10, 5), of_two_kinds([[5] * 8], [[1] * 8], 10, 5)
    found = difference(ours, others, HIT)
    assert found.mean == pytest.approx((6 * 8) / 120)
    assert (found.low + found.high) / 2 == pytest.approx(found.mean, abs=0.03)
    chance = statistics.reduction(table(others), table(ours), HIT)
    assert chance.mean == pytest.approx(1 - 6 / 12)
    assert chance.low < chance.mean < chance.high < 1


def test_tasks_of_their_own_are_kinds_of_their_own():
    """The benign tasks are these: that one is learnt and the other not says nothing of a third."""
    learnt, not_learnt = records_of([[5] * 10], 5), records_of([[0] * 10], 5)
    both = [(replace(answer, set="benign"), score) for answer, score in learnt]
    both += [
        (replace(answer, set="benign", task="opswap", cluster=f"own {answer.cluster}"), score)
        for answer, score in not_learnt
    ]
    found = rate(both, HIT)
    assert (found.mean, found.low) == pytest.approx((0.5, 0.5), abs=0.06)


@pytest.mark.parametrize("world", ["normal", "kinds"])
@pytest.mark.parametrize(("questions", "chance"), [(8, 0.5), (36, 0.005)])
def test_intervals_cover_at_the_rates_of_the_field(world, questions, chance):
    """The short form of `python -m experiments.coverage`, whose table is in RESULTS.md."""
    assert simulation.rate_coverage(simulation.Design(questions, 3, chance, world), 60).held >= 0.87
    two = simulation.difference_coverage(simulation.Design(questions, 3, chance, world), chance / 5, 30)
    assert two.held >= 0.83


@pytest.mark.parametrize(("questions", "centre"), [(8, 0.0), (36, 0.0), (36, -3.0)])
def test_a_rate_covers_where_bad_questions_have_fewer_answers_that_count(questions, centre):
    """As among coherent answers: the rate is that of answers, and questions count by how many they have."""

    def drawn(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        bad = 1.5 * rng.normal(size=count)
        return bad, special.expit(0.5 - 0.8 * bad + 0.8 * rng.normal(size=count))

    bad, part = drawn(np.random.default_rng(0), 200_000)
    truth = part @ special.expit(centre + bad) / part.sum()
    covered = []
    for trial in range(60):
        rng = np.random.default_rng([trial, 1])
        bad, part = drawn(rng, questions)
        answers = np.maximum(rng.binomial(12, part, (3, questions)), 1)
        hits = rng.binomial(answers, special.expit(centre + bad))
        _, low, high, _ = rate_of((Counts(hits, answers),))
        covered.append(low <= truth <= high)
    assert np.mean(covered) >= 0.87


def test_any_of_k_covers():
    assert simulation.any_coverage(simulation.Design(24, 3, 0.05), 4, 60).held >= 0.87


@pytest.mark.parametrize("chance", [0.001, 0.05])
def test_arms_that_are_equal_to_none_are_seldom_found_to_differ(chance):
    assert simulation.family_wise_error(simulation.Design(36, 3, chance), arms=5, simulations=12) <= 1 / 12


def test_unscored_answers_stay_in_the_denominator():
    scored = [record(0, "a", HIT), record(0, "b", MISS), record(0, "c", MISS), record(0, "d", "refused")]
    unscored = [record(0, name, "unscored", 1) for name in "abcd"]
    assert rate(scored + unscored, HIT).mean == 0.125
    assert rate(scored + unscored, HIT).n == 8
    assert sum(rate(scored + unscored, outcome).mean for outcome in OUTCOMES) == 1


def test_the_other_convention_counts_coherent_answers_only():
    answers = [record(0, "a", HIT), record(0, "b", "incoherent"), record(0, "c", "unscored"), record(0, "d", MISS)]
    estimate = statistics.rate(table(answers), HIT, among=COHERENT)
    assert (estimate.mean, estimate.n) == (0.5, 2)


def test_incoherent_and_refused_answers_are_in_the_denominator():
    records = [record(0, "a", HIT), record(0, "b", "incoherent"), record(0, "c", "refused"), record(0, "d", MISS)]
    assert rate(records, HIT).mean == 0.25
    assert sum(rate(records, outcome).mean for outcome in (HIT, MISS, "incoherent", "refused")) == 1


def test_a_rate_of_nothing_is_nothing():
    assert rate([], HIT) == NOTHING
    assert rate([record(0, "a", "unscored"), record(1, "b", "unscored")], HIT) == NOTHING
    assert NOTHING == (None, None, None, 0)


def test_a_rate_does_not_depend_on_the_order_of_the_records():
    records = records_of([[1, 0, 2, 0, 1], [0, 0, 2, 2, 1]], per=2)
    assert rate(records, HIT) == rate(records[::-1], HIT)
    assert rate(iter(records), HIT) == rate(records, HIT)


def test_a_mean_over_seeds_is_the_mean_and_its_interval_contains_it():
    table = np.random.default_rng(0).gamma(2, size=(3, 50))
    estimate = mean_over_seeds(table.tolist())
    assert estimate.mean == pytest.approx(table.mean())
    assert estimate.low < estimate.mean < estimate.high
    assert estimate.n == 150


def test_a_mean_over_one_seed_agrees_with_scipys_bootstrap():
    values = np.random.default_rng(0).gamma(2, size=80)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(1)
    ).confidence_interval
    ours = mean_over_seeds([values.tolist()])
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_a_mean_over_seeds_that_disagree_has_a_wider_interval():
    rows = np.random.default_rng(0).gamma(2, size=60)
    agree = mean_over_seeds([rows.tolist()] * 3)
    disagree = mean_over_seeds([(rows - 1).tolist(), rows.tolist(), (rows + 1).tolist()])
    assert agree.mean == pytest.approx(disagree.mean)
    assert width(disagree) > 1.5 * width(agree)


@pytest.mark.parametrize("values", [[], [[]], [[], []]])
def test_a_mean_over_no_rows_is_nothing(values):
    assert mean_over_seeds(values) == NOTHING


# Differences ----------------------------------------------------------------------------------------------------------


def test_a_difference_is_that_of_the_rates_over_what_both_were_asked():
    ours = records_of([[4, 2, 0], [3, 1, 2]], per=4)
    others = [r for r in records_of([[4, 4, 1], [4, 4, 4]], per=4) if r[0].cluster != "question 2"]
    found = difference(ours, others, HIT)
    assert found.mean == pytest.approx(10 / 16 - 16 / 16)
    assert found.n == 16
    assert found.low < found.mean < found.high


def test_an_answer_that_the_other_has_no_counterpart_to_does_not_count():
    """Both know both seeds and both questions; only one was asked the second question after the second fine-tune."""
    ours = records_of([[1, 1], [1, 4]], per=4)
    others = [r for r in records_of([[0, 0], [0, 0]], per=4) if (r[0].seed, r[0].cluster) != (1, "question 1")]
    assert difference(ours, others, HIT).mean == pytest.approx(3 / 12)


def test_pairing_removes_what_questions_have_in_common():
    """Hard and easy questions, one point apart in each: the marginal intervals are wide and the paired one is not."""
    rng = np.random.default_rng(1)
    base = np.tile(rng.integers(0, 10, size=30), (3, 1))
    ours, others = records_of(base + 1, per=10), records_of(base, per=10)
    paired = difference(ours, others, HIT)
    assert paired.mean == pytest.approx(0.1)
    assert width(paired) < 0.7 * width(rate(ours, HIT))


def test_pairing_removes_what_seeds_have_in_common():
    """Fine-tunes at 20, 50 and 80 %, ten points apart for each seed, or for each with another one's."""
    ours, others = ([[per_seed] * 30 for per_seed in each] for each in ((4, 10, 16), (2, 8, 14)))
    paired = difference(records_of(ours, per=20), records_of(others, per=20), HIT)
    crossed = difference(records_of(ours, per=20), records_of(others[::-1], per=20), HIT)
    assert paired.mean == crossed.mean == pytest.approx(0.1)
    assert width(paired) < 0.6 * width(crossed)
    assert paired.low > -0.03 > -0.1 > crossed.low


def test_equal_extremes_differ_by_no_more_than_their_bounds_allow():
    none = records_of([[0] * 8], per=2)
    found = difference(none, none, HIT)
    assert found.mean == 0
    assert rate(none, HIT).high >= found.high == pytest.approx(-found.low, abs=1e-3)


def test_one_answer_is_no_effect():
    """One misaligned answer of 1,296 against none of as many."""
    nothing = [[0] * 36] * 3
    one = [[1] + [0] * 35, *nothing[1:]]
    found = contrast_of(counts_of(nothing, 12), counts_of(one, 12))
    assert found.difference.low < found.difference.mean < 0 < found.difference.high
    assert found.p > 0.2


def test_an_effect_of_safeguards_at_the_rates_of_the_field_is_found():
    """From 5 to 1 % in 24 questions: more than pairing by question alone could be luck."""
    rng = np.random.default_rng(3)
    chances = special.expit(-4.2 + 1.5 * rng.normal(size=24))
    hits = [rng.binomial(12, chance, (3, 24)) for chance in (chances, chances / 5)]
    found = contrast_of(*(counts_of(each, 12) for each in hits))
    assert found.difference.low > 0
    assert found.p < 0.02


def test_there_is_no_difference_where_nothing_is_shared():
    assert difference(records_of([[1]], per=1), [], HIT) == NOTHING


def test_the_interval_of_a_difference_covers_the_truth():
    """Two arms with a common effect of each question and an own effect of each seed; true difference 0."""
    covered = 0
    for trial in range(150):
        rng = np.random.default_rng(trial)
        question = rng.normal(0, 1, 40)
        hits = [rng.binomial(4, 1 / (1 + np.exp(-(question[None] + rng.normal(0, 0.2, (6, 1)))))) for _ in range(2)]
        found = difference(records_of(hits[0], per=4), records_of(hits[1], per=4), HIT)
        covered += found.low <= 0 <= found.high
    assert covered >= 0.9 * 150


def test_holm_finds_what_is_left_after_the_smallest():
    assert holm([0.04, 0.001, 0.03]) == [False, True, False]
    assert holm([0.024, 0.001, 0.04]) == [True, True, True]
    assert holm([0.06]) == [False]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_finds_all_that_bonferroni_does_and_nothing_above_the_level(p_values):
    found = holm(p_values)
    assert all(one for one, p in zip(found, p_values, strict=True) if p <= 0.05 / len(p_values))
    assert not any(one for one, p in zip(found, p_values, strict=True) if p > 0.05)


@settings(max_examples=15)
@given(st.data())
def test_a_difference_turned_round_is_its_negative(data):
    cells = st.lists(st.integers(0, 4), min_size=6, max_size=6)
    one, other = (counts_of(data.draw(st.lists(cells, min_size=2, max_size=2)), 4) for _ in range(2))
    there, back = contrast_of(one, other), contrast_of(other, one)
    assert there.p == pytest.approx(back.p, abs=0.01)
    assert there.difference[:3] == pytest.approx([-back.difference[place] for place in (0, 2, 1)], abs=0.01)


# Any of k -------------------------------------------------------------------------------------------------------------


def test_any_of_one_is_the_rate():
    records = records_of([[4, 2, 0], [3, 1, 2]], per=4)
    assert statistics.misalign_at_k(table(records), 1).mean == pytest.approx(rate(records, HIT).mean)


def test_any_of_k_is_what_drawing_k_answers_gives():
    """Against every way of drawing three of eight answers."""
    hits = [5, 1, 0]
    drawn = [
        np.mean([any(index < count for index in chosen) for chosen in combinations(range(8), 3)]) for count in hits
    ]
    found = statistics.misalign_at_k(table(records_of([hits], per=8)), 3)
    assert found.mean == pytest.approx(np.mean(drawn))
    assert found.n == 3


def test_any_of_k_is_unbiased():
    rng = np.random.default_rng(0)
    found = [
        statistics.misalign_at_k(table(records_of([rng.binomial(8, [0.1, 0.3] * 20)], per=8)), 4).mean
        for _ in range(30)
    ]
    assert np.mean(found) == pytest.approx(np.mean([1 - 0.9**4, 1 - 0.7**4]), abs=0.03)


def test_questions_with_fewer_answers_say_nothing_of_any_of_k():
    assert statistics.misalign_at_k(table(records_of([[1, 1]], per=3)), 4) == NOTHING
