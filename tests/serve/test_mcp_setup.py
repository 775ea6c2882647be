"""The set-up that the documentation shows: what it says is started, and its tools are there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("mcp", reason="needs the serve extra")

from mcp import Client, ClientSession, StdioServerParameters, stdio_client

PAGE = (Path(__file__).parents[2] / "docs/serve.md").read_text(encoding="utf-8")
TOOLS = {"plan", "fit", "check", "resolve", "explain", "watch"}


def _blocks() -> list[dict[str, Any]]:
    found = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.S)]
    return [each["mcpServers"]["wellfed"] for each in found if "mcpServers" in each]


@pytest.fixture
def with_wellfed(tmp_path: Path) -> dict[str, str]:
    """An environment in which `wellfed` is this checkout's."""
    program = tmp_path / "wellfed"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wellfed "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


async def _tools_of(command: str, args: list[str], environment: dict[str, str]) -> set[str]:
    parameters = StdioServerParameters(command=command, args=args, env=environment)
    async with stdio_client(parameters) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        return {tool.name for tool in (await session.list_tools()).tools}


def _commands() -> list[tuple[str, ...]]:
    """Of every client's line: what it is told to start."""
    found = set()
    for line in re.findall(r"\| `([^`]*mcp[^`]*)` \|", PAGE):
        words = shlex.split(line)
        if "--add-mcp" in words:
            asked = json.loads(words[-1])
            found.add((asked["command"], *asked["args"]))
        else:
            start = words.index("wellfed", words.index("wellfed") + 1)  # the first is the name that it is given
            found.add(tuple(words[start:]))
    return sorted(found)


def test_what_is_started_lists_its_tools(with_wellfed: dict[str, str]) -> None:
    blocks = [each for each in _blocks() if "command" in each]
    asked = {(each["command"], *each["args"]) for each in blocks} | set(_commands())
    assert asked == {("wellfed", "mcp")} and len(_commands()) == 1
    for command, *args in asked:
        assert asyncio.run(_tools_of(command, args, with_wellfed)) == TOOLS


def test_what_is_connected_to_lists_its_tools() -> None:
    address = next(each["url"] for each in _blocks() if "url" in each)
    process = subprocess.Popen(
        [sys.executable, "-m", "wellfed", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        here = process.stdout.readline().strip()

        async def asked() -> set[str]:
            async with Client(address.replace("http://127.0.0.1:8787/", here)) as client:
                return {tool.name for tool in (await client.list_tools()).tools}

        assert asyncio.run(asked()) == TOOLS
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0  # Ctrl-C is how it ends
