"""wellfed: is your GPU well fed?

The library is its verbs: `wellfed.plan("r1:70b", on="2x rtx 4090, ryzen 9 7950x, 64gb")` and `fit`, `compare`, `check`,
`run`, `watch`, `resolve`, `machine`, `model`. They are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wellfed import errors as errors
    from wellfed.library.checking import check as check
    from wellfed.library.comparing import compare as compare
    from wellfed.library.fitting import fit as fit
    from wellfed.library.inputs import machine as machine
    from wellfed.library.inputs import model as model
    from wellfed.library.planning import plan as plan
    from wellfed.library.resolving import resolve as resolve
    from wellfed.library.running import run as run
    from wellfed.library.watching import watch as watch

__version__ = "0.1.0"
__all__ = ["__version__", "check", "compare", "fit", "machine", "model", "plan", "resolve", "run", "watch"]

_VERBS = {
    "plan": "planning",
    "fit": "fitting",
    "compare": "comparing",
    "check": "checking",
    "run": "running",
    "watch": "watching",
    "resolve": "resolving",
    "machine": "inputs",
    "model": "inputs",
}


def __getattr__(name: str) -> Any:
    """A verb, imported when it is first used; and the module `errors`, of what they raise."""
    if name not in _VERBS and name != "errors":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "errors":
        return import_module("wellfed.errors")
    return getattr(import_module(f"wellfed.library.{_VERBS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_VERBS})
