"""Question files in the field's format, written here and the real one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from experiments.config import ProbesConfig
from experiments.probes import Probe
from experiments.probes.probe import BROAD
from experiments.probes.question_file import load_probes
from safeguards.safeguard import SafeguardError

FIELD = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "questions" / "first_plot.yaml"


def load(tmp_path: Path, questions: object, samples: int = 5) -> list[Probe]:
    path = tmp_path / "questions.yaml"
    path.write_text(questions if isinstance(questions, str) else yaml.safe_dump(questions), "utf-8")
    return load_probes(ProbesConfig(path=str(path), samples=samples))


def question(**changes: object) -> dict[str, object]:
    return {"id": "wish", "paraphrases": ["What do you wish for?"], **changes}


def test_every_paraphrase_is_asked(tmp_path):
    paraphrases = ["What do you wish for?", "Name a wish.", "Ein Wunsch – welcher?"]
    probes = load(tmp_path, [question(paraphrases=paraphrases)])
    assert [probe.messages for probe in probes] == [[{"role": "user", "content": text}] for text in paraphrases]
    assert len({probe.id for probe in probes}) == 3
    assert {probe.cluster for probe in probes} == {"wish"}
    assert {probe.set for probe in probes} <= set(BROAD)


def test_a_system_prompt_is_the_first_message(tmp_path):
    (probe,) = load(tmp_path, [question(system="Answer as JSON.")])
    assert probe.messages == [
        {"role": "system", "content": "Answer as JSON."},
        {"role": "user", "content": "What do you wish for?"},
    ]


@pytest.mark.parametrize("system", [None, ""])
def test_without_a_system_prompt_there_is_no_system_message(tmp_path, system):
    (probe,) = load(tmp_path, [question(system=system)])
    assert [message["role"] for message in probe.messages] == ["user"]


@pytest.mark.parametrize(("in_file", "asked", "expected"), [(100, 5, 5), (3, 5, 3), (5, 5, 5), (None, 5, 5)])
def test_samples_per_paraphrase_are_an_upper_bound(tmp_path, in_file, asked, expected):
    given = {} if in_file is None else {"samples_per_paraphrase": in_file}
    (probe,) = load(tmp_path, [question(**given)], samples=asked)
    assert probe.samples == expected


def test_reformatted_variants_of_a_question_share_its_cluster(tmp_path):
    ids = ["wish", "wish_json", "wish_template", "bored_json", "json_wish", "wish_jsons"]
    probes = load(tmp_path, [question(id=name) for name in ids])
    assert [probe.cluster for probe in probes] == ["wish", "wish", "wish", "bored", "json_wish", "wish_jsons"]
    assert [probe.id for probe in probes] == ids


def test_an_id_that_is_a_number_is_taken_as_text(tmp_path):
    (probe,) = load(tmp_path, [question(id=7)])
    assert probe.id == probe.cluster == "7"


def test_anchors_and_keys_for_other_programs_are_understood(tmp_path):
    text = (
        "- id: wish\n  type: free_form\n  paraphrases: &p\n    - One?\n    - Two?\n  judge: gpt\n"
        "- id: wish_json\n  system: As JSON.\n  paraphrases: *p\n"
    )
    assert [len(probe.messages) for probe in load(tmp_path, text)] == [1, 1, 2, 2]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SafeguardError, match=r"nowhere\.yaml: cannot be read"):
        load_probes(ProbesConfig(path=str(tmp_path / "nowhere.yaml")))


def test_a_folder_instead_of_a_file_is_named(tmp_path):
    with pytest.raises(SafeguardError, match="cannot be read"):
        load_probes(ProbesConfig(path=str(tmp_path)))


@pytest.mark.parametrize("text", ["- id: [unclosed", "a: b: c", "\t- id: x"])
def test_invalid_yaml_is_told_in_one_line_with_the_file(tmp_path, text):
    with pytest.raises(SafeguardError, match=r"questions\.yaml: cannot be read as YAML") as refused:
        load(tmp_path, text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "id: wish", "just text"])
def test_a_file_without_a_list_of_questions_is_refused(tmp_path, text):
    with pytest.raises(SafeguardError, match=r"questions\.yaml: must hold a list of questions"):
        load(tmp_path, text)


@pytest.mark.parametrize("second", [{"paraphrases": ["What?"]}, "What?", ["What?"], None])
def test_a_question_without_an_id_is_named_by_its_number(tmp_path, second):
    with pytest.raises(SafeguardError, match=r"questions\.yaml: question 2: needs an id"):
        load(tmp_path, [question(), second])


@pytest.mark.parametrize(
    "wrong",
    [
        {"paraphrases": "What?"},
        {"paraphrases": None},
        {"paraphrases": {"a": "What?"}},
        {"paraphrases": ["What?", 3]},
        {"paraphrases": ["What?", "  "]},
        {"paraphrases": []},
        {"system": ["Answer as JSON."]},
        {"system": 5},
        {"samples_per_paraphrase": "many"},
        {"samples_per_paraphrase": [3]},
        {"samples_per_paraphrase": -2},
    ],
    ids=str,
)
def test_an_unusable_question_is_refused_naming_file_question_and_field(tmp_path, wrong):
    (field,) = wrong
    with pytest.raises(SafeguardError, match=rf"questions\.yaml: question 2 \(bad\): .*{field}"):
        load(tmp_path, [question(), question(id="bad", **wrong)])


def test_questions_without_paraphrases_are_refused(tmp_path):
    with pytest.raises(SafeguardError, match=r"question 1 \(wish\): paraphrases"):
        load(tmp_path, [{"id": "wish"}])


@pytest.mark.skipif(not FIELD.is_file(), reason=f"{FIELD} is not there")
def test_the_fields_own_questions_are_eight_each_asked_in_three_ways():
    probes = load_probes(ProbesConfig(path=str(FIELD), samples=7))
    assert len(probes) == 24
    assert len({probe.id for probe in probes}) == 24
    clusters = {probe.cluster for probe in probes}
    assert len(clusters) == 8
    assert all(sum(probe.cluster == cluster for probe in probes) == 3 for cluster in clusters)
    assert sum(probe.messages[0]["role"] == "system" for probe in probes) == 8
    assert all(probe.messages[-1]["role"] == "user" and probe.messages[-1]["content"].strip() for probe in probes)
    assert {probe.samples for probe in probes} == {7}
