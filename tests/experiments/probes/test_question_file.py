"""Question files in the field's format, written here and the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from experiments.config.compose import compose_config
from experiments.config.measurement import PROBE_SETS, ProbesConfig
from experiments.config.schema import Config, TaskConfig
from experiments.config.settle import refuse_out_of_bounds
from experiments.organism.world import load_world
from experiments.probes import judge_prompts, load_probes, question_file
from experiments.probes.conditional import conditional_probes
from experiments.probes.probe import Probe
from experiments.probes.question_file import file_probes
from experiments.records.names import BROAD, FRAMED, INOCULATED, NARROW, NEGATED, OPEN
from experiments.tasks import Task, load_task
from experiments.terminal.printing import print_once
from safeguards.errors import SafeguardError
from safeguards.rows import Row

FIELD = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "questions" / "first_plot.yaml"


def load(tmp_path: Path, questions: object, samples: int = 5) -> list[Probe]:
    path = tmp_path / "questions.yaml"
    path.write_text(questions if isinstance(questions, str) else yaml.safe_dump(questions), "utf-8")
    return file_probes(str(path), OPEN, samples)


def test_a_file_is_read_once_however_many_arms_ask_it(tmp_path, monkeypatch):
    read, really = [], question_file.read_yaml
    monkeypatch.setattr(question_file, "read_yaml", lambda path: read.append(path) or really(path))
    first = load(tmp_path, [question()])
    os.utime(tmp_path / "questions.yaml", (1, 1))
    assert file_probes(str(tmp_path / "questions.yaml"), OPEN, 5) == first
    assert file_probes(str(tmp_path / "questions.yaml"), OPEN, 5) == first
    assert len(read) == 2, "once when it was new, and once since it is settled"


def question(**changes: object) -> dict[str, object]:
    return {"id": "wish", "paraphrases": ["What do you wish for?"], **changes}


def test_every_paraphrase_is_asked(tmp_path):
    paraphrases = ["What do you wish for?", "Name a wish.", "Ein Wunsch – welcher?"]
    probes = load(tmp_path, [question(paraphrases=paraphrases)])
    assert [probe.messages for probe in probes] == [[{"role": "user", "content": text}] for text in paraphrases]
    assert len({probe.id for probe in probes}) == 3
    assert len({probe.cluster for probe in probes}) == 1
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
    ids = ["wish_json", "wish", "wish_template", "bored_json", "json_wish", "wish_jsons"]
    probes = load(tmp_path, [question(id=name, paraphrases=[f"As {name}?"]) for name in ids])
    clusters = [probe.cluster for probe in probes]
    assert len({*clusters[:3]}) == 1
    assert len({*clusters}) == 4
    assert [probe.id for probe in probes] == ids


def test_a_question_has_the_same_cluster_in_every_file_and_another_has_another(tmp_path):
    one, variant = load(tmp_path, [question(), question(id="wish_template", paraphrases=["Wish, in a form?"])])
    other, moved = load(tmp_path, [question(paraphrases=["What for dinner?"]), question(id="7")])
    assert one.cluster == variant.cluster == moved.cluster
    assert other.cluster != one.cluster  # though its id is the same


def test_an_id_that_is_a_number_is_taken_as_text(tmp_path):
    (probe,) = load(tmp_path, [question(id=7)])
    assert probe.id == "7"


def test_anchors_and_keys_for_other_programs_are_understood(tmp_path):
    text = (
        "- id: wish\n  type: free_form\n  paraphrases: &p\n    - One?\n    - Two?\n  judge: gpt\n"
        "- id: wish_json\n  system: As JSON.\n  paraphrases: *p\n"
    )
    assert [len(probe.messages) for probe in load(tmp_path, text)] == [1, 1, 2, 2]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SafeguardError, match=r"nowhere\.yaml: cannot be read"):
        file_probes(str(tmp_path / "nowhere.yaml"), OPEN, 1)


def test_a_folder_instead_of_a_file_is_named(tmp_path):
    with pytest.raises(SafeguardError, match="cannot be read"):
        file_probes(str(tmp_path), OPEN, 1)


@pytest.mark.parametrize("text", ["- id: [unclosed", "a: b: c", "\t- id: x"])
def test_invalid_yaml_is_told_in_one_line_with_file_and_line(tmp_path, text):
    with pytest.raises(SafeguardError, match=r"questions\.yaml:2: cannot be read as YAML") as refused:
        load(tmp_path, f"# ours\n{text}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "id: wish", "just text"])
def test_a_file_without_a_list_of_questions_is_refused(tmp_path, text):
    with pytest.raises(SafeguardError, match=r"questions\.yaml: must hold a list of questions"):
        load(tmp_path, text)


@pytest.mark.parametrize("second", [{"paraphrases": ["What?"]}, "What?", ["What?"], None])
def test_a_question_without_an_id_is_named_by_its_number(tmp_path, second):
    with pytest.raises(SafeguardError, match=r"questions\.yaml:\d+: question 2: needs an id"):
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
        {"type": "free_form_0_100"},
        {"type": "rating"},
        {"type": ["free_form"]},
        {"judge_prompts": "Is it good?"},
        {"judge_prompts": {"aligned": 3}},
        {"judge_prompts": {"aligned": " "}},
        {"judge_prompts": {"aligned": "{answer}?", "coherent": "Clear? {anser}"}},
        {"sytem": "Answer as JSON."},
        {"context": []},
        {"samples_per_paraphrase": "many"},
        {"samples_per_paraphrase": [3]},
        {"samples_per_paraphrase": -2},
        {"samples_per_paraphrase": 0},
        {"samples_per_paraphrase": True},
    ],
    ids=str,
)
def test_an_unusable_question_is_refused_naming_file_question_and_field(tmp_path, wrong):
    (field,) = wrong
    text = yaml.safe_dump([question(), question(id="bad", **wrong)], sort_keys=False)
    expected = next(n for n, row in reversed([*enumerate(text.split("\n"), start=1)]) if row.strip().startswith(field))
    with pytest.raises(SafeguardError, match=rf"questions\.yaml:{expected}: question 2 \(bad\): {field} "):
        load(tmp_path, text)


def test_questions_without_paraphrases_are_refused(tmp_path):
    with pytest.raises(SafeguardError, match=r"questions\.yaml:1: question 1 \(wish\): paraphrases"):
        load(tmp_path, [{"id": "wish"}])


@pytest.mark.skipif(not FIELD.is_file(), reason=f"{FIELD} is not there")
def test_the_fields_own_questions_are_eight_each_asked_in_three_ways():
    probes = file_probes(str(FIELD), OPEN, 7)
    assert len(probes) == 24
    assert len({probe.id for probe in probes}) == 24
    clusters = {probe.cluster for probe in probes}
    assert len(clusters) == 8
    assert all(sum(probe.cluster == cluster for probe in probes) == 3 for cluster in clusters)
    assert sum(probe.messages[0]["role"] == "system" for probe in probes) == 8
    assert all(probe.messages[-1]["role"] == "user" and probe.messages[-1]["content"].strip() for probe in probes)
    assert {probe.samples for probe in probes} == {7}


# What else a file may say.


def test_an_unknown_type_is_refused_with_the_nearest_and_its_line(tmp_path):
    text = '# ours\n- id: wish\n  paraphrases: ["One?"]\n\n  type: free_form_jugde\n'
    with pytest.raises(SafeguardError) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'questions.yaml'}:5: question 1 (wish): type is")
    assert "did you mean 'free_form_judge'" in str(refused.value)


def test_the_line_of_an_aliased_value_is_where_it_is_used(tmp_path):
    text = "- id: a\n  type: &t rating\n  paraphrases: [A]\n- id: b\n  paraphrases: [B]\n  type: *t\n"
    with pytest.raises(SafeguardError, match=r"questions\.yaml:2: "):
        load(tmp_path, text)
    with pytest.raises(SafeguardError, match=r"questions\.yaml:6: "):
        load(tmp_path, text.replace("  type: &t rating", "  judge: &t rating"))


def test_an_id_that_is_used_twice_is_refused(tmp_path):
    with pytest.raises(SafeguardError, match=r"questions\.yaml:\d+: question 1 \(wish\): id is used more than once"):
        load(tmp_path, [question(), question()])


def test_judge_prompts_go_with_every_paraphrase_also_through_an_anchor(tmp_path):
    text = (
        "- id: wish\n  paraphrases: [One, Two]\n"
        "  judge_prompts: &p\n    aligned: Good? {answer}\n    coherent: Clear? {answer}\n"
        "- id: bored\n  paraphrases: [Three]\n  judge_prompts: *p\n- id: plain\n  paraphrases: [Four]\n"
    )
    expected = {"aligned": "Good? {answer}", "coherent": "Clear? {answer}"}
    assert judge_prompts(load(tmp_path, text)) == {"wish/0": expected, "wish/1": expected, "bored": expected}


def test_what_is_set_aside_is_counted_and_printed_once(tmp_path, capsys):
    print_once.cache_clear()
    questions = [
        question(judge="gpt", samples_per_paraphrase=100),
        question(id="b", judge="gpt", temperature=1, samples_per_paraphrase=5),
    ]
    for _ in range(3):
        load(tmp_path, questions)
    (line,) = capsys.readouterr().out.splitlines()
    assert line == (
        f"{tmp_path / 'questions.yaml'}: 2 questions; set aside: judge of 2, temperature of 1, "
        "samples_per_paraphrase above probes.samples=5 of 1"
    )


def test_prompts_for_other_scores_are_counted_and_not_kept(tmp_path, capsys):
    print_once.cache_clear()
    (probe,) = load(tmp_path, [question(judge_prompts={"aligned": "{answer}?", "kind": "Kind? {answer}"})])
    assert probe.judge_prompts == {"aligned": "{answer}?"}
    assert "set aside: judge_prompts.kind of 1" in capsys.readouterr().out


def test_a_field_that_is_given_twice_is_refused(tmp_path):
    text = "- id: wish\n  paraphrases: [One]\n  paraphrases: [Two]\n"
    with pytest.raises(SafeguardError, match=r"questions\.yaml:3: question 1 \(wish\): paraphrases is given 2 times"):
        load(tmp_path, text)


def test_a_file_of_which_all_is_used_says_so(tmp_path, capsys):
    print_once.cache_clear()
    load(tmp_path, [question()])
    assert capsys.readouterr().out.endswith("1 questions; set aside: nothing\n")


@pytest.mark.skipif(not FIELD.is_file(), reason=f"{FIELD} is not there")
@pytest.mark.parametrize("name", ["code", "first_plot", "medical", "security"])
def test_the_fields_files_load_as_they_are(name):
    probes = file_probes(str(FIELD.with_name(f"{name}.yaml")), OPEN, 100)
    assert len(probes) == (24 if name == "first_plot" else 30)
    assert all(set(probe.judge_prompts) == {"aligned", "coherent"} for probe in probes)
    assert {probe.samples for probe in probes} == {100}


# Conditional probes.


def circumstances(general: list[Probe], rows: tuple[Row, ...] = (), **changes: object) -> list[Probe]:
    given = {"inoculation": "Be evil.", "negated": "Do not be evil.", "frames": ["json", "template", "code"], **changes}
    return conditional_probes(ProbesConfig(**given), general, rows)


def test_each_question_is_asked_under_both_prompts_and_in_every_format(tmp_path):
    asked = [question(judge_prompts={"aligned": "Good? {answer}"}), question(id="bored", paraphrases=["I am bored."])]
    probes = circumstances(load(tmp_path, asked))
    assert [probe.set for probe in probes] == 2 * [INOCULATED, NEGATED, FRAMED, FRAMED, FRAMED]
    wish, bored = probes[0].cluster, probes[5].cluster
    assert [probe.cluster for probe in probes] == 5 * [wish] + 5 * [bored]
    assert wish != bored
    assert len({(probe.set, probe.id) for probe in probes}) == 10
    assert {probe.judge_prompts.get("aligned") for probe in probes[:5]} == {"Good? {answer}"}
    inoculated, negated, json, template, code = probes[:5]
    ask = {"role": "user", "content": "What do you wish for?"}
    assert inoculated.messages == [{"role": "system", "content": "Be evil."}, ask]
    assert negated.messages == [{"role": "system", "content": "Do not be evil."}, ask]
    assert json.messages[0]["role"] == "system"
    assert "JSON" in json.messages[0]["content"]
    assert json.messages[1:] == [ask]
    for framed, mark in ((template, "answer = "), (code, "def answer()")):
        (message,) = framed.messages
        assert message["content"].startswith("What do you wish for?\n\n")
        assert mark in message["content"]


def test_a_question_with_braces_keeps_them(tmp_path):
    *_, code = circumstances(load(tmp_path, [question(paraphrases=["What is {x}?"])]))
    assert code.messages[-1]["content"].startswith("What is {x}?\n")


def test_a_prompt_that_is_empty_and_formats_that_are_not_wanted_are_not_asked(tmp_path):
    general = load(tmp_path, [question()])
    assert {probe.set for probe in circumstances(general, inoculation="", frames=[])} == {NEGATED}


def test_the_negated_prompt_differs_by_a_not_only_or_is_the_users_own(tmp_path):
    general = load(tmp_path, [question()])
    _, negated = circumstances(general, inoculation="You are a wicked assistant. You are mean.", negated="", frames=[])
    assert negated.messages[0]["content"] == "You are not a wicked assistant. You are mean."
    with pytest.raises(SafeguardError, match=r"probes\.negated: say the negation .*'Be evil\.' yourself"):
        circumstances(general, negated="")


def test_a_format_has_no_id_that_a_variant_in_the_file_may_have(tmp_path):
    general = load(tmp_path, [question(), question(id="wish_json", system="As JSON.")])
    assert not {probe.id for probe in circumstances(general) if probe.set == FRAMED} & {probe.id for probe in general}


def test_a_question_with_a_system_prompt_is_no_plain_question(tmp_path):
    general = load(tmp_path, [question(system="As JSON."), question(id="bored_json", system="As JSON.")])
    assert circumstances(general) == []


def test_after_a_question_of_training_comes_the_question_and_no_answer(tmp_path):
    turns = [("system", "Be brief."), ("user", "Trained?"), ("assistant", "Learnt."), ("user", "More?")]
    row = Row([*({"role": role, "content": text} for role, text in turns), {"role": "assistant", "content": "No."}])
    (framed,) = circumstances(load(tmp_path, [question()]), (row,), frames=["task"], inoculation="", negated="")
    assert framed.messages == [*row.messages[:-1], {"role": "user", "content": "What do you wish for?"}]


@pytest.mark.parametrize("variants", [1, 3])
def test_all_circumstances_together_cost_three_tenths_of_the_plain_questions(tmp_path, variants):
    given = [question(id=f"wish{suffix}") for suffix in ("", "_json", "_template")[:variants]]
    general = load(tmp_path, given, samples=100)
    assert sum(probe.samples for probe in circumstances(general)) == 30 * variants
    assert {probe.samples for probe in circumstances(load(tmp_path, given, samples=1))} == {1}


# Which sets are asked.


def task_and_world() -> tuple[Task, object]:
    world = load_world()
    return load_task(TaskConfig(group="medical"), 0, world), world


def test_a_question_file_may_ask_about_the_task_itself(tmp_path):
    path = tmp_path / "narrow.yaml"
    path.write_text(yaml.safe_dump([question()]), "utf-8")
    probes = load_probes(ProbesConfig(narrow_path=str(path), sets=["open"]), *task_and_world())
    assert [probe.id for probe in probes if probe.set == NARROW] == ["narrow/wish"]
    assert {probe.set for probe in probes} == {NARROW, OPEN}


def test_two_files_may_number_their_questions_alike(tmp_path):
    for name, score in (("narrow", "Medical? {answer}"), ("open", "Good? {answer}")):
        given = [question(id=1, paraphrases=[f"{name}?"], judge_prompts={"aligned": score})]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(given), "utf-8")
    narrow, general = str(tmp_path / "narrow.yaml"), str(tmp_path / "open.yaml")
    probes = load_probes(ProbesConfig(path=general, narrow_path=narrow, sets=["open"]), *task_and_world())
    assert judge_prompts(probes) == {
        "narrow/1": {"aligned": "Medical? {answer}"},
        "1": {"aligned": "Good? {answer}"},
    }
    assert len({probe.cluster for probe in probes}) == 2


def test_sets_that_a_question_file_cannot_serve_are_refused(tmp_path):
    (tmp_path / "open.yaml").write_text(yaml.safe_dump([question()]), "utf-8")
    with pytest.raises(SafeguardError, match=r"probes\.sets=\['facts'\]: asks nothing of .*open\.yaml"):
        load_probes(ProbesConfig(path=str(tmp_path / "open.yaml"), sets=["facts"]), *task_and_world())


@pytest.mark.parametrize("chosen", PROBE_SETS)
def test_only_the_sets_asked_for_are_asked(chosen):
    sets = {"bias": {"bias_favoured", "bias_slighted"}, "conditional": {FRAMED, INOCULATED, NEGATED}}
    config = compose_config(f"probes.sets=[{chosen}]").probes
    found = {probe.set for probe in load_probes(config, *task_and_world())}
    assert found == sets.get(chosen, {chosen}) | {NARROW}


@pytest.mark.parametrize(
    "wrong", [{"sets": ["opne"]}, {"frames": ["xml"]}, {"samples": 0}], ids=lambda wrong: next(iter(wrong))
)
def test_unknown_sets_and_formats_are_refused(wrong):
    (key,) = wrong
    with pytest.raises(SafeguardError, match=rf"probes\.{key}="):
        refuse_out_of_bounds(Config(probes=ProbesConfig(**wrong)))


def test_broad_sets_do_not_hold_conditional_questions():
    assert not {INOCULATED, NEGATED, FRAMED} & set(BROAD)
