"""The API: the command line's answers, refusals with their status, who may ask, and computing that ends with its asker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samples import few

pytest.importorskip("fastapi", reason="needs the serve extra")

from fastapi.testclient import TestClient

import wellfed
from wellfed.serve.app import create_app
from wellfed.serve.settings import Settings

HERE = "http://127.0.0.1:8787"
MACHINE = "rtx 4090, ryzen 9 7950x, 64gb"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(workers=1)), base_url=HERE) as made:
        yield made


def ask(client: TestClient, path: str, **fields: Any) -> Any:
    return client.post(f"/api/v1/{path}", json=fields)


GRID: list[tuple[str, dict[str, Any], list[str]]] = [
    ("plan", {"model": "qwen3-8b", "on": MACHINE}, ["plan", "qwen3-8b", "--on", MACHINE]),
    ("plan", {"model": "deepseek-r1", "on": MACHINE}, ["plan", "deepseek-r1", "--on", MACHINE]),
    ("plan", {"model": "qwen3-32b", "on": "2x a100 80gb, epyc 7543", "concurrency": 16, "ttft": 2, "tpot": 50.0, "engine": ["vllm", "sglang"]},
     ["plan", "qwen3-32b", "--on", "2x a100 80gb, epyc 7543", "-c", "16", "--ttft", "2", "--tpot", "50", "-e", "vllm", "-e", "sglang"]),
    ("plan", {"model": "qwen3-8b", "on": MACHINE, "kv_type": "q8_0", "max_users": True, "tpot": 40.0}, ["plan", "qwen3-8b", "--on", MACHINE, "--kv-type", "q8_0", "--max-users", "--tpot", "40"]),
    ("compare", {"model": "qwen3-8b", "machines": [MACHINE, "rtx 3060 12gb"]}, ["compare", "--model", "qwen3-8b", MACHINE, "rtx 3060 12gb"]),
    ("fit", {"on": MACHINE, "top": 3}, ["fit", "--on", MACHINE, "--top", "3"]),
    ("check", {"on": MACHINE}, ["check", "--on", MACHINE]),
    ("resolve", {"names": ["qwen3-8b", "nonsense-9000"]}, ["resolve", "qwen3-8b", "nonsense-9000"]),
    ("fleet/plan", {"model": "qwen3-8b", "machines": f"2={MACHINE}", "rate": 1.5}, ["fleet", "plan", "qwen3-8b", "--machines", f"2={MACHINE}", "--rate", "1.5"]),
]  # fmt: skip


@pytest.mark.parametrize("number", few(range(len(GRID)), 3))
def test_the_answer_is_the_command_lines(client: TestClient, number: int) -> None:
    path, fields, words = GRID[number]
    answer = ask(client, path, **fields)
    assert answer.status_code == 200, answer.text
    done = subprocess.run(
        [sys.executable, "-m", "wellfed", *words, "--json"], capture_output=True, text=True, check=False
    )
    assert answer.json() == json.loads(done.stdout)


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("plan", {"model": "qwen9000"}, 404, "unknown"),
    ("plan", {}, 422, "usage"),
    ("plan", {"model": "qwen3-8b", "modl": 1}, 422, "bad-input"),
    ("plan", {"model": "qwen3-8b", "concurrency": 0}, 422, "bad-input"),
    ("plan", {"model": "qwen3-8b", "concurrency": "many"}, 422, "bad-input"),
    ("plan", {"model": "qwen3-8b", "workload": "nap"}, 422, "bad-input"),
    ("plan", {"model": "qwen3-8b", "report": "/tmp/x.html"}, 422, "bad-input"),
    ("plan", {"model": "/etc/passwd"}, 403, "forbidden"),
    ("plan", {"model": "~/model.gguf"}, 403, "forbidden"),
    ("plan", {"model": "qwen3-8b", "on": "../../etc/machine.toml"}, 403, "forbidden"),
    ("plan", {"model": "qwen3-8b", "on": "machine.toml"}, 404, "unknown"),
    ("compare", {"model": "qwen3-8b", "machines": ["/etc/hosts"]}, 403, "forbidden"),
    ("plan", {"model": "x" * 30_000}, 422, "bad-input"),
    ("check", {"on": MACHINE, "paste": "GPU"}, 422, "usage"),
    ("check", {"paste": "nothing that any tool prints"}, 422, "not-understood"),
    ("fit", {"for": "sleep"}, 422, "bad-input"),
]


CHINESE: list[tuple[str, dict[str, Any]]] = [
    ("plan", {"model": "qwen9000"}),
    ("plan", {"modl": 1}),
    ("plan", {"model": "qwen3-8b", "concurrency": 0}),
    ("plan", {"model": "qwen3-8b", "concurrency": "many"}),
    ("plan", {"model": "qwen3-8b", "workload": "nap"}),
    ("plan", {"model": "/etc/passwd"}),
    ("plan", {"model": "x" * 30_000}),
    ("check", {"on": MACHINE, "paste": "GPU"}),
    ("fleet/check", {}),
    ("resolve", {"names": 3}),
]


@pytest.mark.parametrize("number", range(len(CHINESE)))
def test_a_refusal_is_in_the_askers_language(client: TestClient, number: int) -> None:
    path, fields = CHINESE[number]
    told = {
        language: client.post(f"/api/v1/{path}", json=fields, headers={"Accept-Language": language}).json()["error"]
        for language in ("en", "zh-CN,zh;q=0.9")
    }
    english, chinese = told.values()
    assert english["kind"] == chinese["kind"] and english["message"].isascii()
    assert re.search(r"[\u4e00-\u9fff]", chinese["message"]), chinese


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "null"}])
def test_the_guard_speaks_the_askers_language(client: TestClient, headers: dict[str, str]) -> None:
    refused = client.get("/openapi.json", headers={**headers, "Accept-Language": "zh"})
    assert refused.status_code == 403 and re.search(r"[\u4e00-\u9fff]", refused.json()["error"]["message"])
    assert client.get("/openapi.json?lang=en", headers=headers).json()["error"]["message"].isascii()


@pytest.mark.slow
def test_a_workers_language_is_that_of_its_request(client: TestClient) -> None:
    """One worker, and neither answer depends on the one before."""
    first = {path: client.get(path).text for path in PAGES}
    chinese = {path: client.get(path, headers={"Accept-Language": "zh"}).text for path in PAGES}
    assert {path: client.get(path).text for path in PAGES} == first
    assert {path: client.get(path, headers={"Accept-Language": "zh"}).text for path in PAGES} == chinese
    refused = client.post("/api/v1/plan", json={"model": "qwen9000"}).json()["error"]["message"]
    assert refused.isascii() and all(chinese[path] != first[path] for path in PAGES)


PAGES = (
    f"/?model=qwen3-32b&on={MACHINE}&concurrency=3",
    "/machine?on=2x rtx 4090 x8, ryzen 9 7950x, 1x32gb&model=qwen3-32b",
    f"/compare?model=qwen3-32b&machines={MACHINE}",
    "/claims",
    "/?model=deepseek-r1&on=rtx 3060 12gb, core i5-13600k, 32gb",
    "/?model=qwen9000",
)


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_a_refusal_has_its_status_and_the_error_object(client: TestClient, number: int) -> None:
    path, fields, status, kind = REFUSED[number]
    answer = ask(client, path, **fields)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind), answer.text


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"null", b'{"model": "a", "model": {}}', b"[" * 100_000])
def test_what_is_no_request_is_422(client: TestClient, body: bytes) -> None:
    assert client.post("/api/v1/plan", content=body).status_code == 422


DUMP = "Architecture: x86_64\nCPU(s): 64\nModel name: AMD EPYC 9354 32-Core Processor\nSocket(s): 1\n"


def test_a_fleets_dumps_are_uploaded_and_keep_their_names(client: TestClient) -> None:
    odd = DUMP.replace("9354 32", "9554 64")
    files = [("dumps", (name, text.encode())) for name, text in (("a.txt", DUMP), ("b.txt", DUMP), ("../c.txt", odd))]
    answer = client.post("/api/v1/fleet/check", files=files)
    assert answer.status_code == 200, answer.text
    assert [node["label"] for node in answer.json()["nodes"]] == ["a", "b", "c"]
    assert all(node["read"] for node in answer.json()["nodes"])
    twice = client.post("/api/v1/fleet/check", files=[files[0], files[0]]).json()["nodes"]
    assert len(twice) == 2
    assert client.post("/api/v1/fleet/check", json={"model": "qwen3-8b"}).status_code == 422
    assert client.post("/api/v1/plan", files=files).status_code == 422


def test_prices_are_sent_as_text(client: TestClient) -> None:
    named = ask(client, "plan", model="qwen3-0.6b", buy=True, prices="example:usd", top=1)
    assert named.status_code == 200 and named.json()["offers"][0]["price"] > 0
    table = (Path(wellfed.__file__).parent / "catalog/data/prices/usd.toml").read_text(encoding="utf-8")
    sent = ask(client, "plan", model="qwen3-0.6b", buy=True, prices=table, top=1)
    assert sent.json() == named.json()
    for wrong in ("example:../../x", "/etc/passwd", "no toml ="):
        refused = ask(client, "plan", model="qwen3-0.6b", buy=True, prices=wrong)
        assert refused.status_code == 422 and "root:" not in refused.text and "upload-" not in refused.text


def test_a_file_by_name_is_never_opened(client: TestClient, tmp_path: Any) -> None:
    """Beyond the refusal of paths: a worker opens nothing that a name could mean."""
    from wellfed.serve.worker import Job, run

    code = (
        "from wellfed import plain_file; plain_file.refuse_named_files(); from wellfed.serve.worker import *;"
        f"print(run(Job(('plan', '--json', '--', {str(tmp_path / 'config.json')!r}))).error['kind'])"
    )
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "unknown"
    assert run(Job(("explain", "--json", "--", "TP"))).code == 0


def test_pasted_dumps_and_uploads_are_read(client: TestClient) -> None:
    lscpu = "Architecture: x86_64\nCPU(s): 64\nModel name: AMD EPYC 9354 32-Core Processor\nSocket(s): 1\n"
    pasted = ask(client, "check", paste=lscpu)
    assert pasted.status_code == 200 and pasted.json()["machine"]["kinds_read"]
    uploaded = client.post("/api/v1/check", files=[("dumps", ("lscpu.txt", lscpu.encode()))])
    assert uploaded.status_code == 200
    assert uploaded.json()["machine"]["kinds_read"] == pasted.json()["machine"]["kinds_read"]
    assert client.post("/api/v1/check", files=[("dumps", ("x.tar.gz", b"\x1f\x8bnothing"))]).status_code == 422


PASTE = """$ nvidia-smi -L
GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-00000000-0000-0000-0000-000000000000)
$ lscpu
Model name:          AMD Ryzen 9 7950X 16-Core Processor
CPU(s):              32
Socket(s):           1
Core(s) per socket:  16
Thread(s) per core:  2
$ free -b
               total        used        free      shared  buff/cache   available
