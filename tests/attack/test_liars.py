"""Liars before a probe and before a watch. Before `bench engine`: `attack.liar_inputs`."""

from __future__ import annotations

import time

import pytest

from attack.liars import LIARS, SENT, Liar, serving
from attack.pages import PAGES, SLOTS, page
from wellfed.asking.address import Address
from wellfed.watching.samplers import probe as probes
from wellfed.watching.samplers.endpoint import EndpointSampler

KEY = "sk-very-secr"
WITHIN_S = 1.0


@pytest.mark.parametrize("liar", LIARS[::9], ids=lambda liar: liar.name)
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


@pytest.mark.parametrize(("name", "slots"), list(zip(PAGES, (*SLOTS, SLOTS[0]), strict=True)), ids=list(PAGES))
def test_watch_reads_pages_of_strangers(name: str, slots: str) -> None:
    with serving(LIARS[0], {b"/metrics": page(PAGES[name]), b"/slots": page(slots)}) as url:
        sampler = EndpointSampler(Address(url), 0.02, timeout_s=5)
        try:
            seen = set()
            while len(seen) < 3:  # it goes on
                found = sampler.sample()
                if found is not None and found.trouble != "silent":  # a busy machine is silent for a while, too
                    seen.add(found.t)
                time.sleep(0.01)
        finally:
            sampler.close()
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
