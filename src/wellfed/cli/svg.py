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


def bars_png(title: str, rows: Sequence[tuple[str, float]]) -> bytes:
    """The same chart as PNG; the library brings its own fonts. Raises BadInput without the `png` extra."""
    from io import BytesIO

    from wellfed.errors import BadInput

    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadInput("PNG needs matplotlib", "pip install 'wellfed[png]', or write SVG") from error
    figure = Figure(figsize=(9, 0.5 * len(rows) + 1), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh([name for name, _ in rows], [value for _, value in rows], color="#3b7dd8")
    axes.bar_label(drawn, ["does not fit" if value == 0 else f"{value:,.3g}" for _, value in rows], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
