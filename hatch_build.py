"""What is generated into packages: message catalogues, and in wheels the catalogue compiled."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Generated(BuildHookInterface[Any]):
    """`wellfed.po` -> `wellfed.mo` beside it; data/KIND/*.toml -> data/KIND/KIND-DIGEST.tables in wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the files are collected."""
        self.folder = TemporaryDirectory()
        self._messages()
        build_data["artifacts"].append("src/wellfed/messages/locale/**/*.mo")
        if self.target_name == "wheel" and version != "editable":  # these compile into the user's cache
            for made, room in self._catalogues():
                build_data["force_include"][str(made)] = f"wellfed/catalog/{room}/{made.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The files are in the package by now."""
        self.folder.cleanup()

    def _messages(self) -> None:
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po

        for path in sorted(Path(self.root, "src/wellfed/messages/locale").glob("*/LC_MESSAGES/wellfed.po")):
            with path.open("rb") as source:
                catalogue = read_po(source, locale=path.parts[-3])
            with path.with_suffix(".mo").open("wb") as compiled:
                write_mo(compiled, catalogue)

    def _catalogues(self) -> list[tuple[Path, str]]:
        """The catalogue's code needs nothing outside the standard library."""
        sys.path.insert(0, str(Path(self.root, "src")))
        from wellfed.catalog import model_tables, parts_index, sizes, tables

        made = [
            (parts_index.write_compiled(kind, Path(self.folder.name)), f"data/{kind}") for kind in parts_index.KINDS
        ]
        made.append((tables.write_compiled(Path(self.folder.name)), "data"))
        made.append((sizes.write_compiled(Path(self.folder.name)), "data/models"))
        return [*made, (model_tables.write_compiled(Path(self.folder.name)), "data/models")]
