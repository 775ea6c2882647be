"""A machine as people draw it: sockets side by side, memory above, PCIe below, GPUs at the end of their links.

A link's width is its thickness, its generation its colour; numbers mark faults, as the list beside the drawing has
them. SVG made here: no script is needed, and it prints.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from wellfed.hardware.machine import Machine, Socket
from wellfed.hardware.pcie import PcieLink
from wellfed.messages.words import phrase
from wellfed.nouns.finding import Finding
from wellfed.serve.page.wiring import Branch, Package, Wiring, wiring
from wellfed.units import format_bandwidth, format_bytes

_GAP, _PAD, _BETWEEN = 14, 22, 56
_LEAF, _NARROW_LEAF, _MANY = 142, 92, 10  # with so many devices each takes less room
_MEMORY = re.compile(r" \d+ ?GB$")  # at a GPU's name: the line below says it
_SOCKET_TOP, _SOCKET_HEIGHT, _ROW = 118, 86, 78
_GPU_HEIGHT, _NIC_HEIGHT = 76, 54


@dataclass(slots=True)
class _Canvas:
    """What was drawn so far: links lie under boxes."""

    links: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    gpus: dict[int, tuple[float, float]] = field(default_factory=dict)  # index -> middle of its lower edge
    bottom: float = 0.0
    leaf: float = _LEAF  # a device's width

    def span(self, branch: Branch) -> float:
        """How wide a branch is."""
        return branch.leaves * (self.leaf + _GAP) - _GAP


def draw(machine: Machine, findings: Sequence[tuple[int, Finding]]) -> Markup:
    """The drawing of a machine with its numbered findings."""
    plan = wiring(machine, findings)
    leaves = sum(branch.leaves for package in plan.packages for branch in package.branches)
    canvas = _Canvas(leaf=_LEAF if leaves < _MANY else _NARROW_LEAF)
    x, tops = float(_PAD), []
    for package in plan.packages:
        width = _width(canvas, package)
        _package(canvas, package, x, width)
        tops.append((x, width))
        x += width + _BETWEEN
    _between_sockets(canvas, plan, tops)
    _gpu_links(canvas, machine)
    width, height = x - _BETWEEN + _PAD, canvas.bottom + 18
    title = phrase("page.drawing", "drawing of {machine}", machine=machine.name)
    return Markup(
        f'<svg class="machine" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="group" '
        f'aria-label="{escape(title)}">{"".join(canvas.links)}{"".join(canvas.boxes)}</svg>'
    )


def _width(canvas: _Canvas, package: Package) -> float:
    return max(_all_leaves(canvas, package), 250)


def _all_leaves(canvas: _Canvas, package: Package) -> float:
    return sum(branch.leaves for branch in package.branches) * (canvas.leaf + _GAP) - _GAP


def _package(canvas: _Canvas, package: Package, x: float, width: float) -> None:
    socket = package.socket
    top = _SOCKET_TOP
    if socket is not None:
        _memory(canvas, socket, package.memory_faults, x, width)
        _socket(canvas, socket, package, x, width)
    else:
        name = phrase("page.socket-unknown", "socket not known")
        canvas.boxes.append(_box("ghost", x, top, width, _SOCKET_HEIGHT, name, ""))
    deepest = max((branch.depth for branch in package.branches), default=0)
    at = x + (width - _all_leaves(canvas, package)) / 2
    canvas.bottom = max(canvas.bottom, top + _SOCKET_HEIGHT)
    for branch in package.branches:
        span = canvas.span(branch)
        middle = at + span / 2
        _branch(canvas, branch, at, top + _SOCKET_HEIGHT, min(max(middle, x + 20), x + width - 20), deepest)
        at += span + _GAP


def _socket(canvas: _Canvas, socket: Socket, package: Package, x: float, width: float) -> None:
    name = (socket.cpu.name if socket.cpu else socket.name) or phrase("page.cpu-unknown", "CPU not known")
    words = []
    if socket.cores:
        words.append(phrase("page.cores", "{count} cores", count=socket.cores))
    if socket.cpu and socket.cpu.pcie_lanes and socket.cpu.pcie_generation:
        lanes = phrase("page.lanes", "{count} lanes of PCIe {generation}.0", count=socket.cpu.pcie_lanes, generation=socket.cpu.pcie_generation)  # fmt: skip
        words.append(lanes)
    title = f"{socket.index} · {name}"
    room = int(width / 7.3)
    canvas.boxes.append(
        _box(
            "socket",
            x,
            _SOCKET_TOP,
            width,
            _SOCKET_HEIGHT,
            _cut(title, room),
            _cut(" · ".join(words), int(width / 6.2)),
        )
    )
    if len(package.nodes) > 1:
        step = (width - 20) / len(package.nodes)
        for n, node in enumerate(package.nodes):
            x_node = x + 10 + n * step
            canvas.boxes.append(
                f'<rect class="node" x="{x_node:.1f}" y="{_SOCKET_TOP + 56}" width="{step - 6:.1f}" height="22" rx="4"/>'
            )
            canvas.boxes.append(f'<text class="small" x="{x_node + (step - 6) / 2:.1f}" y="{_SOCKET_TOP + 71}" text-anchor="middle">{escape(_cut(node, int(step / 6.4)))}</text>')  # fmt: skip
    canvas.boxes.append(_badges(package.faults, x + width - 6, _SOCKET_TOP + 4))


def _memory(canvas: _Canvas, socket: Socket, faults: tuple[int, ...], x: float, width: float) -> None:
    """Channels as sticks, filled where there are modules; what they carry in all beside them."""
    slots = max(socket.channels_named or 0, socket.cpu.memory_channels if socket.cpu else 0, socket.channels or 0)
    filled = socket.channels or 0
    words = []
    if socket.memory_bytes:
        words.append(format_bytes(socket.memory_bytes))
    if socket.channels is not None and slots:
        words.append(phrase("page.channels", "{filled} of {count} channels", filled=filled, count=slots))
    if socket.mt_s:
        words.append(f"{socket.mt_s:.0f} MT/s")
    bandwidth = socket.memory_bandwidth_bytes_per_s
    if bandwidth:
        words.append(format_bandwidth(bandwidth))
    text = " · ".join(words) or phrase("page.memory-unknown", "memory not known")
    canvas.boxes.append(f'<text class="small" x="{x:.1f}" y="30">{escape(_cut(text, int(width / 6) + 6))}</text>')
    step = min(24.0, (width - 8) / max(slots, 1))
    for n in range(slots):
        state = "stick" if n < filled else "stick none"
        x_stick = x + n * step
        canvas.boxes.append(
            f'<rect class="{state}" x="{x_stick:.1f}" y="42" width="{step - 6:.1f}" height="42" rx="2"/>'
        )
        canvas.links.append(f'<line class="lane{"" if n < filled else " none"}" x1="{x_stick + step / 2 - 3:.1f}" x2="{x_stick + step / 2 - 3:.1f}" y1="84" y2="{_SOCKET_TOP}"/>')  # fmt: skip
    canvas.boxes.append(_badges(faults, x + max(slots, 1) * step + 16, 50))


def _branch(canvas: _Canvas, branch: Branch, x: float, above: float, origin: float, deepest: int) -> None:
    """A branch below (origin, above); devices of one package stand on one line, however many bridges are above."""
    span = canvas.span(branch)
    middle = x + span / 2
    if not branch.below:
        top: float = _SOCKET_TOP + _SOCKET_HEIGHT + max(deepest, 1) * _ROW
        _device(canvas, branch, middle, top)
        canvas.links.append(_link(branch, origin, above, middle, top))
        return
    top = above + _ROW - 30
    canvas.links.append(_link(branch, origin, above, middle, top))
    if branch.kind == "switch":
        name = phrase("page.switch", "PCIe switch")
        canvas.boxes.append(_box("switch", middle - 62, top, 124, 30, name, "", branch.name))
        under = top + 30
    else:
        canvas.boxes.append(
            f'<circle class="port" cx="{middle:.1f}" cy="{top + 6:.1f}" r="6"><title>{escape(branch.name)}</title></circle>'
        )
        canvas.boxes.append(
            f'<text class="tiny" x="{middle + 12:.1f}" y="{top + 10:.1f}">{escape(branch.name[5:])}</text>'
        )
        under = top + 12
    canvas.boxes.append(_badges(branch.faults, middle + 74, top - 6))
    at = x
    for child in branch.below:
        _branch(canvas, child, at, under, middle, deepest)
        at += canvas.span(child) + _GAP


def _device(canvas: _Canvas, branch: Branch, middle: float, top: float) -> None:
    x_box, room = middle - canvas.leaf / 2, int((canvas.leaf - 12) / 8.4)
    if branch.kind == "nic":
        canvas.boxes.append(_box("nic", x_box, top, canvas.leaf, _NIC_HEIGHT, _cut(branch.name, room), branch.detail))
        canvas.bottom = max(canvas.bottom, top + _NIC_HEIGHT)
    else:
        name = _MEMORY.sub("", branch.name.removeprefix("GeForce ").removeprefix("NVIDIA "))
        tip = f"gpu{branch.gpu}: {branch.name}"
        canvas.boxes.append(_box("gpu", x_box, top, canvas.leaf, _GPU_HEIGHT, _cut(name, room), branch.detail, tip))
        canvas.boxes.append(f'<text class="tiny" x="{x_box + 10:.1f}" y="{top + 64:.1f}">gpu{branch.gpu}</text>')
        canvas.bottom = max(canvas.bottom, top + _GPU_HEIGHT)
        if branch.gpu is not None:
            canvas.gpus[branch.gpu] = (middle, top + _GPU_HEIGHT)
    canvas.boxes.append(_badges(branch.faults, x_box + canvas.leaf - 2, top + 2))


def _link(branch: Branch, x1: float, y1: float, x2: float, y2: float) -> str:
    """The link above a branch, with its words beside a device's."""
    link = branch.link
    turn = y1 + 16
    path = (
        f"M{x1:.1f} {y1:.1f} V{turn:.1f} H{x2:.1f} V{y2:.1f}" if abs(x1 - x2) > 1 else f"M{x2:.1f} {y1:.1f} V{y2:.1f}"
    )
    if link is None:
        words = phrase("page.link-unknown", "link not known") if not branch.below else ""
        body = f'<path class="wire unknown" d="{path}"/>'
        return body + (f'<text class="tiny" x="{x2 + 8:.1f}" y="{y2 - 8:.1f}">{escape(words)}</text>' if words else "")
    thickness = {1: 2, 2: 3, 4: 4.5, 8: 7, 16: 11}.get(link.width, 6)
    narrow = _is_narrower(link, branch.most)
    text = str(link) + (phrase("page.of-link", " of {most}", most=str(branch.most)) if narrow else "")
    body = f'<path class="wire g{link.generation}" stroke-width="{thickness}" d="{path}"><title>{escape(text)}</title></path>'
    if branch.below:
        return body
    halo = f'<text class="link-name{" narrow" if narrow else ""}" x="{x2 + 10:.1f}" y="{y2 - 24:.1f}">{escape(str(link))}</text>'
    rate = f'<text class="tiny" x="{x2 + 10:.1f}" y="{y2 - 9:.1f}">{escape(format_bandwidth(link.bytes_per_s))}</text>'
    return body + halo + rate


