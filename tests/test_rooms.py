"""Rooms and arrows: who imports whom, as each room's docstring says, one way and never in a circle."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("safeguards", "experiments")
# Whose private names may change under us at any release.
LIBRARIES = ("accelerate", "datasets", "hydra", "omegaconf", "peft", "transformers", "trl")


def modules(root: Path) -> dict[str, Path]:
    """Every module by its dotted name."""
    files = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports(path: Path) -> list[tuple[str, str]]:
    """(module, name) of every import of a file, wherever it stands: at the top, in a function, for types only."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


def arrows(root: Path) -> dict[str, set[str]]:
    """The modules of ours that each module imports."""
    known = modules(root)

    def target(module: str, name: str) -> str:
        return f"{module}.{name}" if f"{module}.{name}" in known else module

    return {
        own: {to for module, name in imports(path) if (to := target(module, name)) in known}
        for own, path in known.items()
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle; none if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room(module: str) -> str:
    """The room that a module is in; nothing for a command, and for what is not in `experiments`."""
    parts = module.split(".")
    inside = (ROOT / "experiments" / parts[1]).is_dir() if parts[0] == "experiments" and len(parts) > 1 else False
    return parts[1] if inside else ""


def undeclared(root: Path) -> list[str]:
    """What rooms import and do not say, say and do not import, or take from a room that does not offer it."""
    found = []
    known = modules(root)
    for name in sorted({room(module) for module in known} - {""}):
        doc = ast.get_docstring(ast.parse(known[f"experiments.{name}"].read_text("utf-8"))) or ""
        line = re.search(r"^Imports: (.+)\.$", doc, re.M)
        declared = set(line[1].split(", ")) - {"no other room"} if line else {"(no line Imports: …)"}
        own = {module for module in known if room(module) == name}
        used = {room(to) for module in own for to, _ in imports(known[module])} - {"", name}
        used |= {room(f"{to}.{what}") for module in own for to, what in imports(known[module])} - {"", name}
        found += [f"{name} imports {other}, which its docstring does not say" for other in sorted(used - declared)]
        found += [f"{name} does not import {other}, as its docstring says" for other in sorted(declared - used)]
    for module, path in known.items():
        for to, what in imports(path):
            other = room(to)
            if not other or other == room(module):
                continue
            offer = what if to == f"experiments.{other}" else to.split(".")[2]
            if offer not in offers(known[f"experiments.{other}"]):
                found.append(f"{module} takes {offer} from {other}, which does not offer it")
    return found


def offers(path: Path) -> list[str]:
    """What `__all__` of a room names."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def backwards(root: Path) -> list[str]:
    """Arrows that no docstring may allow."""
    known = modules(root)
    return [
        f"{module} imports {to}"
        for module, path in known.items()
        for to, _ in imports(path)
        if (module.startswith("safeguards") and to.startswith("experiments"))
        or (room(module) == "report" and to.split(".")[0] in ("torch", "transformers", "peft", "trl", "hydra"))
        or (room(module) and room(to) == "" and to.startswith("experiments."))
    ]


def private(root: Path) -> list[str]:
    """Private modules and names of libraries that are imported."""
    return [
        f"{module} imports {to} {name}".strip()
        for module, path in modules(root).items()
        for to, name in imports(path)
        if to.split(".")[0] in LIBRARIES
        and any(part.startswith("_") and not part.startswith("__") for part in (*to.split("."), name))
    ]


def taken(root: Path, parents: Iterable[str]) -> list[str]:
    """Private names of foreign objects, and of the classes that our trainer extends, that `safeguards` uses."""
    of_parents = {name for source in parents for name in re.findall(r"\b(?:self\.|def )(_[a-z]\w*)", source)}
    found = []
    for module, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))) if module.startswith("safeguards") else ():
            if isinstance(node, ast.Attribute):
                name, own = node.attr, ast.unparse(node.value) in ("self", "cls")
            elif isinstance(node, ast.FunctionDef):
                name, own = node.name, True
            else:
                continue
            if not own and re.match("_[a-z]", name):
                found.append(f"{module} reads {ast.unparse(node)}")
            elif module == "safeguards.trainer" and name in of_parents:
                found.append(f"{module} uses {name} of its parents")
    return found


def trainer_sources() -> list[str]:
    """The source of the classes that `SafeguardTrainer` extends."""
    from trl import SFTTrainer

    return [inspect.getsource(parent) for parent in SFTTrainer.__mro__ if parent is not object]


def test_nothing_private_of_a_trainer_is_overridden_or_read():
    assert taken(ROOT, trainer_sources()) == []


@pytest.mark.parametrize(
    "line",
    [
        "self._metrics = {}",
        "print(self._signature_columns)",
        "def _set_signature_columns_if_needed(self): pass",
        "print(self.model._hf_peft_config_loaded)",
    ],
)
def test_a_private_name_of_a_trainer_is_noticed(tmp_path, line):
    (tmp_path / "safeguards").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "safeguards" / "trainer.py").write_text(f"def late(self):\n    {line}\n", "utf-8")
    assert len(taken(tmp_path, trainer_sources())) == 1


def test_nothing_is_imported_in_a_circle():
    assert circle(arrows(ROOT)) == []


def test_rooms_import_what_they_say_and_take_what_is_offered():
    assert undeclared(ROOT) == []


def test_data_flow_one_way():
    assert backwards(ROOT) == []


def test_nothing_private_of_a_library_is_imported():
    assert private(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "check"),
    [
        ("safeguards/errors.py", "from safeguards.trainer import SafeguardTrainer", lambda root: circle(arrows(root))),
        ("experiments/records/names.py", "from experiments.report.write import write_report", undeclared),
        ("experiments/config/text_rules.py", "from experiments.report.measures import estimate", undeclared),
        ("experiments/sweep.py", "from experiments.report.comparison import compare", undeclared),
        ("experiments/report/write.py", "import torch", backwards),
        ("experiments/report/write.py", "from experiments.sweep import main", backwards),
        ("safeguards/kl.py", "from experiments.records.names import NARROW", backwards),
        ("safeguards/step.py", "from transformers.trainer import _is_peft_model", private),
    ],
)
def test_a_circle_and_a_forbidden_arrow_are_noticed(tmp_path, file, line, check):
    for path in modules(ROOT).values():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text("utf-8"), "utf-8")
    before = check(tmp_path)
    copy = tmp_path / file
    copy.write_text((copy.read_text("utf-8") if copy.is_file() else "") + f"\n\ndef late():\n    {line}\n", "utf-8")
    assert len(check(tmp_path)) > len(before)
