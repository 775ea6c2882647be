"""The option that names an engine: `vllm`, `vllm@0.17`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wellfed.nouns.layout import Engine

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class EngineVersion(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """An engine, or one version of it: what it is, or (`as_text`) as it was typed."""

    name = "engine"

    def __init__(self, as_text: bool = False) -> None:
        self._as_text = as_text

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Engine and version (None: the newest that is known)."""
        from wellfed.engines.named import parted

        if not isinstance(value, str):
            return value
        version = parted(value)
        return value if self._as_text else version

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The engines' names."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(engine.value) for engine in Engine if engine.value.startswith(incomplete)]