def _is_narrower(link: PcieLink, most: PcieLink | None) -> bool:
    return most is not None and link.bytes_per_s < most.bytes_per_s * 0.99


def _between_sockets(canvas: _Canvas, plan: Wiring, tops: Sequence[tuple[float, float]]) -> None:
    real = [at for at, package in zip(tops, plan.packages, strict=True) if package.socket is not None]
    y = _SOCKET_TOP + _SOCKET_HEIGHT / 2
    for (x_left, width), (x_right, _) in itertools.pairwise(real):
        canvas.links.append(f'<line class="between" x1="{x_left + width:.1f}" x2="{x_right:.1f}" y1="{y}" y2="{y}"/>')


def _gpu_links(canvas: _Canvas, machine: Machine) -> None:
    """NVLink and its like below the cards: bridges between two, one bar where all are joined to all."""
    links = [link for link in machine.gpu_links if link.a in canvas.gpus and link.b in canvas.gpus]
    if not links:
        return
    kinds = Counter((link.kind, link.bytes_per_s) for link in links)
    kind, rate = kinds.most_common(1)[0][0]
    name = {"nvlink": "NVLink", "nvswitch": "NVSwitch", "xgmi": "Infinity Fabric", "p2p": "P2P"}.get(kind, kind.upper())
    words = name + (f" · {format_bandwidth(rate)}" if rate else "")
    members = sorted({index for link in links for index in (link.a, link.b)})
    if len(members) > 2 and len(links) >= len(members) * (len(members) - 1) / 2 - 0.5:
        _bar(canvas, [canvas.gpus[index] for index in members], words)
        return
    deepest = 0.0
    for link in links:
        (x1, y1), (x2, y2) = canvas.gpus[link.a], canvas.gpus[link.b]
        dip = max(y1, y2) + 26 + 10 * abs(link.a - link.b)
        deepest = max(deepest, dip)
        down = "" if link.active else " down"
        canvas.links.append(f'<path class="fabric{down}" d="M{x1:.1f} {y1:.1f} V{dip - 8:.1f} H{x2:.1f} V{y2:.1f}"/>')
    x, _y = canvas.gpus[links[0].a]
    canvas.boxes.append(f'<text class="link-name" x="{x + 8:.1f}" y="{deepest + 10:.1f}">{escape(words)}</text>')
    canvas.bottom = max(canvas.bottom, deepest + 14)


