"""Pictures in a prompt: how many tokens a model's processor makes of one, and what its tower computes over.

A tower cuts a picture into patches, alone or in tiles of a fixed size, and hands on fewer tokens than patches. Each
family has a rule of its own (`picture_rules`); the figures of the rules stand in the catalogue with their sources.
"""

from __future__ import annotations

from enum import StrEnum

from wellfed.frozen import dataclass

_CACHED_BYTES = 2  # what a tower hands on, in 16 bits


class Rule(StrEnum):
    """How a processor resizes and cuts a picture."""

    FIXED = "fixed"  # every picture the same square
    NATIVE = "native"  # as it is, sides rounded to whole tokens, within bounds of pixels
    PADDED = "padded"  # as it is, never larger, sides padded up to whole tokens
    BUDGET = "budget"  # always resized to the most patches there may be
    LONGEST = "longest"  # as it is, up to a longest edge; a token ends each row
    CLOSEST = "closest"  # tiles in the grid whose shape is closest
    CANVAS = "canvas"  # tiles in the grid that needs the least scaling
    NEARLY = "nearly"  # one tile unless far larger, then as `closest`
    PINPOINTS = "pinpoints"  # tiles in one of the resolutions of a list, padding taken out
    GRID = "grid"  # longest edge at a multiple of the tile, as many tiles as that needs
    SLICES = "slices"  # as many slices as the area needs, in the grid whose shape is closest
    HD = "hd"  # padded to whole tiles, their number bounded, a token ends each row
    WINDOWS = "windows"  # whole, and cut by a window of fixed size, each row of windows but the last ends in a token
    OVERLAP = "overlap"  # tiles that overlap by a margin, in the grid of least scaling, and the whole; tokens end rows
    MASKED = "masked"  # tiles padded to the picture's shape, padding taken out; a token ends each row, and the whole
    CROSS = "cross"  # tiles that layers of their own attend to: the prompt grows by one token


@dataclass(frozen=True, slots=True)
class Tower:
    """A stack of ordinary blocks over patches. `window`: patches that attend to one another (0: all of a picture or
    tile, in every block); in `full_blocks` of the blocks all do. `gated`: feed-forward layers have three matrices.
    """

    width: int
    depth: int
    feed_forward: int
    gated: bool = False
    window: int = 0
    full_blocks: int = 0
    most_parameters: float = float("inf")  # of models whose tower counts no more than this
    positions: int = 0  # values of a patch that are alive while a learned grid of positions is stretched to a picture

    @property
    def parameters(self) -> float:
        """Of its blocks, without patch embedding and projector."""
        return float(self.depth * self.width * (4 * self.width + (3 if self.gated else 2) * self.feed_forward))

    def linear_flops(self, patches: float) -> float:
        """FLOP of the matrices for so many patches: two for each parameter and patch."""
        return 2 * self.parameters * patches

    def score_flops(self, patches: float, span: float) -> float:
        """FLOP of attention: 4 x width for each patch, block and patch attended to, `span` of them."""
        wide = self.full_blocks if self.window else self.depth
        seen = wide * span + (self.depth - wide) * min(span, self.window or span)
        return 4 * self.width * patches * seen

    def activation_bytes(self, patches: float, element_bytes: float, ranks: int = 1) -> float:
        """Alive at once for so many patches: the residual stream and its norm, and the wider of queries, keys, values
        and result, or the feed-forward layer's parts, of which each of `ranks` holds its share. Scores are never
        written out (flash attention).
        """
        inner = max(4 * self.width, (3 if self.gated else 2) * self.feed_forward)
        return patches * (2 * self.width + inner / ranks) * element_bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture as a model sees it: `tokens` in the prompt, `patches` in all, `span` of them in a tile."""

    tokens: int
    patches: int
    span: int


@dataclass(frozen=True, slots=True)
class Sight:
    """A family's rule and its figures, by kind of rule (see `picture_rules`).

    `patch`: pixels of a patch's side; `merge`: patches of a side that become one token; `tile`: pixels of a tile's
    side, or of the longest edge; `tile_tokens`: what a tile becomes; `most`: tiles at most; `around`, `per_tile`,
    `row`: tokens that mark a picture, a tile, a row of tiles. `local_tokens`: llama.cpp's own bound, where it has one.
    """

    id: str
    rule: Rule
    patch: int
    merge: int = 1
    tile: int = 0
    tile_tokens: int = 0
    most: int = 1
    min_pixels: int = 0
    max_pixels: int = 0
    around: int = 0
    per_tile: int = 0
    row: int = 0
    margin: int = 0  # patches of each side that a tile shares with the next
    grids: tuple[tuple[int, int], ...] = ()  # (rows, columns) of tiles that a list allows
    towers: tuple[Tower, ...] = ()
    local_tokens: int = 0
    source: str = ""
    date: str = ""

    def tower(self, parameters: float) -> Tower | None:
        """The tower of a model whose parts for pictures count `parameters` (0: not known, the largest)."""
        fitting = [tower for tower in self.towers if parameters <= tower.most_parameters]
        return (fitting[0] if parameters else self.towers[-1]) if fitting else None


@dataclass(frozen=True, slots=True)
class Pictures:
    """`count` pictures of `width` x `height` pixels in every prompt, each seen as `seen`.

    `sight`, `tower`: None where only their number of tokens was told. `most`: the picture an engine makes room for.
    `count` 0: a prompt has none, but the engine makes room for as many as a pass may bring.
    """

    count: int
    width: int
    height: int
    seen: Seen
    sight: Sight | None = None
    tower: Tower | None = None
    most: Seen | None = None

    @property
    def tokens(self) -> int:
        """Tokens that the pictures of a prompt become."""
        return self.count * self.seen.tokens

    def handed_on_bytes(self, tokens: float, hidden: int) -> float:
        """What the tower hands to the language model for so many tokens, kept until their prompt has passed."""
        return tokens * hidden * _CACHED_BYTES
