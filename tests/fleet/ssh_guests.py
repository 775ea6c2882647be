"""Virtual machines that are reached by SSH: a kernel, a static busybox for a shell and all programs, dropbear as server.

Needs qemu-system-x86_64, a static busybox, dropbear, OpenSSH's client and a kernel with its modules: those of this
machine, or an unpacked linux-image package named by WELLFED_GUEST_ROOT.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

# In the order of their dependence; those that a kernel has built in are absent and not missed.
_MODULES = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
            "net_failover", "virtio_net")  # fmt: skip
_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /tmp
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
for module in {modules} {modules}; do insmod /$module 2> /dev/null; done
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
echo 'root:x:0:0:root:/root:/bin/sh' > /etc/passwd
echo /bin/sh > /etc/shells
chmod 700 /root /root/.ssh
/bin/dropbear -F -E -s -r /key -p 22
poweroff -f
"""
_WAIT_S = 240


def tool(name: str) -> str:
    """Where a program is; skips without it."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=places)
    if found is None:
        pytest.skip(f"guests need {name}")
    return found


def started(folder: Path, kinds: Mapping[str, Sequence[str]], stack: ExitStack) -> Path:
    """One guest a name, with qemu's own words for its CPUs and memory; the folder whose `ssh` knows them by name."""
    for program in ("qemu-system-x86_64", "busybox", "dropbear", "dropbearkey", "ssh", "ssh-keygen"):
        tool(program)
    root = Path(os.environ.get("WELLFED_GUEST_ROOT", "/"))
    kernel = next(iter(sorted((root / "boot").glob("vmlinuz-*"), reverse=True)), None)
    if kernel is None:
        pytest.skip("guests need a kernel (WELLFED_GUEST_ROOT)")
    image = _initramfs(folder, root / "lib/modules" / kernel.name.removeprefix("vmlinuz-"))
    ports = {name: _free_port() for name in kinds}
    for name, words in kinds.items():
        console = folder / f"{name}.console"
        command = _command(kernel, image, ports[name], console, words)
        stack.callback(_ended, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    place = _client(folder, ports)
    for name in kinds:
        _awaited(place / "ssh", name, folder / f"{name}.console")
    return place


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(kernel: Path, image: Path, port: int, console: Path, words: Sequence[str]) -> list[str]:
    """The guest reaches nothing: only its port 22 is reached, from this machine."""
    net = f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:22"
    return [
        tool("qemu-system-x86_64"), "-accel", "tcg", "-cpu", "max", *words,
        "-kernel", str(kernel), "-initrd", str(image), "-append", "console=ttyS0 panic=-1 quiet random.trust_cpu=on",
        "-display", "none", "-no-reboot", "-netdev", net, "-device", "virtio-net-pci,netdev=n",
        "-serial", f"file:{console}",
    ]  # fmt: skip


def _initramfs(folder: Path, modules: Path) -> Path:
    tree = folder / "root"
    for name in ("bin", "proc", "sys", "dev", "etc", "root/.ssh"):
        (tree / name).mkdir(parents=True)
    busybox = tool("busybox")
    shutil.copy(busybox, tree / "bin/busybox")
    _with_libraries(Path(tool("dropbear")), tree)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "mine")], check=True)
    shutil.copy(folder / "mine.pub", tree / "root/.ssh/authorized_keys")
    subprocess.run([tool("dropbearkey"), "-t", "ed25519", "-f", str(tree / "key")], check=True, capture_output=True)
    found = []
    for name in _MODULES:
        for path in (modules / "kernel").rglob(f"{name}.ko"):
            shutil.copy(path, tree / path.name)
            found.append(path.name)
    (tree / "init").write_text(_INIT.format(modules=" ".join(found)))
    (tree / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    made = subprocess.run(
        [busybox, "cpio", "-o", "-H", "newc"], input=names.encode(), cwd=tree, capture_output=True, check=True
    )
    image = folder / "initramfs.gz"
    image.write_bytes(gzip.compress(made.stdout, 1))
    return image


def _with_libraries(program: Path, tree: Path) -> None:
    """The program and what it is linked with, each where the loader looks for it."""
    shutil.copy(program, tree / "bin" / program.name)
    listed = subprocess.run([tool("ldd"), str(program)], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+\.so\S*) \(", listed):
        place = tree / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)


def _client(folder: Path, ports: Mapping[str, int]) -> Path:
    """An `ssh` that reads a configuration of the test's alone, as a user's own would name the nodes."""
    lines = [line for name, port in ports.items() for line in (f"Host {name}", f"  Port {port}")]
    lines += ["Host *", "  HostName 127.0.0.1", "  User root", "  IdentitiesOnly yes", f"  IdentityFile {folder}/mine",
              f"  UserKnownHostsFile {folder}/known", "  StrictHostKeyChecking accept-new",
              "  LogLevel ERROR"]  # fmt: skip
    (folder / "config").write_text("\n".join(lines) + "\n")
    place = folder / "bin"
    place.mkdir()
    (place / "ssh").write_text(f'#!/bin/sh\nexec {tool("ssh")} -F {folder}/config "$@"\n')
    (place / "ssh").chmod(0o755)
    return place


def _awaited(ssh: Path, name: str, console: Path) -> None:
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        asked = [str(ssh), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", name, "true"]
        if subprocess.run(asked, capture_output=True, check=False, timeout=60).returncode == 0:
            return
        time.sleep(1)
    said = console.read_text(errors="replace")[-1000:] if console.exists() else ""
    pytest.skip(f"the guest {name} does not answer here: {said}")


def _ended(guest: subprocess.Popen[bytes]) -> None:
    guest.terminate()
    guest.wait(20)
