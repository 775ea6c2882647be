"""The page in a real browser (Chromium): every page in both languages, three people's ways, what axe finds, a phone,
the dark, the keyboard, no JavaScript, print.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from samples import few
from serve.started import started

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("playwright", reason="needs playwright")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
]

expect.set_options(timeout=60_000)  # on a busy machine too
TRACES = Path(__file__).parents[1] / "watch/traces"
HOBBY = "rtx 3060 12gb, core i5-13600k, 32gb"
LAB = "2x a100 pcie 40gb, epyc 7543, 256gb"
OPERATOR = "8x h200, 2x xeon platinum 8480+, 2tb"
FAULTY = "2x rtx 4090 x8, ryzen 9 7950x, 1x32gb"


def _path(page: str = "", **query: Any) -> str:
    return page + ("?" + urlencode(query, doseq=True) if query else "")


PAGES = {
    "ask": _path(),
    "answer": _path(model="qwen3-8b", on=HOBBY, concurrency=2, tpot=50, ttft=1),
    "no fit": _path(model="deepseek-r1", on=HOBBY),
    "wrong": _path(model="qwen9000", on=HOBBY),
    "fit": _path("fit", on=HOBBY),
    "compare": _path("compare", model="qwen3-8b", machines=[HOBBY, LAB, FAULTY]),
    "machine": _path("machine", on=OPERATOR),
    "faults": _path("machine", on=FAULTY, model="qwen3-32b"),
    "watch": "watch",
    "claims": "claims",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with started() as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def said() -> list[str]:
    """Errors and warnings of the console, and scripts that failed."""
    return []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1200, "height": 900})
    made.set_default_timeout(60_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, said: list[str]) -> Page:
    return _opened(context, said)


def _opened(context: BrowserContext, said: list[str]) -> Page:
    made = context.new_page()
    made.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("request", lambda request: said.append(request.url) if "127.0.0.1" not in request.url else None)
    return made


def _quiet(said: list[str], *expected: str) -> None:
    """Nothing was said; a page that answers 404 or 422 is said by the browser itself."""
    assert [line for line in said if not any(word in line for word in expected)] == []


def _ensure_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    bad = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not bad, [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in bad]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", few(PAGES, 5))
def test_every_page_is_quiet_and_accessible(page: Page, url: str, said: list[str], name: str, language: str) -> None:
    path = PAGES[name]
    answer = page.goto(url + path + ("&" if "?" in path else "?") + f"lang={language}")
    assert answer is not None and answer.status == (404 if name == "wrong" else 200)
    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
    expect(page.locator("h1")).to_have_count(1)
    if language == "zh":
        assert re.search(r"[\u4e00-\u9fff]", page.locator("main").inner_text())
    _ensure_accessible(page)
    _quiet(said, *(("404",) if name == "wrong" else ()))


@pytest.mark.parametrize("name", few(PAGES, 5))
def test_a_phone_shows_it_without_sideways_scrolling(browser: Browser, url: str, said: list[str], name: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = _opened(context, said)
    page.goto(url + PAGES[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        "[...document.querySelectorAll('main button, main input:not([type=hidden]):not([type=range]), main select')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 32).map(e => e.outerHTML.slice(0, 90))"
    )
    assert small == []  # what a finger can hit
    context.close()


@pytest.mark.parametrize("name", few(["answer", "faults", "claims"], 3))
def test_the_dark_is_dark_and_accessible(browser: Browser, url: str, said: list[str], name: str) -> None:
    context = browser.new_context(color_scheme="dark")
    page = _opened(context, said)
    page.goto(url + PAGES[name])
    assert _lightness(page) < 60
    _ensure_accessible(page)
    page.get_by_role("button", name="Light or dark").click()
    assert _lightness(page) > 200
    page.reload()
    assert _lightness(page) > 200  # it is remembered
    _quiet(said)
    context.close()


def _lightness(page: Page) -> int:
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return max(int(part) for part in re.findall(r"\d+", colour)[:3])


class TestPeople:
    @pytest.mark.slow
    def test_a_hobbyist_with_one_card(self, page: Page, url: str, said: list[str]) -> None:
        """Types a model and a machine, reads the sentence, copies the command, tries a larger model, moves a slider."""
        page.goto(url)
        page.get_by_label("Model", exact=True).fill("qwen3-8b")
        page.get_by_label("Machine", exact=True).fill(HOBBY)
        page.get_by_role("button", name="Answer").click()
        head = page.locator("#verdict-head")
        expect(head).to_contain_text("On the GPU: Qwen3-8B")
        assert parse_qs(urlsplit(page.url).query) == {"model": ["qwen3-8b"], "on": [HOBBY]}
        expect(page.locator(".command code").first).to_contain_text("wellfed run qwen3-8b")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()").startswith("wellfed run qwen3-8b")
        before = page.locator(".rates .now .number").inner_text()
        page.locator("#gpus-at").fill("2")
        expect(page.locator(".rates .changed .number")).to_be_visible()
        assert page.locator(".rates .now .number").inner_text() == before
        assert "gpus-at=2" in page.url
        page.get_by_label("Model", exact=True).fill("deepseek-r1")
        page.get_by_role("button", name="Answer").click()
        expect(head).to_contain_text("Nothing fits")
        expect(page.get_by_text("What would fit, least loss first")).to_be_visible()
        page.go_back()
        expect(head).to_contain_text("Qwen3-8B")
        _quiet(said)

    def test_a_lab_that_serves_twenty(self, page: Page, url: str, said: list[str]) -> None:
        """Asks for twenty users, sees the curves with the target, sorts and filters plans, compares, saves a report."""
        page.goto(url)
        page.get_by_label("Model", exact=True).fill("qwen3-32b")
        page.get_by_label("Machine", exact=True).fill(LAB)
        page.get_by_label("Users at a time").fill("20")
        page.get_by_text("Targets and details").click()
        page.get_by_label("Each token within, ms").fill("100")
        page.get_by_role("button", name="Answer").click()
        expect(page.locator("#verdict-head")).to_contain_text("each of 20 users")
        expect(page.locator("svg.chart .target-name").first).to_be_visible()
        rows = page.locator("table.plans tbody tr")
        first = rows.first.inner_text()
        page.locator("table.plans thead").get_by_role("link", name="First token").click()
        expect(page.locator("table.plans th[aria-sort]")).to_contain_text("First token")
        page.get_by_role("link", name="CPU", exact=True).click()
        expect(page.locator('.filter [aria-current="true"]')).to_have_text("CPU")
        assert rows.first.inner_text() != first
        with page.expect_download() as saved:
            page.get_by_role("link", name="Save as a report").click()
        assert saved.value.suggested_filename == "wellfed-report.html"
        page.goto(
            url + _path("compare", model="qwen3-32b", concurrency=20, machines=[LAB, "2x a100 80gb, epyc 7543, 256gb"])
        )
        expect(page.locator(".card")).to_have_count(2)
        page.locator(".card h2 a").first.click()
        expect(page.locator("#verdict-head")).to_be_visible()
        _quiet(said)

    @pytest.mark.slow
    def test_an_operator_of_three_nodes(self, page: Page, url: str, said: list[str]) -> None:
        """Three nodes with targets, the machine's drawing, a recording replayed to where it went wrong."""
        page.goto(
            url + _path(model="deepseek-r1", on=OPERATOR, nodes=3, network="400Gb", concurrency=64, ttft=2, tpot=50)
        )
        expect(page.locator("#verdict-head")).to_contain_text("each of 64 users")
        expect(page.locator(".figures")).to_contain_text("wanted")
        page.get_by_role("link", name="See this machine").click()
        drawing = page.locator("svg.machine")
        expect(drawing).to_be_visible()
        assert drawing.locator("rect.box.gpu").count() == 8 and drawing.locator("rect.box.socket").count() == 2
        whole = drawing.bounding_box()
        page.get_by_role("link", name="200 %").click()
        larger = drawing.bounding_box()
        assert whole is not None and larger is not None and larger["width"] > 1.5 * whole["width"]
        page.goto(url + "watch")
        page.set_input_files("input[type=file]", str(TRACES / "numa-remote.jsonl"))
        page.get_by_role("button", name="Replay").click()
        expect(page.locator(".diagnosis.ill")).to_contain_text("numa-remote")
        expect(page.locator("svg.moments rect.ill").first).to_be_visible()
        page.locator("#at").fill("0")
        expect(page.locator(".diagnosis.well")).to_be_visible()
        assert "at=0" in page.url
        _ensure_accessible(page)
        _quiet(said)


