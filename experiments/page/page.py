"""The page of a sweep: one file that opens offline and loads nothing.

Everything that records and users say is data in it. It stands in two blocks of JSON, from which the one script makes
text nodes, never markup; the policy of the page lets no other script run, and nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from experiments.page.answers import every_answer, packed
from experiments.page.configuration import configuration
from experiments.page.story import story
from experiments.pictures.picture import Picture
from experiments.records.files import write_text
from experiments.report.report import Report
from experiments.report.table import Table
from experiments.terminal.escaping import plain
from safeguards.errors import SafeguardError

# The script is these files, one after the other; each may use what stands before it.
SCRIPTS = ("text.js", "tables.js", "answers.js", "filters.js", "page.js")
# As an image, a picture can neither run a script nor load anything.
KINDS = {"svg": "image/svg+xml", "png": "image/png"}


def write_page(report: Report, pictures: Sequence[Picture]) -> Path:
    """Write the page of a comparison to `report.html`, or by another judge to `report.<judge>.html`, and so on.

    Args:
        report: that it shows.
        pictures: on disk, in the order in which they shall stand.

    Returns:
        The file.

    Raises:
        DamagedError: naming answers or scores that cannot be read.
        SafeguardError: naming a picture that is not there, or the file, if it cannot be written.
    """
    path = report.path("report", "html")
    write_text(path, whole_page(*contents(report, pictures)))
    return path


def contents(report: Report, pictures: Sequence[Picture]) -> tuple[dict[str, Any], str]:
    """What the page says, without and with the answers: the latter are packed.

    Raises:
        SafeguardError: as `write_page`.
    """
    answers = every_answer(report)
    number = len(answers["columns"]["text"])
    page = {
        "name": report.output.name,
        "story": story(report.rows, len(report.arms), number, report.judge, len(report.warnings)),
        "warnings": list(report.warnings),
        "pictures": [embedded(picture) for picture in pictures],
        "tables": [as_shown(table) for table in (*report.tables, *report.by_judges)],
        "configuration": configuration(report),
        "rows": list(dict.fromkeys(arm["row"] for arm in answers["arms"])),
        "judge": report.judge,
    }
    return page, packed(answers)


def as_shown(table: Table) -> dict[str, Any]:
    """A table as the script reads it."""
    rows = [[str(cell) for cell in row] for row in table.cells.itertuples(index=False)]
    headings = [str(heading) for heading in table.cells.columns]
    return {"title": table.title, "caption": table.caption, "headings": headings, "rows": rows}


def embedded(picture: Picture) -> dict[str, str]:
    """A picture with its file inside.

    Raises:
        SafeguardError: if it is not there.
    """
    for ending, kind in KINDS.items():
        if (path := picture.file(ending)).is_file():
            held = base64.b64encode(path.read_bytes()).decode()
            source = f"data:{kind};base64,{held}"
            return {"title": picture.title, "caption": picture.caption, "source": source}
    raise SafeguardError(f"{picture.file('svg')}: no such picture; draw it again, or make the page without it")


def pictures_in(path: Path, changed: float) -> list[dict[str, str]]:
    """The pictures of a page that was written; none where there is none, or where records have changed since.

    Args:
        path: of the page.
        changed: when records changed last, in seconds since 1970.
    """
    try:
        if path.stat().st_mtime < changed:
            return []
        held = re.search(
            r'<script type="application/json" id="page-data">(.*?)</script>', path.read_text("utf-8"), re.S
        )
        pictures = json.loads(held[1])["pictures"] if held else []
        return [{name: str(each[name]) for name in ("title", "caption", "source")} for each in pictures]
    except (OSError, ValueError, TypeError, KeyError):  # not a page of ours
        return []


def whole_page(page: Mapping[str, Any], answers: str = "", connects: str = "'none'") -> str:
    """The page in one piece.

    Args:
        page: what it says.
        answers: packed; none where the script fetches them.
        connects: from where the script may fetch, as the policy has it.
    """
    style = part("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(map(part, SCRIPTS)) + "\n})();\n"
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'{fingerprint(style)}'",
        "script-src": f"'{fingerprint(script)}'",
        "connect-src": connects,
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    parts = {
        "policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "title": escape(plain(str(page["name"]))),
        "style": style,
        "page": as_data(page),
        "answers": answers,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], part("page.html"))


def as_data(value: Any) -> str:
    """JSON that ends no block and begins no comment, wherever it stands in HTML."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # in ASCII: other line ends and surrogates as well
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text)


def part(name: str) -> str:
    """A file that lies beside this one."""
    return files(__package__).joinpath(name).read_text("utf-8")


def fingerprint(text: str) -> str:
    """By which the policy of the page knows its script and its style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
