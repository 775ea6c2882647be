"""Which type each module of a quantised checkpoint has, by the lists in its own config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from fnmatch import translate
from functools import lru_cache

from wellfed.frozen import dataclass
from wellfed.models.modules import module_names, short
from wellfed.models.tensor import MEMORY, Part, Tensor
from wellfed.patterns import regex

_OWN_LAYER = regex(r"^layers\.(\d+)\.")
_NAMED_LAYER = regex(r"layers\.(\d+)")
_DIGIT = regex(r"\d")
_WILD = regex(r"[*?\[]")
_LEAST_COLUMNS = 64  # narrower matrices are left alone
_BESIDE = (Part.VISION, Part.AUDIO)


@dataclass(frozen=True, slots=True)
class Patterns:
    """Module names as quantisation configs write them: whole or partial names, globs, "re:" expressions.

    A name without wildcards stands for the module of that name and for everything inside it.
    """

    texts: tuple[str, ...] = ()

    def matches(self, names: tuple[str, ...], layer: int | None) -> bool:
        """Whether any of `names` (short ones, of layer `layer`) is meant."""
        index = _indexed(self.texts)
        return any(index.matches(name, layer) for name in names)


@dataclass(frozen=True, slots=True)
class _Index:
    """Patterns sorted by the layer they name, so that a tensor meets only those of its own."""

    plain: Mapping[int | None, frozenset[str]]
    globs: Mapping[int | None, re.Pattern[str]]
    full: tuple[re.Pattern[str], ...]

    def matches(self, name: str, layer: int | None) -> bool:
        for key in (layer, None) if layer is not None else (None,):
            if any(part in self.plain.get(key, ()) for part in _parts(name)):
                return True
            pattern = self.globs.get(key)
            if pattern is not None and pattern.match(name):
                return True
        prefixed = (name, f"model.{name}", f"model.language_model.{name}", f"language_model.model.{name}")
        return any(pattern.match(text) for pattern in self.full for text in prefixed)


@lru_cache(maxsize=65_536)
def _parts(name: str) -> tuple[str, ...]:
    """Every run of dotted words of `name`: a list may name a module by any of them."""
    words = name.split(".")
    return tuple(".".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, len(words) + 1))


@lru_cache(maxsize=64)
def _indexed(texts: tuple[str, ...]) -> _Index:
    plain: dict[int | None, set[str]] = {}
    globs: dict[int | None, list[str]] = {}
    full: list[re.Pattern[str]] = []
    for text in texts:
        if text.startswith("re:"):
            pattern = _compiled(text[3:])
            full += [pattern] if pattern else []
            continue
        name = short(text.removesuffix(".weight"))
        match = _OWN_LAYER.match(name)
        key = int(match[1]) if match else None
        if _WILD.search(name):
            globs.setdefault(key, []).extend((translate(name), translate(name + ".*")))
        else:
            plain.setdefault(key, set()).add(name)
    return _Index(
        {key: frozenset(names) for key, names in plain.items()},
        {key: regex("|".join(f"(?:{glob})" for glob in parts)) for key, parts in globs.items()},
        tuple(full),
    )


def _compiled(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error:
        return None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a checkpoint stores its modules. Types are names of `gguf_types.TYPES`.

    `rules` decide first, then `unquantised` (modules that stay as wide as `wide`), then `default`; "" as default
    leaves a module that no rule names wide. `experts` is the routed experts' type where it is another.
    """

    format: str  # the quantisation id that it is shown as
    method: str  # who wrote it: fp8, modelopt, compressed-tensors, awq ...
    default: str
    wide: str = "BF16"
    unquantised: Patterns = field(default_factory=Patterns)
    rules: tuple[tuple[Patterns, str], ...] = ()
    experts: str = ""
    head: str = ""  # "" wide
    embedding: str = ""
    notes: tuple[str, ...] = ()

    def type_of(self, tensor: Tensor, layers: int, family: str) -> str:
        """The type of `tensor` of a model of `family` with `layers` layers."""
        if tensor.role == "exp_probs_b":
            return "F32"
        if tensor.role == MEMORY:
            return "MXFP8"
        if not tensor.is_matrix or tensor.part in (Part.NORM, Part.LOOKUP) or tensor.role.startswith("small_"):
            return self.wide
        names, place = module_names(tensor, layers, family), layers if tensor.part is Part.MTP else tensor.layer
        for patterns, kind in self.rules:
            if patterns.matches(names, place):
                return kind
        if tensor.part in (Part.ROUTER, *_BESIDE) or self.unquantised.matches(names, place):
            return self.wide
        if tensor.part is Part.OUTPUT:
            return self.head or self.wide
        if tensor.part is Part.EMBEDDING or tensor.role in _COPIES:
            return self.embedding or self.wide
        if tensor.columns < _LEAST_COLUMNS or tensor.rows < _LEAST_COLUMNS or tensor.role in _NEVER:
            return self.wide
        return (self.experts if tensor.role.endswith("_exps") else "") or self.default or self.wide

    def own_layers(self) -> frozenset[int] | None:
        """The layers that a pattern names; all others are alike. None where an expression may tell any apart."""
        texts = (*self.unquantised.texts, *(text for patterns, _ in self.rules for text in patterns.texts))
        if any(text.startswith("re:") and _DIGIT.search(text) for text in texts):
            return None
        matches = (_NAMED_LAYER.search(text) for text in texts)
        return frozenset(int(match[1]) for match in matches if match)

    def type_of_module(self, name: str, layer: int | None) -> str:
        """The type of the module with the short name `name`, of layer `layer`."""
        for patterns, kind in self.rules:
            if patterns.matches((name,), layer):
                return kind
        if self.unquantised.matches((name,), layer):
            return self.wide
        if name.rpartition(".")[2] in {"lm_head", "head", "output"}:
            return self.head or self.wide
        return (self.experts if "experts" in name.split(".") else "") or self.default or self.wide


_COPIES = frozenset({"nextn_embed_tokens", "nextn_shared_head_head"})
_NEVER = frozenset({"indexer_weights", "nextn_eh_proj"})
