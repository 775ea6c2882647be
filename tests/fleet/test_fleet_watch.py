"""A fleet that is watched: real exporters over real sockets, a fault after some rounds, and who has to hear of it."""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from written_exporters import Clock, Node, nodes

from wellfed.asking.address import Trouble
from wellfed.cli.fleet_watch import ago
from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.fleet import store
from wellfed.fleet.exporters import exporter, in_file
from wellfed.fleet.exposition import MOST_BYTES, read_pages
from wellfed.fleet.history import History
from wellfed.fleet.scrape import Scraper, scraped
from wellfed.verbs.fleet_watching import KeepOptions, Round, history, keep

RUN = CliRunner()
ROUNDS, STEP_S = 110, 300.0
Happening = Callable[[int, Sequence[Node]], None]


def watched(db: Path, fleet: Sequence[Node], happens: Happening, rounds: int = ROUNDS) -> tuple[list[Round], Clock]:
    """So many rounds, five minutes apart; `happens` writes what the nodes do before each."""
    clock, noise = Clock(), random.Random(4)
    options = KeepOptions(db, every_s=STEP_S, rounds=rounds)

    def tell(number: int) -> None:
        happens(number, fleet)
        for node in fleet:
            node.tell(noise)

    tell(0)
    found = []
    for each in keep([node.where for node in fleet], options, clock, clock.sleep):
        found.append(each)
        tell(len(found))
    return found, clock


def looked_at(db: Path, clock: Clock, *only: str) -> History:
    return history(db, ROUNDS * STEP_S, only, clock.now)


def nothing(number: int, fleet: Sequence[Node]) -> None:
    """An ordinary day."""


def test_a_link_that_loses_lanes_is_found_and_named(tmp_path: Path) -> None:
    def happens(number: int, fleet: Sequence[Node]) -> None:
        if number == 70:
            fleet[1].tok_s *= 0.88
            fleet[1].facts["gpu0", "link"] = "Gen4 x8"

    with nodes(4) as fleet:
        rounds, clock = watched(tmp_path / "h", fleet, happens)
    found = looked_at(tmp_path / "h", clock)
    (change,) = [change for replica in found.replicas for change in replica.changes]
    (who,) = [replica.node for replica in found.replicas if replica.changes]
    assert who == "node1"
    assert change.ratio == pytest.approx(0.88, abs=0.02)
    assert change.at == pytest.approx(rounds[70].at, abs=4 * STEP_S)
    assert [(f.subject, f.name, f.before, f.after) for f in change.facts] == [
        ("gpu0", "link", "Gen4 x16", "Gen4 x8"),
    ]
    slow = {replica.node: replica.differs for replica in found.replicas if replica.slow}
    assert list(slow) == ["node1"]
    assert [(d.name, d.here, d.usual) for d in slow["node1"]] == [("link", "Gen4 x8", "Gen4 x16")]
    assert found.complaints


def test_an_ordinary_day_has_nothing_to_tell(tmp_path: Path) -> None:
    with nodes(4) as fleet:
        _, clock = watched(tmp_path / "h", fleet, nothing)
    found = looked_at(tmp_path / "h", clock)
    assert len(found.replicas) == 4
    assert not found.complaints
    assert not any(replica.changes or replica.slow for replica in found.replicas)
    assert not found.drifts


def test_more_load_is_no_fault(tmp_path: Path) -> None:
    """Each user gets less where more share the engine: four times the requests, and nobody is slower."""

    def happens(number: int, fleet: Sequence[Node]) -> None:
        for node in fleet:
            node.running = 4.0 if number % 40 < 20 else 16.0

    with nodes(3) as fleet:
        _, clock = watched(tmp_path / "h", fleet, happens)
    assert not any(replica.changes or replica.slow for replica in looked_at(tmp_path / "h", clock).replicas)


def test_a_load_that_never_varied_and_then_changed_is_not_compared(tmp_path: Path) -> None:
    def happens(number: int, fleet: Sequence[Node]) -> None:
        fleet[0].running = 4.0 if number < 60 else 16.0
        fleet[0].tok_s = 50.0

    class Even(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 1.0

    with nodes(1) as fleet, pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "Random", Even)
        _, clock = watched(tmp_path / "h", fleet, happens)
    (replica,) = looked_at(tmp_path / "h", clock).replicas
    assert replica.changes == ()


def test_a_cause_that_the_node_names_is_told(tmp_path: Path) -> None:
    def happens(number: int, fleet: Sequence[Node]) -> None:
        if number == 60:
            fleet[0].tok_s *= 0.7
            fleet[0].causes = ("gpu-throttled",)

    with nodes(3) as fleet:
        _, clock = watched(tmp_path / "h", fleet, happens)
    first = looked_at(tmp_path / "h", clock).replicas[0]
    assert [change.causes for change in first.changes] == [("gpu-throttled",)]
    assert first.causes == ("gpu-throttled",)
    assert first.slow


