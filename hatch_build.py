"""Compiles the message catalogues into every wheel and editable install."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MessageCatalogues(BuildHookInterface[Any]):
    """`wellfed.po` -> `wellfed.mo` beside it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the files are collected."""
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po

        for path in sorted(Path(self.root, "src/wellfed/messages/locale").glob("*/LC_MESSAGES/wellfed.po")):
            with path.open("rb") as source:
                catalogue = read_po(source, locale=path.parts[-3])
            with path.with_suffix(".mo").open("wb") as compiled:
                write_mo(compiled, catalogue)
        build_data["artifacts"].append("src/wellfed/messages/locale/**/*.mo")
