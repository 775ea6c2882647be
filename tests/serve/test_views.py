"""What is listed, drawn, reported, watched; how far long work is; limits of the guard."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from fastapi.testclient import TestClient

from wellfed.serve.app import create_app
from wellfed.serve.guard import MOST_BODY, Guard
from wellfed.serve.settings import Settings

HERE = "http://127.0.0.1:8787"
MACHINE = "rtx 4090, ryzen 9 7950x, 64gb"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(workers=1)), base_url=HERE) as made:
        yield made


def _events(text: str) -> list[tuple[str, Any]]:
    blocks = [block for block in text.split("\n\n") if block.startswith("event: ")]
    return [(block.split("\n")[0][7:], json.loads(block.split("\n")[1][6:])) for block in blocks]


class TestLists:
    def test_models_are_found_by_a_part_of_their_name(self, client: TestClient) -> None:
        answer = client.get("/api/v1/models", params={"search": "qwen3-8b"}).json()
        assert "qwen3-8b" in {model["id"] for model in answer["models"]}
        assert client.get("/api/v1/models", params={"search": "no-such"}).json()["models"] == []

    def test_machines_are_what_on_takes(self, client: TestClient) -> None:
        builds = client.get("/api/v1/machines").json()["builds"]
        name = f"build:{builds[0]['id']}"
        answer = client.post("/api/v1/plan", json={"model": "qwen3-0.6b", "on": name})
        assert answer.status_code == 200 and answer.json()["machine"]["name"] == builds[0]["title"]

    @pytest.mark.parametrize("kind", ["gpus", "cpus"])
    def test_parts_have_their_data_sheets(self, client: TestClient, kind: str) -> None:
        assert client.get(f"/api/v1/parts/{kind}").json()[kind]

    @pytest.mark.parametrize("search", ["--help", "-zz9", "--json", "$(id)", "\x00"])
    def test_a_search_is_no_option(self, client: TestClient, search: str) -> None:
        answer = client.get("/api/v1/models", params={"search": search})
        assert answer.status_code == 200 and answer.json()["models"] == []

    def test_terms_are_explained(self, client: TestClient) -> None:
        answer = client.post("/api/v1/explain", json={"term": ["TP"]}).json()
        assert answer["schema"] == "wellfed.glossary/1" and len(answer["terms"]) == 1


class TestPictures:
    def test_a_machine_is_drawn(self, client: TestClient) -> None:
        answer = client.get("/api/v1/topology.svg", params={"on": MACHINE})
        assert answer.headers["content-type"] == "image/svg+xml" and "RTX 4090" in answer.text
        assert client.post("/api/v1/topology.svg", json={"on": MACHINE}).text == answer.text

    def test_a_paste_is_drawn(self, client: TestClient) -> None:
        lscpu = "Architecture: x86_64\nCPU(s): 64\nModel name: AMD EPYC 9354 32-Core Processor\nSocket(s): 1\n"
        answer = client.post("/api/v1/topology.svg", json={"paste": lscpu})
        assert answer.status_code == 200 and answer.text.startswith("<svg")

    def test_a_path_is_not(self, client: TestClient) -> None:
        assert client.get("/api/v1/topology.svg", params={"on": "/etc/passwd"}).status_code == 403
        assert client.post("/api/v1/topology.svg", json={"on": "~/x"}).status_code == 403

    @pytest.mark.parametrize(("language", "word"), [("en", "what to type"), ("zh", '<html lang="zh')])
    def test_a_report_is_one_page(self, client: TestClient, language: str, word: str) -> None:
        answer = client.post(f"/api/v1/report?lang={language}", json={"model": "qwen3-8b", "on": MACHINE})
        assert answer.headers["content-type"].startswith("text/html") and word in answer.text
        assert "Qwen3-8B" in answer.text and "http" not in answer.text.partition("<body>")[0].replace("http-equiv", "")

    def test_a_report_of_an_unknown_model_is_404(self, client: TestClient) -> None:
        assert client.post("/api/v1/report", json={"model": "qwen9000"}).status_code == 404


class TestWatch:
    REFUSED = (
        ({"url": "http://169.254.169.254/"}, 403),
        ({"url": "http://10.0.0.1:8080"}, 403),
        ({"url": "http://localhost.evil.example/"}, 403),
        ({"model": "/etc/passwd"}, 403),
        ({"interval": 0}, 422),
        ({"seconds": "nan"}, 422),
        ({"replay": "/etc/passwd"}, 422),
        ({"record": "/tmp/x"}, 422),
    )

    @pytest.mark.parametrize(("fields", "status"), REFUSED)
    def test_what_is_not_watched(self, client: TestClient, fields: dict[str, Any], status: int) -> None:
        assert client.post("/api/v1/watch", json=fields).status_code == status
        assert client.get("/api/v1/watch", params=fields).status_code == status

    def test_nobody_there_is_told(self, client: TestClient) -> None:
        events = _events(client.get("/api/v1/watch", params={"name": "nobody-of-this-name"}).text)
        assert events[0][0] == "error" and events[0][1]["error"]["message"]

    def test_looks_come_one_by_one(self, client: TestClient) -> None:
        """At a process of this machine, and then it ends."""
        import os

        text = client.get("/api/v1/watch", params={"pid": os.getpid(), "interval": 0.5, "seconds": 2}).text
        events = _events(text)
        assert [name for name, _ in events][-1] == "end" and events[0][0] == "look"
        assert events[0][1]["schema"] == "wellfed.watch/1"

    def test_beyond_loopback_no_engine_is_told(self) -> None:
        settings = Settings(host="0.0.0.0", token="a-long-enough-token", workers=1)
        with TestClient(create_app(settings), base_url="http://10.1.2.3:8787") as outside:
            headers = {"Authorization": "Bearer a-long-enough-token"}
            assert outside.get("/api/v1/watch", headers=headers).status_code == 403
            assert outside.get("/api/v1/topology.svg", headers=headers).status_code == 403


def test_long_work_tells_how_far_it_is(client: TestClient) -> None:
    """What is done is counted, not only the time."""
    headers = {"Accept": "text/event-stream"}
    events = _events(client.post("/api/v1/fit", json={"on": MACHINE, "all": True, "top": 30}, headers=headers).text)
    counts = [event["done"] for name, event in events if name == "progress" and event.get("what") == "models"]
    assert counts == sorted(counts) and counts[-1] > 1
    assert events[-1][0] == "result" and events[-1][1]["looked_at"] >= counts[-1]


def test_an_error_ends_the_events(client: TestClient) -> None:
    headers = {"Accept": "text/event-stream"}
    events = _events(client.post("/api/v1/plan", json={"model": "qwen9000"}, headers=headers).text)
    assert events[-1][0] == "error" and events[-1][1]["error"]["kind"] == "unknown"


class TestPatience:
    """The guard alone, with requests that a client would not send."""

    @staticmethod
    def _status(bodies: list[bytes], pause_s: float = 0.0, **settings: Any) -> int:
        sent: list[Any] = []

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        pieces = list(bodies)

        async def receive() -> Any:
            await asyncio.sleep(pause_s)
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(event: Any) -> None:
            sent.append(event)

        scope = {"type": "http", "method": "POST", "path": "/api/v1/plan", "headers": [(b"host", b"127.0.0.1:8787")]}
        asyncio.run(Guard(inner, Settings(**settings))(scope, receive, send))
        return int(sent[0]["status"])

    def test_a_body_without_a_length_ends_at_the_limit(self) -> None:
        piece = b"x" * (8 << 20)
        assert self._status([piece] * (MOST_BODY // len(piece))) == 200
        assert self._status([piece] * (MOST_BODY // len(piece) + 1)) == 413

    def test_a_body_that_does_not_come_is_not_awaited(self) -> None:
        assert self._status([b"x"] * 3, pause_s=0.01) == 200
        assert self._status([b"x"] * 1000, pause_s=0.02, most_read_s=0.05) == 408


def test_a_token_in_a_link_becomes_a_cookie() -> None:
    settings = Settings(host="0.0.0.0", token="a-long-enough-token", workers=1)
    with TestClient(create_app(settings), base_url="http://10.1.2.3:8787") as browser:
        assert browser.get("/openapi.json?token=wrong").status_code == 401
        moved = browser.get("/openapi.json?token=a-long-enough-token", follow_redirects=False)
        assert moved.status_code == 303 and moved.headers["location"] == "/openapi.json"
        assert "HttpOnly" in moved.headers["set-cookie"] and "SameSite=Strict" in moved.headers["set-cookie"]
        assert browser.get("/openapi.json").status_code == 200
        away = browser.get("//evil.example/x?token=a-long-enough-token", follow_redirects=False)
        assert away.headers.get("location", "/").startswith("/") and "//" not in away.headers.get("location", "")
        posted = TestClient(create_app(settings), base_url="http://10.1.2.3:8787")
        assert posted.post("/api/v1/plan?token=a-long-enough-token", json={}).status_code == 401


def test_too_many_waiting_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from wellfed.serve.pool import Busy, Pool
    from wellfed.serve.worker import Job

    async def crowded() -> list[Any]:
        pool = Pool(1, waiting=2)
        try:
            asked = [asyncio.create_task(pool.ask(Job(("resolve", "--json", "--", "qwen3-8b")))) for _ in range(6)]
            return list(await asyncio.gather(*asked, return_exceptions=True))
        finally:
            pool.close()

    answers = asyncio.run(crowded())
    refused = [answer for answer in answers if isinstance(answer, Busy)]
    assert len(refused) == 3 and threading.active_count() >= 1


def test_each_way_out_stands_with_its_command(client: TestClient) -> None:
    """Where nothing fits, what would is shown with what to type for it; what is refused says why."""
    page = client.get("/", params={"model": "r1", "on": "rtx 3060 12gb"}).text
    head = page.index("What would fit")
    assert (
        page.index("--stream", head)
        < page.index("wellfed run r1", head)
        < page.index("wellfed run deepseek-r1-distill", head)
    )
    assert "wellfed run" not in page[:head]
