"""What the READMEs say is so: links, commands, settings, numbers that stand twice, and the example in Python."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.config.compose import CONF, compose_config, load_config
from experiments.planning.task_list import expand_tasks, tasks_named
from experiments.report.columns import BROAD, MAIN, SIDE_EFFECTS
from experiments.report.domain_columns import IN_DOMAIN
from experiments.report.margins_table import KEPT
from experiments.searching.asked import OWN
from safeguards import cards
from safeguards.composition import ALL, NONE, PAIRS, registry

ROOT = Path(__file__).parents[1]
README, RESULTS = ROOT / "README.md", ROOT / "experiments" / "RESULTS.md"
PAGES = [*ROOT.glob("*.md"), *(page for part in ("safeguards", "experiments") for page in (ROOT / part).rglob("*.md"))]
# Commands that compose a configuration of their settings; the others name each setting in their help.
COMPOSING = ("experiments.sweep", "experiments.plan", "experiments.rescore", "experiments.search")


def text_of(page: Path) -> str:
    return page.read_text("utf-8").replace("\\\n", " ")


def anchors(page: Path) -> list[str]:
    """The headings, as GitHub makes addresses of them."""
    prose = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)]
    return [heading.replace(" ", "-") for heading in words]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `python -m module words …`: the module and its words; what a reader is to fill in is `filled`."""
    for page in PAGES:
        for module, rest in re.findall(r"python -m ((?:safeguards|experiments)[\w.]*)([^`#\n]*)", text_of(page)):
            yield module, shlex.split(re.sub(r"<[^>]*>", "filled", rest.replace("…", "")))


def numbers(page: Path) -> dict[str, list[str]]:
    """The cells of the first table of numbers, without those that are empty, by the name of the row."""
    first = text_of(page).partition("\n## Every safeguard")[0]
    rows = re.findall(r"^\| `?([\w+]+)`? \| (\d.+) \|$", first, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def test_the_first_page_is_short():
    assert len(README.read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = link.partition("#")
        if not path.startswith("https://"):
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_lines_of_the_first_page_end():
    lines = [line for line in README.read_text("utf-8").splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > 120] == []


def test_every_page_is_linked_from_the_first():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in re.findall(r"\]\(([^)]+)\)", text_of(README))}
    assert {page.resolve() for page in PAGES if page.parent != ROOT} <= linked


@pytest.mark.parametrize("module", sorted({module for module, _ in commands()}))
def test_every_command_exists_and_knows_its_switches(module):
    words = {word for name, words in commands() if name == module for word in words}
    switches = {word for word in words if word.startswith("-")}
    settings = {word.partition("=")[0] for word in words if "=" in word} if module not in COMPOSING else set()
    told = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True).stdout
    assert told
    assert {switch for switch in switches if switch not in told} == set()
    assert {setting for setting in settings if f"{setting}=" not in told} == set()


@pytest.mark.parametrize(
    "words", [words for module, words in commands() if module in COMPOSING and "labels=" not in " ".join(words)]
)
def test_every_setting_of_a_command_exists(words):
    own = tuple(key.partition(".")[0] for key in OWN)  # of a search, which reads these itself
    words = [word for word in words if "=" in word and not word.startswith(own)]
    given = OverridesParser.create().parse_overrides(words)
    listed = [one for one in given if one.get_key_element() == "task" and isinstance(one.value(), list)]
    for own in (task for override in listed for task in expand_tasks(override.value())):
        compose_config(*own)
    given = [override for override in given if override not in listed]
    values = {
        override.get_key_element(): list(override.sweep_string_iterator())
        if override.is_sweep_override()
        else [override.get_value_element_as_str()]
        for override in given
        if not override.is_interval_sweep()
    }
    values |= {"task": [task for name in values["task"] for task in tasks_named(name)]} if "task" in values else {}
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        for key in values:
            for value in values[key]:
                chosen = {other: several[0] for other, several in values.items()} | {key: value}
                if chosen.get("safeguard") in (ALL, PAIRS):
                    chosen["safeguard"] = NONE
                load_config(compose("config", [f"{other}={one}" for other, one in chosen.items()]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_that_are_named_exist(page):
    config = compose_config("safeguard=none")
    for group, key in re.findall(r"`([a-z_]+)\.(?!py`|safetensors`)([a-z_.]+)(?:=[^`]*)?`", text_of(page)):
        if group == "safeguards":
            name, _, setting = key.partition(".")
            assert not setting or hasattr(registry()[name].Settings(), setting), f"{group}.{key}"
        elif hasattr(config, group):
            settings = getattr(config, group)
            assert key.partition(".")[0] in (settings if isinstance(settings, dict) else vars(settings)), (
                f"{group}.{key}"
            )


def test_every_column_of_a_comparison_is_explained():
    page = " ".join(text_of(ROOT / "experiments" / "report" / "README.md").lower().split())
    headings = {column.heading.removesuffix(" %") for column in (*MAIN, *BROAD, *SIDE_EFFECTS, *KEPT)}
    headings |= {column.heading.removesuffix(" %") for column in IN_DOMAIN}
    headings = {re.sub(r"any of \d+", "any of k", heading) for heading in headings} - {"safeguard", "model"}
    assert {heading for heading in headings if heading.lower() not in page} == set()


def test_targets_of_make_that_are_named_exist():
    known = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    target = re.compile(r"(?:`|^ {4})make ([\w-]+)", re.MULTILINE)
    named = [name for page in PAGES for name in target.findall(text_of(page))]
    assert set(named) <= set(known)
    assert named


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.+?)```", text_of(README), re.DOTALL)
    exec(compile(example, str(README), "exec"), {})
    told = capsys.readouterr().out
    assert "kl: loss term kl pulls" in told
    assert "interleave: rows 1 → 2" in told


def test_the_table_of_safeguards_is_made_from_their_cards():
    assert f"\n\n{cards.overview()}\n\n" in text_of(README)
    assert f"Here are {len(registry())} of them" in text_of(README).replace("\n", " ")


def test_the_few_rows_are_those_of_all_results():
    shown, all_of_them = numbers(README), numbers(RESULTS)
    assert len(shown) == 7
    for name, cells in shown.items():
        assert cells == all_of_them[name][: len(cells)]


def test_the_doses_of_the_first_organism_are_what_a_sweep_takes():
    rows = re.findall(r"^\| `(\w+)` \| `(.+)` \|$", text_of(RESULTS).partition("### Doses")[2], re.MULTILINE)
    assert len(rows) == 5
    for name, said in rows:
        settings = compose_config("model=organism_one", f"safeguard={name}").safeguards[name]
        settings = settings if isinstance(settings, dict) else vars(settings)
        for setting in said.split("`, `"):
            name, _, value = setting.partition("=")
            assert str(settings[name]) == value


@pytest.mark.parametrize(("status", "requeued"), [(0, ""), (1, ""), (75, "requeue 7\n")])
def test_the_batch_script_for_slurm_ends_as_the_sweep_does(status, requeued):
    text = (ROOT / "experiments" / "README.md").read_text("utf-8")
    script = "srun " + text.partition("      srun ")[2].partition("\n\n")[0].partition("\n* ")[0]
    script = f"srun() {{ return {status}; }}; scontrol() {{ echo $*; }}; SLURM_JOB_ID=7\n{script}\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, requeued, "")
