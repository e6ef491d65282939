"""A saved model says in its README under which safeguards it was trained, wherever and whenever it is saved."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from safeguards.methods.kl import KL, Settings
from safeguards.model_card import BEGIN, FILE, UNFILLED, code, escaped, write_section

SAVING = {"save_strategy": "steps", "save_steps": 4}


def read(folder) -> str:
    card = ModelCard.load(folder / FILE)  # what the hub reads; it fails on front matter that is none
    assert card.text.count(BEGIN) == 1
    assert UNFILLED not in card.text
    return card.text


def test_the_card_of_a_finished_model_names_safeguards_settings_and_trace(bench, tmp_path):
    trainer = bench.train("kl+interleave", tmp_path)
    trainer.save_model()
    text = read(tmp_path)
    assert text.strip().startswith("# Fine-tuned under `interleave+kl`")
    assert "* `kl`: Adds λ · KL(θ‖θ₀) on the answer tokens (settings: `weight=" in text
    assert "* `interleave`: Adds a share of random safe rows (settings: `share=" in text
    for line in trainer.trace:
        assert f"* {escaped(line)}" in text
    assert "kl: loss term kl pulls with" in text


def test_a_checkpoint_says_so_too_and_what_was_seen_until_then(bench, tmp_path):
    trainer = bench.train("kl", tmp_path, **SAVING)
    steps = [int(folder.name.partition("-")[2]) for folder in tmp_path.glob("checkpoint-*")]
    assert 4 in steps
    for step in steps:
        text = read(tmp_path / f"checkpoint-{step}")
        assert f"in {step} steps" in text
        assert "kl: loss term kl pulls with" in text
        assert "* `kl`: Adds" in text
    assert "`kl`" in read(tmp_path)  # that TRL writes beside checkpoints
    trainer.save_model()
    assert f"in {trainer.state.global_step} steps" in read(tmp_path)


def test_what_is_pushed_says_so(bench, tmp_path, monkeypatch):
    trainer = bench.train("kl", tmp_path)
    monkeypatch.setattr(trainer, "init_hf_repo", lambda **_: None)
    pushed = []
    hub = SimpleNamespace(upload_folder=lambda **given: pushed.append(read(given["folder_path"])))
    monkeypatch.setattr("transformers.trainer.hf_api", lambda: hub)
    monkeypatch.setattr(trainer, "hub_model_id", "me/mine")
    trainer.args.output_dir = tmp_path
    trainer.push_to_hub()
    (text,) = pushed
    assert "* `kl`: Adds" in text
    assert "trained using [TRL]" in text  # the rest of TRL's card is there, too


def test_a_model_without_adapter_has_a_card_too(bench, tmp_path):
    trainer = bench.train("kl", tmp_path, adapter=False)
    trainer.save_model()
    assert ModelCard.load(tmp_path / FILE).data.library_name == "transformers"
    assert "* `kl`: Adds" in read(tmp_path)


def test_a_safeguard_that_is_off_is_not_said_to_have_acted(bench, tmp_path):
    trainer = bench.train([KL(Settings(weight=0.0))], tmp_path)
    trainer.save_model()
    assert "did not act" in read(tmp_path)


def test_without_safeguards_it_is_the_trainer_of_trl(bench, tmp_path):
    bench.train("none", tmp_path).save_model()
    assert not (tmp_path / FILE).is_file() or BEGIN not in (tmp_path / FILE).read_text("utf-8")


def test_text_of_others_stays_and_the_section_is_made_again(tmp_path):
    (tmp_path / FILE).write_text("---\nlicense: mit\n---\n\n# Mine\n\nHello.\n\n## After\n", "utf-8")
    write_section(tmp_path, [], ["one"], 1)
    once = read(tmp_path)
    write_section(tmp_path, [], ["two"], 2)
    text = read(tmp_path)
    assert ModelCard.load(tmp_path / FILE).data.license == "mit"
    assert text.index("# Mine") < text.index("Hello.") < text.index("* two") < text.index("## After")
    assert text == once.replace("* one", "* two").replace("in 1 steps", "in 2 steps")


def test_the_template_of_peft_makes_way_but_not_its_front_matter(tmp_path):
    (tmp_path / FILE).write_text(f"---\nbase_model: a/b\n---\n\n# Model Card\n\n{UNFILLED}\n", "utf-8")
    write_section(tmp_path, [], [], 0)
    assert ModelCard.load(tmp_path / FILE).data.base_model == "a/b"
    assert "# Model Card" not in read(tmp_path)


@pytest.mark.parametrize("text", ["a`b", "``", "<script>alert(1)</script>", "*a* [b](c) | d", "x\ny", "‮abc", "&lt;"])
def test_text_is_no_markup(text):
    seen = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    for made in (code(text), escaped(text)):
        (block,) = [token for token in MarkdownIt().enable("table").parse(made) if token.type == "inline"]
        assert "".join(child.content for child in block.children or ()).strip() == seen
        assert {child.type for child in block.children or ()} <= {"text", "code_inline", "text_special"}
