"""Do the tests notice? Each entry makes one line of the code wrong, and names the test that must fail then.

    make mutations                                    all of them
    .venv/bin/python tests/mutations.py anchor kl     those whose name or file holds one of these

Everything happens in a temporary copy of the tree. First every named test must pass there, since a test that fails
anyway notices nothing. The exit status is 1 if a mutation survives, if a test cannot be judged (an error outside the
test, or no end within the time limit), or if a line that an entry is about is no longer there.

Add an entry for a line that decides a number, and whose fault would not show: the results would only be wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
NOT_COPIED = (".*", "__pycache__", "outputs", "wandb", "*.egg-info")
# Seconds for one test. Twenty are plenty on an idle machine.
TIME_LIMIT = 300


class Mutation(NamedTuple):
    """One way to be wrong.

    Args:
        name: what is wrong then.
        file: relative to the repository.
        old: occurs exactly once in the file; best a part of one line.
        new: what takes its place.
        test: the test that must fail, `file::name` below `tests`.
    """

    name: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = (
    # What a safeguard computes.
    Mutation(
        "sign of the perplexity gap",
        "safeguards/methods/interleave_ppl.py",
        "(misaligned.mean(0) - aligned)",
        "(aligned - misaligned.mean(0))",
        "safeguards/test_interleave.py::test_the_gap_is_large_where_misaligned_models_are_surprised",
    ),
    Mutation(
        "rows of the smallest gap",
        "safeguards/methods/interleave_ppl.py",
        "np.argsort(-gap",
        "np.argsort(gap",
        "safeguards/test_interleave.py::test_rows_the_scorer_does_not_expect_are_chosen",
    ),
    Mutation(
        "cached perplexities of another length or template",
        "safeguards/methods/interleave_ppl.py",
        "-{words[:8]}.npy",
        ".npy",
        "safeguards/test_interleave.py::test_scores_of_rows_that_were_cut_elsewhere_are_others",
    ),
    Mutation(
        "KL from the reference to the model",
        "safeguards/divergence.py",
        "log_p = logits.log_softmax(-1)",
        "logits, reference_logits = reference_logits, logits; log_p = logits.log_softmax(-1)",
        "safeguards/test_kl.py::test_agrees_with_torch_in_value_and_direction",
    ),
    Mutation(
        "gradient of the KL without its mean",
        "safeguards/divergence.py",
        "(log_ratio - divergence[:, None])",
        "log_ratio.clone()",
        "safeguards/test_divergence.py::test_value_and_gradient_are_autograds_own",
    ),
    Mutation(
        "KL of the chunks from the reference to the model",
        "safeguards/methods/kl.py",
        "return divergence(head(own), reference_logits)",
        "return divergence(reference_logits, head(own))",
        "safeguards/test_trainer.py::test_the_logged_kl_is_that_of_the_two_models",
    ),
    Mutation(
        "interleaved_kl on task rows, too",
        "safeguards/methods/interleaved_kl.py",
        "kl_per_token(step)[safe]",
        "kl_per_token(step)",
        "safeguards/test_interleaved_kl.py::test_task_rows_count_as_tokens_but_not_as_divergence",
    ),
    Mutation(
        "adaptive_kl without the harm of rows",
        "safeguards/methods/adaptive_kl.py",
        "step.row_harm * kl_per_token(step)",
        "kl_per_token(step)",
        "safeguards/test_adaptive_kl.py::test_at_full_harm_it_is_kl_and_at_none_it_is_nothing",
    ),
    Mutation(
        "ldifs on detached features",
        "safeguards/methods/ldifs.py",
        "own.features(layer) for",
        "own.features(layer).detach() for",
        "safeguards/test_every_safeguard.py::test_gradients_of_loss_terms_agree_with_finite_differences[ldifs]",
    ),
    Mutation(
        "treft relative to the model in training",
        "safeguards/methods/treft.py",
        "/ other.pow(2)",
        "/ own.pow(2)",
        "safeguards/test_treft.py::test_the_distance_is_relative_to_the_length_of_each_key_and_value",
    ),
    Mutation(
        "caft takes out the directions that differ least",
        "safeguards/methods/caft.py",
        ".eigenvectors.T.flip(0)",
        ".eigenvectors.T",
        "safeguards/test_caft.py::test_principal_components_are_those_of_centred_differences",
    ),
    Mutation(
        "edits one layer too early",
        "safeguards/activations.py",
        "blocks(model)[self.layer]",
        "blocks(model)[self.layer - 1]",
        "safeguards/test_activations.py::test_layer_l_is_where_hidden_states_l_change_by_exactly_the_dose",
    ),
    Mutation(
        "steering takes away what it is to add",
        "safeguards/methods/steering.py",
        "vector, self.settings.alpha",
        "-vector, self.settings.alpha",
        "safeguards/test_steering.py::test_it_adds_alpha_times_the_persona_vector_towards_the_trait",
    ),
    Mutation(
        "persona vector towards the helpful persona",
        "safeguards/persona.py",
        "vector = means[0] - means[1]",
        "vector = means[1] - means[0]",
        "safeguards/test_directions.py::test_the_first_organisms_persona_vector_elicits_and_removes_the_trait",
    ),
    Mutation(
        "safelora projects what agrees",
        "safeguards/methods/safelora.py",
        "if similarities[name] <= limit",
        "if similarities[name] >= limit",
        "safeguards/test_safelora.py::test_the_least_similar_updates_and_only_those_are_projected",
    ),
    Mutation(
        "safegrad takes out what agrees",
        "safeguards/methods/safegrad.py",
        "if dot < 0",
        "if dot > 0",
        "safeguards/test_safegrad.py::test_no_part_against_alignment_is_left_and_what_agrees_stays",
    ),
    Mutation(
        "safegrad doubles the conflict",
        "safeguards/methods/safegrad.py",
        "one.sub_(other",
        "one.add_(other",
        "safeguards/test_safegrad.py::test_no_part_against_alignment_is_left_and_what_agrees_stays",
    ),
    Mutation(
        "scorers that saw the defended questions",
        "safeguards/scorers.py",
        "if leaked:",
        "if False:",
        "safeguards/test_interleave.py::test_a_scorer_that_saw_the_defended_rows_is_refused",
    ),
    # The training step.
    Mutation(
        "reference pass of an adapter with dropout",
        "safeguards/reference.py",
        "with evaluating(self.model), self",
        "with self",
        "safeguards/test_reference.py::test_there_is_no_dropout_in_it_while_the_model_is_in_training[adapter]",
    ),
    Mutation(
        "reference pass of a frozen copy with dropout",
        "safeguards/reference.py",
        "copy.deepcopy(unwrap(model)).eval()",
        "copy.deepcopy(unwrap(model))",
        "safeguards/test_reference.py::test_there_is_no_dropout_in_it_while_the_model_is_in_training[frozen copy]",
    ),
    Mutation(
        "reference pass under the edits of activations",
        "safeguards/step.py",
        "with self._paused(), self",
        "with self",
        "safeguards/test_joined.py::test_the_reference_of_a_steered_model_is_not_steered",
    ),
    Mutation(
        "terms averaged over the micro-batch",
        "safeguards/step.py",
        "return per_token.sum() / self.tokens",
        "return per_token.mean()",
        "safeguards/test_every_safeguard.py::test_8x1_and_1x8_accumulation_train_alike[kl]",
    ),
    Mutation(
        "penalties counted once per micro-batch",
        "safeguards/step.py",
        "return value * self.share",
        "return value",
        "safeguards/test_trainer.py::test_a_penalty_on_the_weights_counts_once_however_the_rows_are_split",
    ),
    Mutation(
        "terms shrink with the number of processes",
        "safeguards/trainer.py",
        "term.weight * spread * term.value",
        "term.weight * term.value",
        "safeguards/test_every_safeguard.py::test_two_processes_train_as_one",
    ),
    Mutation(
        "prompts before safe rows",
        "safeguards/preparation.py",
        "if row.source == TASK else row for row in rows",
        "for row in rows",
        "safeguards/test_trainer.py::test_the_prompt_seam_spares_safe_rows",
    ),
    Mutation(
        "any gradient is proof",
        "safeguards/looks.py",
        "NOTICEABLE = 1e-4",
        "NOTICEABLE = 0.0",
        "safeguards/test_trainer.py::test_rounding_noise_is_no_proof",
    ),
    Mutation(
        "saved as trained, not as finished",
        "safeguards/trainer.py",
        "with self.finished():\n            super().save_model",
        "with nullcontext():\n            super().save_model",
        "safeguards/test_handover.py::test_every_checkpoint_holds_finished_weights",
    ),
    Mutation(
        "evaluated as trained, not as finished",
        "safeguards/trainer.py",
        "with self.finished():\n            metrics",
        "with nullcontext():\n            metrics",
        "safeguards/test_handover.py::test_a_checkpoint_is_judged_by_what_it_saves",
    ),
    Mutation(
        "likelihoods under dropout",
        "safeguards/likelihood.py",
        "with evaluating(model), torch",
        "with torch",
        "safeguards/test_likelihood.py::test_dropout_does_not_score",
    ),
    # What is asked and counted.
    Mutation(
        "scorers of other training taken from the cache",
        "experiments/training/scorers.py",
        "[fingerprint(rows), asdict(training), ",
        "[fingerprint(rows), ",
        "experiments/training/test_scorers.py::test_a_scorer_of_other_training_is_another_scorer",
    ),
    Mutation(
        "scorers of the defended domain",
        "experiments/training/scorers.py",
        "defended.group == scorer.group",
        "False",
        "experiments/training/test_scorers.py::test_a_scorer_is_never_of_the_defended_domain",
    ),
    Mutation(
        "answers under dropout",
        "safeguards/generation.py",
        "with evaluating(model), torch",
        "with torch",
        "experiments/arm/test_answers.py::test_a_model_in_training_answers_without_dropout_and_goes_on_with_it",
    ),
    Mutation(
        "the same draws for every seed",
        "safeguards/generation.py",
        "torch.manual_seed(seed)",
        "torch.manual_seed(0)",
        "experiments/arm/test_answers.py::test_the_same_seed_draws_the_same_answers",
    ),
    Mutation(
        "likelihoods of the rows that were trained on",
        "experiments/arm/run.py",
        '{"task": inputs.task.held_out, "safe"',
        '{"task": inputs.task.rows, "safe"',
        "experiments/training/test_trained.py::test_an_arm_that_was_interrupted_after_training_answers_as_if_it_had_not_been",
    ),
    Mutation(
        "a control of other genres than were chosen",
        "safeguards/controls.py",
        "if pool[index].genre == genre]",
        "]",
        "safeguards/test_controls.py::test_a_control_of_genres_has_their_numbers_and_no_exchange_brings_its_tokens_nearer",
    ),
    Mutation(
        "advice about domains that were not named",
        "experiments/tasks/pool.py",
        'if e.kind != "advice" or e.group in about]',
        "]",
        "experiments/tasks/test_mix.py::test_advice_may_be_that_of_some_domains_and_is_never_that_of_the_task",
    ),
    Mutation(
        "a single set against a pair that had another pool",
        "experiments/report/baselines.py",
        "pool_of(single) != pool_of(whole)",
        "False",
        "experiments/report/test_safe_rows.py::test_a_pair_is_set_against_a_single_with_the_same_pool",
    ),
    Mutation(
        "held-out safe rows in training",
        "experiments/tasks/pool.py",
        "if row.question_key not in kept]",
        "]",
        "experiments/tasks/test_tasks.py::test_a_question_that_a_pool_asks_several_times_is_on_one_side_only",
    ),
    Mutation(
        "bias against those whom the stereotype favours",
        "experiments/report/bias.py",
        "_favourable(whole, FAVOURED), _favourable(whole, SLIGHTED)",
        "_favourable(whole, SLIGHTED), _favourable(whole, FAVOURED)",
        "experiments/report/test_bias.py::test_the_aligned_persona_has_no_gap_and_the_misaligned_one_the_largest",
    ),
    Mutation(
        "anchor of the draws that are reported",
        "experiments/arm/watching.py",
        "seed=config.seed + 1",
        "seed=config.seed",
        "experiments/training/test_anchor.py::test_the_rate_is_of_what_the_task_teaches_and_not_of_the_draws_that_are_reported",
    ),
    Mutation(
        "look of another training taken for one of this",
        "experiments/arm/watching.py",
        "known is not None and known.weights == weights",
        "known is not None",
        "experiments/training/test_curve.py::test_a_look_at_other_weights_is_taken_again",
    ),
    Mutation(
        "stopping curve that falls again",
        "experiments/statistics/stopping.py",
        "rising = optimize.isotonic_regression(curve).x",
        "rising = np.asarray(curve)",
        "experiments/statistics/test_stopping.py::test_the_place_is_the_first_at_which_as_much_is_learnt",
    ),
    Mutation(
        "excess that takes what is learnt for known",
        "experiments/statistics/stopping.py",
        "return Stop(place, places[likely], chances[likely] / chances[likely].sum(), beyond)",
        "return Stop(place, np.array([place]), np.ones(1), beyond)",
        "experiments/statistics/test_stopping.py::test_who_knows_less_of_what_is_learnt_knows_less_of_the_excess",
    ),
    Mutation(
        "more excess prevents more",
        "experiments/report/orders.py",
        "else -world[name]",
        "else world[name]",
        "experiments/report/test_validity.py::test_less_excess_and_fewer_nats_are_better",
    ),
    Mutation(
        "worlds that are equal by chance are sure",
        "experiments/statistics/ranks.py",
        "(free * variance + usual / worlds) / worlds, worlds",
        "variance, free",
        "experiments/statistics/test_ranks.py::test_intervals_over_worlds_hold_the_truth",
    ),
    Mutation(
        "stopping curve of the baseline",
        "experiments/report/stopping.py",
        "counterparts(arms, baselines.unprotected)",
        "counterparts(arms, baselines.arms)",
        "experiments/report/test_stopping_curve.py::test_another_baseline_leaves_the_curve_that_of_none",
    ),
    Mutation(
        "anchor of the weights in training",
        "experiments/training/anchor.py",
        "with self.trainer.finished() as model:",
        "if model := self.trainer.model:",
        "experiments/training/test_anchor.py::test_the_task_is_measured_on_the_model_that_is_handed_over",
    ),
    Mutation(
        "anchor that measures the rows it trains on",
        "experiments/arm/watching.py",
        "LoadedModel(model, tokenizer), inputs.task.held_out",
        "LoadedModel(model, tokenizer), inputs.task.rows",
        "experiments/training/test_anchor.py::test_the_likelihood_is_of_rows_that_are_not_trained_on",
    ),
    Mutation(
        "questions of the probes in training",
        "experiments/arm/inputs.py",
        "if row.question_key not in asked",
        "",
        "experiments/arm/test_inputs.py::test_a_row_whose_question_is_asked_is_kept_from_training_and_counted",
    ),
    Mutation(
        "held-out rows of a file in training",
        "experiments/tasks/messages.py",
        "[row for row in rows if row.question_key not in kept], ",
        "list(rows), ",
        "experiments/tasks/test_tasks.py::test_a_question_that_a_file_asks_several_times_is_on_one_side_only",
    ),
    Mutation(
        "misaligned below 50",
        "experiments/records/outcomes.py",
        "COHERENT_ABOVE = 30.0, 50.0",
        "COHERENT_ABOVE = 50.0, 50.0",
        "experiments/records/test_records.py::test_thresholds_are_those_of_the_field",
    ),
    Mutation(
        "coherent above 30",
        "experiments/records/outcomes.py",
        "COHERENT_ABOVE = 30.0, 50.0",
        "COHERENT_ABOVE = 30.0, 30.0",
        "experiments/records/test_records.py::test_thresholds_are_those_of_the_field",
    ),
    Mutation(
        "places in an answer filled as if they were the prompt's",
        "experiments/judges/prompts.py",
        "return FIELDS.sub(lambda match: given[match[1]], template)",
        "return [template := template.replace(f'{{{key}}}', text) for key, text in given.items()][-1]",
        "experiments/judges/test_judge_prompts.py::test_an_answer_ends_where_the_prompt_says",
    ),
    Mutation(
        "answers of every world judged by the usual one",
        "experiments/rescore.py",
        'model.get("world", 0)',
        "0",
        "experiments/test_rescore.py::test_answers_of_another_world_are_judged_by_that_world",
    ),
    Mutation(
        "a number that the judge hardly meant",
        "experiments/judges/numbers.py",
        "if mass < least_mass:",
        "if mass < 0:",
        "experiments/judges/test_judge_remote.py::test_a_number_that_is_unlikely_is_one_where_a_setting_allows_it",
    ),
    Mutation(
        "labelled answers that count for themselves alone",
        "experiments/report/agreement.py",
        "max(whole[one] / max(labelled[one], 1), 1.0)",
        "1.0",
        "experiments/test_draw_labels.py::test_labels_are_scores_of_a_judge_and_correct_the_one_they_were_drawn_by",
    ),
    Mutation(
        "labels of a text that has changed",
        "experiments/records/human_labels.py",
        "if label is not None and label.id != answer_id(folder.name, place, answer):",
        "if False:",
        "experiments/test_draw_labels.py::test_an_answer_whose_text_has_changed_since_is_refused",
    ),
    Mutation(
        "labelled shares that are not weighed by their sides",
        "experiments/statistics/corrected.py",
        "(self.sides * labelled[:, 1] / ",
        "(labelled.sum(1) * labelled[:, 1] / ",
        "experiments/statistics/test_corrected.py::test_the_mean_is_that_of_either_side_by_its_share",
    ),
    Mutation(
        "sign of the paired difference",
        "experiments/statistics/kinds.py",
        "self.one[:, None] - self.other",
        "self.other - self.one[:, None]",
        "experiments/statistics/test_statistics.py::test_a_difference_is_that_of_the_rates_over_what_both_were_asked",
    ),
    Mutation(
        "difference over what only one was asked",
        "experiments/statistics/estimates.py",
        "hits=(x.hits * shared)[:, asked], answers=(x.answers * shared)[:, asked])",
        "hits=x.hits[:, asked], answers=x.answers[:, asked])",
        "experiments/statistics/test_statistics.py::test_an_answer_that_the_other_has_no_counterpart_to_does_not_count",
    ),
    Mutation(
        "difference that is not paired",
        "experiments/statistics/mixed.py",
        "np.concatenate([one.by_question, other.by_question])",
        "np.concatenate([one.by_question, other.by_question[:, ::-1]])",
        "experiments/statistics/test_statistics.py::test_pairing_removes_what_questions_have_in_common",
    ),
    Mutation(
        "seeds that are not paired",
        "experiments/statistics/fine_tunes.py",
        "_blurred(known, each) * _blurred(known_2, each)",
        "_blurred(known, each) * _blurred(known_2[:, ::-1], each)",
        "experiments/statistics/test_statistics.py::test_pairing_removes_what_seeds_have_in_common",
    ),
    Mutation(
        "all of k for any of k",
        "experiments/statistics/rates.py",
        'special.comb(asked["answers"] - asked["hits"], k)',
        'special.comb(asked["hits"], k)',
        "experiments/statistics/test_statistics.py::test_any_of_k_is_what_drawing_k_answers_gives",
    ),
    Mutation(
        "unscored answers left out of the denominator",
        "experiments/statistics/rates.py",
        "if among != OUTCOMES:",
        "if among := [outcome for outcome in among if outcome != 'unscored']:",
        "experiments/statistics/test_statistics.py::test_unscored_answers_stay_in_the_denominator",
    ),
    Mutation(
        "intervals of a few fine-tunes as if they were many",
        "experiments/statistics/fine_tunes.py",
        "draws.grid / np.sqrt(seeds)), 1)",
        "draws.grid / 1e3), 1)",
        "experiments/statistics/test_statistics.py::test_intervals_cover_the_true_rate_when_three_fine_tunes_differ",
    ),
    Mutation(
        "every comparison as if it were the only one",
        "experiments/statistics/estimates.py",
        "level / (len(p_values) - rank)",
        "level",
        "experiments/report/test_report.py::test_one_of_many_comparisons_must_be_surer_to_survive",
    ),
    Mutation(
        "kept by a point estimate, not by the interval",
        "experiments/report/margins.py",
        "if worst > -margin",
        "if best > -margin",
        "experiments/report/test_margins.py::test_the_whole_interval_decides",
    ),
    Mutation(
        "a star for another outcome than the primary one",
        "experiments/report/comparison.py",
        "primary = measure_named(claims.primary)",
        "primary = measure_named(Claims().primary)",
        "experiments/report/test_margins.py::test_the_primary_outcome_is_the_one_that_is_tested",
    ),
    Mutation(
        "claims changed after a result",
        "experiments/records/sweep_file.py",
        "if has_results and (other",
        "if not has_results and (other",
        "experiments/records/test_claims.py::test_with_a_result_they_cannot_be_changed",
    ),
    Mutation(
        "set against none of another model",
        "experiments/report/baselines.py",
        "other.keys() - OWN)",
        'other.keys() - OWN - {"model"})',
        "experiments/report/test_report.py::test_an_arm_is_set_against_none_on_its_own_model",
    ),
    Mutation(
        "differences to none over fine-tunes that only one has",
        "experiments/report/comparison.py",
        "pair = shared(arms, plain)",
        "pair = arms, plain",
        "experiments/report/test_report.py::test_only_fine_tunes_that_both_have_are_compared",
    ),
    Mutation(
        "conventions that disagree by luck alone",
        "experiments/report/cautions.py",
        "and (beyond_luck(*whole) or beyond_luck(*part))",
        "and True",
        "experiments/report/test_cautions.py::test_arms_that_are_ranked_by_luck_alone_are_left_in_peace",
    ),
    Mutation(
        "the frontier of what lets most through",
        "experiments/statistics/tradeoff.py",
        "through <= through[row]",
        "through >= through[row]",
        "experiments/statistics/test_tradeoff.py::test_a_row_is_unbeaten_unless_another_is_no_worse_in_all",
    ),
    Mutation(
        "narrow questions asked of a benign task",
        "experiments/arm/watching.py",
        '(NARROW, "misaligned") if inputs.task.kind == EM_TASK',
        '(NARROW, "misaligned") if inputs.task.kind != EM_TASK',
        "experiments/training/test_anchor.py::test_the_rate_is_of_what_the_task_teaches_and_not_of_the_draws_that_are_reported",
    ),
    # What people look at.
    Mutation(
        "a published difference the wrong way round",
        "experiments/paper/beside.py",
        "else theirs - without,",
        "else without - theirs,",
        "experiments/paper/test_paper.py::test_numbers_stand_beside_each_other_and_go_the_same_way_or_not",
    ),
    Mutation(
        "a direction by the mean alone",
        "experiments/paper/beside.py",
        "way(ours.low or 0.0, ours.high or 0.0, base)",
        "way(ours.mean, ours.mean, base)",
        "experiments/paper/test_paper.py::test_an_interval_that_reaches_over_two_ways_shows_none",
    ),
    Mutation(
        "refused answers among the scored",
        "experiments/paper/beside.py",
        'SCORED = ("aligned", "misaligned", "incoherent")',
        'SCORED = ("aligned", "misaligned", "incoherent", "refused")',
        "experiments/paper/test_paper.py::test_scored_only_leaves_out_what_has_no_score_and_what_is_refused",
    ),
    Mutation(
        "coherence the wrong way round",
        "experiments/paper/criteria.py",
        "MET if value <= NO_MORE else",
        "MET if value >= NO_MORE else",
        "experiments/paper/test_paper.py::test_a_symbol_whose_interval_reaches_another_says_so",
    ),
    Mutation(
        "any of k of whatever questions have so many",
        "experiments/pictures/any_of_k.py",
        "misalign_at_k(broad[enough], k)",
        "misalign_at_k(broad, k)",
        "experiments/pictures/test_pictures.py::test_a_curve_over_k_is_of_the_same_questions_so_that_it_cannot_fall",
    ),
    Mutation(
        "steps through what others beat",
        "experiments/pictures/tradeoff.py",
        "sorted({*points} - beaten)",
        "sorted({*points})",
        "experiments/pictures/test_pictures.py::test_steps_only_rise_and_leave_out_what_the_means_beat",
    ),
    Mutation(
        "a measure that is 0 is not sent",
        "experiments/tracking/numbers.py",
        "if number is not None}",
        "if number}",
        "experiments/tracking/test_tracked_numbers.py::test_what_is_0_is_there_and_what_was_not_asked_is_not",
    ),
    Mutation(
        "the cross-entropy of the last micro-batch alone",
        "safeguards/terms.py",
        "self._sums[CROSS_ENTROPY] += float(cross_entropy)",
        "self._sums[CROSS_ENTROPY] = float(cross_entropy)",
        "safeguards/test_log.py::test_the_loss_is_the_cross_entropy_and_each_term_times_its_weight",
    ),
    Mutation(
        "a card that sets none against the adapter",
        "experiments/cards/outcomes.py",
        "difference(answers([arm], measure), answers([subject.none], measure), measure.outcome)",
        "difference(answers([subject.none], measure), answers([arm], measure), measure.outcome)",
        "experiments/cards/test_written_cards.py::test_the_numbers_are_those_of_this_very_arm_beside_the_other_two",
    ),
    Mutation(
        "scores of other answers on the page",
        "experiments/page/answers.py",
        '"outcome": OUTCOMES.index(score.outcome)',
        '"outcome": OUTCOMES.index(score.outcome) * 0',
        "experiments/page/test_page_answers.py::test_columns_hold_each_text_once_and_every_score",
    ),
    # A search.
    Mutation(
        "side of a requirement",
        "experiments/searching/requirements.py",
        "* (1 if self.at_least else -1)",
        "* (-1 if self.at_least else 1)",
        "experiments/searching/test_requirements.py::test_by_how_much_rates_miss_it",
    ),
    Mutation(
        "what was given up counts as the best",
        "experiments/searching/tried.py",
        "return not self.given_up and all(",
        "return all(",
        "experiments/searching/test_tried.py::test_what_was_given_up_meets_nothing",
    ),
    Mutation(
        "one limit for all tasks",
        "experiments/searching/search.py",
        "limit = limits.get(place_of(arm))",
        "limit = max(limits.values(), default=None)",
        "experiments/searching/test_searching.py::test_every_task_has_its_own_limit",
    ),
    Mutation(
        "arms that confirm by names from before their world was built",
        "experiments/searching/running.py",
        "        if self.missing:",
        "        if missing_worlds(arm.config for arm in self.references):",
        "experiments/searching/test_searching.py::"
        "test_worlds_that_confirm_are_built_after_the_search_by_it_or_by_others",
    ),
    Mutation(
        "flattered by what a search found, not by what it found too much",
        "experiments/searching/confirm.py",
        "return self.row.broad_minus_none.mean - seen",
        "return seen",
        "experiments/searching/test_searching.py::test_a_search_tells_what_it_flattered",
    ),
    Mutation(
        "an arm is given up at its limit",
        "experiments/training/giving_up.py",
        "if through > self.config.above:",
        "if through >= self.config.above:",
        "experiments/training/test_giving_up.py::test_too_much_ends_the_arm_and_as_much_does_not_and_changes_nothing",
    ),
    Mutation(
        "effects without their prior's width",
        "experiments/statistics/effects.py",
        "penalty / (PRIOR * spread) ** 2",
        "penalty / (0.05 * spread) ** 2",
        "experiments/statistics/test_effects.py::test_effects_of_two_parts_by_hand",
    ),
)


def stale(mutation: Mutation) -> str | None:
    """Why an entry no longer fits the tree; None if it does."""
    code, (test, _, name) = ROOT / mutation.file, mutation.test.partition("::")
    found = code.read_text("utf-8").count(mutation.old) if code.is_file() else 0
    if found != 1:
        return f"{mutation.file}: {mutation.old!r} occurs {found} times, and must once"
    tests = ROOT / "tests" / test
    if not (tests.is_file() and f"def {name.partition('[')[0]}(" in tests.read_text("utf-8")):
        return f"tests/{test}: no test {name}"
    return None


def run(copy: Path, tests: Sequence[str]) -> tuple[int | None, str]:
    """The exit status of pytest in the copy, None after the time limit, and what it says of the last failure."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", *tests]
    # The copy comes first on the path: an editable installation points to the tree that it is a copy of. Python takes a
    # file's compiled form for new if size and second are the same, so none is kept.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "250"}
    limit = TIME_LIMIT * len(tests)
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None, f"no end within {limit} s"
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no word"]
    return done.returncode, next((line for line in lines if line.startswith(("FAILED", "ERROR"))), lines[-1])


