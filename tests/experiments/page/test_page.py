"""The page as a file: data that cannot leave its block, one script that the policy knows, and pictures inside."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page.made_up import HOSTILE, MadeUp, answer, hostile

from experiments.page import page as page_module
from experiments.page.page import as_data, embedded, pictures_in, whole_page, write_page
from experiments.pictures.picture import Picture
from experiments.records.outcomes import Score
from experiments.report.report import Wanted, make_report
from safeguards.errors import SafeguardError

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>window.ran = "svg"</script></svg>'


def block(page: str, name: str) -> str:
    found = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def picture(tmp_path) -> Picture:
    (tmp_path / "p.svg").write_text(SVG)
    return Picture(tmp_path / "p", "<b>title</b>", 'a "caption" & more')


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists) | st.dictionaries(st.text(), st.text()))
def test_data_are_the_same_again_and_end_no_block(value):
    text = as_data(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_a_lone_surrogate_can_be_written():
    assert json.loads(as_data("\ud800")) == "\ud800"
    assert whole_page({"name": "\ud800"}).encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_text_in_the_title_and_the_block(text):
    page = whole_page({"name": text})
    assert json.loads(block(page, "page-data"))["name"] == text
    title = re.search("<title>(.*?)</title>", page, re.S)
    assert title
    assert "<" not in title[1]
    assert page.count("<script") == 3
    assert "{{" not in re.sub(r"<script.*?</script>", "", page, flags=re.S) or "{{" in text


def test_the_policy_allows_the_one_script_and_loads_nothing():
    page = whole_page({"name": "x"})
    (script,) = re.findall("<script>(.*?)</script>", page, re.S)
    (style,) = re.findall("<style>(.*?)</style>", page, re.S)
    policy = unescape(re.findall('Content-Security-Policy" content="([^"]*)"', page)[0])
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for text, kind in ((script, "script-src"), (style, "style-src")):
        assert rules[kind] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert rules["default-src"] == rules["connect-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert rules["img-src"] == "data:"
    outside = re.findall(
        r"""(?:src|href)\s*=\s*["']?(?!#|data:)([^"'\s>]+)""", re.sub("<script>.*", "", page, flags=re.S)
    )
    assert outside == []
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_no_text_is_ever_taken_for_markup():
    """What the script would need for that does not stand in it."""
    scripts = list(Path(page_module.__file__).parent.glob("*.js"))
    assert sorted(path.name for path in scripts) == sorted(page_module.SCRIPTS)
    for path in scripts:
        text = path.read_text("utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"):
            assert word not in text, path


def test_a_picture_is_an_image_inside(picture):
    assert embedded(picture) == {
        "title": "<b>title</b>",
        "caption": 'a "caption" & more',
        "source": "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode(),
    }
    picture.file("svg").rename(picture.file("png"))
    assert embedded(picture)["source"].startswith("data:image/png;base64,")
    picture.file("png").unlink()
    with pytest.raises(SafeguardError, match=r"p\.svg: no such picture; draw it again"):
        embedded(picture)


def test_the_page_lies_beside_the_comparison(tmp_path, picture):
    sweep = hostile(tmp_path / "outputs" / "mine")
    report = make_report(sweep.output)
    assert report
    path = write_page(report, [picture])
    assert path == sweep.output / "report.html"
    written = path.read_text("utf-8")
    assert written.count("<script") == 3
    page = json.loads(block(written, "page-data"))
    assert [table["title"] for table in page["tables"]] == [table.title for table in report.tables]
    assert page["rows"] == ["untouched", "none", "<script>window.ran='safeguard'</script>"]
    assert write_page(report, [picture]).read_text("utf-8") == written
    assert pictures_in(path, path.stat().st_mtime - 1) == page["pictures"]


def test_a_page_by_another_judge_has_another_name(tmp_path):
    sweep = MadeUp(tmp_path / "mine")
    folder = sweep.add("none", [answer("Yes.")], [Score("aligned")])
    (folder / "scores.other.jsonl").write_text((folder / "scores.exact.jsonl").read_text())
    report = make_report(sweep.output, Wanted(judge="other"))
    assert report
    assert write_page(report, []).name == "report.other.html"


def test_pictures_of_a_page_are_taken_only_if_no_record_is_newer(tmp_path, picture):
    path = tmp_path / "report.html"
    path.write_text(whole_page({"name": "x", "pictures": [embedded(picture)]}), "utf-8")
    os.utime(path, (1000, 1000))
    assert pictures_in(path, 999) == [embedded(picture)]
    assert pictures_in(path, 1001) == []
    assert pictures_in(tmp_path / "none.html", 0) == []
    path.write_text("<html>something else</html>")
    assert pictures_in(path, 0) == []
    path.write_text('<script type="application/json" id="page-data">{"pictures": [3]}</script>')
    assert pictures_in(path, 0) == []
