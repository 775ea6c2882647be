"""`wellfed serve` as a process: URL, port in use, cancelled computing, agents over both transports."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

import httpx
import psutil

from serve.started import started
from wellfed.serve.pool import Pool
from wellfed.serve.worker import Job

MACHINE = "rtx 4090, ryzen 9 7950x, 64gb"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with started() as (address, _):
        yield address


def test_it_prints_its_url_and_answers(url: str) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
    answer = httpx.post(f"{url}api/v1/plan", json={"model": "qwen3-8b", "on": MACHINE}, timeout=60)
    assert answer.status_code == 200 and answer.json()["plans"]


def test_a_port_in_use_names_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([sys.executable, "-m", "wellfed", "serve", "--port", str(port)], capture_output=True,
                              text=True, check=False, timeout=60)  # fmt: skip
    assert done.returncode == 2 and f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert re.search(r"--port \d+ is free", done.stderr)


def test_without_the_extra_the_command_is_told(tmp_path: Path) -> None:
    (tmp_path / "fastapi").mkdir()
    code = "import sys; sys.modules['fastapi'] = None; sys.argv = ['wellfed', 'serve']\nimport importlib.util as u\nold = u.find_spec\nu.find_spec = lambda name, *a: None if name == 'fastapi' else old(name, *a)\nfrom wellfed.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "pip install 'wellfed[serve]'" in done.stderr


def test_several_plans_do_not_block_the_loop(url: str) -> None:
    async def many() -> list[float]:
        async with httpx.AsyncClient(timeout=120) as client:
            body = {"model": "deepseek-r1", "on": "8x h200, 2x xeon 8480+"}
            slow = [asyncio.create_task(client.post(f"{url}api/v1/plan", json=body)) for _ in range(3)]
            await asyncio.sleep(0.05)
            quick = []
            for _ in range(5):
                start = time.perf_counter()
                assert (await client.get(f"{url}openapi.json")).status_code == 200
                quick.append(time.perf_counter() - start)
            answers = await asyncio.gather(*slow)
            assert [answer.status_code for answer in answers] == [200] * 3
            return quick

    assert len(asyncio.run(many())) == 5


def test_who_no_longer_waits_stops_the_computing() -> None:
    """A cancelled request's worker is killed, and the next question has a new one."""

    async def cancelled() -> tuple[set[int], str]:
        pool = Pool(1)
        try:
            await pool.warm()
            before = {process.pid for process in psutil.Process().children(recursive=True)}
            asked = asyncio.create_task(
                pool.ask(Job(("fit", "--json", "--all", "--top", "100", "--on", "8x h200, 2x xeon 8480+")))
            )
            await asyncio.sleep(0.4)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            gone = {pid for pid in before if not psutil.pid_exists(pid)}
            answer = await pool.ask(Job(("resolve", "--json", "--", "qwen3-8b")))
            return gone, answer.text
        finally:
            pool.close()

    gone, text = asyncio.run(cancelled())
    assert len(gone) == 1 and "qwen3-8b" in text


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_client_that_goes_away_ends_its_computing(accept: str) -> None:
    """Over HTTP: the worker that computes is gone soon after the connection is."""
    with started(workers=1) as (address, process):
        httpx.post(f"{address}api/v1/resolve", json={"names": ["qwen3-8b"]}, timeout=60)
        worker = _worker_of(process.pid)
        body = {"on": "8x h200, 2x xeon 8480+", "all": True, "top": 100}
        with pytest.raises(httpx.TimeoutException):
            if accept == "application/json":
                httpx.post(f"{address}api/v1/fit", json=body, timeout=0.5)
            else:
                with httpx.stream("POST", f"{address}api/v1/fit", json=body, headers={"Accept": accept}) as answer:
                    next(answer.iter_lines())
                raise httpx.ReadTimeout("gone after the first line")
        worker.wait(20)
        answer = httpx.post(f"{address}api/v1/resolve", json={"names": ["qwen3-8b"]}, timeout=60)
        assert answer.status_code == 200 and _worker_of(process.pid).pid != worker.pid


def _worker_of(server: int) -> psutil.Process:
    """The one that answers: a child of the process that workers are forked from."""
    found = [child for template in psutil.Process(server).children() for child in template.children()]
    assert len(found) == 1, found
    return found[0]


def test_too_slow_an_answer_is_ended() -> None:
    async def late() -> None:
        pool = Pool(1)
        try:
            with pytest.raises(TimeoutError):
                await pool.ask(Job(("fit", "--json", "--on", "8x h200, 2x xeon 8480+")), most_s=0.01)
        finally:
            pool.close()

    asyncio.run(late())


class TestAgents:
    def test_over_http(self, url: str) -> None:
        from mcp import Client

        async def asked() -> tuple[set[str], object]:
            async with Client(f"{url}mcp/") as client:
                tools = await client.list_tools()
                answer = await client.call_tool("plan", {"model": "qwen3-8b", "machine": MACHINE})
                return {tool.name for tool in tools.tools}, answer.structured_content

        names, plan = asyncio.run(asked())
        assert names == {"plan", "fit", "check", "resolve", "explain", "watch"}
        assert isinstance(plan, dict) and plan["fits"] and len(plan["best"]["decode_tok_s_per_user"]) == 3

    def test_over_stdio(self) -> None:
        from mcp import ClientSession, StdioServerParameters, stdio_client

        async def asked() -> tuple[list[object], bool]:
            parameters = StdioServerParameters(
                command=sys.executable, args=["-m", "wellfed", "mcp"], env={**os.environ}
            )
            async with stdio_client(parameters) as (reading, writing), ClientSession(reading, writing) as session:
                await session.initialize()
                answers = [
                    (await session.call_tool("resolve", {"names": ["qwen3-8b", "nonsense-9000"]})).structured_content,
                    (await session.call_tool("check", {"machine": MACHINE})).structured_content,
                    (await session.call_tool("explain", {"term": "TP"})).structured_content,
                ]
                dumps = {"paste": "GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-1)\n", "model": "qwen3-8b"}
                answers.append((await session.call_tool("plan", dumps)).structured_content)
                small = {"model": "deepseek-r1:671b", "machine": "rtx 3060 12gb"}
                answers.append((await session.call_tool("plan", small)).structured_content)
                refused = await session.call_tool("plan", {"model": "/etc/passwd"})
                return answers, bool(refused.is_error)

        answers, refused = asyncio.run(asked())
        assert refused
        named, checked, explained, planned, missed = answers
        assert isinstance(missed, dict) and not missed["fits"] and missed["way_out"]
        assert any(command.startswith("wellfed run") for command in missed["next_commands"])
        assert "4090" in str(planned)
        assert isinstance(named, dict) and named["models"][0]["id"] == "qwen3-8b" and "error" in named["models"][1]
        assert isinstance(checked, dict) and checked["passed"] > 0
        assert "张量并行" in str(explained)
