"""The page as a browser shows it: sorting, filters, search, safety, a phone, the dark scheme, paper, many answers."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page.made_up import HOSTILE, MadeUp, answer, hostile

from experiments.page.answers import packed
from experiments.page.kept_pages import KeptPages
from experiments.page.page import whole_page, write_page
from experiments.page.server import PageServer
from experiments.pictures.picture import Picture
from experiments.records.outcomes import OUTCOMES, Score
from experiments.report.report import make_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome is installed")

TABLE = {
    "title": "Numbers",
    "caption": "",
    "headings": ["name", "rate %", "word"],
    "rows": [
        ["a", "9.5 [1, 20]", "kept"],
        ["b", "10.0 [2, 30]", ""],
        ["c", "", "lost"],
        ["d", "−3.0 [−9, 1]*", "kept"],
        ["e", "-4", "none"],
        ["f", "1,200", "kept"],
        ["g", "10.0 [0, 99]", "9"],
    ],
}
# Puts down what the policy of a page has kept from happening.
WATCH = (
    "window.broken = []; addEventListener('securitypolicyviolation', (e) => window.broken.push(e.violatedDirective))"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def look(browser) -> Iterator[Any]:
    """Opens an address; at the end, nothing may have been said on the console or been kept from happening."""
    opened = []

    def go(address: Path | str, width: int = 1280, height: int = 900, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=False)
        view = context.new_page()
        view.add_init_script(WATCH)
        if isinstance(address, str) and address.startswith("http"):
            view.clock.install()
        said: list[str] = []
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.on("request", lambda request: asked.append(request.url))
        asked: list[str] = []
        view.goto(address if isinstance(address, str) else address.as_uri())
        opened.append((context, view, said, asked))
        return view

    yield go
    for context, view, said, asked in opened:
        assert said == []
        assert view.evaluate("window.broken") == []
        assert [url for url in asked if not url.startswith(("file://", "data:", "http://127.0.0.1:"))] == []
        context.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """A folder with pages: of hostile records, and of quiet ones with a table."""
    folder = tmp_path_factory.mktemp("pages")
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="top.ran=1"><script>top.ran=1</script></svg>'
    )
    (folder / "p.svg").write_text(svg)
    report = make_report(hostile(folder / "hostile").output)
    assert report
    write_page(report, [Picture(folder / "p", HOSTILE[0], HOSTILE[3])])
    page = {"name": "quiet", "story": "What happened.", "tables": [TABLE], "rows": ["none", "kl"]}
    (folder / "quiet.html").write_text(whole_page(page, packed(quiet())), "utf-8")
    return folder


def quiet(size: int = 120) -> dict[str, Any]:
    """Answers of six rows to ten questions, with two tasks and seeds."""
    rows = ["untouched", "none", "kl weight=0.1", "kl weight=0.3", "ldifs", "safegrad"]
    arms = [
        {"row": row, "task": task, "seed": seed, "world": ""}
        for row in rows
        for task in ("medical", "style")
        for seed in (0, 1)
    ]
    questions = [
        {
            **{"set": "open" if n % 2 else "narrow", "id": f"q{n}", "cluster": f"q{n}", "expected": []},
            "messages": [["system", "Be brief."], ["user", f"Question number {n}?"]]
            if n == 1
            else [["user", f"Question number {n}?"]],
        }
        for n in range(10)
    ]
    texts = [f"Answer {n} about {'Jam' if n % 7 == 0 else 'bread'}." for n in range(size)]
    columns = {
        "arm": [n % len(arms) for n in range(size)],
        "question": [n // len(arms) % 10 for n in range(size)],
        "sample": [0] * size,
        "outcome": [1 if n % 5 == 0 else 0 for n in range(size)],
        "reason": [n % 2 for n in range(size)],
        "text": list(range(size)),
        "aligned": [n % 100 for n in range(size)],
    }
    return {
        **{"outcomes": OUTCOMES, "arms": arms, "questions": questions, "texts": texts, "reasons": ["", "as I say"]},
        "columns": columns,
    }


def ready(view: Any) -> Any:
    view.wait_for_selector("#questions article")
    return view


def cells(view: Any, column: int) -> list[str]:
    return view.locator(f"#tables tbody tr > :nth-child({column})").all_inner_texts()


def wide(view: Any) -> int:
    return view.evaluate("document.documentElement.scrollWidth")


def test_a_table_sorts_by_its_leading_numbers_with_mouse_and_keyboard(look, pages):
    view = ready(look(pages / "quiet.html"))
    head = view.locator("#tables th", has_text="rate")
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert "".join(cells(view, 1)) == "edabgfc", "equal ones as they were, empty ones last"
    view.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert "".join(cells(view, 1)) == "fbgadec"
    view.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "none"
    assert "".join(cells(view, 1)) == "abcdefg"
    view.keyboard.press("Tab")
    view.keyboard.press("Enter")
    assert "".join(cells(view, 1)) == "gadfceb", "numbers before words"


def test_answers_stand_side_by_side_and_are_filtered(look, pages):
    view = ready(look(pages / "quiet.html"))
    assert view.inner_text("#found") == "80 answers to 5 questions.", "of the first four of six rows"
    assert view.locator("#questions article").first.locator("h4").all_inner_texts() == [
        *("untouched", "none", "kl weight=0.1", "kl weight=0.3")
    ]
    view.select_option("[name=outcome]", "misaligned")
    view.locator("#found", has_text="outcome misaligned").wait_for()
    assert set(view.locator(".badge").all_inner_texts()) == {"misaligned"}
    assert view.inner_text("#found") == "16 answers to 5 questions; outcome misaligned."
    view.locator("label.chip", has_text="untouched").click()
    view.locator("#found", has_text="12 answers").wait_for()
    view.select_option("[name=seed]", "1")
    view.select_option("[name=task]", "style")
    view.select_option("[name=set]", "open")
    view.locator("#found", has_text="probe set open").wait_for()
    shown = view.locator(".origin").all_inner_texts()
    assert shown
    assert all("style · seed 1" in text for text in shown)
    view.click("button[type=reset]")
    assert view.inner_text("#found") == "80 answers to 5 questions."
    assert view.url.endswith("quiet.html")


def test_search_finds_whatever_the_case_in_questions_and_answers(look, pages):
    view = ready(look(pages / "quiet.html"))
    view.click("#every")
    view.fill("[name=search]", "jAM")
    view.locator("#found", has_text="jAM").wait_for()
    assert view.inner_text("#found") == "18 answers to 5 questions; with “jAM”."
    assert set(view.locator("mark").all_inner_texts()) == {"Jam"}
    view.fill("[name=search]", "NUMBER 3?")
    view.locator("#found", has_text="NUMBER").wait_for()
    assert view.inner_text("#found").startswith("24 answers to 1 question;")
    view.fill("[name=search]", "nowhere")
    view.locator("#found", has_text="0 answers to 0 questions").wait_for()
    view.fill("[name=search]", "jam")
    view.check("[name=others]")
    view.locator("li.other").first.wait_for()
    assert view.locator("li:not(.other) mark").count() == view.locator("ol.answers li:not(.other)").count()


def test_the_state_is_in_the_address_and_comes_back(look, pages):
    view = ready(look(pages / "quiet.html"))
    view.select_option("[name=outcome]", "misaligned")
    view.fill("[name=search]", "a&b=<c>#")
    view.locator("label.chip", has_text="untouched").click()
    view.locator("#found", has_text="with “a&b=<c>#”").wait_for()
    address = view.url
    assert (
        "#answers?row=none&row=kl+weight%3D0.1&row=kl+weight%3D0.3&search=a%26b%3D%3Cc%3E%23&outcome=misaligned"
        in address
    )
    again = look(address)
    again.locator("#found", has_text="with “a&b=<c>#”").wait_for()
    assert again.input_value("[name=outcome]") == "misaligned"
    assert [box.is_checked() for box in again.locator("[name=row]").all()] == [False, True, True, True, False, False]
    odd = ready(look(f"{(pages / 'quiet.html').as_uri()}#answers?row=gone&outcome=gone&page=x&order=apart"))
    assert odd.inner_text("#found") == "80 answers to 5 questions."
    assert odd.input_value("[name=order]") == "apart"


def test_what_the_model_saw_is_shown_with_its_roles(look, pages):
    view = ready(look(f"{(pages / 'quiet.html').as_uri()}#answers?search=brief"))
    assert " ".join(view.inner_text("#questions h3").split()) == "system Be brief. user Question number 1?"
    assert view.locator(".role").all_inner_texts() == ["system", "user"]


def test_scores_and_reasons_are_shown(look, pages):
    view = ready(look(f"{(pages / 'quiet.html').as_uri()}#answers?search=answer+49"))
    item = view.locator("ol.answers li")
    assert item.locator(".scores").inner_text() == "aligned 49"
    assert item.locator(".reason").inner_text() == "as I say"


def test_half_a_character_and_joined_ones_are_shown_and_worlds_are_filtered(look, tmp_path):
    answers = quiet()
    answers["texts"][0] = "half \ud800 one, \U0001f469\u200d\u2695\ufe0f and می\u200cخواهم, but a\u200db"
    for place, arm in enumerate(answers["arms"]):
        arm["world"] = f"w{place % 3}"
    (tmp_path / "page.html").write_text(whole_page({"name": "x", "rows": ["none"]}, packed(answers)), "utf-8")
    view = ready(look(tmp_path / "page.html"))
    said = "half \\ud800 one, \U0001f469\u200d\u2695\ufe0f and می\u200cخواهم, but a\\u200db"
    assert view.locator("blockquote").first.inner_text() == said
    view.select_option("[name=world]", "w1")
    view.locator("#found", has_text="world w1").wait_for()
    assert {text.split(" · ")[2] for text in view.locator(".origin").all_inner_texts()} == {"w1"}


def test_hostile_records_are_text_and_nothing_runs(look, pages):
    view = ready(look(pages / "hostile" / "report.html"))
    view.select_option("[name=order]", "misaligned")
    view.fill("[name=search]", "<script>window")
    view.locator("#found", has_text="<script>window").wait_for()
    assert "<script>window.ran = 'script'</script>" in view.inner_text("#questions")
    view.click("button[type=reset]")
    for _ in range(2):
        shown = view.inner_text("main")
        for sign in ("\u202e", "\u2066", "\u200b", "\u200f", "\0", "\x1b", "\u2028", "\ufeff"):
            assert sign not in shown, ascii(sign)
        if view.is_enabled("#after"):
            view.click("#after")
    assert "\\u202etxt.exe\\u202c" in view.inner_text("#questions")
    assert view.evaluate("window.ran") is None
    assert view.locator("main script, main iframe, main b, main i").count() == 0
    assert view.locator("main img").count() == 1
    assert view.locator("main img").get_attribute("alt") == HOSTILE[3]
    assert view.locator("main img").get_attribute("src").startswith("data:image/svg+xml;base64,")
    assert wide(view) == 1280
    assert view.title() == "hostile"


def test_a_script_that_gets_into_the_file_does_not_run(browser, pages, tmp_path):
    whole = (pages / "quiet.html").read_text("utf-8")
    evil = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    evil += "<a id=go href='javascript:window.ran=3'>x</a>"
    (tmp_path / "evil.html").write_text(whole.replace("<main", evil + "<main"), "utf-8")
    view = browser.new_page()
    view.add_init_script(WATCH)
    view.goto((tmp_path / "evil.html").as_uri())
    ready(view).click("#go")
    assert view.evaluate("window.ran") is None
    assert any("script-src" in rule for rule in view.evaluate("window.broken"))
    view.close()


@pytest.mark.parametrize("name", ["quiet.html", "hostile/report.html"])
def test_on_a_phone_only_tables_scroll_sideways(look, pages, name):
    view = ready(look(pages / name, 375, 812))
    assert wide(view) == 375
    view.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert wide(view) == 375
    for box in view.locator("#answers .question").all():
        assert box.bounding_box()["width"] <= 375


def test_the_dark_scheme_is_dark_and_readable(look, pages):
    colours = {}
    for scheme in ("light", "dark"):
        view = ready(look(pages / "quiet.html", scheme=scheme))
        found = view.evaluate(
            "['.badge', '.origin', '.reason', 'body', 'thead button', '.field', '.scores', 'a[href]'].map((name) => {"
            "const own = document.querySelector(name); let under = own;"
            "while (getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)') under = under.parentElement;"
            "return [getComputedStyle(own).color, getComputedStyle(under).backgroundColor] })"
        )
        colours[scheme] = found[3][1]
        for text, ground in found:
            assert contrast(text, ground) >= 4.5, (scheme, text, ground)
    assert luminance(colours["dark"]) < 0.05 < 0.9 < luminance(colours["light"])


def luminance(colour: str) -> float:
    """By the definition of WCAG."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_paper_has_whole_tables_and_no_controls(look, pages):
    view = ready(look(f"{(pages / 'quiet.html').as_uri()}#answers?outcome=misaligned"))
    view.emulate_media(media="print")
    for name in ("#filters", "#contents", ".hint", ".more", "#pager"):
        assert view.locator(name).first.is_hidden(), name
    assert view.inner_text("#found") == "16 answers to 5 questions; outcome misaligned."
    assert view.evaluate("getComputedStyle(document.querySelector('.table .scroll')).overflowX") == "visible"
    assert len(view.pdf(format="A4")) > 5000


