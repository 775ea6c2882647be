"""Endpoints and hubs that lie, before the commands that ask them; each with what may be said of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attack.hostile_files import NATURES, READERS
from attack.judges import document, either, refused, sane
from attack.liars import LIARS, SENT, Liar, serving
from attack.pages import PAGES, SLOTS, page
from attack.sandbox import Input, Said

KEY = "sk-very-secr"


def _address(liar: Liar, pages: dict[bytes, bytes] | None = None, path: str = "") -> Callable[[Path], str]:
    """Serves until the process that asks ends."""

    def make(folder: Path) -> str:
        make.serving = serving(liar, pages or {})  # type: ignore[attr-defined]
        url: str = make.serving.__enter__()  # type: ignore[attr-defined]
        return url + path

    return make


def _benched(liar: Liar, users: int) -> Callable[[Said], str]:
    """What was sent is counted, no rate is made of a burst, nothing cut or refused counts as an answer."""

    def judge(said: Said) -> str:
        if KEY in said.shown or KEY in said.message:
            return "the key is told"
        if liar.may == "refused":
            failed = said.status == 1 and all(each["failed"] for each in document(said.out)["result"])
            return "" if failed else refused(said)
        if said.status != 0:
            return f"refused: {said.message}"
        (result,) = document(said.out)["result"]
        rate = 1 / result["tpot_s"]["median"] if result["tpot_s"] else None
        if rate is not None and (liar.may == "unknown" or rate > 20_000):
            return f"a rate of {rate:.0f} tokens/s"
        if result["output_tokens"] > SENT or result["prompt_tokens"] > 10_000 or result["failed"]:
            return f"more than was sent: {result}"
        counted = result["output_tokens"] == SENT and (rate is not None or users > 1)
        return "" if liar.may == "unknown" or counted else f"not counted: {result}"

    return judge


def endpoints() -> Iterator[Input]:
    """Each liar before `bench engine`, for one user and for several."""
    for users in (1, 3):
        for liar in LIARS:
            words = ("bench", "engine", "{}", "--json", "--requests", str(2 * users), "--prompt", "20", "--output", "16",
                     "--timeout", "1", "-c", str(users), "--model", "m")  # fmt: skip
            words = words[:-2] if "models" in liar.name else words
            environment = {"WELLFED_API_KEY": KEY}
            yield Input("endpoint", f"{liar.name} {users}", words, _address(liar), _benched(liar, users), environment)


def _watched(said: Said) -> str:
    wrong = sane(said)
    if wrong or said.status == 2:
        return wrong
    engine = document(said.out)["engine"] or {}
    odd = {name: engine[name] for name in ("running", "waiting", "tok_s") if (engine.get(name) or 0) > 1e9}
    return f"{odd}" if odd else ""


def watched() -> Iterator[Input]:
    """Pages of metrics and slots that lie, and liars in their place, before `watch`."""
    words = ("watch", "--url", "{}", "--for", "2s", "--interval", "0.2", "--json")
    for name, text in PAGES.items():
        for number, slots in enumerate(SLOTS):
            pages = {b"/metrics": page(text), b"/slots": page(slots)}
            yield Input("watched", f"{name} {number}", words, _address(LIARS[0], pages), _watched)
    for liar in LIARS[::2]:
        yield Input("watched", f"in place of metrics: {liar.name}", words, _address(liar), _watched)


def _answer(body: bytes, status: str = "200 OK", more: bytes = b"", size: int | None = None) -> bytes:
    told = len(body) if size is None else size
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status.encode(), told, more) + body


_CONFIG = json.dumps({"model_type": "llama", "hidden_size": 1}).encode()
_ANSWERS = {
    "no config": _answer(b"{}"), "null": _answer(b"null"), "list": _answer(b"[]"), "deep": _answer(b"[" * 100_000),
    "page": _answer(b"<html>sign in</html>"), "huge told": _answer(b"{", size=10**15), "cut": _answer(b"{", size=50),
    "401": _answer(b"", "401 No"), "403": _answer(b"", "403 No"), "429": _answer(b"", "429 No", b"Retry-After: 99999\r\n"),
    "500": _answer(b"\x1b[31m", "500 No"), "loop": _answer(b"", "302 X", b"Location: /\r\n"),
    "metadata service": _answer(b"", "302 X", b"Location: http://169.254.169.254/latest\r\n"),
    "a file": _answer(b"", "302 X", b"Location: file:///etc/passwd\r\n"), "no HTTP": b"SSH-2.0\r\n", "silent": b"",
    "half a model": _answer(_CONFIG), "gzip": _answer(b"\x1f\x8b" + bytes(50), more=b"Content-Encoding: gzip\r\n"),
    "escape": _answer(b'{"model_type": "\\u001b]0;x\\u0007"}'), "header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10**6,
    "etag": _answer(_CONFIG, more=b'ETag: "../../../../tmp/wellfed-attack-hub"\r\nX-Repo-Commit: ../../x\r\n'),
}  # fmt: skip


def hubs() -> Iterator[Input]:
    """Hubs that lie, for a repository that nothing here explains: refused, and nothing written elsewhere."""
    for name, answer in _ANSWERS.items():

        async def reply(writer: Any, answer: bytes = answer) -> None:
            writer.write(answer)
            await writer.drain()

        liar = Liar(name, reply, "refused", answer)

        def make(folder: Path, liar: Liar = liar) -> Path:
            os.environ["HF_ENDPOINT"] = str(_address(liar)(folder))
            os.environ["HF_HOME"] = str(folder / "hub")
            return folder

        words = ("resolve", "zzqx/wvvkq-9913", "--hub", "huggingface", "--json")
        yield Input("hub", name, words, make, _refused_and_nothing_outside)


def _refused_and_nothing_outside(said: Said) -> str:
    return "it wrote outside its cache" if Path("/tmp/wellfed-attack-hub").exists() else refused(said)


def not_files() -> Iterator[Input]:
    """Devices, FIFOs, folders, endless and absurd files, before every command that reads one."""
    for reader, words in READERS.items():
        for nature, make in NATURES.items():
            judge = refused if nature in ("missing", "long name", "in a file", "loop", "fifo") else either(_anything)
            environment = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
            yield Input("not a file", f"{reader} {nature}", words, make, judge, environment)


def _anything(found: Any) -> str:
    return ""