@pytest.mark.slow
def test_long_work_tells_how_far_it_is_and_can_be_cancelled(page: Page, url: str, said: list[str]) -> None:
    page.goto(url + "fit")
    page.get_by_label("Machine", exact=True).fill(OPERATOR)
    page.get_by_role("button", name="Look").click()
    working = page.locator(".working")
    expect(working).to_contain_text(re.compile(r"\d+ models estimated"))
    working.get_by_role("button", name="Cancel").click()
    expect(working).to_be_hidden()
    expect(page.locator("table.fits")).to_have_count(0)
    page.get_by_label("Machine", exact=True).fill(HOBBY)
    page.get_by_role("button", name="Look").click()
    expect(page.locator("table.fits tbody tr")).to_have_count(20)
    assert parse_qs(urlsplit(page.url).query)["on"] == [HOBBY]
    page.locator("table.fits a").first.click()
    expect(page.locator("#verdict-head.yes")).to_be_visible()
    _quiet(said)


@pytest.mark.slow
def test_a_fault_in_the_drawing_leads_to_its_words(page: Page, url: str, said: list[str]) -> None:
    page.goto(url + PAGES["faults"])
    page.locator("svg.machine a").first.click()
    assert re.search(r"#finding-\d+$", page.url)
    finding = page.locator(page.url[page.url.index("#") :])
    expect(finding).to_be_in_viewport()
    finding.get_by_text("Remedy").click()
    expect(finding.locator("pre")).to_be_visible()
    _quiet(said)


