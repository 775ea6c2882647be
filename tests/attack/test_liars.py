"""Each liar, before `bench engine` and before a probe: refused, unknown, or what it really sent; soon, and on time."""

from __future__ import annotations

import time

import pytest

from attack.liars import LIARS, SENT, Liar, serving
from wellfed.asking.address import Address
from wellfed.bench.load import Measurement, Scenario, Target, measure
from wellfed.errors import WellfedError
from wellfed.watching.samplers import probe as probes
from wellfed.watching.samplers.endpoint import EndpointSampler

KEY = "sk-very-secr"
WITHIN_S = 1.0


def measured(url: str) -> Measurement | WellfedError:
    """What `bench engine` makes of it."""
    from wellfed.verbs.measuring import first_model

    try:
        address = Address(url, KEY)
        scenario = Scenario(1, 20, SENT, 2, warmup=0, timeout_s=WITHIN_S)
        return measure(Target(address, first_model(address)), scenario)
    except WellfedError as error:
        return error


def verdict(liar: Liar, found: Measurement | WellfedError) -> str:
    """What is wrong with what was said; empty for what may be said."""
    text = str(found.message) if isinstance(found, WellfedError) else " ".join(found.errors)
    if KEY in text or not text.isprintable():
        return f"the key or a control character is told: {text!r}"
    if isinstance(found, WellfedError):
        return "" if liar.may == "refused" else f"refused: {text}"
    if liar.may == "refused":
        return f"taken for an answer: {found}"
    if found.decode_tok_s is not None and liar.may == "unknown":
        return f"a rate of {found.decode_tok_s}"
    if found.output_tokens > SENT or (found.decode_tok_s or 0.0) > 5000 or found.prompt_tokens > 10_000:
        return f"more than was sent: {found}"
    if liar.may == "counted" and (found.failed or found.output_tokens != SENT or found.decode_tok_s is None):
        return f"not counted: {found}"
    return ""


@pytest.mark.parametrize("liar", LIARS, ids=lambda liar: liar.name)
def test_bench(liar: Liar) -> None:
    begin = time.monotonic()
    with serving(liar) as url:
        found = measured(url)
    assert verdict(liar, found) == ""
    assert time.monotonic() - begin < 30  # each request of three has a second; no claim on this machine's speed


@pytest.mark.parametrize("liar", LIARS[::4], ids=lambda liar: liar.name)
def test_probe(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_LONGEST_S", WITHIN_S)
    with serving(liar) as url:
        sampler = probes.ProbeSampler(Address(url, KEY), 0.05)
        try:
            while (found := sampler.sample()) is None or found.number < 1:
                time.sleep(0.01)
        finally:
            sampler.close()
    assert (found.error is None) == (liar.may != "refused" or "endless tokens" in liar.name), found
    assert KEY not in (found.error or "") and (found.error or "").isprintable()
    assert found.tpot_s is None or found.tpot_s > 2e-4
    assert found.tokens is None or found.tokens <= 5 * SENT


HUGE = "9" * 4000
PAGES = {
    "huge numbers": f"llamacpp:requests_processing {HUGE}\nllamacpp:tokens_predicted_total 1e308\nllamacpp:x NaN\n",
    "a long label": 'vllm:num_requests_running{a="' + "x\\" * 100_000 + "\nvllm:num_requests_waiting 1\n",
    "labels without end": "vllm:num_requests_running{" + "a" * 200_000 + "} 1\n",
    "many series": "".join(f'vllm:num_requests_running{{e="{n}"}} 1\n' for n in range(50_000)),
    "no text": "\x00\xff\x1b[2J" * 1000,
}
SLOTS = (
    f'[{{"is_processing": true, "n_ctx": {HUGE}, "next_token": [{{"n_decoded": 1e400}}]}}]', "[" * 100_000, "null",
    '[{"is_processing": 1, "n_ctx": "x", "next_token": 3}, 7, null]',
)  # fmt: skip


def page(text: str, short_by: int = 0) -> bytes:
    """A whole answer, or one that ends before its length."""
    body = text.encode("utf-8", "replace")
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (len(body) + short_by) + body


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("slots", SLOTS, ids=range(len(SLOTS)))
def test_watch_reads_pages_of_strangers(name: str, slots: str) -> None:
    with serving(LIARS[0], {b"/metrics": page(PAGES[name]), b"/slots": page(slots)}) as url:
        sampler = EndpointSampler(Address(url), 0.02, timeout_s=5)
        try:
            seen = set()
            while len(seen) < 3:  # it goes on
                found = sampler.sample()
                if found is not None:
                    seen.add(found.t)
                time.sleep(0.01)
        finally:
            sampler.close()
    assert found is not None and found.trouble != "silent"
    assert all(value is None or value < 1e19 for value in (found.running, found.waiting, found.tokens_total))


@pytest.mark.parametrize(
    ("pages", "trouble"),
    [
        ({b"/metrics": page("vllm:num_requests_running 1\n", short_by=50)}, "cut"),
        ({b"/metrics": b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"}, "key"),
        ({b"/metrics": b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"}, "key"),
        ({b"/metrics": b"SSH-2.0\r\n"}, "foreign"),
    ],
)
def test_watch_says_what_it_was(pages: dict[bytes, bytes], trouble: str) -> None:
    with serving(LIARS[0], pages) as url:
        sampler = EndpointSampler(Address(url), 0.02, timeout_s=5)
        try:
            while (found := sampler.sample()) is None:
                time.sleep(0.01)
        finally:
            sampler.close()
    assert found.trouble == trouble and found.error and found.running is None
