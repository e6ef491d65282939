"""The documentation site: it builds strictly, every safeguard has a whole page, and nothing is fetched from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag

import pytest

from safeguards import SafeguardError, registry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# What a page fetches, or would run, by tag.
FETCHES = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class Parts(HTMLParser):
    """The links, anchors, headings and fetched files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.headings: list[str] = []
        self.heading = False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in FETCHES and found.get(FETCHES[tag]):
            self.fetched.append(found[FETCHES[tag]])
        if tag == "h2":
            self.headings.append("")
            self.heading = True
        if tag == "a" and "headerlink" in (found.get("class") or ""):
            self.heading = False

    def handle_endtag(self, tag):
        self.heading = self.heading and tag != "h2"

    def handle_data(self, data):
        if self.heading:
            self.headings[-1] += data


@pytest.fixture
def docs(monkeypatch) -> dict[str, ModuleType]:
    """The modules that make the pages."""
    monkeypatch.syspath_prepend(str(DOCS))
    import api
    import github
    import numbers_of
    import results
    import safeguard_page
    import several

    return {module.__name__: module for module in (api, github, numbers_of, results, safeguard_page, several)}


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(site)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)


def test_the_site_builds_strictly_and_is_whole(tmp_path):
    site = tmp_path / "site"
    done = build(DOCS / "mkdocs.yml", site)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.resolve(): Parts(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert re.search(rf"^{len(pages) + 1} pages in \d+ seconds: ", done.stdout, re.MULTILINE)
    dead, outside = [], []
    for path, parts in pages.items():
        for link in parts.links:
            address, anchor = urldefrag(link)
            if re.match(r"(https?|mailto):", address):
                continue
            target = (path.parent / unquote(address)).resolve() if address else path
            if not target.is_file() or (anchor and target in pages and unquote(anchor) not in pages[target].anchors):
                dead.append(f"{path.relative_to(site)}: {link}")
        outside += [f"{path.name}: {file}" for file in parts.fetched if re.match(r"(https?:)?//", file)]
        assert not [link for link in parts.links if link.endswith(".md")], path
    assert dead == []
    assert outside == []
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text("utf-8")), path
    text = {path: path.read_text("utf-8") for path in [*pages, site / "search" / "search_index.json"]}
    assert [path for path, words in text.items() if str(ROOT) in words or "mermaid" in words] == []
    for name in registry():
        headings = pages[site / "safeguards" / "methods" / f"{name}.html"].headings
        assert headings == [*PARTS], name
    for page in ("index.html", "experiments/RESULTS.html", "safeguards/index.html", "api/experiments.report.html"):
        assert (site / page).is_file()
    assert {"safeguards.trainer.SafeguardTrainer", "safeguards.safeguard.Safeguard"} <= pages[
        site / "api" / "safeguards.html"
    ].anchors


PARTS = (
    *("Formula", "Settings", "Doses", "Costs", "What it composes badly with", "Our result", "Published result"),
    *("Source", "API"),
)


@pytest.mark.parametrize("link", ["b.md#nowhere", "c.md", "/b.md", "#nowhere"])
def test_a_broken_link_or_anchor_fails(tmp_path, link):
    text = (DOCS / "mkdocs.yml").read_text("utf-8")
    validation = "validation:" + text.partition("\nvalidation:")[2]
    (tmp_path / "pages").mkdir()
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\ndocs_dir: pages\nplugins: []\n{validation}", "utf-8")
    (tmp_path / "pages" / "b.md").write_text("# B\n\n## There\n", "utf-8")
    for target, status in {"b.md#there": 0, link: 1}.items():
        (tmp_path / "pages" / "index.md").write_text(f"# A\n\n[x]({target})\n", "utf-8")
        assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == status


@pytest.mark.parametrize("name", registry())
def test_every_safeguard_has_a_page_with_all_parts(docs, name):
    page = docs["safeguard_page"].page(name)
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == list(PARTS)
    for setting in registry()[name].Settings.__dataclass_fields__:
        assert f"| `{setting}` |" in page
    assert f"::: {registry()[name].__module__}.Settings" in page
    assert f"::: {registry()[name].__module__}.{registry()[name].__name__}" in page
    assert "\nSource: " not in page  # the card is taken apart, and not there a second time
    card = sys.modules[registry()[name].__module__].__doc__.replace("Composes badly with:", "")
    wanted, shown = (re.findall(r"\w{4,}", text.lower()) for text in (card, page))
    assert set(wanted) - set(shown) == set()  # nothing of it is lost


def test_a_number_on_a_page_is_that_of_the_tables(docs):
    page = docs["safeguard_page"].page("kl")
    row = re.search(r"^\| kl \| 21\.9 .+ \|$", (ROOT / "experiments" / "RESULTS.md").read_text("utf-8"), re.MULTILINE)
    assert row[0] in page
    assert "| `kl` | 1.44 [1.19, 1.71] |" in page
    assert "| 2.04 | 26.25 | 1.79 | 6.57 |" in page  # of the published table about security
    assert "[arXiv 2508.06249](https://arxiv.org/abs/2508.06249)" in page


def test_conflicts_and_order_stand_on_both_pages(docs):
    page = docs["safeguard_page"].page
    why = registry()["interleave_ppl"].conflicts_with["interleave"]
    assert f"Refused with [`interleave`](interleave.md): {why}" in page("interleave_ppl")
    assert f"Refused with [`interleave_ppl`](interleave_ppl.md): {why}" in page("interleave")
    assert "Acts after [`early_stop`](early_stop.md), [`ablation`](ablation.md)" in page("safelora")
    assert "[`safelora`](safelora.md)" in page("ablation").partition("Acts before")[2]