def test_a_driver_that_slows_every_node_is_one_line(tmp_path: Path) -> None:
    def happens(number: int, fleet: Sequence[Node]) -> None:
        for place, node in enumerate(fleet):
            if number == 50 + 2 * place:
                node.tok_s *= 0.9
                node.facts["system", "NVIDIA driver"] = "580.95"

    with nodes(4) as fleet:
        _, clock = watched(tmp_path / "h", fleet, happens)
    (drift,) = looked_at(tmp_path / "h", clock).drifts
    assert (drift.name, drift.before, drift.after, drift.replicas) == ("NVIDIA driver", "570.86", "580.95", 4)
    assert drift.ratio == pytest.approx(0.9, abs=0.02)
    assert drift.counts


def test_a_firmware_that_changes_nothing_is_said_so(tmp_path: Path) -> None:
    def happens(number: int, fleet: Sequence[Node]) -> None:
        if number == 55:
            fleet[0].facts["system", "firmware"] = "2.8 01/09/2026"

    with nodes(2) as fleet:
        _, clock = watched(tmp_path / "h", fleet, happens)
    (drift,) = looked_at(tmp_path / "h", clock).drifts
    assert drift.name == "firmware"
    assert not drift.counts


def test_a_silent_node_and_one_that_comes_back(tmp_path: Path) -> None:
    with nodes(2) as fleet:
        places = [node.where for node in fleet]
        clock = Clock()
        for node in fleet:
            node.tell(random.Random(1))
        fleet[0].exporter.close()
        list(keep(places, KeepOptions(tmp_path / "h", every_s=15, rounds=4), clock, clock.sleep))
    found = history(tmp_path / "h", 3600, (), clock.now)
    assert [(each.node, each.trouble, each.until) for each in found.silences] == [("node0", Trouble.CLOSED, None)]
    assert found.complaints
    with nodes(2) as fleet:
        for node in fleet:
            node.tell(random.Random(1))
        list(keep([node.where for node in fleet], KeepOptions(tmp_path / "h", rounds=1), clock, clock.sleep))
    assert not history(tmp_path / "h", 3600, (), clock.now).silent


def test_who_is_silent_is_asked_less_often() -> None:
    with nodes(1) as fleet:
        where = fleet[0].where
    rounds = Scraper((where,), within_s=1).rounds()
    asked = [not next(rounds)[0].skipped for _ in range(40)]
    assert 6 <= sum(asked) <= 12
    assert asked[:2] == [True, True]


@contextmanager
def answering(reply: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that says whatever it likes, to one client after another."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(4096)
                    reply(client)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def _flood(client: socket.socket) -> None:
    client.sendall(HEAD)
    for _ in range(3 * MOST_BYTES // 65536):
        client.sendall(b"wellfed_watch_ill 1\n" * 3277)


def _trickle(client: socket.socket) -> None:
    client.sendall(HEAD)
    stop = threading.Event()
    for _ in range(200):
        client.sendall(b"#")
        stop.wait(0.02)


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        (_flood, Trouble.ENDLESS),
        (_trickle, Trouble.SILENT),
        (lambda client: client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"), Trouble.FOREIGN),
        (lambda client: client.sendall(HEAD + b"node_load1 0.3\n"), Trouble.FOREIGN),
        (lambda client: client.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), Trouble.KEY),
        (
            lambda client: client.sendall(b"HTTP/1.1 302 Go\r\nLocation: http://169.254.169.254/\r\n\r\n"),
            Trouble.REFUSED,
        ),
    ],
)
def test_what_is_no_exporter_costs_only_itself(reply: Callable[[socket.socket], None], trouble: Trouble) -> None:
    with answering(reply) as port, nodes(1) as fleet:
        fleet[0].tell(random.Random(1))
        answers = next(Scraper((exporter(f"127.0.0.1:{port}", "bad"), fleet[0].where), within_s=1.0).rounds())
    assert answers[0].trouble is trouble
    assert answers[1].trouble is None
    assert answers[1].pages[0].figures["running"] > 0


