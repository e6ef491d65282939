"""What is installed elsewhere is whole: every file, every command, and an arm that runs from nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from importlib.metadata import distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("safeguards", "experiments")
# Runs an installed script, and writes down where what it imported of ours lies.
SCRIPT = """
import json, runpy, sys
try:
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
finally:
    ours = [module for name, module in sys.modules.items() if name.split(".")[0] in ("safeguards", "experiments")]
    json.dump([module.__file__ for module in ours], open("imported.json", "w"))
"""


def run(*command: object, folder: Path, **environment: str) -> str:
    found = subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def build_wheel(project: Path, folder: Path) -> Path:
    run("-m", "pip", "wheel", project, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return build_wheel(ROOT, tmp_path)


def test_a_wheel_holds_both_packages_and_nothing_else(wheel):
    files = [path for folder in (*PACKAGES, "conf") for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    expected = {name.replace("conf/", "experiments/conf/", 1) if name.startswith("conf/") else name for name in kept}
    named = ZipFile(wheel).namelist()
    said = {name for name in named if name.startswith("em_safeguards-") and ".dist-info/" in name}
    assert set(named) - said == expected
    assert any(name.endswith("/licenses/LICENSE") for name in said)


def test_an_sdist_makes_the_same_wheel(wheel, tmp_path):
    run("-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, folder=ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "again").mkdir()
    again = build_wheel(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()


def test_every_command_is_installed_under_its_own_name(wheel):
    commands = [path for path in (ROOT / "experiments").glob("*.py") if "def main(" in path.read_text("utf-8")]
    modules = [path.stem for path in commands] + [
        f"{path.parent.name}.__main__" for path in (ROOT / "experiments").glob("*/__main__.py")
    ]
    names = [module.removesuffix(".__main__").replace("_", "-") for module in modules]
    (told,) = distributions(path=[str(wheel)])
    assert {(entry.name, entry.value) for entry in told.entry_points} == {
        (f"safeguards-{name}", f"experiments.{module}:main") for name, module in zip(names, modules, strict=True)
    }
    for entry in told.entry_points:
        assert callable(entry.load()), entry


def test_an_arm_runs_from_a_wheel_alone(wheel, tmp_path):
    installed, folder = tmp_path / "installed", tmp_path / "elsewhere"
    folder.mkdir()
    run("-m", "pip", "install", "--quiet", "--no-deps", "--target", installed, wheel, folder=folder)
    quick = ["training.epochs=0.02", "probes.sets=[facts]", "probes.samples=1", "wandb=disabled"]
    chosen = ["safeguard=kl", "task=medical", "seed=0", "name=try", "training.proof=warn", *quick]
    script = installed / "bin" / "safeguards-sweep"
    run("-P", "-c", SCRIPT, script, *chosen, folder=folder, PYTHONPATH=str(installed), HF_HUB_OFFLINE="1")
    imported = json.loads((folder / "imported.json").read_text())
    assert [path for path in imported if not Path(path).is_relative_to(installed)] == []
    rows = json.loads((folder / "outputs" / "try" / "comparison.json").read_text())["rows"]
    assert [row["safeguard"] for row in rows] == ["untouched", "none", "kl"]
