"""Many at once: starts and stops on few names, hostile clients at the exporter, and a watch that goes on for long."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import socket
import threading
import tracemalloc
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from tests.watch.scenes import QUIET

from sound.engine import spec
from wellfed.errors import BadInput
from wellfed.launch import identity, state
from wellfed.launch.process import EngineFailed
from wellfed.launch.service import Service, end, serve
from wellfed.watching.diagnose import diagnose
from wellfed.watching.export import listen
from wellfed.watching.watcher import Sliding
from wellfed.watching.window import view

_LONG = os.environ.get("WELLFED_ATTACK") == "long"
_STARTS, _AT_ONCE = (200, 16) if _LONG else (16, 8)
_CLIENTS = 200
_SAMPLES = 20_000 if _LONG else 200
_FULL = 150  # steps of which the window keeps what it reckoned (its caches hold 128 and 256)


def runs(service: Service) -> bool:
    """Whether its process does."""
    service.engine.popen.poll()
    found = identity.stat(service.engine.pid)
    return found is not None and found.runs


def started(name: str) -> Service:
    """An engine on a port of its own: where another takes it between the look and the start, the next."""
    for _ in range(5):
        try:
            return serve(spec(), name, 120, detach=True)
        except EngineFailed as error:
            if not any(said in str(error) + error.log_tail for said in ("in use", "took port")):
                raise
    raise AssertionError("five ports in turn were taken")


@pytest.mark.usefixtures("home")
def test_starts_and_stops_at_once() -> None:
    """On ten names: each engine that runs is listed, under a name of its own; each that was stopped is gone."""
    chance, lock = random.Random(1), threading.Lock()
    up: list[Service] = []

    def one(number: int) -> None:
        service = started(f"m{number % 10}")
        with lock:
            up.append(service)
            victim = up.pop(chance.randrange(len(up))) if chance.random() < 0.7 else None
        if victim is not None:
            assert end(victim.running, grace_s=5)
            assert not runs(victim)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, range(_STARTS)))
    listed = {running.name: running.pid for running in state.listed() if running.alive}
    assert sorted(listed.values()) == sorted(service.engine.pid for service in up)  # type: ignore[type-var]
    assert all(runs(service) for service in up)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        assert all(pool.map(lambda service: end(service.running, 5), up))
    assert not any(runs(service) for service in up) and list(state.listed()) == []


def test_hostile_clients_keep_nobody_from_the_page() -> None:
    with listen("127.0.0.1:0") as exporter, contextlib.ExitStack() as stack:
        exporter.update("t", diagnose(view(QUIET.samples())))
        parts = urlsplit(exporter.url)
        threads = threading.active_count()
        for number in range(_CLIENTS):
            client = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=5))
            begin = (b"", b"GET /metrics HTTP/1.1\r\n", b"\x00" * 100, b"GET / HTTP/1.1\r\nX: " + b"a" * 30_000)
            with contextlib.suppress(OSError):
                client.sendall(begin[number % len(begin)])
        assert threading.active_count() == threads
        for _ in range(5):
            assert b"wellfed_watch_diagnosis" in urllib.request.urlopen(exporter.url, timeout=10).read()


@pytest.mark.parametrize("address", ["[::1]:0", "localhost:0", ":0"])
def test_the_exporter_listens_on_loopback_of_each_family(address: str) -> None:
    try:
        with listen(address) as exporter:
            assert urllib.request.urlopen(exporter.url, timeout=10).status == 200
    except BadInput as error:
        if "::1" in address:
            pytest.skip(f"no IPv6 here: {error}")
        raise


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"])
def test_an_address_beyond_loopback_needs_a_word(address: str) -> None:
    with pytest.raises(BadInput, match="others could read"), listen(address):
        pass


@pytest.mark.parametrize("address", ["nowhere", ":", "[::1]", ":99999", "::1:80", "a b:80", ":8 0", ":\u0661"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(BadInput, match="no address"), listen(address, insecure=True):
        pass


def test_a_long_watch_keeps_nothing() -> None:
    """Memory once what is kept of the last steps is full, and after all samples."""
    sliding, sizes = Sliding(20), []
    tracemalloc.start()
    for number in range(_SAMPLES):
        (sample,) = QUIET.samples(1, 1000.0 + number)
        sliding.add(sample)
        sliding.diagnose()
        if number in (max(_SAMPLES // 10, _FULL), _SAMPLES - 1):
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] <= 1.05 * sizes[0] + 50_000
