"""What is on disk after the pictures of a sweep were drawn."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import pytest
from report.test_report import BENIGN, EM, GOOD, Sweep

from experiments.pictures.canvas import Drawing, our_look, save, sheet
from experiments.pictures.draw import draw_pictures
from experiments.pictures.picture import ENDINGS, Picture
from experiments.report.report import Report, Wanted, make_report

NAME = "<img src=x onerror=y> $\\frac{$ & ]]>"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Report:
    made = Sweep(tmp_path_factory.mktemp("outputs") / "mine")
    for seed in (0, 1):
        made.add("untouched", "medical", seed, {**GOOD, "narrow": "aaaaaaaaaa"})
        made.add("untouched", "opswap", seed, BENIGN)
        made.add("none", "medical", seed, EM, looks=(GOOD, EM))
        made.add("none", "opswap", seed, BENIGN)
        for weight in (0.1, 0.3, 1.0):
            made.add("kl", "medical", seed, GOOD, safeguards__kl__weight=weight)
            made.add("kl", "opswap", seed, BENIGN, safeguards__kl__weight=weight)
    found = make_report(made.output)
    assert found
    return found


@pytest.fixture(scope="module")
def drawn(report) -> list[Picture]:
    return draw_pictures(report)


def test_all_that_there_is_something_for_is_drawn_in_every_format(report, drawn):
    names = [picture.path.name for picture in drawn]
    assert names == ["tradeoff_benign", "tradeoff_narrow", "differences", "outcomes", "doses", "training"]
    begins = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    for picture in drawn:
        for ending in ENDINGS:
            assert picture.file(ending).read_bytes().startswith(begins[ending])
    there = {path.name for path in (report.output / "pictures").iterdir()}
    assert there == {f"{name}.{ending}" for name in names for ending in ENDINGS}


def test_every_picture_says_what_it_shows(drawn):
    for picture in drawn:
        assert picture.title
        assert re.search(r"\d", picture.caption)
        assert 1 <= picture.caption.count(". ") + 1 <= 5


def test_training_is_as_many_steps_as_the_looks_say(drawn):
    (training,) = (picture for picture in drawn if picture.path.name == "training")
    assert "medical ends after 3 steps at broad misaligned 50.0 %, narrow learnt 90.0 %" in training.caption


def test_svg_is_text_that_points_nowhere_and_runs_nothing(drawn):
    for picture in drawn:
        svg = picture.file("svg").read_text("utf-8")
        root = ET.fromstring(svg)
        said = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
        assert "misaligned" in said
        assert root[0].text == picture.title
        assert root[1].text == picture.caption
        assert "<script" not in svg
        assert "DOCTYPE" not in svg
        named = {
            value for element in root.iter() for key, value in element.attrib.items() if key.endswith(("href", "src"))
        }
        assert all(value.startswith("#") for value in named)
        assert not re.search(r"url\((?!#)", svg)
        assert not re.search(r"https?://(?!www\.w3\.org/)", svg)


def test_text_is_large_enough_to_read(drawn):
    for picture in drawn:
        sizes = re.findall(r"font(?:-size)?: ?(?:bold )?([\d.]+)px", picture.file("svg").read_text("utf-8"))
        assert sizes
        assert min(map(float, sizes)) >= 7, "in points, since a page of SVG has 72 to the inch"


def test_the_same_report_makes_the_same_bytes(report, drawn):
    before = {path: path.read_bytes() for path in (report.output / "pictures").iterdir()}
    draw_pictures(report)
    assert {path: path.read_bytes() for path in (report.output / "pictures").iterdir()} == before


def test_what_there_is_nothing_to_show_of_any_more_is_removed_and_other_files_are_not(report, drawn):
    folder = report.output / "pictures"
    old, of_all, mine = folder / "gaps.png", folder / "gaps.all.png", folder / "mine.png"
    for path in (old, of_all, mine):
        path.touch()
    draw_pictures(report)
    assert not old.exists()
    assert of_all.exists(), "what was asked for then is not what is asked for now"
    assert mine.exists()
    of_all.unlink()
    mine.unlink()


def test_names_say_what_was_asked_for(report):
    everything = make_report(report.output, Wanted(everything=True))
    assert everything
    names = {picture.path.name for picture in draw_pictures(everything)}
    assert {"tradeoff_benign.all", "differences.all"} <= names


def test_settings_of_the_user_are_neither_used_nor_changed(tmp_path):
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30.0}):
        before = dict(matplotlib.rcParams)
        with our_look():
            figure = sheet(3, 3)
            figure.text(0.1, 0.5, NAME)
            picture = save(Drawing("what", "title", NAME, figure), tmp_path / "what")
        assert dict(matplotlib.rcParams) == before
    svg = ET.parse(picture.file("svg")).getroot()
    assert next(svg.iter("{http://www.w3.org/2000/svg}text")).text == NAME
    assert svg[1].text == NAME


def test_pyplot_is_not_used(report):
    from matplotlib import pyplot

    draw_pictures(report)
    assert pyplot.get_fignums() == []


def test_names_are_text(tmp_path):
    made = Sweep(tmp_path / "outputs" / "mine")
    for name in ("$\\frac{$", "<b>&amp;</b>", "日本"):
        made.add("kl", "medical", 0, EM, model__name=name)
    report = make_report(made.output)
    assert report
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = draw_pictures(report)
    svg = Path(drawn[0].file("svg")).read_text("utf-8")
    assert "kl · $\\frac{$" in svg
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in svg
    assert "日本" in svg


def test_of_one_row_without_a_baseline_there_is_what_there_is(tmp_path):
    made = Sweep(tmp_path / "outputs" / "mine")
    made.add("kl", "medical", 0, EM)
    report = make_report(made.output)
    assert report
    assert [picture.path.name for picture in draw_pictures(report)] == ["tradeoff_narrow", "outcomes"]


def test_without_a_judge_there_is_no_picture_and_no_folder_is_needed(tmp_path):
    made = Sweep(tmp_path / "outputs" / "mine")
    for name in ("none", "kl"):
        made.add(name, "medical", 0, {"open": "uuuu", "narrow": "uuuu"})
    report = make_report(made.output)
    assert report
    assert draw_pictures(report) == []
