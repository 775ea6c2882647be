"""Settings that a person pins, by the engine's own flag names: `--set ubatch-size=2048`, or a whole command line.

Each flag becomes a typed value of the layout or the workload (`setters`); a flag that nothing here models is told, not
dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wellfed.engines.flags import CONTEXT, MODEL, SETTINGS
from wellfed.engines.setters import Change, NotModelled, amount
from wellfed.engines.typed_flags import is_placeholder, is_quiet
from wellfed.errors import BadInput, nearest
from wellfed.frozen import dataclass
from wellfed.message import Listing, Message, message
from wellfed.nouns.layout import Engine, Layout

__all__ = ["SETTINGS", "Pins", "pinned", "pins", "pins_by_engine", "variants"]


@dataclass(frozen=True, slots=True)
class Pins:
    """What is pinned of a layout, in the order given, and of the workload. `ignored`: flags without an effect here."""

    changes: tuple[Change, ...] = ()
    context: int | None = None
    slots: int | None = None
    ignored: tuple[str, ...] = ()
    speculates: bool = False  # how tokens are drafted is pinned
    places: bool = False  # where layers or experts lie is pinned
    flash: bool = False  # whether attention is one kernel is pinned
    whole_context: bool = False  # the model's own context is asked for: `-c 0`

    def applied(self, layout: Layout) -> Layout:
        """The layout with everything pinned."""
        for change in self.changes:
            layout = change(layout)
        return layout


def pins(engine: Engine, settings: Iterable[str]) -> Pins:
    """`KEY=VALUE` settings for one engine. Raises BadInput for keys that it lacks and values that it does not take."""
    pairs = [_parted(text) for text in settings]
    return pinned(engine, pairs, strict=True)


def pins_by_engine(engines: Iterable[Engine], settings: Sequence[str]) -> dict[Engine, Pins]:
    """The settings for each of `engines` that has all of them. Raises BadInput where none has."""
    keys = {_parted(text)[0] for text in settings}
    by_engine: dict[Engine, Pins] = {}
    errors: dict[Engine, BadInput] = {}
    for engine in engines:
        try:
            by_engine[engine] = pins(engine, settings)
        except BadInput as error:
            errors[engine] = error
    if not by_engine and errors:
        raise _tellingest(errors, keys)
    return by_engine


def _tellingest(errors: Mapping[Engine, BadInput], keys: set[str]) -> BadInput:
    """The error of an engine that has all settings and not their values; else that of a setting that none has."""
    for engine, error in errors.items():
        if all(_has(engine, key) for key in keys):
            return error
    nowhere = next((key for key in sorted(keys) if not any(_has(engine, key) for engine in errors)), None)
    if nowhere is None or len(errors) == 1:
        return next(iter(errors.values()))
    problem = message("set.unknown.anywhere", "no engine has a setting {key} that is modelled", key=nowhere)
    return BadInput(problem, _instead(nowhere, errors))


def _has(engine: Engine, key: str) -> bool:
    return key in SETTINGS[engine] or key in CONTEXT


def _parted(text: str) -> tuple[str, str]:
    """Key and value. Raises BadInput where no key is named."""
    key, _, value = text.partition("=")
    name = key.strip().lstrip("-")
    if not name:
        said = message("set.no-key", "{text} names no setting", text=repr(text))
        raise BadInput(said, message("set.no-key.hint", "KEY=VALUE by the engine's own flag, as in ubatch-size=1024"))
    return name, value.strip()


_PLACES = frozenset({
    "ngl", "n-gpu-layers", "gpu-layers", "ncmoe", "n-cpu-moe", "cmoe", "cpu-moe", "ot", "override-tensor", "ts",
    "tensor-split", "sm", "split-mode",
})  # fmt: skip
_AUTO = frozenset({"auto", "-1"})  # of llama.cpp's layers on GPUs: as many as fit
_SLOTS = frozenset({"parallel", "np", "max-num-seqs", "max-running-requests", "max_batch_size", "max-batch-size"})


def pinned(engine: Engine, pairs: Iterable[tuple[str, str]], strict: bool) -> Pins:
    """(flag, value) pairs as changes; `strict`: a flag that is not modelled is an error, else it is told."""
    setters, changes, ignored = SETTINGS[engine], [], []
    context: int | None = None
    read = tuple(pairs)
    for key, value in read:
        try:
            if key in CONTEXT:
                context = amount(value) or None if value not in ("auto", "-1") else None
            elif key in setters:
                changes.append(setters[key](value))
            elif strict:
                raise _unknown(engine, key)
            elif not is_quiet(key) and key not in MODEL:
                ignored.append(key)
        except NotModelled as error:
            if strict:
                raise _cannot_be(engine, key, value) from error
            ignored.append(f"{key} ({error})")
        except ValueError as error:
            raise _cannot_be(engine, key, value) from error
    applied = Pins(tuple(changes)).applied(Layout(engine, ""))
    slots = applied.max_sequences if applied.max_sequences > 1 or any(key in _SLOTS for key, _ in read) else None
    places = any(key in _PLACES and value not in _AUTO for key, value in read)
    flash = any(key in ("fa", "flash-attn") for key, _ in read)
    whole = any(key in CONTEXT and value == "0" for key, value in read)
    return Pins(tuple(changes), context, slots, tuple(ignored), applied.speculation is not None, places, flash, whole)


def _cannot_be(engine: Engine, key: str, value: str) -> BadInput:
    from wellfed.engines.values import right_values

    said = message("set.value", "{key} cannot be {value}", key=key, value=value or "empty")
    if is_placeholder(value):
        return BadInput(said, message("set.placeholder.hint", "put its value in that place"))
    return BadInput(said, right_values(engine, key) or message("set.value.hint", "as the engine's own help has it"))


def _unknown(engine: Engine, key: str) -> BadInput:
    problem = message("set.unknown", "{engine} has no setting {key} that is modelled", engine=engine.value, key=key)
    return BadInput(problem, _instead(key, [engine]))


def _instead(key: str, engines: Iterable[Engine]) -> Message:
    """What to do about a setting that `engines` lack: leave it out, name an engine that has it, or one like it."""
    if is_quiet(key):
        return message("set.unknown.quiet", "it changes neither memory nor speed as they are modelled: leave it out")
    others = tuple(engine.value for engine in Engine if engine in SETTINGS and _has(engine, key))
    if others:
        return message("set.unknown.others", "settings of that name: {engines} (-e names the engine)",
                       engines=Listing(others))  # fmt: skip
    names = sorted({name for engine in engines for name in (*SETTINGS[engine], *CONTEXT)})
    return message("set.unknown.hint", "settings: {names}", names=Listing(nearest(key, names) or tuple(names)))


def variants(layouts: Iterable[Layout], pinned: Mapping[Engine, Pins]) -> Iterator[Layout]:
    """The layouts with their engine's pins, each once; engines without pins stay as they are."""
    seen: set[Layout] = set()
    for layout in layouts:
        pins = pinned.get(layout.engine)
        changed = layout if pins is None else pins.applied(layout)
        if changed not in seen:
            seen.add(changed)
            yield changed