def test_a_paste_is_drawn(page: Page, url: str, said: list[str]) -> None:
    page.goto(url + "machine")
    page.get_by_text("Paste dumps").click()
    page.locator("textarea").fill(
        "Architecture: x86_64\nCPU(s): 64\nModel name: AMD EPYC 9354 32-Core Processor\nSocket(s): 1\n"
    )
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("svg.machine")).to_contain_text("EPYC 9354")
    _quiet(said)


def test_the_keyboard_is_enough(page: Page, url: str, said: list[str]) -> None:
    page.goto(url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "model":
            break
    page.keyboard.type("qwen3-8b")
    page.keyboard.press("Tab")
    page.keyboard.type(HOBBY)
    page.keyboard.press("Enter")
    expect(page.locator("#verdict-head")).to_contain_text("Qwen3-8B")
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e); return e === document.body || s.outlineStyle !== 'none'; })()"
        )
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
        if page.evaluate("document.activeElement.id") == "gpus-at":
            break
    expect(page.locator("#gpus-at")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".rates .changed")).to_be_visible()
    expect(page.locator("#gpus-at")).to_be_focused()
    _quiet(said)


def test_it_answers_without_javascript(browser: Browser, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Model", exact=True).fill("qwen3-8b")
    page.get_by_label("Machine", exact=True).fill(HOBBY)
    page.get_by_role("button", name="Answer").click()
    assert "Qwen3-8B" in page.locator("#verdict-head").inner_text()
    page.locator("#gpus-at").fill("2")
    page.get_by_role("button", name="Draw again").click()
    page.locator(".rates .changed").wait_for()
    assert not page.locator("button.copy").first.is_visible()  # a button that needs a script
    page.get_by_role("link", name="中文").click()
    assert "每用户速度" in page.locator("main").inner_text()
    context.close()


@pytest.mark.slow
def test_it_prints(page: Page, url: str) -> None:
    page.goto(url + PAGES["answer"])
    page.emulate_media(media="print")
    assert not page.locator("form.ask").is_visible() and not page.locator("nav").is_visible()
    assert page.locator("#verdict-head").is_visible() and page.locator("svg.chart").first.is_visible()
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 8


@pytest.mark.slow
def test_a_report_is_accessible_and_alone(page: Page, url: str, said: list[str], tmp_path: Path) -> None:
    report = page.request.get(url + "report" + PAGES["answer"]).text()
    file = tmp_path / "report.html"
    file.write_text(report, encoding="utf-8")
    page.goto(file.as_uri())
    _ensure_accessible(page)
    _quiet(said, "file://")


def test_names_are_completed_as_they_are_typed(page: Page, url: str, said: list[str]) -> None:
    page.goto(url)
    page.get_by_label("Model", exact=True).press_sequentially("qwen3-32")
    expect(page.locator('#models option[value="qwen3-32b"]')).to_have_count(1)
    _quiet(said)
