"""Wheels ship the model catalogue compiled, so that no first start has to parse its tables."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path(__file__).parent / "src"


class CompiledCatalogue(BuildHookInterface):  # type: ignore[type-arg]
    """Adds data/models/models-DIGEST.json to wheels; editable installs compile into the user's cache."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a target is built; the catalogue's code needs nothing outside the standard library."""
        if self.target_name != "wheel" or version == "editable":
            return
        sys.path.insert(0, str(SOURCES))
        from wellfed.catalog.models import write_compiled

        self.folder = tempfile.TemporaryDirectory()
        made = write_compiled(Path(self.folder.name))
        build_data["force_include"][str(made)] = f"wellfed/catalog/data/models/{made.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The file is in the wheel by now."""
        if hasattr(self, "folder"):
            self.folder.cleanup()
