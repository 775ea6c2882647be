"""What commands print with `--json`, for tests that ask through the command line."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from wellfed.cli.main import cli


def planned(*words: str) -> dict[str, Any]:
    """The document of `wellfed plan`; whether anything fits or not."""
    done = CliRunner().invoke(cli, ["plan", *words, "--json"])
    assert done.exit_code in (0, 1), done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def estimated(line: str, on: str) -> dict[str, Any]:
    """The document of a command line estimated as it is, on a machine."""
    return planned("--on", on, "--from-command", line)
