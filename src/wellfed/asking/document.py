"""One small document of an endpoint: whole, in time and not endless, or an error that says which of these it was not.

Standard library only, and blocking: a thread that waits costs nothing.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from wellfed.asking.address import Address, AskingError, Failure, Trouble
from wellfed.message import sentence
from wellfed.printable import printable

MOST_BYTES = 8 * 2**20
_PIECE_BYTES = 64 * 1024
_MOST_MODELS, _MOST_NAME = 10_000, 300


def fetch(address: Address, path: str, most_bytes: int = MOST_BYTES, within_s: float = 10.0) -> tuple[int, bytes]:
    """Status and content of `path`. Raises AskingError where there is no whole answer `within_s`."""
    late = threading.Event()
    with closing(address.connection(within_s)) as connection:
        timer = threading.Timer(within_s, _cut, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            connection.request("GET", address.base + path, headers=address.headers)
            response = connection.getresponse()
            content = _whole_body(response, most_bytes)
            if late.is_set():  # an answer without a length ends where it is cut
                raise _too_late(path, within_s)
            return response.status, content
        except Failure as error:
            if late.is_set():
                raise _too_late(path, within_s) from error
            raise address.failed(error) from error
        except AskingError as error:
            if late.is_set():
                raise _too_late(path, within_s) from error
            raise
        finally:
            timer.cancel()


def _too_late(path: str, within_s: float) -> AskingError:
    text = "no whole answer to {path} within {within:.0f} s"
    return AskingError(Trouble.SILENT, sentence("asking.document.no-whole-answer", text, path=path, within=within_s))


def _cut(connection: HTTPConnection, late: threading.Event) -> None:
    """Whatever waits for this connection gets its end."""
    late.set()
    handle = connection.sock
    if handle is not None:
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)


def _whole_body(response: HTTPResponse, most_bytes: int) -> bytes:
    pieces, total = [], 0
    while piece := response.read(_PIECE_BYTES):
        pieces.append(piece)
        total += len(piece)
        if total > most_bytes:
            raise AskingError(
                Trouble.ENDLESS,
                sentence(
                    "asking.document.answer-more-bytes",
                    "an answer of more than {most_bytes} bytes",
                    most_bytes=most_bytes,
                ),
            )
    if response.length:  # what its header promised beyond what came
        raise AskingError(
            Trouble.CUT,
            sentence(
                "asking.document.answer-cut-after",
                "an answer cut after {total} of {total2} bytes",
                total=total,
                total2=total + response.length,
            ),
        )
    return b"".join(pieces)


def json_of(content: bytes) -> Any:
    """The value; None for what is no JSON: a gateway answers every path, with a page of its own."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def served_models(address: Address, within_s: float = 10.0) -> tuple[str, ...]:
    """The models that an endpoint lists, by name. Raises AskingError where it lists none that can be read."""
    status, content = fetch(address, "/v1/models", 2**20, within_s)
    if status != 200:
        raise address.refused(status, content[:1000].decode("utf-8", "replace"))
    value = json_of(content)
    if value is None:
        raise AskingError(Trouble.FOREIGN, sentence("asking.document.v1-models-json", "its /v1/models is no JSON"))
    listed = value.get("data", value.get("models")) if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise AskingError(
            Trouble.FOREIGN,
            sentence("asking.document.v1-models-lists", "its /v1/models lists nothing that can be read"),
        )
    names = (_name(item) for item in listed[:_MOST_MODELS])
    readable = tuple(name for name in names if name)
    if not readable:
        why = (
            sentence("asking.document.v1-models-lists", "its /v1/models lists nothing that can be read")
            if listed
            else sentence("asking.document.lists-models", "it lists no models")
        )
        raise AskingError(Trouble.FOREIGN, why)
    return readable


def _name(item: object) -> str:
    value = (item.get("id") or item.get("name")) if isinstance(item, dict) else item
    name = value if isinstance(value, str) and len(value) <= _MOST_NAME else ""
    return name if name and printable(name) == name else ""
