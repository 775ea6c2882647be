"""Whatever is asked, the answer is an answer or a refusal: no request makes an internal error, prints into another's
answer, or changes what the next one hears.
"""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

import click
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samples import few
from wellfed.serve.api import COMMANDS
from wellfed.serve.app import create_app
from wellfed.serve.fields import fields
from wellfed.serve.settings import Settings
from wellfed.serve.worker import Job, run

HERE = "http://127.0.0.1:8787"
MACHINES = [
    "rtx 3060 12gb, core i5-13600k, 32gb",
    "core i5-13600k, 64gb",
    "apple m2 max 64gb",
    "4x rtx 3090, epyc 7543",
]
MODELS = ["qwen3-0.6b", "qwen3-8b", "bge-m3", "whisper-large-v3", "r1:7b q4_k_m", "llama-3.1-8b fp8"]
STRANGE = ["--help", "-h", "--version", "--json", "", " ", "\x00", "-", "--", "nan", "inf", "-1", "0", "1e400", "9" * 30, "%s {x} {0}", "全角ＱＷＥＮ", "\ud800".encode("utf-8", "replace").decode(), "\U0001f600", "../x", "[bold]", "x" * 300, "=,=", "@", "1x", "build:", "draft:", "8=8"]  # fmt: skip
QUIET = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(workers=1)), base_url=HERE) as made:
        yield made


def _anything() -> st.SearchStrategy[Any]:
    text = st.sampled_from(STRANGE) | st.text(max_size=12)
    numbers = st.integers(-3, 3) | st.integers() | st.floats(allow_nan=False) | st.booleans()
    return st.none() | text | numbers | st.lists(text | numbers, max_size=3) | st.dictionaries(text, text, max_size=2)


def _fitting(name: str, field: str, parameter: click.Parameter) -> st.SearchStrategy[Any]:
    """Values that the field's type takes, sensible or not."""
    known = {"on": MACHINES, "model": MODELS, "names": MODELS, "machines": MACHINES, "term": ["TP", "NUMA"]}
    if name == "fleet plan" and field == "machines":
        known["machines"] = [f"2={machine}" for machine in MACHINES]
    kind = parameter.type
    one: st.SearchStrategy[Any]
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return st.booleans()
    if isinstance(kind, click.Choice):
        one = st.sampled_from([str(choice) for choice in kind.choices])
    elif isinstance(kind, click.IntRange):
        one = st.integers(kind.min or 0, min(kind.max or 10**9, 10**9)) | st.integers(1, 64)
    elif isinstance(kind, click.types.FloatParamType):
        one = st.floats(1e-6, 1e6) | st.floats(0.01, 10)
    else:
        one = st.sampled_from(known.get(field, STRANGE)) | st.sampled_from(STRANGE)
    many = parameter.multiple if isinstance(parameter, click.Option) else parameter.nargs == -1
    return one | st.lists(one, max_size=3) if many else one


