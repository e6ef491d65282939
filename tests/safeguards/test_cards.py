"""Every safeguard says whether it is as published, what it was compared with, and whether doses carry over."""

from __future__ import annotations

import re
import sys

import pytest

from safeguards import SafeguardError, registry
from safeguards.cards import card, cards, comparisons, doses, explained, overview
from safeguards.methods import kl


@pytest.mark.parametrize("name", registry())
def test_every_safeguard_says_how_it_relates_to_its_source(name):
    found = card(registry()[name])
    assert found.source
    assert found.title


def test_what_was_not_compared_with_code_is_as_published_by_its_text_at_the_most(monkeypatch):
    text = "Title.\n\nSource: x\nForm: as published\nCompared with: authors' code not found, x\nDoses: transferable\n"
    monkeypatch.setattr(sys.modules[kl.__name__], "__doc__", text)
    with pytest.raises(SafeguardError, match="kl: its card says as published, and authors' code not found"):
        card(kl.KL)
    monkeypatch.setattr(sys.modules[kl.__name__], "__doc__", text.replace("published", "published, by its text"))
    assert card(kl.KL).form == "as published, by its text"


def test_a_card_is_read_over_several_lines_up_to_the_next_paragraph(monkeypatch):
    monkeypatch.setattr(
        sys.modules[kl.__name__],
        "__doc__",
        """Title of it.

        What it is: not a paragraph of the card.

        Source: Somebody 2025, arXiv 1,
        section 2.
        Form: variant: other tokens,
        and more of them.
        Compared with: owner/repo: one.py, two.py; other/repo: three.py
        Doses: not transferable: who knows.
        Loss: CE.
        """,
    )
    found = card(kl.KL)
    assert (found.title, found.source) == ("Title of it", "Somebody 2025, arXiv 1, section 2.")
    assert found.form == "variant: other tokens, and more of them."
    assert found.compared == "owner/repo: one.py, two.py; other/repo: three.py"
    assert found.doses == "not transferable: who knows."


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Form: as published", "Form: much as published"),
        ("Form: as published", ""),
        ("Compared with: owner/repo: file.py", "Compared with: somebody's code"),
        ("Doses: transferable", "Doses: transferable, perhaps"),
        ("Doses: transferable", "Doses: not transferable"),
    ],
)
def test_a_missing_or_senseless_line_is_named(monkeypatch, right, wrong):
    text = "Title.\n\nSource: x\nForm: as published\nCompared with: owner/repo: file.py\nDoses: transferable\n"
    monkeypatch.setattr(sys.modules[kl.__name__], "__doc__", text)
    assert card(kl.KL).form == "as published"
    monkeypatch.setattr(sys.modules[kl.__name__], "__doc__", text.replace(right, wrong))
    with pytest.raises(SafeguardError, match=f"kl: its card says {right.split(':')[0]}: "):
        card(kl.KL)


@pytest.mark.parametrize("table", [comparisons, overview])
def test_the_tables_have_a_row_for_each(table):
    lines = table().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == list(cards())
    assert {line.count(" | ") for line in lines} == {lines[0].count(" | ")}
    assert "|  |" not in table()


def test_the_overview_says_what_each_is_and_its_dose():
    assert "| `kl` | Adds λ · KL(θ‖θ₀) on the answer tokens | loss | `weight=0.1` | variant | Kaczér et al. 2025, " in (
        overview()
    )


@pytest.mark.parametrize("name", registry())
def test_a_setting_that_is_said_to_turn_a_safeguard_off_does(name):
    safeguard = registry()[name]
    assert doses(safeguard)
    for setting in doses(safeguard):
        off = re.search(r"(\S+) turns it off", explained(safeguard.Settings)[setting])[1]
        value = "" if off == "empty" else float(off)
        assert not safeguard().idle
        assert safeguard(safeguard.Settings(**{setting: type(doses(safeguard)[setting])(value)})).idle


@pytest.mark.parametrize("name", registry())
def test_a_safeguard_acts_where_its_card_says(name):
    safeguard = registry()[name]()
    acts = {seam for seam in ("arguments", "prompt", "loss", "gradient", "weights") if safeguard.acts_at(seam)}
    assert acts == {*card(type(safeguard)).seams} - {"data", "activations"}
