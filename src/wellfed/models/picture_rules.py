"""The rules by which processors turn pictures into patches and tokens, one function a rule.

Each follows the arithmetic of the family's own processor; rounding included, since engines refuse prompts whose
placeholders do not match. Sources stand with each family in the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from wellfed.models.picture_cuts import Grid, grids, masked, overlap, windows
from wellfed.models.pictures import Rule, Seen, Sight


def seen(sight: Sight, width: int, height: int, most_tokens: int | None = None) -> Seen:
    """One picture of `width` x `height` pixels; `most_tokens`: an engine's own bound on a picture as it is."""
    return _RULES[sight.rule](sight, width, height, most_tokens or 0)


def largest(sight: Sight) -> Seen:
    """The picture of most tokens, for which engines make room."""
    if sight.rule in (Rule.NATIVE, Rule.PADDED, Rule.BUDGET):
        tokens = sight.max_pixels // (sight.patch * sight.merge) ** 2
        return Seen(tokens + sight.around, tokens * sight.merge**2, tokens * sight.merge**2)
    side = sight.tile or 1
    sides = [(10_000, 10_000), *((columns * side, rows * side) for rows, columns in grids(sight.most))]
    return max(
        (seen(sight, width, height) for width, height in sides),
        key=lambda seen_picture: (seen_picture.tokens, seen_picture.patches),
    )


