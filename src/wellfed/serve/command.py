"""`wellfed serve` and `wellfed mcp`."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from wellfed.cli.numbers import Integer
from wellfed.errors import BadInput
from wellfed.message import listed, message, sentence
from wellfed.messages.words import tell
from wellfed.serve.settings import Settings

_EXTRA = "pip install 'wellfed[serve]'"


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; beyond loopback with a token."
)
@click.option("--port", type=Integer(0, 65535), default=8787, show_default=True, help="0: any free one.")
@click.option("--open", "browse", is_flag=True, help="Open the page in a browser.")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE",
              help="The token that clients must send; beyond loopback one is made if none is given.")  # fmt: skip
@click.option("--workers", type=Integer(1, 64), help="Processes that compute; default: one a core.")
@click.option("--allow-run", is_flag=True, help="Let agents start and stop engines through MCP.")
@click.option("--fleet", type=click.Path(path_type=Path), metavar="FOLDER", help="Show these snapshots at /fleet.")
def serve(host: str, port: int, browse: bool, token_file: Path | None, workers: int | None, allow_run: bool,
          fleet: Path | None) -> None:  # fmt: skip
    """A local page on which all answers can be seen and changed; the same process is a REST API and an MCP server.

    Prints its URL and serves until Ctrl-C. The API is described at /openapi.json.
    """
    ensure_extra()
    settings = Settings(host, port, _token(host, token_file), allow_run, workers)
    grid = None if fleet is None else _grid(fleet)
    listening = _listen(settings)
    from wellfed.serve.pool import Pool

    pool = Pool(settings.workers)
    pool.begin()
    bound = listening.getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{bound}/"
    import uvicorn

    from wellfed.serve.app import create_app

    click.echo(url)
    if grid is not None:
        click.echo(tell("command.fleet", "{count} machines: {url}fleet", count=grid["count"], url=url), err=True)
    if settings.token is not None and token_file is None:
        click.echo(tell("command.token", "token: {token}", token=settings.token), err=True)
    if browse:
        import webbrowser

        webbrowser.open(url)
    config = uvicorn.Config(
        create_app(settings, pool, grid), log_level="warning", access_log=False, server_header=False, date_header=False,
        timeout_keep_alive=15, limit_concurrency=512, h11_max_incomplete_event_size=64 << 10,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        uvicorn.Server(config).run(sockets=[listening])


def _grid(folder: Path) -> dict[str, Any]:
    """The fleet as it is now; read before anything is served."""
    from datetime import datetime

    from wellfed.serve.page.fleet_views import grid_of
    from wellfed.verbs.fleets import fleet_check

    return grid_of(fleet_check(folder), datetime.now().strftime("%Y-%m-%d %H:%M"))


@click.command()
@click.option("--allow-run", is_flag=True, help="Let the agent start and stop engines.")
def mcp(allow_run: bool) -> None:
    """Tools for agents over standard input and output (Model Context Protocol): plan, fit, check, resolve ..."""
    ensure_extra()
    from wellfed.serve.pool import Pool

    pool = Pool(1)
    pool.begin()  # beside the import of the SDK
    from wellfed.serve.tools import over_stdio

    over_stdio(Settings(allow_run=allow_run, workers=1), pool)


def ensure_extra() -> None:
    """Raises BadInput with the command that installs what serving needs."""
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "jinja2", "mcp", "python_multipart") if find_spec(name) is None]
    if missing:
        raise BadInput(message("serve.extra", "this needs more packages ({missing})", missing=listed(missing)), _EXTRA)


def _token(host: str, file: Path | None) -> str | None:
    """The token: of a file or WELLFED_SERVE_TOKEN, else a new one beyond loopback, none on it."""
    from wellfed.plain_file import read_text

    text = read_text(file, 4096).strip() if file is not None else os.environ.get("WELLFED_SERVE_TOKEN", "").strip()
    if file is not None and len(text) < 16:
        raise BadInput(
            message("serve.token-short", "the token in {file} is shorter than 16 characters", file=str(file)),
            message("serve.token-short.hint", "python -c 'import secrets; print(secrets.token_urlsafe())' > FILE"),
        )
    if text:
        return text
    return None if Settings(host).loopback else secrets.token_urlsafe(24)


def _listen(settings: Settings) -> socket.socket:
    try:
        info = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(info[0], info[1])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(info[4])
        listening.listen(128)
    except OSError as error:
        raise BadInput(
            message("serve.port", "cannot listen on {host}:{port}: {why}", host=settings.host, port=str(settings.port),
                    why=error.strerror or str(error)),
            _next_free(settings),
        ) from error  # fmt: skip
    return listening


def _next_free(settings: Settings) -> str | None:
    for port in range(settings.port + 1, min(settings.port + 50, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as tried:
            try:
                tried.bind((settings.host, port))
            except OSError:
                continue
            return sentence("command.port-free", "--port {port} is free", port=port)
    return None


if __name__ == "__main__":
    sys.exit(serve())
