"""Gathers the site: READMEs as they stand in the folders, a page for each safeguard, the API, and linked sources."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

import api  # noqa: E402
import github  # noqa: E402
import results  # noqa: E402
import safeguard_page  # noqa: E402

from safeguards.composition import registry  # noqa: E402
from safeguards.errors import SafeguardError  # noqa: E402

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for place in (ROOT.glob("*.md"), ROOT.glob("safeguards/**/*.md"), ROOT.glob("experiments/**/*.md"))
    for path in place
)
# Sections of one page, which have nothing to list beside it.
ALONE = ("README.md", results.RESULTS)
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
started = time.perf_counter()


def on_config(config: MkDocsConfig) -> None:
    """Say in which order pages stand."""
    inside = [page for page in PAGES if page.startswith("experiments/") and page != results.RESULTS]
    experiments = sorted(inside, key=lambda page: page != "experiments/README.md")  # the one to begin with
    methods = [f"{safeguard_page.FOLDER}/{name}.md" for name in registry()]
    config.nav = [
        {"Home": "README.md"},
        {"Safeguards": ["safeguards/README.md", f"{safeguard_page.FOLDER}/README.md", *_named(methods)]},
        {"Experiments": experiments},
        {"Results": results.RESULTS},
        {"API": ["api/README.md", *({package: f"api/{package}.md"} for package in api.packages())]},
        {"Project": ["CONTRIBUTING.md", "CHANGELOG.md"]},
    ]


def _named(pages: list[str]) -> list[dict[str, str]]:
    return [{Path(page).stem: page} for page in pages]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add every page; none is on the disk.

    Raises:
        PluginError: if the page of a safeguard is not whole.
    """
    try:
        pages = made_pages()
    except SafeguardError as error:
        raise PluginError(str(error)) from error
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))


def made_pages() -> dict[str, str]:
    """The text of every page, by its path.

    Raises:
        SafeguardError: if that of a safeguard is not whole.
    """
    made = {page: (ROOT / page).read_text("utf-8") for page in PAGES}
    made |= {f"{safeguard_page.FOLDER}/{name}.md": safeguard_page.page(name) for name in registry()}
    made[f"{safeguard_page.FOLDER}/README.md"] = safeguard_page.overview(list(registry()))
    made["api/README.md"] = api.overview()
    made |= {f"api/{package}.md": api.page(package) for package in api.packages()}
    made |= {f"source/{path}.md": source(path) for path in linked_sources()}
    return made


def linked_sources() -> list[str]:
    """What pages link to that is no page and not in the API: files, and folders with those in them."""
    found = set()
    for page in PAGES:
        for target, _ in LINK.findall((ROOT / page).read_text("utf-8")):
            path = (ROOT / page).parent.joinpath(target).resolve()
            if "://" in target or not path.is_relative_to(ROOT):
                continue
            own = path.relative_to(ROOT).as_posix()
            if path.is_dir() and own != safeguard_page.FOLDER:
                found |= {own, *(each.relative_to(ROOT).as_posix() for each in path.iterdir() if each.is_file())}
            elif path.is_file() and path.suffix != ".md" and _module(own) not in api.documented() and not _method(own):
                found.add(own)
    return sorted(found)


def source(path: str) -> str:
    """The page of a file, or of a folder."""
    own = ROOT / path
    if own.is_dir():
        lines = [f"* [{each.name}]({own.name}/{each.name}.md)" for each in sorted(own.iterdir()) if each.is_file()]
        return "\n".join([f"# {path}", "", *lines]) + "\n"
    kind = {".py": "python", ".yaml": "yaml", ".json": "json"}.get(own.suffix, "text")
    fence = "`" * 6
    return f"# {path}\n\n{fence}{kind}\n{own.read_text('utf-8')}\n{fence}\n"


def _method(path: str) -> bool:
    return Path(path).parent.as_posix() == safeguard_page.FOLDER


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make text for GitHub read the same here, and let links to sources lead to a page."""
    if page.file.src_uri not in PAGES:
        return markdown
    if page.file.src_uri in ALONE:
        page.meta["hide"] = ["navigation"]

    def linked(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        path = (ROOT / page.file.src_uri).parent.joinpath(target).resolve()
        if "://" in target or path.suffix == ".md" or not path.is_relative_to(ROOT):
            return found[0]
        own = path.relative_to(ROOT).as_posix()
        if own == safeguard_page.FOLDER:
            return f"]({_relative(page, f'{own}/README.md')})"
        if _method(own):
            return f"]({_relative(page, f'{safeguard_page.FOLDER}/{path.stem}.md')})"
        if _module(own) in api.documented():
            return f"][{_module(own)}]"
        return f"]({_relative(page, f'source/{own}.md')}{anchor})" if path.exists() else found[0]

    return github.as_here(LINK.sub(linked, markdown))


def _relative(page: Page, uri: str) -> str:
    return "../" * page.file.src_uri.count("/") + uri


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Say how much there is."""
    pages = sum(1 for _ in Path(config.site_dir).rglob("*.html"))
    print(f"{pages} pages in {time.perf_counter() - started:.0f} seconds: {config.site_dir}")