Mem:     67300000000 10000000000 50000000000           0  7300000000 56000000000
"""


def test_a_plan_is_made_for_a_pasted_machine(client: TestClient) -> None:
    planned = ask(client, "plan", model="qwen3-8b", paste=PASTE)
    assert planned.status_code == 200 and "4090" in planned.json()["machine"]["name"] + planned.text
    assert planned.json()["verdict"]["kind"] == "GPU" and "wellfed-serve" not in planned.text
    sent = client.post("/api/v1/plan", data={"model": "qwen3-8b"}, files=[("dump", ("x.txt", PASTE.encode()))])
    assert sent.status_code == 200 and sent.json()["plans"][0]["layout"] == planned.json()["plans"][0]["layout"]
    assert {each["id"] for each in ask(client, "fit", paste=PASTE, top=2).json()["models"]}
    both = ask(client, "plan", model="qwen3-8b", paste=PASTE, on=MACHINE)
    assert both.status_code == 422 and both.json()["error"]["kind"] == "usage"
    assert ask(client, "plan", model="qwen3-8b", paste="hello").status_code == 422


class TestWhoMayAsk:
    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.7:8787"])
    def test_another_host_may_not(self, client: TestClient, host: str) -> None:
        assert client.get("/openapi.json", headers={"Host": host}).status_code == 403

    @pytest.mark.parametrize("host", ["localhost:8787", "127.0.0.1:8787", "[::1]:8787"])
    def test_this_machine_may(self, client: TestClient, host: str) -> None:
        assert client.get("/openapi.json", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://localhost"])
    def test_another_page_may_not(self, client: TestClient, origin: str) -> None:
        answer = client.post("/api/v1/plan", json={"model": "qwen3-8b", "on": MACHINE}, headers={"Origin": origin})
        assert answer.status_code == 403

    def test_the_own_page_may(self, client: TestClient) -> None:
        headers = {"Origin": HERE}
        assert client.post("/api/v1/resolve", json={"names": ["qwen3-8b"]}, headers=headers).status_code == 200

    def test_headers_close_the_rest(self, client: TestClient) -> None:
        headers = client.get("/openapi.json").headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers

    def test_too_large_a_body_is_not_read(self, client: TestClient) -> None:
        assert client.post("/api/v1/check", content=b"x" * (33 << 20)).status_code == 413

    def test_beyond_loopback_a_token_is_wanted(self) -> None:
        settings = Settings(host="0.0.0.0", token="a-long-enough-token", workers=1)
        with TestClient(create_app(settings), base_url="http://10.1.2.3:8787") as outside:
            assert outside.get("/openapi.json").status_code == 401
            bad = outside.get("/openapi.json", headers={"Authorization": "Bearer wrong"})
            assert bad.status_code == 401
            headers = {"Authorization": "Bearer a-long-enough-token"}
            assert outside.get("/openapi.json", headers=headers).status_code == 200
            assert outside.post("/api/v1/check", json={}, headers=headers).status_code == 403


def test_events_tell_progress_and_the_result(client: TestClient) -> None:
    with client.stream("POST", "/api/v1/plan", json={"model": "qwen3-8b", "on": MACHINE},
                       headers={"Accept": "text/event-stream"}) as answer:  # fmt: skip
        text = "".join(answer.iter_text())
    assert "event: progress" in text and "event: result" in text and '"wellfed.plan/1"' in text


def test_the_description_lists_every_field(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    fields = schema["paths"]["/api/v1/plan"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "properties"
    ]
    assert {"model", "on", "concurrency", "kv_type", "ttft"} <= set(fields)
    assert not {"report", "json", "explain", "save"} & set(fields)


def test_the_language_is_the_askers(client: TestClient) -> None:
    chinese = client.post("/api/v1/check?lang=zh", json={"on": MACHINE}).json()
    assert chinese["machine"]["name"]  # JSON carries ids and English; the page renders


def test_help_and_plan_import_nothing_of_it() -> None:
    code = "import sys; sys.argv=['wellfed','--help']\nfrom wellfed.cli.main import main\ntry: main()\nexcept SystemExit: pass\nprint([m for m in sys.modules if m.split('.')[0] in ('fastapi','uvicorn','mcp','starlette','pydantic','jinja2')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
