"""Rules of processors that cut pictures in ways of their own: windows, overlapping tiles, tiles with padding taken out.

Each follows the arithmetic of the family's own processor, as `picture_rules` does for the others.
"""

from __future__ import annotations

import math

from wellfed.models.pictures import Seen, Sight

Grid = tuple[int, int]  # rows, columns


def grids(most: int, least: int = 1) -> list[Grid]:
    """All grids of at most so many tiles, fewest first, as (rows, columns)."""
    shapes = {(h, w) for w in range(1, most + 1) for h in range(1, most + 1) if least <= w * h <= most}
    return sorted(shapes, key=lambda grid: (grid[0] * grid[1], grid[1]))


_THIN_PIXELS, _THIN = 32, 4  # pictures that are padded to squares
_LONG, _VERY_LONG, _REST = 1.5, 4, 0.2  # sides' ratios; the part of a window from which on it becomes a whole one


def windows(sight: Sight, width: int, height: int, most: int) -> Seen:
    """Step3's: the whole at a fixed size, and windows of 504 pixels where it is larger than that or long."""
    unit, whole_side = sight.patch * sight.merge, math.isqrt(sight.max_pixels)
    patches = (whole_side // sight.patch) ** 2
    whole = (whole_side // unit) ** 2 + sight.around
    columns, rows = _windows_of(sight, *_bounded(sight, width, height), whole_side)
    if not columns:
        return Seen(whole, patches, patches)
    count = columns * rows
    tokens = count * (sight.tile_tokens + sight.per_tile) + (rows - 1) * sight.row
    return Seen(whole + tokens, patches + count * (sight.tile // sight.patch) ** 2, patches)


def _bounded(sight: Sight, width: int, height: int) -> tuple[int, int]:
    """Very thin pictures as squares, large ones at the longest side there may be."""
    longest = max(width, height)
    if min(width, height) < _THIN_PIXELS and longest > _THIN * min(width, height):
        width = height = longest
    scale = math.isqrt(sight.most) * sight.tile / longest
    return (int(width * scale), int(height * scale)) if scale < 1 else (width, height)


def _windows_of(sight: Sight, width: int, height: int, whole_side: int) -> tuple[int, int]:
    """Columns and rows; (0, 0): the whole alone."""
    long, short = max(width, height), max(1, min(width, height))
    if long <= whole_side:
        window = short if long / short > _LONG else 0
    else:
        window = min(short, sight.tile) if long / short > _VERY_LONG else sight.tile
    return (_count(width, window), _count(height, window)) if window else (0, 0)


def _count(side: int, window: int) -> int:
    whole, rest = divmod(side / window, 1)
    return max(1, int(whole) + (rest > _REST)) if whole else 1


def overlap(sight: Sight, width: int, height: int, most: int) -> Seen:
    """Molmo's: crops that share a margin on each side, pooled over all of them, and the whole picture in one crop."""
    side, crop = sight.tile // sight.patch, sight.tile - 2 * sight.margin * sight.patch
    shared = 2 * sight.margin * sight.patch
    rows, columns = _least_scaled(sight, max(1, width - shared), max(1, height - shared), crop)
    tall, wide = (_pooled(sight, count) for count in (rows, columns))
    whole = side // sight.merge
    tokens = tall * (wide + 1) + whole * (whole + 1) + 2 * sight.around
    return Seen(tokens, (rows * columns + 1) * side**2, side**2)


def _least_scaled(sight: Sight, width: int, height: int, side: int) -> Grid:
    """The grid that holds the picture at the least enlargement, else at the least reduction."""
    scales = [
        (min(rows * side / height, columns * side / width), (rows, columns)) for rows, columns in grids(sight.most)
    ]
    holding = [scaled for scaled in scales if scaled[0] >= 1]
    chosen = min(holding, key=lambda scaled: scaled[0]) if holding else max(scales, key=lambda scaled: scaled[0])
    return chosen[1]


def _pooled(sight: Sight, count: int) -> int:
    """Tokens of a side of so many crops: the first and last keep one margin, those between none."""
    side = sight.tile // sight.patch
    inner = side - 2 * sight.margin
    if count == 1:
        return math.ceil(side / sight.merge)
    return 2 * math.ceil((inner + sight.margin) / sight.merge) + (count - 2) * math.ceil(inner / sight.merge)


def masked(sight: Sight, width: int, height: int, grid: Grid) -> Seen:
    """Phi-4-multimodal's: the picture scaled into `grid`, of which only what it covers becomes tokens."""
    side = math.isqrt(sight.tile_tokens)
    rows, columns = grid
    scale = min(columns * sight.tile / width, rows * sight.tile / height)
    tall, wide = (_covered(sight, count, int(length * scale)) for count, length in ((rows, height), (columns, width)))
    tokens = tall * (wide + 1) + sight.tile_tokens + side + 1
    patches = (sight.tile // sight.patch) ** 2
    return Seen(tokens + sight.around, (rows * columns + 1) * patches, patches)


def _covered(sight: Sight, count: int, length: int) -> int:
    """Tokens of a side that is not padding: whole patches of padding are taken out."""
    padding = max(0, count * sight.tile - length) // sight.patch
    return math.ceil((count * sight.tile // sight.patch - padding) / sight.merge)
