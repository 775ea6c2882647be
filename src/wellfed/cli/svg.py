"""Small charts as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_ROW, _LABEL, _BAR = 26, 340, 380


def bars(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """Horizontal bars, one row each, with their values; readable in light and dark surroundings."""
    most = max((value for _, value in rows), default=0.0) or 1.0
    height = _ROW * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _BAR + 90}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (name, value) in enumerate(rows):
        y = _ROW * (index + 1) + 10
        width = _BAR * value / most
        parts.append(f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(name[:52])}</text>')
        parts.append(f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="18" fill="#3b7dd8"/>')
        shown = "does not fit" if value == 0 else f"{value:,.3g}"
        parts.append(f'<text x="{_LABEL + width + 6:.1f}" y="{y + 14}">{shown}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def rasterised(svg: str) -> bytes:
    """The picture as PNG. Raises BadInput without the `png` extra."""
    from wellfed.errors import BadInput

    try:
        import resvg_py
    except ImportError as error:
        raise BadInput("PNG needs resvg-py", "pip install 'wellfed[png]', or write SVG") from error
    return bytes(resvg_py.svg_to_bytes(svg_string=svg))
