"""Engines as people name them, with a version or without: `vllm`, `llama.cpp@b9842`, `ollama@0.5.4`."""

from __future__ import annotations

from wellfed.engines import koboldcpp, ollama
from wellfed.engines.versions import OLLAMA, Version, version
from wellfed.errors import BadInput
from wellfed.message import Listing, message
from wellfed.nouns.layout import Engine

# Programs around llama.cpp that have versions of their own.
_AROUND = {OLLAMA: ollama.version, koboldcpp.NAME: koboldcpp.version}


def parted(text: str) -> tuple[Engine, Version | None]:
    """`vllm` or `vllm@0.17`. Raises BadInput for engines that are not planned for, and versions they have not."""
    name, at, rest = text.strip().partition("@")
    around = _AROUND.get(name.lower())
    if around is not None:
        return Engine.LLAMA_CPP, around(rest)
    engines = {engine.value: engine for engine in Engine}
    engine = engines.get(name.lower())
    if engine is None:
        problem = message("version.engine", "no engine is called {name}", name=name)
        raise BadInput(problem, message("version.engines", "engines: {names}", names=Listing((*engines, *_AROUND))))
    return engine, version(engine, rest) if at else None
