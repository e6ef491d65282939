"""Pages of the API: what `safeguards` exports, and what each room of `experiments` offers."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from types import FunctionType

ROOT = Path(__file__).resolve().parents[1]


def offered(package: str) -> dict[str, list[str]]:
    """By module, the names of it that a package offers; of a module that is offered as such, no names: all of it."""
    folder = ROOT / package.replace(".", "/")
    body = ast.parse((folder / "__init__.py").read_text("utf-8")).body
    (names,) = filter(None, map(_exported, body))
    homes = {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.Module(body, []))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    found: dict[str, list[str]] = {}
    for name in names:
        is_module = (folder / f"{name}.py").is_file()
        home = f"{package}.{name}" if is_module else homes.get(name, package)
        members = found.setdefault(home, [])
        if not is_module:
            members.append(name)
    return found


def _exported(node: ast.stmt) -> list[str]:
    """What a statement assigns to `__all__`; nothing if it is another."""
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return list(ast.literal_eval(node.value))
    return []


@cache
def packages() -> list[str]:
    """`safeguards`, and every room that offers something."""
    rooms = sorted(path.parent.name for path in ROOT.glob("experiments/*/__init__.py"))
    return ["safeguards", *(f"experiments.{room}" for room in rooms if _offers(f"experiments.{room}"))]


def _offers(package: str) -> bool:
    text = (ROOT / package.replace(".", "/") / "__init__.py").read_text("utf-8")
    return any(map(_exported, ast.parse(text).body))


def page(package: str) -> str:
    """The page of a package."""
    parts = [f"# {package}", f"::: {package}\n    options: {{members: false, show_root_heading: false}}"]
    for module, names in offered(package).items():
        if module == package:
            parts += [f"::: {package}.{name}" for name in names]
        else:
            chosen = f"\n    options: {{members: [{', '.join(names)}]}}" if names else ""
            parts.append(f"::: {module}{chosen}")
    return "\n\n".join(parts) + "\n"


def overview() -> str:
    """The page above them."""
    lines = ["# API", "", "What others may take, from `__all__` of each package.", ""]
    for package in packages():
        doc = ast.get_docstring(ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text("utf-8"))) or ""
        lines.append(f"* [`{package}`]({package}.md): {doc.partition(chr(10))[0]}")
    return "\n".join(lines) + "\n"


def documented() -> set[str]:
    """Every module that has a place in the API."""
    return {module for package in packages() for module in offered(package)}


def public(module: str) -> list[str]:
    """The classes and functions of a module that are for others, in its order."""
    found = vars(sys.modules[module]).items()
    return [
        name
        for name, value in found
        if isinstance(value, type | FunctionType) and value.__module__ == module and not name.startswith("_")
    ]