def _fixed(sight: Sight, width: int, height: int, most: int) -> Seen:
    patches = (sight.tile // sight.patch) ** 2
    return Seen(sight.tile_tokens + sight.around, patches, patches)


def _grid_seen(sight: Sight, rows: int, columns: int, extra: int = 0) -> Seen:
    """A picture of rows x columns tokens as one piece."""
    patches = rows * columns * sight.merge**2
    return Seen(rows * columns + sight.around + extra, patches, patches)


def _native(sight: Sight, width: int, height: int, most: int) -> Seen:
    unit = sight.patch * sight.merge
    bound = min(sight.max_pixels, most * unit * unit) if most else sight.max_pixels
    tall, wide = (max(unit, round(side / unit) * unit) for side in (height, width))
    if tall * wide > bound:
        scale = math.sqrt(height * width / bound)
        tall, wide = (max(unit, math.floor(side / scale / unit) * unit) for side in (height, width))
    elif tall * wide < sight.min_pixels:
        scale = math.sqrt(sight.min_pixels / (height * width))
        tall, wide = (math.ceil(side * scale / unit) * unit for side in (height, width))
    return _grid_seen(sight, tall // unit, wide // unit)


def _padded(sight: Sight, width: int, height: int, most: int) -> Seen:
    unit, patch = sight.patch * sight.merge, sight.patch
    patches = sight.max_pixels // patch**2
    patches = min(patches, most * sight.merge**2) if most else patches
    count = max(1, height // patch) * max(1, width // patch)
    scale = min(1.0, math.sqrt(patches / count))
    tall, wide = (max(1, int(side * scale)) for side in (height, width))
    return _grid_seen(sight, math.ceil(tall / unit), math.ceil(wide / unit))


def _budget(sight: Sight, width: int, height: int, most: int) -> Seen:
    unit = sight.patch * sight.merge
    scale = math.sqrt(sight.max_pixels / (width * height))
    rows, columns = math.floor(height * scale / unit), math.floor(width * scale / unit)
    tokens = sight.max_pixels // unit**2
    if not rows:
        rows, columns = 1, min(width // height, tokens)
    elif not columns:
        rows, columns = min(height // width, tokens), 1
    return _grid_seen(sight, rows, columns)


def _longest(sight: Sight, width: int, height: int, most: int) -> Seen:
    unit, ratio = sight.patch * sight.merge, max(1.0, height / sight.tile, width / sight.tile)
    tall, wide = (height, width) if ratio == 1 else (math.floor(height / ratio), math.floor(width / ratio))
    rows, columns = math.ceil(tall / unit), math.ceil(wide / unit)
    if most and rows * columns > most:
        scale = math.sqrt(most / (rows * columns))
        rows, columns = max(1, math.floor(rows * scale)), max(1, math.floor(columns * scale))
    return _grid_seen(sight, rows, columns, extra=rows)


def _tiled(sight: Sight, grid: Grid, thumbnail: Seen | None = None) -> Seen:
    """Tiles of a grid, and one of the whole picture beside several (`thumbnail`: where that is no tile)."""
    rows, columns = grid
    count, patches = rows * columns, (sight.tile // sight.patch) ** 2
    tokens = count * (sight.tile_tokens + sight.per_tile) + (rows * sight.row if count > 1 else 0)
    if count == 1:
        return Seen(tokens + sight.around, patches, patches)
    overview = thumbnail or Seen(sight.tile_tokens, patches, patches)
    return Seen(tokens + overview.tokens + sight.per_tile + sight.around, count * patches + overview.patches, patches)


def _closest(sight: Sight, width: int, height: int, most: int) -> Seen:
    return _tiled(sight, _closest_grid(sight, width, height, grids(sight.most)))


def _closest_grid(sight: Sight, width: int, height: int, allowed: Iterable[Grid]) -> Grid:
    """The grid whose shape is closest; of equal ones the larger, while it is less than twice the picture's area."""
    best, nearest = (1, 1), math.inf
    for rows, columns in allowed:
        apart = abs(width / height - columns / rows)
        larger = width * height > 0.5 * sight.tile**2 * rows * columns
        if apart < nearest or (apart == nearest and larger):
            best, nearest = (rows, columns), apart
    return best


def _canvas(sight: Sight, width: int, height: int, most: int) -> Seen:
    def scale(grid: Grid) -> float:
        return min(grid[0] * sight.tile / height, grid[1] * sight.tile / width)

    allowed = grids(sight.most)
    larger = [grid for grid in allowed if scale(grid) >= 1]
    return _tiled(sight, min(larger, key=scale) if larger else max(allowed, key=scale))


def _nearly(sight: Sight, width: int, height: int, most: int) -> Seen:
    """Twice the pixels of a tile are one piece, shrunk; beyond, at least two tiles and the shrunk whole."""
    native, unit = _native(sight, width, height, 0), sight.patch * sight.merge
    tall, wide = (max(sight.patch, round(side / unit) * unit) for side in (height, width))
    if tall * wide <= 2 * sight.max_pixels:
        return native
    grid = _closest_grid(sight, width, height, grids(sight.most, least=2))
    return _tiled(sight, grid, Seen(native.tokens - sight.around, native.patches, native.span))


def _pinpoints(sight: Sight, width: int, height: int, most: int) -> Seen:
    rows, columns = _best_pinpoint(sight, width, height)
    side = sight.tile // sight.patch  # tokens of a tile's side: nothing is merged
    tall, wide = rows * side, columns * side
    if width / height > wide / tall:
        tall -= (tall - int(round(height * (wide / width), 7))) // 2 * 2
    else:
        wide -= (wide - int(round(width * (tall / height), 7))) // 2 * 2
    row_tokens, ends = tall * wide, tall
    if sight.max_pixels:  # too many are resized down (anyres_max_9)
        ratio = math.sqrt(tall * wide * sight.patch**2 / sight.max_pixels)
        if ratio > 1.1:
            ends = int(tall // ratio)
            row_tokens = ends * int(wide // ratio)
    patches = side * side
    return Seen(row_tokens + ends + patches + sight.around, (rows * columns + 1) * patches, patches)


def _best_pinpoint(sight: Sight, width: int, height: int) -> Grid:
    """The resolution of the list that keeps most of the picture, then wastes least."""

    def worth(grid: Grid) -> tuple[int, int]:
        tall, wide = grid[0] * sight.tile, grid[1] * sight.tile
        scale = min(wide / width, tall / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        return effective, effective - tall * wide

    return max(sight.grids, key=worth)


def _grid(sight: Sight, width: int, height: int, most: int) -> Seen:
    """The longest edge is brought to `most` tiles, each side then to whole tiles."""
    longest, shape = sight.most * sight.tile, width / height
    if width >= height:
        wide, tall = longest, _even(int(longest / shape))
    else:
        wide, tall = _even(int(longest * shape)), longest
    rows, columns = math.ceil(max(1, tall) / sight.tile), math.ceil(max(1, wide) / sight.tile)
    return _tiled(sight, (rows, columns))


def _even(side: int) -> int:
    return side + side % 2


def _slices(sight: Sight, width: int, height: int, most: int) -> Seen:
    """The whole picture, and one to `most` slices of it: as many as its area has tiles, or one more or less."""
    wanted = min(math.ceil(width * height / sight.tile**2), sight.most)
    if wanted <= 1:
        return _tiled(sight, (1, 1))
    counts = [count for count in (wanted - 1, wanted, wanted + 1) if 1 < count <= sight.most]
    grids = [(count // columns, columns) for count in counts for columns in range(1, count + 1) if not count % columns]
    shape = math.log(width / height)
    return _tiled(sight, min(grids, key=lambda grid: abs(shape - math.log(grid[1] / grid[0]))))


def _hd(sight: Sight, width: int, height: int, most: int) -> Seen:
    """As many tiles as there may be in the picture's shape; each row of all tiles ends in a token."""
    shape = max(width, height) / min(width, height)
    long = 1
    while (long + 1) * math.ceil((long + 1) / shape) <= sight.most:
        long += 1
    side = math.isqrt(sight.tile_tokens)
    short_side = math.ceil(long * sight.tile / shape / sight.tile)
    rows, columns = (short_side, long) if width >= height else (long, short_side)
    tokens = (rows * columns + 1) * sight.tile_tokens + 1 + (rows + 1) * side
    patches = (sight.tile // sight.patch) ** 2
    return Seen(tokens + sight.around, (rows * columns + 1) * patches, patches)


def _masked(sight: Sight, width: int, height: int, most: int) -> Seen:
    rows, columns = math.ceil(height / sight.tile), math.ceil(width / sight.tile)
    small = rows * columns <= sight.most
    grid = (rows, columns) if small else _closest_grid(sight, width, height, grids(sight.most))
    return masked(sight, width, height, grid)


def _cross(sight: Sight, width: int, height: int, most: int) -> Seen:
    grid = _canvas(sight, width, height, most)
    patches = (sight.tile // sight.patch) ** 2
    tiles = grid.patches // patches
    tiles = tiles - 1 if tiles > 1 else tiles  # no tile of the whole beside them
    return Seen(1, tiles * patches, tiles * patches)


_RULES: Mapping[Rule, Callable[[Sight, int, int, int], Seen]] = {
    Rule.FIXED: _fixed,
    Rule.NATIVE: _native,
    Rule.PADDED: _padded,
    Rule.BUDGET: _budget,
    Rule.LONGEST: _longest,
    Rule.CLOSEST: _closest,
    Rule.CANVAS: _canvas,
    Rule.NEARLY: _nearly,
    Rule.PINPOINTS: _pinpoints,
    Rule.GRID: _grid,
    Rule.SLICES: _slices,
    Rule.HD: _hd,
    Rule.WINDOWS: windows,
    Rule.OVERLAP: overlap,
    Rule.MASKED: _masked,
    Rule.CROSS: _cross,
}