def _bar(canvas: _Canvas, places: Sequence[tuple[float, float]], words: str) -> None:
    y = max(place[1] for place in places) + 30
    x_left, x_right = min(place[0] for place in places) - 40, max(place[0] for place in places) + 40
    for x, bottom in places:
        canvas.links.append(f'<line class="fabric" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.1f}" y2="{y:.1f}"/>')
    canvas.boxes.append(
        f'<rect class="fabric-bar" x="{x_left:.1f}" y="{y:.1f}" width="{x_right - x_left:.1f}" height="30" rx="6"/>'
    )
    canvas.boxes.append(
        f'<text class="on-fabric" x="{(x_left + x_right) / 2:.1f}" y="{y + 20:.1f}" text-anchor="middle">{escape(words)}</text>'
    )
    canvas.bottom = max(canvas.bottom, y + 34)


def _box(kind: str, x: float, y: float, width: float, height: float, title: str, detail: str, tip: str = "") -> str:
    """A rounded box with one or two lines."""
    first = y + (20 if kind != "socket" else 24)
    hint = f"<title>{escape(tip)}</title>" if tip else ""
    lines = f'<rect class="box {kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="7">{hint}</rect>'
    lines += f'<text class="name {kind}" x="{x + 10:.1f}" y="{first:.1f}">{escape(title)}</text>'
    if detail:
        lines += f'<text class="small" x="{x + 10:.1f}" y="{first + 19:.1f}">{escape(detail)}</text>'
    return lines


def _badges(numbers: Sequence[int], right: float, top: float) -> str:
    """Numbered marks, from the right edge to the left."""
    marks = []
    for n, number in enumerate(numbers[:6]):
        x = right - 4 - n * 24
        marks.append(f'<a href="#finding-{number}"><circle class="badge" cx="{x:.1f}" cy="{top + 2:.1f}" r="11"/><text class="badge" x="{x:.1f}" y="{top + 6.5:.1f}" text-anchor="middle">{number}</text></a>')  # fmt: skip
    return "".join(marks)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most - 1, 1)] + "…"