def test_updates_and_opening_formulas_stand_as_code(docs):
    apart = docs["safeguard_page"].apart
    assert apart("once, before clipping. g ← g − (g·s / ‖s‖²) s where g·s < 0, and then g ← g + ρ s. Only") == (
        "once, before clipping. `g ← g − (g·s / ‖s‖²) s` where g·s < 0, and then `g ← g + ρ s`. Only"
    )
    assert apart("h ← h + α · v at one layer").split("\n")[2:5] == ["```text", "h ← h + α · v", "```"]
    assert apart("every row gets the prompt, before its own.") == "every row gets the prompt, before its own."


CARD = """Mine.

Source: me, arXiv 2601.00001.
Form: ours
Compared with: authors' code not found, nothing was read
Doses: transferable
Loss: CE + λ · x, of something.
Costs: nothing.
Composes badly with: nothing known.
"""


@pytest.fixture
def mine(monkeypatch, docs):
    """Makes the page of a new safeguard with this card."""
    from safeguards import composition
    from safeguards.methods import kl

    class Mine(kl.KL):
        """Does it."""

        name = "mine"

    def page(card: str) -> str:
        module = ModuleType("mine")
        module.__doc__ = card
        monkeypatch.setitem(sys.modules, "mine", module)
        Mine.__module__ = "mine"
        module.Mine = Mine
        known = {**composition.registry(), "mine": Mine}
        for user in (docs["safeguard_page"], docs["safeguard_page"].cards):
            monkeypatch.setattr(user, "registry", lambda: known)
        return docs["safeguard_page"].page("mine")

    return page


def test_a_new_safeguard_needs_its_card_only(mine):
    page = mine(CARD)
    assert page.startswith("# Mine\n\n`mine`: Does it.")
    assert "```text\nCE + λ · x\n```\n\n… of something." in page
    assert "Not measured." in page.partition("## Costs")[2].partition("## What")[0]
    assert "Not measured." in page.partition("## Our result")[2].partition("## Pub")[0]
    assert "None that we know of" in page


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("Loss: CE + λ · x, of something.\n", "Formula"),
        ("Costs: nothing.\n", "Costs"),
        ("Composes badly with: nothing known.\n", "What it composes badly with"),
        ("Source: me, arXiv 2601.00001.\n", "Source"),
        ("Doses: transferable\n", "Doses"),
    ],
)
def test_a_page_that_lacks_a_part_ends_the_build(mine, line, part):
    assert line in CARD
    with pytest.raises(SafeguardError, match=f"mine: .*{part}"):
        mine(CARD.replace(line, ""))


def test_a_setting_without_a_meaning_ends_the_build(docs, mine, monkeypatch):
    monkeypatch.setattr(docs["safeguard_page"].cards, "explained", lambda settings: {"weight": ""})
    with pytest.raises(SafeguardError, match="mine: nothing says what `weight` means"):
        mine(CARD)


def test_the_sections_that_pages_are_made_of_are_there(docs):
    results = docs["results"]
    assert {results.COSTS, *results.COMPARISONS} <= {table.section for table in results.tables()}
    for name in registry():
        assert results.costs(name), name
        assert [table.section for table in results.outcomes(name)][:2] == [*results.COMPARISONS]


def test_tables_are_read_with_the_heading_above_them(docs):
    text = "# Top\n\n## One\n\n| a | b |\n|--|--|\n| `kl` | 1 \\| 2 |\n| kl+x | 3 |\n\ntext\n"
    text += "\n### Two\n\n| c |\n|--|\n| kl |\n"
    one, two = docs["results"].read(text)
    assert (one.section, one.columns, two.section) == ("One", ("a", "b"), "Two")
    assert one.of("kl") == (("`kl`", "1 \\| 2"),)
    assert two.of("ldifs") == ()


@pytest.mark.parametrize(
    ("github", "here"),
    [
        ("Text\n* one\n  more\n* two\n", "Text\n\n* one\n    more\n* two\n"),
        ("* one\n\n      code\n\nText\n    code\n", "* one\n\n        code\n\nText\n    code\n"),
        ("```\n* one\n  two\n```\n", "```\n* one\n  two\n```\n"),
        ("Then\n1. one\n   more\n", "Then\n\n1. one\n     more\n"),
    ],
)
def test_lists_are_those_of_github(docs, github, here):
    assert docs["github"].as_here(github) == here


def test_a_line_may_explain_several_arguments(docs):
    apart = docs["several"].one_line_each
    text = "Does.\n\nArgs:\n    a: one.\n    b, c: two,\n        and more.\n\nReturns:\n    x, y: stays.\n"
    assert apart(text) == (
        "Does.\n\nArgs:\n    a: one.\n    b: two,\n        and more.\n    c: two,\n        and more.\n\n"
        "Returns:\n    x, y: stays.\n"
    )
    assert apart("Of rows, pool: nothing.") == "Of rows, pool: nothing."


def test_the_api_has_what_packages_offer(docs):
    api = docs["api"]
    assert api.offered("safeguards")["safeguards.trainer"] == ["SafeguardTrainer"]
    assert api.offered("safeguards")["safeguards.rows"] == ["Row", "read_rows"]
    assert api.offered("experiments.report")["experiments.report.labels"] == []
    rooms = {path.parent.name for path in ROOT.glob("experiments/*/__init__.py")} - {"benchmark"}
    assert set(api.packages()) == {"safeguards", *(f"experiments.{room}" for room in rooms)}
