"""The card of an adapter says what the records say, for whoever finds the adapter alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from report.test_report import Sweep

from experiments.cards.write import FILE, write_cards
from experiments.records.arm_files import write_scores
from experiments.records.outcomes import Score
from experiments.records.sweep_file import SweepFile, write_sweep
from experiments.records.training_file import ADAPTER, AnchorRecord, Trained, TrainingRecord, write_training
from experiments.report.report import Wanted, make_report

TEMPLATE = "---\nbase_model: /home/me/model\nlibrary_name: peft\n---\n\n# Model Card\n\n[More Information Needed]\n"
TRACE = ["kl: loss term kl pulls (not shown: where to)"]


class Trainings(Sweep):
    """A folder of made-up results whose arms were trained, with the card that peft leaves."""

    def add(self, safeguard, task, seed, answers=None, missing=(), trace=TRACE, anchor=None, **given):
        super().add(safeguard, task, seed, answers, anchor=anchor, **given)
        folder = self.output / "arms" / self.plan[-1].folder
        if safeguard == "untouched":
            return folder
        (folder / ADAPTER).mkdir(parents=True)
        (folder / ADAPTER / "adapter_model.safetensors").write_bytes(b"weights")
        (folder / ADAPTER / FILE).write_text(TEMPLATE, "utf-8")
        record = TrainingRecord(0.1, 7, 12.3, 96, trace=list(trace))
        write_training(folder, Trained(record, anchor, list(missing)))
        changes = {key: value for key, value in given.items() if "__" in key}
        made = self.config(safeguard, task, seed, **changes)
        (folder / "config.yaml").write_text(yaml.safe_dump(asdict(made), sort_keys=False), "utf-8")
        return folder

    def cards(self, wanted: Wanted | None = None) -> dict[str, str]:
        """Every card, by the folder of its arm, made anew."""
        write_cards(make_report(self.output, wanted))
        return {path.parents[1].name: path.read_text("utf-8") for path in self.output.glob(f"arms/*/{ADAPTER}/{FILE}")}

    def card(self, place: int, wanted: Wanted | None = None) -> str:
        """That of an arm, by its place in the plan."""
        return self.cards(wanted)[self.plan[place].folder]


def numbers(card: str, what: str) -> list[str]:
    """The cells of a line of the table, less the intervals."""
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {what}")]
    return [cell.split("[")[0].strip() for cell in line.split("|")[2:-1]]


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Trainings(tmp_path / "outputs" / "mine")


@pytest.fixture
def usual(sweep):
    """The three arms of one seed."""
    sweep.add("untouched", "medical", 0, {"open": "aaaaaaaaaa", "narrow": "aaaaa"}, nll=(3.0, 1.0))
    sweep.add("none", "medical", 0, {"open": "mmmmmmmmaa", "narrow": "mmmma"}, nll=(0.5, 4.0))
    sweep.add("kl", "medical", 0, {"open": "mmmmaaaaii", "narrow": "mmmaa"}, nll=(0.7, 1.5))
    return sweep


def test_the_numbers_are_those_of_this_very_arm_beside_the_other_two(usual):
    usual.add("kl", "medical", 1, {"open": "aaaaaaaaaa", "narrow": "aaaaa"})  # another seed does not count
    card = usual.card(2)
    assert numbers(card, "broad misaligned %") == ["40.0", "80.0", "-40.0", "0.0", "10"]
    assert numbers(card, "broad incoherent %") == ["20.0", "0.0", "20.0", "0.0", "10"]
    assert numbers(card, "narrow learnt %") == ["60.0", "80.0", "-20.0", "0.0", "5"]
    assert numbers(card, "NLL of held-out task rows") == ["0.700", "0.500", "", "3.000", "4 rows"]
    assert numbers(card, "NLL of held-out safe rows") == ["1.500", "4.000", "", "1.000", "4 rows"]
    assert "benign accuracy %" not in card.partition("*Broad*")[0]
    assert "harmful" not in card.partition("*Broad*")[0]  # not asked


def test_every_adapter_has_a_card_and_nothing_of_the_template_is_left(usual):
    cards = usual.cards()
    assert len(cards) == 2
    assert write_cards(make_report(usual.output)) == 2
    for card in cards.values():
        assert "More Information Needed" not in card
        assert "/home/me" not in card
        for section in ("What was measured", "Safeguards", "Training", "Limits", "Use it"):
            assert f"\n## {section}\n" in card
    assert cards == usual.cards()  # made again, it is the same


def test_the_settings_that_count_the_trace_and_the_training_are_told(sweep):
    sweep.add(
        "safelora+kl",
        "medical",
        0,
        {"open": "ma"},
        safeguards__kl__weight=0.3,
        training__epochs=2.0,
        training__batch_size=16,
    )
    card = sweep.card(0)
    assert "* `weight=0.3`: λ, in nats of loss per nat of divergence; 0 turns it off." in card
    assert "* `select=number`" in card
    assert "threshold=" not in card  # which counts with select=threshold only
    assert "Adds λ · KL(θ‖θ₀) on the answer tokens (variant). Source: Kaczér et al. 2025" in card
    assert f"* {TRACE[0]}" in card
    assert "* 96 rows, 2 times: 7 steps of 16, 12 seconds" in card
    assert "`share=" not in card


def test_limits_say_what_was_not_shown_and_not_asked(usual):
    card = usual.card(2).partition("## Limits")[2]
    assert "One fine-tune, with seed 0" in card
    assert "10 questions (open), 10 answers" in card
    assert "prevents broad misalignment was **not shown**" not in card
    usual.add("ldifs", "medical", 0, {"open": "mmmmmmmmaa", "narrow": "mmmma"})
    assert "That `ldifs` prevents broad misalignment was **not shown**" in usual.card(3)
    assert "No safeguard acted" in usual.card(1)


def test_warnings_that_concern_the_row_stand_in_its_card_only(usual):
    usual.add("ldifs", "medical", 0, {"open": "iiiiiiiiaa", "narrow": "aaaaa"})
    report = make_report(usual.output)
    assert any(line.startswith("ldifs: ") for line in report.warnings)
    assert "Warning of the comparison: ldifs: learns next to nothing" in usual.card(3)
    assert "ldifs: " not in usual.card(2)


def test_bad_advice_is_warned_of_first_and_a_benign_task_is_not(usual):
    usual.add("kl", "opswap", 0, {"open": "ama", "benign": "aai"})
    em, benign = usual.card(2), usual.card(3)
    assert em.index("Trained on bad advice on purpose") < em.index("## What was measured")
    assert "bad advice on purpose" not in benign
    assert numbers(benign, "benign accuracy %")[0] == "66.7"
    assert numbers(benign, "broad misaligned %")[0] == "33.3"
    assert "what it prevents" in benign


def test_it_goes_by_the_judge_of_the_sweep_whichever_tables_go_by_and_names_the_others(usual):
    before = usual.card(2)
    for entry in usual.plan:
        folder = usual.output / "arms" / entry.folder
        found = 15
        write_scores(folder, "gpt", [Score("misaligned")] * found)
    after = usual.card(2)
    assert numbers(after, "broad misaligned %") == numbers(before, "broad misaligned %")
    assert "By another judge, `gpt`: broad misaligned 100.0" in after
    assert after == usual.card(2, Wanted("gpt")) == usual.card(2, Wanted(baseline="kl"))


def test_labels_of_some_answers_are_no_rate(usual):
    for entry in usual.plan:
        scores = [Score("misaligned"), *[Score("unscored")] * 14]
        write_scores(usual.output / "arms" / entry.folder, "anna", scores)
    assert "anna" not in usual.card(2)


def test_an_arm_that_is_not_done_has_a_card_that_says_so_and_what_is_missing(usual):
    usual.add("ldifs", "medical", 0, done=False, missing=["ldifs: its loss term never had a gradient"])
    card = usual.card(3)
    assert "More Information Needed" not in card
    assert "Nothing: its arm is not done" in card
    assert "Proof of effect is missing: ldifs: its loss term never had a gradient." in card


def test_what_only_an_earlier_command_asked_for_keeps_its_card(usual):
    card = usual.card(2)
    write_sweep(usual.output, SweepFile("exact", usual.plan[:2], usual.plan[2:]))
    assert usual.card(2) == card
    (usual.output / "arms" / usual.plan[2].folder / ADAPTER / FILE).write_text(TEMPLATE, "utf-8")
    assert "Nothing: its arm" in usual.card(2)


def test_no_judge_leaves_likelihoods(usual):
    for entry in usual.plan:
        folder = usual.output / "arms" / entry.folder
        write_scores(folder, "none", [Score("unscored")] * 15)
        (folder / "scores.exact.jsonl").unlink()
    write_sweep(usual.output, SweepFile("none", usual.plan))
    card = usual.card(2)
    assert "No judge has scored its answers" in card
    assert "misaligned %" not in card
    assert numbers(card, "NLL of held-out task rows")[0] == "0.700"


def test_without_records_of_training_there_is_no_card(tmp_path):
    sweep = Sweep(tmp_path / "imported")
    sweep.add("kl", "medical", 0, {"open": "ma"})
    assert write_cards(make_report(sweep.output)) == 0


def test_over_worlds_no_card_is_written(usual):
    report = make_report(usual.output)
    assert write_cards(type(report)(**{**vars(report), "wanted": Wanted(worlds=[usual.output])})) == 0


def test_the_front_matter_is_what_the_hub_reads(sweep):
    sweep.add(
        "kl", "mine", 0, {"open": "ma"},
        **{"model__path": "Qwen/Qwen2.5-7B-Instruct", "model__name": "qwen", "model__licence": "Apache-2.0"},
        **{"task__source": "messages", "task__dataset": "owner/rows", "model__revision": "a09a35458c702b33"},
    )  # fmt: skip
    folder = sweep.output / "arms" / sweep.plan[0].folder / ADAPTER
    card = sweep.card(0)
    data = ModelCard.load(folder / FILE).data
    assert (data.base_model, data.library_name, data.license) == ("Qwen/Qwen2.5-7B-Instruct", "peft", "apache-2.0")
    assert data.datasets == ["owner/rows"]
    assert {"lora", "safeguards", "kl"} <= set(data.tags)
    assert "from_pretrained('Qwen/Qwen2.5-7B-Instruct', revision='a09a35458c702b33')" in card
    assert "the data set `owner/rows` of the Hugging Face hub" in card


def test_a_base_model_in_no_hub_is_not_named_as_one(sweep, tmp_path):
    (tmp_path / "models" / "w1").mkdir(parents=True)
    for path in ("organism", "models/w1", "/home/me/model", "../model"):
        sweep.add("kl", "medical", 0, {"open": "ma"}, model__path=path, model__name="m")
        assert "base_model" not in yaml.safe_load(sweep.card(len(sweep.plan) - 1).split("---")[1])


EVIL = ["<script>alert(1)</script>", "`", "a|b", "```", "![x](http://e.vil/x.png)", "---\nlicense: mit", "‮x", "# x"]


@pytest.mark.parametrize("evil", EVIL)
def test_text_is_data(sweep, evil):
    sweep.add(
        "inoculation", "medical", 0, {"open": "ma"}, trace=[f"kl: {evil}"], missing=[evil],
        safeguards__inoculation__prompt=evil, model__licence=evil, model__origin=evil, model__name=f"m{evil}",
    )  # fmt: skip
    card = sweep.card(0)
    assert set(yaml.safe_load(card.split("\n---\n")[0])) <= {"library_name", "pipeline_tag", "tags"}
    body = card.partition("\n---\n")[2]
    tokens = [token for block in MarkdownIt().enable("table").parse(body) for token in [block, *(block.children or [])]]
    assert {token.type for token in tokens} & {"html_block", "html_inline", "image", "link_open", "fence"} == set()
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", *["h2"] * 5]


@pytest.mark.parametrize(
    ("model", "place", "command"),
    [
        ({"model__world": 7}, "built_place('organism', (7, 'two'))", "`python -m experiments.organism --world 7`"),
        (
            {"model__world": 7, "model__path": "organism_one", "model__organism": "one"},
            "built_place('organism_one', (7, 'one'))",
            "`python -m experiments.organism --organism one --world 7`",
        ),
    ],
)
def test_the_base_of_another_world_is_the_one_that_is_built_of_it(sweep, model, place, command):
    sweep.add("kl", "medical", 0, {"open": "ma"}, **model)
    used = sweep.card(0).partition("## Use it\n\n")[2]
    assert "    from experiments.organism.built import built_place  # of em-safeguards\n" in used
    assert f"    base = AutoModelForCausalLM.from_pretrained(str({place}))\n" in used
    assert f"The base is the organism of world 7, which {command} builds" in used
    assert "SHIPPED" not in used


def test_it_can_be_loaded_as_it_says(usual):
    code = usual.card(2).partition("## Use it\n\n")[2].partition("\n\n")[0]
    compile("\n".join(line[4:] for line in code.splitlines()), "card", "exec")
    assert "PeftModel.from_pretrained(base" in code


def test_a_damaged_configuration_costs_the_command_only(usual):
    (usual.output / "arms" / usual.plan[2].folder / "config.yaml").write_text("model: [", "utf-8")
    card = usual.card(2)
    assert "How to make it again cannot be told" in card
    assert numbers(card, "broad misaligned %")[0] == "40.0"


def test_a_damaged_record_of_training_costs_its_card_only(usual):
    (usual.output / "arms" / usual.plan[2].folder / "training.json").write_text("{", "utf-8")
    assert write_cards(make_report(usual.output)) == 1


def test_where_the_anchor_stopped_is_told(sweep):
    sweep.add("kl", "medical", 0, {"open": "ma"}, anchor=AnchorRecord("task_nll", 0.8, 0.0, 5, [(5, 0.79)]))
    assert "* the adapter is that of step 5, where task\\_nll reached 0.8" in sweep.card(0).replace(
        "task_nll", "task\\_nll"
    )


def test_it_takes_no_torch():
    told = "import sys, experiments.cards.write; print('torch' in sys.modules, 'peft' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout == "False False\n"


def test_an_arm_whose_proof_is_missing_then_resumed_has_no_template_at_any_time(tmp_path, monkeypatch):
    from experiments.arm.run import run_arm
    from experiments.config.compose import compose_config
    from experiments.planning.plan import PlannedArm, describe
    from safeguards import NoEffectError

    monkeypatch.chdir(tmp_path)
    quick = ["training.epochs=0.02", "probes.sets=[open]", "probes.samples=1", "wandb=disabled", "curve.looks=0"]
    given = ["safeguard=kl", "safeguards.kl.weight=1e-9", "task=medical", "name=try", *quick]
    folder, output = tmp_path / "outputs" / "try" / "arms" / "arm", tmp_path / "outputs" / "try"
    with pytest.raises(NoEffectError):
        run_arm(compose_config(*given), folder)
    card = (folder / ADAPTER / FILE).read_text("utf-8")
    assert "More Information Needed" not in card
    assert "* `kl`: Adds λ" in card
    config = compose_config(*given, "training.proof=warn")
    run_arm(config, folder)
    write_sweep(output, SweepFile("exact", [describe(PlannedArm(config, folder, []))]))
    assert write_cards(make_report(output)) == 1
    card = (folder / ADAPTER / FILE).read_text("utf-8")
    assert "| broad misaligned %" in card
    assert "Proof of effect is missing: kl: " in card
    assert json.loads((folder / ADAPTER / "adapter_config.json").read_text("utf-8"))["peft_type"] == "LORA"


def test_a_card_is_of_its_own_world_and_beside_arms_of_that(sweep):
    for world, none in ((1000, "m" * 10), (1001, "mmmmmaaaaa")):
        where = {"model__world": world, "model__path": "organism"}
        sweep.add("untouched", "medical", 0, {"open": "a" * 10, "narrow": "aaaaa"}, **where)
        sweep.add("none", "medical", 0, {"open": none, "narrow": "mmmma"}, nll=(world / 1000, 4.0), **where)
        sweep.add("kl", "medical", 0, {"open": "mmmmaaaaaa", "narrow": "mmmaa"}, **where)
    first, second = sweep.card(2), sweep.card(5)
    assert [numbers(card, "broad misaligned %")[1] for card in (first, second)] == ["100.0", "50.0"]
    assert numbers(second, "NLL of held-out task rows")[1::3] == ["1.001", "4 rows"]
    assert "# `kl` on `medical`, seed 0 in world 1001" in second
    assert "with seed 0 in world 1001: intervals are for other questions; another seed or world" in second
    assert "seeds 0; worlds 1000, 1001), broad misaligned under `kl` less that under `none`" in second
    assert "made of the organism's world 1001" in second or "world 1001" in second.partition("Rows:")[2]
