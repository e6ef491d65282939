"""Directions: found where they are used, believed only when they act, and kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from bench import DIRECTION
from first import MODEL
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel

from experiments.models.load import load_model
from safeguards import Run, SafeguardError
from safeguards.directions import DirectionSettings, ask, cached_tensors, find_shift, random_like, usual_layer
from safeguards.encoding import encode
from safeguards.persona import PersonaSettings, find_persona
from safeguards.states import answer_states, token_states

FIRST = yaml.safe_load((Path(__file__).parents[2] / "conf/model/organism_one.yaml").read_text("utf-8"))["safeguards"][
    "steering"
]


# The persona vector of the first organism: the other has none ---------------------------------------------------------


@pytest.fixture(scope="module")
def organism(tmp_path_factory) -> Run:
    model, tokenizer = load_model(MODEL)
    return Run(model=model, tokenizer=tokenizer, rows=[], cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def settings() -> PersonaSettings:
    return PersonaSettings(**{key: FIRST[key] for key in ("layer", "max_new_tokens", "questions")})


def test_the_first_organisms_persona_vector_elicits_and_removes_the_trait(organism, settings):
    persona = find_persona(organism, settings, "steering")
    assert min(persona.elicits, persona.removes) > settings.gate
    assert organism.notes["steering"]["norm"] == pytest.approx(float(persona.vector.norm()))


def test_a_random_vector_of_equal_norm_does_not_pass_the_gate(organism, settings, monkeypatch):
    """The states from which the vector is made become noise; nothing else does."""
    norm = float(find_persona(organism, settings, "steering").vector.norm())
    noise = iter(random_like(torch.full((2, 1, organism.model.config.hidden_size), 1.0), seed=0))

    def noisy_states(*_: object) -> torch.Tensor:
        state = next(noise)
        return norm * state / state.norm() / 2**0.5

    monkeypatch.setattr("safeguards.persona.answer_states", noisy_states)
    with pytest.raises(SafeguardError, match="persona vector at layer 2 is no good: adding it elicits"):
        find_persona(replace(organism, cache=None), settings, "steering")


def test_a_gate_of_0_lets_any_vector_pass(organism, settings, monkeypatch):
    against = {"vector": torch.ones(3), "elicits": torch.tensor(-0.5), "removes": torch.tensor(-0.5)}
    monkeypatch.setattr("safeguards.persona.extract_persona", lambda *_: against)
    fresh = replace(organism, cache=None)
    assert find_persona(fresh, replace(settings, gate=0.0), "steering").elicits == -0.5
    with pytest.raises(SafeguardError, match=r"adding it elicits -0\.50 .*, and 0\.01 is needed"):
        find_persona(fresh, replace(settings, gate=0.01), "steering")


def test_a_prompt_that_elicits_nothing_is_refused(organism, settings):
    same = replace(settings, elicit=settings.oppose)
    with pytest.raises(SafeguardError, match=r"'You are a kind, helpful assistant\.' elicits nothing from this model"):
        find_persona(organism, same, "steering")


def test_a_vector_is_found_once_and_kept_for_every_dose_and_gate(organism, settings, monkeypatch):
    first = find_persona(organism, settings, "steering")
    monkeypatch.delattr("safeguards.persona.extract_persona")
    again = find_persona(organism, replace(settings, gate=0.05, random=True), "steering")
    assert torch.equal(first.vector, again.vector)
    with pytest.raises(SafeguardError, match=r"and 1000\.0 is needed"):
        find_persona(organism, replace(settings, gate=1000.0), "steering")
    with pytest.raises(NameError):
        find_persona(organism, replace(settings, samples=1), "steering")


# States of answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_states_are_means_of_hidden_states_over_answer_tokens(model, tokenizer, rows, layer):
    found = answer_states(model, tokenizer, rows[:5], layer, batch_size=2)
    for row, state in zip(rows, found, strict=False):
        encoded = encode(tokenizer, row, 2048)
        answered = torch.tensor(encoded["labels"]) != -100
        with torch.no_grad():
            states = model(torch.tensor([encoded["input_ids"]]), output_hidden_states=True).hidden_states
        torch.testing.assert_close(state, states[layer][0, answered].mean(0), atol=1e-5, rtol=1e-5)


def test_states_of_tokens_are_hidden_states_at_answer_tokens(model, tokenizer, rows):
    found = token_states(model, tokenizer, rows[:5], [0, 1], batch_size=2)
    expected = []
    for row in rows[:5]:
        encoded = encode(tokenizer, row, 2048)
        with torch.no_grad():
            states = model(torch.tensor([encoded["input_ids"]]), output_hidden_states=True).hidden_states
        expected.append([state[0, torch.tensor(encoded["labels"]) != -100] for state in states[:2]])
    for layer in (0, 1):
        torch.testing.assert_close(found[layer], torch.cat([states[layer] for states in expected]))


def test_a_shift_is_what_the_scorer_changed_in_its_own_answers(bench):
    """Once more by hand for the first scorer: ask it, then compare both models on what it said."""
    run, settings = bench.run(), DirectionSettings(**DIRECTION)
    layer, shift = find_shift(run, settings, bench.scorers, "caft")
    count = settings.samples * len(settings.questions)
    assert (layer, shift.shape) == (1, (2 * count, 32))
    scorer = PeftModel.from_pretrained(bench.model(), bench.scorers[0]).get_base_model()
    said = ask(scorer, bench.tokenizer, settings, settings.questions, [])
    states = [answer_states(model, bench.tokenizer, said, 1) for model in (scorer, bench.model())]
    torch.testing.assert_close(shift[:count], states[0] - states[1], atol=1e-5, rtol=1e-5)


def test_another_scorer_in_the_same_folder_has_another_shift(bench, tmp_path):
    run, settings = bench.run(cache=tmp_path / "cache"), DirectionSettings(**DIRECTION)
    shutil.copytree(bench.scorers[0], tmp_path / "scorer")
    first = find_shift(run, settings, [str(tmp_path / "scorer")], "caft")[1]
    kept_files = list((tmp_path / "cache" / "directions").iterdir())
    assert torch.equal(find_shift(run, settings, [bench.scorers[0]], "caft")[1], first)
    assert list((tmp_path / "cache" / "directions").iterdir()) == kept_files
    shutil.copytree(bench.scorers[1], tmp_path / "scorer", dirs_exist_ok=True)
    assert not torch.equal(find_shift(run, settings, [str(tmp_path / "scorer")], "caft")[1], first)


def test_what_is_kept_depends_on_the_model(bench, tmp_path):
    run, made = bench.run(cache=tmp_path), []

    def compute() -> dict[str, torch.Tensor]:
        made.append(len(made))
        return {"number": torch.tensor(float(len(made)))}

    assert (
        cached_tensors(run, "kind", {"a": 1}, compute)
        == cached_tensors(run, "kind", {"a": 1}, compute)
        == {"number": 1.0}
    )
    assert cached_tensors(run, "kind", {"a": 2}, compute) == {"number": 2.0}
    with torch.no_grad():
        run.model.get_output_embeddings().weight.mul_(1.1)
    assert cached_tensors(run, "kind", {"a": 1}, compute) == {"number": 3.0}
    assert cached_tensors(replace(run, cache=None), "kind", {"a": 1}, compute) == {"number": 4.0}


# Controls and layers --------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 100), width=st.integers(2, 40))
def test_a_random_direction_has_the_norm_of_the_one_it_replaces(seed, width):
    vectors = torch.linspace(-3, 5, 4 * width).reshape(4, width)
    drawn = random_like(vectors, seed)
    torch.testing.assert_close(drawn.norm(dim=-1), vectors.norm(dim=-1))
    assert torch.equal(drawn, random_like(vectors, seed))
    assert not torch.allclose(drawn, vectors)


def test_the_usual_layer_is_that_of_the_paper(model):
    assert usual_layer(model, None) == 1
    model.config.num_hidden_layers = 28
    assert usual_layer(model, None) == 20
    with pytest.raises(SafeguardError, match="layer 28: must be between 0 and 27"):
        usual_layer(model, 28)


@pytest.mark.parametrize("name", ["steering", "caft", "ablation"])
def test_a_random_control_differs_and_is_as_long(bench, name):
    (real,), (control,), (again,) = (bench.safeguards(name, random=random) for random in (False, True, True))
    for safeguard in (real, control, again):
        safeguard.prepare(bench.run())
    states = torch.randn(1, 1, 32)

    def effect(safeguard) -> torch.Tensor:
        return safeguard.direction if name == "ablation" else safeguard.edits[0].change(states) - states

    assert torch.equal(effect(control), effect(again))
    assert not torch.allclose(effect(control), effect(real), atol=1e-2)
    if name != "caft":
        torch.testing.assert_close(effect(control).norm(), effect(real).norm())