@st.composite
def requests(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A request of a command: what it needs is mostly sensible, a few more fields, sometimes one that cannot be."""
    own = fields(name)
    wanted = {field for field in ("model", "on", "names", "machines", "term") if field in own}
    chosen = wanted | set(draw(st.lists(st.sampled_from(sorted(own)), max_size=3)))
    asked = {field: draw(_fitting(name, field, own[field])) for field in sorted(chosen)}
    if "on" in own and draw(st.integers(0, 3)):
        asked["on"] = draw(st.sampled_from(MACHINES))
    if draw(st.integers(0, 3)) == 0:
        asked[draw(st.sampled_from([*sorted(own), "nonsense", "", "paste", "prices"]))] = draw(_anything())
    return asked


def _is_sound(answer: Any) -> None:
    assert answer.status_code in (200, 403, 404, 422), (answer.status_code, answer.text[:300])
    if answer.headers["content-type"].startswith("text/plain"):  # an export
        assert answer.status_code == 200 and answer.text
        return
    told = answer.json()
    if answer.status_code != 200:
        assert set(told["error"]) == {"kind", "message", "hint"} and told["error"]["message"]
        assert "Traceback" not in answer.text and "upload-" not in answer.text


@pytest.mark.parametrize("name", few(COMMANDS, 5))
def test_no_request_makes_an_internal_error(client: TestClient, name: str) -> None:
    @QUIET
    @given(requests(name))
    def holds(asked: dict[str, Any]) -> None:
        body = json.dumps(asked).encode()
        _is_sound(client.post(f"/api/v1/{name.replace(' ', '/')}", content=body))

    holds()


@QUIET
@given(st.binary(max_size=60) | st.recursive(_anything(), st.lists, max_leaves=5).map(lambda v: json.dumps(v).encode()))
def test_no_body_does(body: bytes) -> None:
    answer = run_alone().post("/api/v1/explain", content=body)
    assert answer.status_code in (200, 404, 422) and isinstance(answer.json(), dict)


def run_alone(kept: list[TestClient] = []) -> TestClient:  # noqa: B006 - one for all examples
    if not kept:
        kept.append(TestClient(create_app(Settings(workers=1)), base_url=HERE))
    return kept[0]


PAGE_FIELDS = ("model", "on", "concurrency", "context", "ttft", "quant", "kv-type", "nodes", "gpus-at", "width-at", "clock-at", "kv-at", "with-engine", "with-weights", "sort", "placement", "rows", "machines", "users", "zoom", "dump", "at", "use", "gpu", "gpus", "ram", "lang", "search")  # fmt: skip
PLAUSIBLE = [*MACHINES[:2], *MODELS[:2], "1", "2", "16", "q8_0", "vllm", "Q4_K_M", "-each", "all", "zh"]


ADDRESSES = ("/", "/watch", "/machine", "/fit", "/compare", "/api/v1/models", "/complete", "/report", "/whatif", "/api/v1/topology.svg")  # fmt: skip


@pytest.mark.parametrize("path", few(ADDRESSES, 5))
def test_no_address_does(client: TestClient, path: str) -> None:
    values = st.sampled_from(PLAUSIBLE) | st.sampled_from(STRANGE)
    queries = st.dictionaries(st.sampled_from(PAGE_FIELDS), values, max_size=5)

    @QUIET
    @given(queries, st.booleans())
    def holds(query: dict[str, str], part: bool) -> None:
        headers = {"HX-Request": "true", "HX-Target": "plans"} if part else {}
        page = client.get(path, params={"on": MACHINES[0], **query}, headers=headers)
        assert page.status_code in (200, 403, 404, 422), (page.status_code, query, page.text[:300])
        assert "Traceback" not in page.text

    holds()


@QUIET
@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode) | st.sampled_from([b"\x1f\x8b\x08", b"PK\x03\x04", b"Model name: x" * 50, b"{}", b"[]\n" * 9, b'{"t": 1}\n']), st.sampled_from(["machine", "watch", "ask", ""]))  # fmt: skip
def test_no_paste_does(content: bytes, to: str) -> None:
    page = run_alone().post("/paste", data={"to": to, "model": "qwen3-0.6b"}, files={"file": ("x", content)})
    assert page.status_code in (200, 404, 422) and "Traceback" not in page.text
    checked = run_alone().post("/api/v1/check", files=[("dumps", ("x.txt", content)), ("dumps", ("y.tar.gz", content))])
    _is_sound(checked)


@pytest.mark.parametrize("words", ["--help", "-h", "--version", "--json", "--from", "--report=/tmp/x"])
def test_a_word_like_an_option_is_a_name(client: TestClient, words: str) -> None:
    """Nothing of the command line's own printing gets out."""
    for path, asked in (
        ("resolve", {"names": [words]}),
        ("plan", {"model": words, "on": MACHINES[0]}),
        ("explain", {"term": words}),
    ):
        answer = client.post(f"/api/v1/{path}", json=asked)
        assert "Usage:" not in answer.text and "Options:" not in answer.text
        _is_sound(answer)


def test_what_a_job_prints_is_not_kept() -> None:
    """Nor grows a worker with every answer."""
    job = Job(("resolve", "--json", "--", "qwen3-8b"))
    first = run(job)

    def streams() -> int:
        gc.collect()
        return sum(issubclass(type(each), io.StringIO) for each in gc.get_objects())

    before = streams()
    assert [run(job) for _ in range(5)] == [first] * 5
    assert streams() == before