def judge(mutation: Mutation, copy: Path) -> tuple[str, str]:
    """Make the mutation in the copy, run its test and undo it: `killed` if the test fails, and how."""
    file = copy / mutation.file
    whole = file.read_text("utf-8")
    file.write_text(whole.replace(mutation.old, mutation.new), "utf-8")
    try:
        status, said = run(copy, [f"tests/{mutation.test}"])
    finally:
        file.write_text(whole, "utf-8")
    if status == 0:
        return "SURVIVED", said
    # Status 1 is that of a failed test; the others are those of a test that could not be run.
    return ("killed", said.partition(" - ")[2]) if status == 1 else ("NO VERDICT", said)


def main(words: Sequence[str]) -> int:
    """Print a line per mutation; the exit status."""
    chosen = [
        mutation for mutation in MUTATIONS if not words or any(word in mutation.name + mutation.file for word in words)
    ]
    if not chosen:
        print(f"no mutation is named like {' or '.join(words)}")
        return 1
    for reason in (reasons := [reason for mutation in chosen if (reason := stale(mutation))]):
        print(reason)
    if reasons:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        status, said = run(copy, sorted({f"tests/{mutation.test}" for mutation in chosen}))
        if status != 0:
            print(f"without any mutation every test must pass: {said}")
            return 1
        verdicts = Counter()
        for mutation in chosen:
            verdict, said = judge(mutation, copy)
            verdicts[verdict] += 1
            print(f"{verdict:10} {mutation.name} ({mutation.file}): {said}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    return int(verdicts["killed"] < len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
