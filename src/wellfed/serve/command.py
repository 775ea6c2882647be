"""`wellfed serve`."""

from __future__ import annotations

import os
import secrets
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from wellfed.errors import BadInput
from wellfed.message import message

if TYPE_CHECKING:
    from wellfed.serve.settings import Settings

VARIABLE = "WELLFED_TOKEN"
NEEDED = ("fastapi", "uvicorn", "jinja2", "python_multipart", "mcp")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=8787, show_default=True)
@click.option("--open", "browser", is_flag=True, help="Open a browser on it.")
@click.option("--token", envvar=VARIABLE, metavar="TOKEN",
              help=f"What clients must send; needed beyond loopback; better in {VARIABLE}.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that plan  [default: one for two cores].")
@click.option("--allow-run", is_flag=True, help="Let agents start engines.")
def command(host: str, port: int, browser: bool, token: str | None, workers: int | None, allow_run: bool) -> None:
    """A page, a REST API and tools for agents, on this machine alone; ends on Ctrl-C."""
    ensure_extra()
    from wellfed.serve.settings import Settings, is_loopback

    if not is_loopback(host) and not token:
        what = message("serve.token", "{host} can be reached from other machines: a token is needed", host=host)
        hint = message("serve.token.hint", "WELLFED_TOKEN={token} wellfed serve ...", token=secrets.token_urlsafe(24))
        raise BadInput(what, hint)
    count = workers or max(2, min(8, (os.cpu_count() or 2) // 2))
    settings = Settings(host=host, port=port, token=token, allow_run=allow_run, workers=count)
    with _listening(host, port) as listener:
        _serve(settings, listener, browser)


def ensure_extra() -> None:
    """Raises BadInput where the extra is not installed."""
    if any(find_spec(name) is None for name in NEEDED):
        what = message("serve.extra", "this needs packages that are not installed: pip install 'wellfed[serve]'")
        raise BadInput(what)


def _listening(host: str, port: int) -> socket.socket:
    """A socket at the address. Raises BadInput when it is taken, with the next one that is free."""
    try:
        return _bound(host, port)
    except OSError as error:
        free = next((other for other in range(port + 1, min(port + 100, 65536)) if _is_free(host, other)), None)
        why = error.strerror or str(error)
        what = message("serve.port", "cannot listen at {host}, port {port}: {why}", host=host, port=str(port), why=why)
        hint = message("serve.port.hint", "port {port} is free: --port {port}", port=str(free))
        raise BadInput(what, None if free is None else hint) from error


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def _is_free(host: str, port: int) -> bool:
    try:
        _bound(host, port).close()
    except OSError:
        return False
    return True


def _serve(settings: Settings, listener: socket.socket, browser: bool) -> None:
    from wellfed.serve.workers import Workers

    workers = Workers(settings.workers, settings.waiting, settings.most_work_s)
    workers.start()  # they make themselves ready while the framework is imported
    try:
        import uvicorn

        from wellfed.serve.app import create_app

        config = uvicorn.Config(
            create_app(settings, workers), log_level="warning", server_header=False, access_log=False,
            timeout_keep_alive=10, timeout_graceful_shutdown=2, ws="none",
        )  # fmt: skip
        click.echo(f"wellfed serves {settings.url}", err=False)
        if browser:
            import webbrowser

            webbrowser.open(settings.url)
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        workers.stop()