def test_a_hostile_page_is_held_to_limits() -> None:
    lines = [
        f'wellfed_watch_fact{{target="t{n % 40}",subject="s{n}",name="x",value="{"v" * 900}"}} 1' for n in range(3_000)
    ]
    lines += ['wellfed_watch_user_tokens_per_second{target="t0"} NaN', 'wellfed_watch_ill{target="t1"} 1e400']
    lines += [
        'wellfed_watch_requests_running{target="t0\\u001b]0;x"} 3',
        "wellfed_watch_ill{",
        "wellfed_watch_ill{}" * 300,
    ]
    pages = read_pages("\n".join(['wellfed_watch_diagnosis{target="t0",id="../../etc",kind="ill"} 1', *lines]))
    assert len(pages) == 16
    assert all(len(page.facts) <= 600 for page in pages)
    assert all(len(value) <= 120 for page in pages for value in page.facts.values())
    assert not any(page.causes or page.figures for page in pages)


def test_names_of_targets_move_no_cursor() -> None:
    (page,) = read_pages('wellfed_watch_ill{target="a\x1b[2Jb"} 1')
    assert "\x1b" not in page.target


def test_a_node_that_makes_up_targets_and_facts_fills_nobodys_disk(tmp_path: Path) -> None:
    with store.opened(tmp_path / "h", make=True) as opened:
        writer = store.Writer(opened)
        from wellfed.fleet.scrape import Answer

        for number in range(70):
            text = "\n".join(
                f'wellfed_watch_fact{{target="t{number}",subject="s{n}",name="x",value="{number}"}} 1'
                for n in range(200)
            )
            writer.add([Answer("bad", read_pages(text))], 1e9 + number)
            same = text.replace(f't{number}"', 't0"')
            writer.add([Answer("bad", read_pages(same))], 1e9 + number + 0.5)
        replicas, facts = (
            opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("replica", "fact")
        )
    assert replicas == 64
    assert facts <= 64 * 200 + 2000


def test_old_samples_become_medians_and_then_nothing(tmp_path: Path) -> None:
    from wellfed.fleet.scrape import Answer

    def rows(opened: sqlite3.Connection, span: int) -> int:
        return int(opened.execute("SELECT count(*) FROM sample WHERE span = ?", (span,)).fetchone()[0])

    page = 'wellfed_watch_user_tokens_per_second{target="t"} %g'
    with store.opened(tmp_path / "h", make=True) as opened:
        writer = store.Writer(opened, days=1)
        for number in range(4 * 60 * 24):  # a day of four a minute... in steps of 15 s
            writer.add([Answer("n", read_pages(page % (40 + number % 3)))], 1e9 + 15 * number)
        assert rows(opened, 0) <= (store.RAW_S + 2 * store.BUCKET_S) / 15
        assert rows(opened, 600) >= 6 * 17
        (middle,) = opened.execute("SELECT DISTINCT user_tok_s FROM sample WHERE span = 600 AND seen > 30").fetchall()
        assert middle == (41.0,)
        store.keep_up(opened, 1e9 + 40 * 86400, days=1)
        assert rows(opened, 0) + rows(opened, 600) == 0


def test_the_history_stays_within_its_limit(tmp_path: Path) -> None:
    from wellfed.fleet.scrape import Answer

    limit = 1 << 20
    page = 'wellfed_watch_user_tokens_per_second{target="t"} 40'
    with store.opened(tmp_path / "h", make=True, most_bytes=limit) as opened:
        writer = store.Writer(opened, most_bytes=limit)
        for number in range(400):
            writer.add([Answer(f"n{n}", read_pages(page)) for n in range(60)], 1e9 + 60 * number)
        assert store.size_bytes(opened) <= limit * 1.1
        first, last = opened.execute("SELECT min(at), max(at) FROM sample").fetchone()
    assert last == 1e9 + 60 * 399
    assert first > 1e9
    assert (tmp_path / "h").stat().st_mode & 0o077 == 0


def test_a_watch_that_was_killed_goes_on(tmp_path: Path) -> None:
    with nodes(1) as fleet:
        _, clock = watched(tmp_path / "h", fleet, nothing, rounds=5)
        fleet[0].facts["gpu0", "link"] = "Gen4 x8"
        fleet[0].tell(random.Random(1))
        list(keep([fleet[0].where], KeepOptions(tmp_path / "h", rounds=1), clock, clock.sleep))
    with sqlite3.connect(tmp_path / "h") as opened:
        links = opened.execute("SELECT value, until IS NULL FROM fact WHERE name = 'link' ORDER BY since").fetchall()
    assert links == [("Gen4 x16", 0), ("Gen4 x8", 1)]


