"""The page without a browser: every page in both languages, every state a URL, what people get wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("jinja2", reason="needs the serve extra")

from starlette.testclient import TestClient

from wellfed.serve.app import create_app
from wellfed.serve.settings import Settings

ON = "rtx 4090, ryzen 9 7950x, 64gb"
TRACES = Path(__file__).parents[1] / "watch/traces"
STATIC = Path("src/wellfed/serve/page/static")
LSCPU_SMI = """$ nvidia-smi -L
GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-00000000-0000-0000-0000-000000000000)
$ free -b
               total        used        free      shared  buff/cache   available
Mem:     67300000000 10000000000 50000000000           0  7300000000 56000000000
"""


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(workers=2)), base_url="http://127.0.0.1:8787") as made:
        yield made


@pytest.mark.parametrize(
    "path", ["/", "/compare", "/machine?on=rtx 4090, ryzen 9 7950x, 64gb", "/watch", "/claims", "/fit"]
)
@pytest.mark.parametrize(("language", "tag", "word"), [("en", "en", "Machine"), ("zh", "zh-CN", "机器")])
def test_every_page_is_there_in_both_languages(
    client: TestClient, path: str, language: str, tag: str, word: str
) -> None:
    page = client.get(path, params=None, headers={"Accept-Language": language})
    assert page.status_code == 200
    assert f'<html lang="{tag}">' in page.text and word in page.text


def test_the_switch_of_languages_is_a_link_and_is_remembered(client: TestClient) -> None:
    page = client.get("/", params={"lang": "zh", "model": "qwen3-8b", "on": ON})
    assert "每用户速度" in page.text and "首字延迟" in page.text
    link = re.search(r'<a href="(\?[^"]*lang=en)"', page.text)
    assert link is not None and "model=qwen3-8b" in link[1]
    assert page.cookies.get("wellfed_lang") == "zh"
    client.cookies.clear()


def test_the_answer_comes_first_in_one_sentence_with_what_to_type(client: TestClient) -> None:
    text = client.get("/", params={"model": "qwen3-8b", "on": ON, "concurrency": 2}).text
    head = re.search(r'<h2 id="verdict-head" class="yes">(.*?)</h2>', text)
    assert head is not None and head[1].startswith("On the GPU: Qwen3-8B") and "each of 2 users" in head[1]
    assert "wellfed run qwen3-8b" in text and text.index("verdict-head") < text.index("memory-head")


def test_what_is_asked_is_what_the_command_answers(client: TestClient) -> None:
    from wellfed.units import format_rate

    fields = {"model": "qwen3-8b", "on": ON, "concurrency": 4}
    plans = client.post("/api/v1/plan", json=fields).json()["plans"]
    text = client.get("/", params=fields).text
    assert f'<span class="number">{format_rate(plans[0]["decode_tok_s"]["value"])}</span>' in text


def test_what_does_not_fit_is_said_with_a_way_out(client: TestClient) -> None:
    page = client.get("/", params={"model": "deepseek-r1", "on": "rtx 3060 12gb, core i5-13600k, 32gb"})
    assert page.status_code == 200
    assert 'class="no"' in page.text and "What would fit" in page.text and "short of" in page.text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"model": "qwen33-32bb", "on": ON}, 404, 'role="alert"'),
        ({"model": "qwen3-8b", "on": "rtx 9999, ryzen 9 7950x"}, 404, 'role="alert"'),
        ({"model": "qwen3-8b", "on": ON, "concurrency": "many"}, 422, 'role="alert"'),
        ({"model": "qwen3-8b", "on": ON, "context": "4"}, 422, 'role="alert"'),
        ({"model": "qwen3-8b", "on": ON, "gpus-at": "-3"}, 422, 'role="alert"'),
        ({"model": "/etc/passwd", "on": ON}, 403, "cannot be named"),
        ({"model": "qwen3-8b", "on": "../x"}, 403, "cannot be named"),
        ({"model": "<script>alert(1)</script>", "on": ON}, 404, "&lt;script&gt;"),
        ({"model": "qwen3-8b", "dump": "0" * 20}, 422, "no longer kept"),
    ],
)
def test_what_people_get_wrong_is_told_kindly(
    client: TestClient, query: dict[str, str], status: int, said: str
) -> None:
    page = client.get("/", params=query)
    assert page.status_code == status and said in page.text and "Traceback" not in page.text
    assert "<script>alert" not in page.text


def test_the_picked_parts_become_one_line_in_the_address(client: TestClient) -> None:
    picked = {
        "model": "qwen3-8b",
        "gpu": "GeForce RTX 4090",
        "gpus": "2",
        "slots": "x8",
        "cpu": "Ryzen 9 7950X",
        "ram": "64gb",
    }
    answer = client.get("/", params=picked, follow_redirects=False)
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query == {"model": ["qwen3-8b"], "on": ["2x GeForce RTX 4090 x8, Ryzen 9 7950X, 64gb"]}
    assert client.get(answer.headers["location"]).status_code == 200


def test_a_paste_is_read_drawn_and_planned(client: TestClient) -> None:
    there = client.post("/paste", data={"to": "machine", "paste": LSCPU_SMI}, follow_redirects=False)
    assert there.status_code == 303 and there.headers["location"].startswith("/machine?dump=")
    drawn = client.get(there.headers["location"])
    assert drawn.status_code == 200 and 'class="machine"' in drawn.text and "RTX 4090" in drawn.text
    nonsense = client.post("/paste", data={"to": "machine", "paste": "hello"})
    assert nonsense.status_code == 422 and 'role="alert"' in nonsense.text


def test_a_slider_changes_the_machine_and_its_state_is_an_address(client: TestClient) -> None:
    query = {"model": "qwen3-32b", "on": "2x rtx 4090, ryzen 9 7950x, 64gb", "gpus-at": "1"}
    part = client.get("/whatif", params=query, headers={"HX-Request": "true"})
    assert part.status_code == 200 and "<html" not in part.text and 'class="gain"' in part.text
    assert part.headers["hx-push-url"].startswith("/?model=qwen3-32b")
    whole = client.get("/whatif", params=query)  # without a script the same is a page
    assert "<html" in whole.text and 'class="gain"' in whole.text


def test_plans_sort_and_filter_by_links(client: TestClient) -> None:
    query = {"model": "qwen3-8b", "on": ON, "rows": "all"}

    def firsts(**more: str) -> list[str]:
        text = client.get("/", params={**query, **more}, headers={"HX-Request": "true", "HX-Target": "plans"}).text
        assert "<html" not in text
        return re.findall(r'<th scope="row">([^<]+)</th>', text)

    everything = firsts()
    assert firsts(sort="engine") == sorted(everything)
    assert firsts(sort="-engine") == sorted(everything, reverse=True)
    assert 0 < len(firsts(placement="cpu")) < len(everything)


def test_what_fits_is_what_the_command_answers(client: TestClient) -> None:
    found = client.post("/api/v1/fit", json={"on": ON, "top": 20}).json()["models"]
    text = client.get("/fit", params={"on": ON, "use": "chat"}).text
    assert re.findall(r'<th scope="row"><a href="/\?model=([^&"]+)', text) == [model["id"] for model in found]
    bad = client.get("/fit", params={"on": "rtx 9999"})
    assert bad.status_code == 404 and 'role="alert"' in bad.text


def test_what_fits_tells_how_far_it_is(client: TestClient) -> None:
    page = client.get("/fit", params={"on": ON}, headers={"Accept": "text/event-stream"}).text
    assert "event: progress" in page and "event: result" in page and "<html" not in page and 'class=\\"fits\\"' in page
    refused = client.get("/fit", params={"on": "/etc/passwd"}, headers={"Accept": "text/event-stream"})
    assert refused.status_code == 403


def test_machines_are_compared_up_to_six(client: TestClient) -> None:
    machines = [ON, "apple m4 max 128gb", "a100 pcie 80gb, epyc 7543, 256gb", "rtx 3060 12gb, core i5-13600k, 32gb"]
    page = client.get("/compare", params={"model": "qwen3-32b", "machines": [*machines, *machines]})
    assert page.status_code == 200 and page.text.count('class="card"') == 6
    assert "Tokens per joule" in page.text or "token" in page.text


def test_faults_stand_in_the_drawing_with_price_remedy_and_evidence(client: TestClient) -> None:
    query = {"on": "2x rtx 4090 x8, ryzen 9 7950x, 1x32gb", "model": "qwen3-32b"}
    text = client.get("/machine", params=query).text
    assert 'href="#finding-1"' in text and 'id="finding-1"' in text
    assert "pcie-width" in text and "Gen4 x8" in text and "1 of 2 channels" in text
    assert re.search(r'class="price">costs [\d.]+ tok/s', text) and "Remedy" in text


def test_a_link_is_as_thick_as_it_is_wide(client: TestClient) -> None:
    def thickness(lanes: int) -> float:
        text = client.get("/machine", params={"on": f"rtx 4090 x{lanes}, ryzen 9 7950x, 64gb"}).text
        return float(re.findall(r'class="wire g\d" stroke-width="([\d.]+)" d="M', text)[0])

    assert thickness(4) < thickness(8) < thickness(16)


def test_a_recording_is_replayed_and_a_moment_is_an_address(client: TestClient) -> None:
    recording = (TRACES / "numa-remote.jsonl").read_bytes()
    there = client.post("/paste", data={"to": "watch"}, files={"file": ("x.jsonl", recording)}, follow_redirects=False)
    page = client.get(there.headers["location"])
    assert page.status_code == 200 and "numa" in page.text and 'type="range" id="at"' in page.text
    early = client.get(there.headers["location"] + "&at=0", headers={"HX-Request": "true", "HX-Target": "watching"})
    assert early.status_code == 200 and "<html" not in early.text and early.text != page.text


def test_an_engine_that_is_not_there_is_said(client: TestClient) -> None:
    page = client.get("/watch", params={"url": "http://127.0.0.1:9"})
    assert page.status_code == 422 and 'role="alert"' in page.text
    cross = client.get("/watch", params={"url": "http://127.0.0.1:9"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert cross.status_code == 403


def test_each_link_of_the_claims_leads_to_an_answer(client: TestClient) -> None:
    from wellfed.planner.claims import CLAIMS
    from wellfed.serve.page.other_views import _LINKS

    assert {claim.id for claim in CLAIMS} == set(_LINKS)
    text = client.get("/claims").text
    for link in sorted(set(_LINKS.values())):
        assert link.split("#")[0].replace("&", "&amp;") in text
        page = client.get(link.split("#")[0])
        assert page.status_code == 200 and 'role="alert"' not in page.text, link


def test_a_report_is_one_file(client: TestClient) -> None:
    report = client.get("/report", params={"model": "qwen3-8b", "on": ON})
    assert report.headers["content-disposition"].startswith("attachment")
    assert not re.search(r'(src|href)="(?!#)', report.text) and "<svg" in report.text


def test_names_are_completed_and_read(client: TestClient) -> None:
    text = client.get("/complete", params={"model": "qwen3-32"}).text
    assert '<option value="qwen3-32b">' in text
    assert "32.8B parameters" in client.get("/complete", params={"model": "qwen3-32b"}).text


@pytest.mark.parametrize("path", ["/", "/claims", "/watch", "/compare", "/machine?on=rtx 4090, ryzen 9 7950x, 64gb"])
def test_nothing_comes_from_elsewhere_and_nothing_is_inline(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page.text)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert address.startswith(("/", "#", "?")), address
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert client.get(address).status_code == 200


def test_what_is_vendored_is_what_its_note_says() -> None:
    root = Path(__file__).parents[2] / STATIC / "vendor"
    note = (root / "README.md").read_text()
    for file in root.glob("*.js"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in note and file.name in note


def test_beyond_loopback_this_machine_is_not_told() -> None:
    settings = Settings("0.0.0.0", token="0123456789abcdef0123", workers=1)
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1:8787", headers={"Authorization": "Bearer 0123456789abcdef0123"}
    ) as far:
        assert far.get("/", params={"model": "qwen3-8b"}).status_code == 422
        assert 'class="machine"' not in far.get("/machine").text
        assert "127.0.0.1:8080" not in far.get("/watch").text


def test_browsers_may_send_its_own_forms(client: TestClient) -> None:
    """With `no-referrer` a browser sends `Origin: null` with the page's own forms, which the guard refuses."""
    assert client.get("/").headers["referrer-policy"] == "same-origin"
    refused = client.post("/paste", data={"paste": "x"}, headers={"Origin": "null"})
    own = client.post(
        "/paste", data={"paste": "x"}, headers={"Origin": "http://127.0.0.1:8787"}, follow_redirects=False
    )
    assert (refused.status_code, own.status_code) == (403, 303)
