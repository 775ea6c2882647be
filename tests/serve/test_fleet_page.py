"""The grid of a fleet: a folder named at the start, no file by a request, every machine with its state in words."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("jinja2", reason="needs the serve extra")

from starlette.testclient import TestClient

from wellfed.serve.app import create_app
from wellfed.serve.page.fleet_views import grid_of
from wellfed.serve.settings import Settings
from wellfed.topology.snapshot_io import save
from wellfed.verbs.fleets import fleet_check

sys.path.append(str(Path(__file__).parents[1] / "fleet"))

BASE = "http://127.0.0.1:8787"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    from emulated_fleet import fleet

    folder = tmp_path_factory.mktemp("fleet")
    for label, node in fleet(5, {1: "a card is gone", 3: "another firmware"}):
        save(node, folder / f"{label}.tar.gz")
    (folder / "node-0009.tar.gz").write_bytes(b"no archive")
    grid = grid_of(fleet_check(folder, workers=1), "2026-11-29 10:00")
    with TestClient(create_app(Settings(workers=1), fleet=grid), base_url=BASE) as made:
        yield made


def test_every_machine_is_a_cell_with_its_state_in_words(client: TestClient) -> None:
    text = client.get("/fleet").text
    cells = dict(re.findall(r'<span class="sr">([\w-]+): ([^<]+)</span>', text))
    assert sorted(cells) == ["node-0000", "node-0001", "node-0002", "node-0003", "node-0004", "node-0009"]
    assert cells["node-0009"] == "unread"
    assert cells["node-0001"] != cells["node-0000"] == cells["node-0002"]
    assert "gpus: 7 (8)" in text
    assert "firmware: 2.3" in text


def test_it_is_there_in_chinese(client: TestClient) -> None:
    page = client.get("/fleet", headers={"Accept-Language": "zh"})
    assert '<html lang="zh-CN">' in page.text
    assert "机群" in page.text


def test_no_request_names_a_folder(client: TestClient) -> None:
    for query in ("folder=/etc", "fleet=/etc", "on=/etc/passwd"):
        text = client.get(f"/fleet?{query}").text
        assert "passwd" not in text or "cannot be named" in text


def test_without_a_folder_it_says_how() -> None:
    with TestClient(create_app(Settings(workers=1)), base_url=BASE) as bare:
        page = bare.get("/fleet")
    assert page.status_code == 200
    assert "--fleet FOLDER" in page.text


def test_what_a_snapshot_says_is_no_markup() -> None:
    from wellfed.fleet.checked import Fleet, Node
    from wellfed.message import message

    hostile = Node("<script>alert(1)</script>", why=message("x.y", "{why}", why="<img src=x onerror=alert(1)>"))
    grid = grid_of(Fleet((hostile,), (), ()), "now")
    with TestClient(create_app(Settings(workers=1), fleet=grid), base_url=BASE) as made:
        text = made.get("/fleet").text
    assert "<script>alert" not in text and "<img src=x" not in text
    assert "&lt;script&gt;" in text


def test_the_navigation_leads_there_where_a_fleet_is_served(client: TestClient) -> None:
    for page in ("/", "/fit", "/compare", "/machine", "/watch", "/claims"):
        assert '<a href="/fleet">' in client.get(page).text, page
    assert '<a href="/fleet" aria-current="page">' in client.get("/fleet").text
    with TestClient(create_app(Settings(workers=1)), base_url=BASE) as bare:
        assert 'href="/fleet"' not in bare.get("/").text


def test_what_is_wrong_is_told_in_the_language_of_whoever_asks(client: TestClient) -> None:
    texts = {tongue: client.get("/fleet", headers={"Accept-Language": tongue}).text for tongue in ("en", "zh")}
    assert "firmware: 2.3" in texts["en"] and re.search("固件. *2\\.3", texts["zh"])
    reasons = {tongue: re.findall(r'title="(node-0009[^"]+)"', text) for tongue, text in texts.items()}
    assert reasons["en"] and reasons["zh"] and reasons["en"] != reasons["zh"]
