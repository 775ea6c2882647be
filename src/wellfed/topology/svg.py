"""The picture of a machine as SVG: a tree of boxes from left to right, faults in red. Pure."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from wellfed.frozen import dataclass
from wellfed.topology.picture import Box

ROW, STEP, HEIGHT, CHAR = 34, 36, 26, 7.2  # pixels; CHAR is the mean width of a character at 12 px
_FILL = {
    "machine": "#e8eaf6", "socket": "#e3f2fd", "memory": "#e8f5e9", "node": "#e8f5e9", "port": "#f5f5f5",
    "switch": "#fff8e1", "bridge": "#f5f5f5", "gpu": "#ede7f6", "nic": "#e0f7fa", "links": "#fce4ec",
}  # fmt: skip
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Placed:
    """A box with its place, and the row of the box it hangs on."""

    box: Box
    depth: int
    row: int
    parent_row: int | None


def svg(root: Box) -> str:
    """A whole SVG document."""
    placed = _place(root, 0, None, [])
    width = max(round(box.depth * STEP + _width(box.box)) for box in placed) + 20
    height = len(placed) * ROW + 20
    body = "".join(_draw(box) for box in placed)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="ui-monospace, monospace" font-size="12">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f"{body}</svg>\n"
    )


def _place(box: Box, depth: int, parent_row: int | None, placed: list[Placed]) -> list[Placed]:
    row = len(placed)
    placed.append(Placed(box, depth, row, parent_row))
    for child in box.children:
        _place(child, depth + 1, row, placed)
    return placed


def _width(box: Box) -> float:
    return len(_text(box)) * CHAR + 16


def _text(box: Box) -> str:
    return "  ".join(part for part in (box.title, box.detail, *(f"[{id}]" for id in box.faults)) if part)


def _draw(placed: Placed) -> str:
    x, y = 10 + placed.depth * STEP, 10 + placed.row * ROW
    stroke, weight = ("#c62828", 2) if placed.box.faults else ("#90a4ae", 1)
    lines = []
    if placed.parent_row is not None:
        rail, top = x - STEP + 12, 10 + placed.parent_row * ROW + HEIGHT
        lines.append(f'<path d="M{rail} {top}V{y + HEIGHT // 2}H{x}" fill="none" stroke="{stroke}"/>\n')
    tip = quoteattr(_clean(", ".join(placed.box.faults) or placed.box.kind))
    lines.append(
        f'<g aria-label={tip}><rect x="{x}" y="{y}" width="{_width(placed.box):.0f}" height="{HEIGHT}" rx="4" '
        f'fill="{_FILL.get(placed.box.kind, "#ffffff")}" stroke="{stroke}" stroke-width="{weight}"/>'
        f'<text x="{x + 8}" y="{y + 17}" fill="{"#c62828" if placed.box.faults else "#212121"}">'
        f"{escape(_clean(_text(placed.box)))}</text></g>\n"
    )
    return "".join(lines)


def _clean(text: str) -> str:
    """Without characters that XML 1.0 forbids."""
    return _NOT_XML.sub("?", text)
