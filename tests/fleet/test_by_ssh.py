"""Gathering by SSH from real servers: two of OpenSSH's own on ports of this machine, as two nodes.

sshd is looked for on PATH and where packages put it, or named by WELLFED_SSHD; skipped without it. Nothing of the
user's own SSH configuration is read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from wellfed.fleet.gather import Gathering, gather
from wellfed.fleet.means import Ssh

ME = pwd.getpwuid(os.getuid()).pw_name


def _sshd() -> str:
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = os.environ.get("WELLFED_SSHD") or shutil.which("sshd", path=places)
    if found is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs OpenSSH's server and client")
    if os.getuid() == 0:
        try:
            pwd.getpwnam("sshd")
        except KeyError:
            pytest.skip("as root, sshd needs its own user")
        if not Path("/run/sshd").is_dir():
            pytest.skip("as root, sshd needs /run/sshd")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Nodes:
    """Two servers, and the folder whose `ssh` knows them as n1 and n2 (n3: nobody listens, n4: no key of ours)."""

    bin: Path


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    sshd = _sshd()
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "mine", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "keys").write_text((folder / "mine.pub").read_text())
    ports = {name: _free_port() for name in ("n1", "n2")}
    with ExitStack() as stack:
        for name, port in ports.items():
            config = folder / f"{name}.conf"
            config.write_text(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/keys\n"
                f"PidFile {folder}/{name}.pid\nStrictModes no\nPasswordAuthentication no\nUsePAM no\n"
                "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            )
            server = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE)
            stack.callback(_ended, server)
            _awaited(server, port)
        yield Nodes(_client(folder, {**ports, "n3": _free_port()}))


def _ended(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait(10)


def _awaited(server: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(200):
        if server.poll() is not None:
            pytest.skip(f"sshd does not start here: {(server.stderr.read() if server.stderr else b'')[-200:]!r}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.skip("sshd does not listen")


def _client(folder: Path, ports: dict[str, int]) -> Path:
    """An `ssh` that reads a configuration of the test's alone, as a user's own would name the nodes."""
    lines = []
    for name, port in ports.items():
        lines += [f"Host {name}", f"  Port {port}", f"  IdentityFile {folder}/mine"]
    lines += ["Host n4", f"  Port {ports['n1']}", f"  IdentityFile {folder}/other"]
    lines += ["Host *", "  HostName 127.0.0.1", f"  User {ME}", "  IdentitiesOnly yes",
              f"  UserKnownHostsFile {folder}/known", "  StrictHostKeyChecking accept-new"]  # fmt: skip
    (folder / "config").write_text("\n".join(lines) + "\n")
    place = folder / "bin"
    place.mkdir()
    (place / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    (place / "ssh").chmod(0o755)
    return place


def test_two_nodes_are_gathered_and_two_others_cost_only_themselves(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{nodes.bin}{os.pathsep}{os.environ['PATH']}")
    found = {o.node: o for o in gather(("n1", "n2", "n3", "n4"), Ssh(), Gathering(tmp_path / "out"))}
    for name in ("n1", "n2"):
        assert found[name].file is not None, str(found[name].why)
        assert not found[name].partial
        with tarfile.open(found[name].file) as archive:
            assert any(member.endswith("proc/meminfo") for member in archive.getnames())
    assert "refused" in str(found["n3"].why)
    assert "Permission denied" in str(found["n4"].why)


def test_from_the_command_line_and_then_checked(nodes: Nodes, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{nodes.bin}{os.pathsep}{os.environ['PATH']}"}
    words = [sys.executable, "-m", "wellfed", "fleet"]
    done = subprocess.run([*words, "snapshot", "n1", "n2", "--out", str(tmp_path / "o")], env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 of 2 nodes" in done.stdout
    done = subprocess.run([*words, "check", str(tmp_path / "o"), "--json"], env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert '"node-0002"' in done.stdout