def test_from_the_command_line(tmp_path: Path) -> None:
    db = str(tmp_path / "fleet.sqlite")
    with nodes(2) as fleet:
        for node in fleet:
            node.tell(random.Random(1))
        listed = tmp_path / "nodes"
        lines = [f"{node.exporter.url}  {node.name}   # a remark" for node in fleet]
        listed.write_text("\n".join([*lines, ""]), encoding="utf-8")
        done = RUN.invoke(cli, ["fleet", "watch", "--nodes", str(listed), "--db", db, "--once"])
        assert done.exit_code == 0, done.output
        assert "node1" in done.output
        assert "2 of 2 nodes" in done.output
        fleet[1].exporter.close()
        done = RUN.invoke(cli, ["fleet", "watch", "--nodes", str(listed), "--db", db, "--once", "--json"])
    assert done.exit_code == 1
    document = json.loads(done.output)
    assert document["schema"] == "wellfed.fleet-watch/1"
    assert [node["trouble"] for node in document["nodes"]] == [None, "closed"]
    assert document["nodes"][0]["replicas"][0]["figures"]["planned_tok_s"] == 50
    done = RUN.invoke(cli, ["fleet", "history", "--db", db, "--since", "1h"])
    assert done.exit_code == 1
    assert "node1 does not answer" in done.output
    done = RUN.invoke(cli, ["fleet", "history", "--db", db, "--json"])
    assert json.loads(done.output)["schema"] == "wellfed.fleet-history/1"


def test_the_sentence_that_an_operator_reads(tmp_path: Path) -> None:
    def happens(number: int, fleet: Sequence[Node]) -> None:
        if number == 70:
            fleet[0].tok_s *= 0.88
            fleet[0].facts["gpu0", "link"] = "Gen4 x8"

    from wellfed.cli import fleet_watch_text

    with nodes(1) as fleet:
        _, clock = watched(tmp_path / "h", fleet, happens)
    found = looked_at(tmp_path / "h", clock)
    (change,) = found.replicas[0].changes
    said = str(fleet_watch_text._change(found.replicas[0], change, clock.now))
    assert "node0 is 12 % slower" in said or "node0 is 11 % slower" in said or "node0 is 13 % slower" in said
    assert "gpu0 link Gen4 x16 -> Gen4 x8" in said
    assert said.startswith("since ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("watch",), "which nodes"),
        (("watch", "--nodes", "/nowhere"), "/nowhere"),
        (("watch", "--nodes", "{empty}"), "names no node"),
        (("watch", "--nodes", "{bad}"), "no http address"),
        (("watch", "--nodes", "{twice}"), "two addresses"),
        (("watch", "--nodes", "{good}", "--db", "{bad}", "--once"), "no history of a fleet"),
        (("watch", "--nodes", "{good}", "--for", "soon"), "no time"),
        (("history", "--db", "/nowhere/h"), "no history"),
        (("history", "--db", "{bad}"), "no history of a fleet"),
        (("history", "--since", "someday", "--db", "{bad}"), "no time to begin at"),
    ],
)  # fmt: skip
def test_bad_use_is_told_with_exit_2(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    (tmp_path / "empty").write_text("# nobody\n")
    (tmp_path / "bad").write_text("ftp://somewhere\n" * 99)
    (tmp_path / "twice").write_text("a:1 x\nb:2 x\n")
    (tmp_path / "good").write_text("127.0.0.1:1\n")
    given = [word.format(**{name: tmp_path / name for name in ("empty", "bad", "twice", "good")}) for word in words]
    done = RUN.invoke(cli, ["fleet", *given])
    error = str(done.exception) + done.output
    assert says in error
    assert getattr(done.exception, "exit_code", done.exit_code) == 2


def test_addresses_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("node17\n10.0.0.2:9000 b\n[fe80::1]:7 c\n[::1]\nhttps://far/x/metrics d\n")
    assert [each.address.url for each in in_file(tmp_path / "n")] == [
        "http://node17:9907", "http://10.0.0.2:9000", "http://[fe80::1]:7", "http://[::1]:9907", "https://far/x",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), [("36h", 129600), ("2w", 1209600), ("2026-11-23", 6 * 86400)])
def test_since_when(text: str, seconds: float) -> None:
    from datetime import datetime

    now = datetime(2026, 11, 29).timestamp()
    assert ago(text, now) == pytest.approx(seconds, abs=7200)


def test_a_weekday_is_the_last_one() -> None:
    from datetime import datetime

    now = datetime(2026, 11, 29, 12).timestamp()  # a Sunday
    assert ago("tuesday", now) == pytest.approx(5.5 * 86400, abs=7200)
    assert ago("Sun", now) == pytest.approx(7.5 * 86400, abs=7200)
    with pytest.raises(BadInput):
        ago("2027-01-01", now)


def test_one_exporter_alone(tmp_path: Path) -> None:
    with nodes(1) as fleet:
        assert scraped(fleet[0].where).pages == ()
        fleet[0].tell(random.Random(1))
        (page,) = scraped(fleet[0].where).pages
    assert page.facts["gpu0", "link"] == "Gen4 x16"
    assert page.figures["gpu_clock_share"] == 0.97