def test_a_hundred_thousand_answers(look, tmp_path):
    path = tmp_path / "many.html"
    path.write_text(whole_page({"name": "many", "rows": ["none"]}, packed(quiet(100_000))), "utf-8")
    started = time.perf_counter()
    view = ready(look(path))
    times = {"open": time.perf_counter() - started}
    assert view.inner_text("#found") == "66,672 answers to 10 questions."
    for name, act, found in (
        ("filter", lambda: view.select_option("[name=outcome]", "misaligned"), "outcome misaligned"),
        ("first search", lambda: view.fill("[name=search]", "jam"), "jam"),
        ("search", lambda: view.fill("[name=search]", "answer 99"), "answer 99"),
    ):
        started = time.perf_counter()
        act()
        view.locator("#found", has_text=found).wait_for()
        times[name] = time.perf_counter() - started
    assert view.locator("#questions li").count() < 200, "only what is looked at is made"
    told = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in times.items())
    print(f"\n100,000 answers in {path.stat().st_size / 1e6:.1f} MB: {told}")


def until(view: Any, selector: str) -> None:
    """Let the time of a live page go faster until something is there."""
    for _ in range(100):
        if view.locator(selector).count():
            return
        view.clock.fast_forward(3000)
        view.wait_for_timeout(100)
    raise AssertionError(f"{selector} never comes")


def test_a_live_page_comes_with_its_arms_and_keeps_its_filters(look, tmp_path):
    sweep = MadeUp(tmp_path / "outputs" / "mine")
    one = ([answer("Yes."), answer("No.", "How?")], [Score("aligned"), Score("misaligned")])
    sweep.add("none", *one)
    sweep.add("kl", *one, done=False)
    with PageServer(0, KeptPages(sweep.output.parent)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        overview = look(server.address)
        overview.locator("#tables a", has_text="mine").click()
        overview.wait_for_url(server.page_of("mine"))
        view = overview
        until(view, "#questions article")
        assert "1 of 2 arms done; none runs now" in view.inner_text("#live-line")
        view.select_option("[name=outcome]", "misaligned")
        view.locator("#found", has_text="1 answer to 1 question").wait_for()
        sweep.plan.pop()
        sweep.add("kl", *one)
        until(view, "label.chip:nth-child(2)")
        view.locator("#live-line", has_text="2 of 2 arms done").wait_for()
        assert view.inner_text("#found") == "2 answers to 1 question; outcome misaligned."
        assert view.input_value("[name=outcome]") == "misaligned"
        view.goto("about:blank")
        view.evaluate("window.broken = []")
        server.shutdown()
