"""A virtual machine with two NUMA nodes that sees this machine's files and runs one Python program.

Needs qemu-system-x86_64, a static busybox and a kernel with its modules: those of this machine, or an unpacked
linux-image package named by WELLFED_GUEST_ROOT.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# In the order of their dependence; those that a kernel has built in are absent and not missed.
_MODULES = (
    "virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "netfs", "fscache",
    "9pnet", "9pnet_virtio", "9p",
)  # fmt: skip
_INIT = """#!/busybox sh
export PATH=/
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
for module in {modules} {modules}; do busybox insmod /$module 2> /dev/null; done  # twice: order differs by kernel
busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /host || busybox poweroff -f
for folder in proc sys dev; do busybox mount --bind /$folder /host/$folder; done
busybox mount -t cgroup2 none /host/sys/fs/cgroup
busybox mount -t tmpfs none /host/mnt
busybox ifconfig lo 127.0.0.1 up
busybox chroot /host /usr/bin/env -i HOME=/mnt PATH=/usr/bin:/bin TMPDIR=/mnt XDG_STATE_HOME=/mnt/state \
  XDG_DATA_HOME=/mnt/data PYTHONPATH={path} PYTHONDONTWRITEBYTECODE=1 {python} {program} > /dev/ttyS1 2>&1
busybox poweroff -f
"""


def boot(folder: Path, program: Path, *words: str, seconds: int = 560) -> str:
    """What `program` prints in the guest. Skips where a guest cannot be had."""
    qemu, busybox = shutil.which("qemu-system-x86_64"), shutil.which("busybox")
    root = Path(os.environ.get("WELLFED_GUEST_ROOT", "/"))
    kernel = next(iter(sorted((root / "boot").glob("vmlinuz-*"), reverse=True)), None)
    if qemu is None or busybox is None or kernel is None:
        pytest.skip("needs qemu-system-x86_64, a static busybox and a kernel (WELLFED_GUEST_ROOT)")
    modules = root / "lib" / "modules" / kernel.name.removeprefix("vmlinuz-")
    image, output = folder / "initramfs.gz", folder / "output"
    image.write_bytes(_initramfs(folder, Path(busybox), modules, " ".join([str(program), *words])))
    try:
        subprocess.run(_command(qemu, kernel, image, output), capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the guest did not finish within {seconds} s")
    said = output.read_text(errors="replace") if output.exists() else ""
    if not said:
        pytest.skip("the guest does not boot here")
    return said


def _command(qemu: str, kernel: Path, image: Path, output: Path) -> list[str]:
    command = [qemu, "-accel", "tcg", "-cpu", "max", "-m", "2048", "-smp", "4,sockets=2,cores=2"]
    for node in range(2):
        command += ["-object", f"memory-backend-ram,id=m{node},size=1024M"]
        command += ["-numa", f"node,nodeid={node},cpus={2 * node}-{2 * node + 1},memdev=m{node}"]
    command += ["-numa", "dist,src=0,dst=1,val=21", "-kernel", str(kernel), "-initrd", str(image)]
    command += ["-append", "console=ttyS0 panic=-1 quiet", "-display", "none", "-no-reboot", "-net", "none"]
    command += ["-serial", "stdio", "-serial", f"file:{output}"]
    return [*command, "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]


def _initramfs(folder: Path, busybox: Path, modules: Path, program: str) -> bytes:
    tree = folder / "root"
    for name in ("proc", "sys", "dev", "host"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "busybox")
    found = []
    for name in _MODULES:
        for path in (modules / "kernel").rglob(f"{name}.ko"):
            shutil.copy(path, tree / path.name)
            found.append(path.name)
    source = Path(__file__).resolve().parents[2] / "src"
    init = _INIT.format(modules=" ".join(found), path=source, python=sys.executable, program=program)
    (tree / "init").write_text(init)
    (tree / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in tree.rglob("*"))
    made = subprocess.run(
        [str(busybox), "cpio", "-o", "-H", "newc"], input=names.encode(), cwd=tree, capture_output=True, check=True
    )
    return gzip.compress(made.stdout, 1)
