"""Where a fleet's exporters are, as kubectl and Ray tell it, and what facts an exporter gives of its machine."""

from __future__ import annotations

import json
import os
import socket
import threading
import types
from pathlib import Path
from typing import Any

import pytest
from emulated_fleet import healthy

from machines_builder import build
from wellfed.errors import BadInput
from wellfed.fleet import by_ray
from wellfed.fleet.exporters import of_kubernetes, of_ray
from wellfed.fleet.exposition import read_pages
from wellfed.verbs.machine_facts import Reading, machine_facts
from wellfed.watching.diagnose import Diagnosis
from wellfed.watching.export import prometheus_text
from wellfed.watching.facts import Fact
from wellfed.watching.target import Target
from wellfed.watching.view import View


def kubectl(folder: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "answer").write_text(answer)
    program = folder / "kubectl"
    program.write_text(f'#!/bin/sh\necho "$*" > {folder}/asked\ncat {folder}/answer\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def pod(node: str, address: str | None) -> dict[str, Any]:
    status = {"podIP": address} if address else {}
    return {
        "spec": {"nodeName": node},
        "metadata": {"namespace": "x", "name": f"wellfed-watch-{node}"},
        "status": status,
    }


def test_pods_of_the_daemonset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [pod("n1", "10.1.0.5"), pod("n2", "fd00::7"), pod("n3", None)]
    kubectl(tmp_path, json.dumps({"items": pods}), monkeypatch)
    found = of_kubernetes()
    assert [(each.node, each.address.url) for each in found] == [
        ("n1", "http://10.1.0.5:9907"), ("n2", "http://[fd00::7]:9907"),
    ]  # fmt: skip
    assert "app=wellfed-watch" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("answer", ["", "[]", '{"items": [{}]}', '{"items": []}', '{"items": [{"status": 3}]}',
                                    json.dumps({"items": [pod("-o=x", "10.0.0.1")]})])  # fmt: skip
def test_other_answers_of_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    kubectl(tmp_path, answer, monkeypatch)
    with pytest.raises(BadInput):
        of_kubernetes()


def test_living_nodes_of_a_ray_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def node(name: str, address: str, alive: bool = True) -> dict[str, Any]:
        return {"NodeManagerHostname": name, "NodeID": f"id{address}", "NodeManagerAddress": address, "Alive": alive}

    nodes = [node("a", "10.0.0.1"), node("b", "10.0.0.2"), node("c", "10.0.0.3", alive=False)]
    monkeypatch.setattr(by_ray, "connected", lambda: types.SimpleNamespace(nodes=lambda: nodes))
    assert [(each.node, each.address.url) for each in of_ray(9000)] == [
        ("a", "http://10.0.0.1:9000"), ("b", "http://10.0.0.2:9000"),
    ]  # fmt: skip
    nodes[1]["NodeManagerHostname"] = "a"  # two nodes of one host
    assert [each.node for each in of_ray()] == ["id10.0.0.1", "id10.0.0.2"]


def test_facts_are_those_of_the_machine_and_name_nobody(tmp_path: Path) -> None:
    root = build(healthy(), tmp_path / "root")
    target = Target("t", os.getpid(), None, "/home/somebody/models/qwen3.gguf", "llama.cpp")
    facts = machine_facts(target, root)
    told = {(fact.subject, fact.name): fact.value for fact in facts}
    assert told["engine", "model"] == "qwen3.gguf"
    assert told["gpu0", "link"] == "Gen4 x16"
    assert told["socket0", "memory channels"] == "8"
    assert told["system", "firmware"] == "2.7 03/05/2026"
    text = repr(facts)
    assert "somebody" not in text
    assert len(socket.gethostname()) < 4 or socket.gethostname() not in text


def test_of_an_engine_elsewhere_only_its_own_are_told(tmp_path: Path) -> None:
    assert machine_facts(Target("t", None, "http://far", None, "vllm"), tmp_path) == (Fact("engine", "engine", "vllm"),)


def test_what_is_exported_is_what_is_read() -> None:
    facts = (Fact("gpu0", "link", "Gen4 x16"), Fact("system", 'odd "name"\\', "a\nb"))
    (page,) = read_pages(prometheus_text("t", Diagnosis(View(20, 20, 1.0), ()), facts))
    assert page.facts == {("gpu0", "link"): "Gen4 x16", ("system", 'odd "name"\\'): "a b"}


def test_facts_are_read_again() -> None:
    read, twice = [], threading.Event()

    def told(facts: tuple[Fact, ...]) -> None:
        read.append(facts)
        if len(read) == 2:
            twice.set()

    reading = Reading(lambda: (Fact("a", "b", str(len(read))),), told, every_s=0.01)
    assert twice.wait(10)
    reading.close()
    assert read[0] != read[1]
