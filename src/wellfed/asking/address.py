"""An engine's address, and connections to it with its key; the key goes into one header and nowhere else."""

from __future__ import annotations

import errno
import http.client
import ssl
from collections.abc import Iterator
from dataclasses import field
from enum import StrEnum
from urllib.parse import urlsplit

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.printable import printable

_HIDDEN = "***"
_SHOWN = 200
Failure = (OSError, http.client.HTTPException, ValueError, RecursionError)  # what asking, and reading JSON, raises


class Trouble(StrEnum):
    """Why there is no answer that counts, as programs read it."""

    CLOSED = "closed"  # nothing listens there
    CERTIFICATE = "certificate"  # what listens could not prove who it is
    UNREACHABLE = "unreachable"  # no such host, no route
    SILENT = "silent"  # no whole answer in time
    CUT = "cut"  # it ended before its end
    ENDLESS = "endless"  # longer than any answer
    FOREIGN = "foreign"  # no HTTP, or another answer than one to this question
    KEY = "key"  # it wants a key, or another one
    REFUSED = "refused"  # it does not take the question
    BUSY = "busy"  # it has no room for it now
    FAILED = "failed"  # it took the question and failed


class AskingError(Exception):
    """There is no answer that counts. The text is safe to show."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine answers. `base` is what comes before `/v1`. Raises BadInput for no address or no key."""

    url: str
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
            good = good and self.url.isprintable() and not parts.query and not parts.fragment
        except ValueError:
            good = False
        if not good:
            raise BadInput(
                sentence("asking.address.http-address", "{url!r} is no http address", url=printable(self.url)),
                sentence("asking.address.example-http-127", "for example http://127.0.0.1:8080"),
            )
        if self.key is not None and not all("!" <= letter <= "~" for letter in self.key):
            raise BadInput(
                sentence("asking.address.api-key-characters", "the API key has characters that no header can carry"),
                sentence("asking.address.visible-ascii-alone", "visible ASCII alone, in one line"),
            )

    @property
    def base(self) -> str:
        """The path before `/metrics` and `/v1`."""
        return urlsplit(self.url).path.rstrip("/").removesuffix("/v1")

    @property
    def root(self) -> str:
        """The address before `/metrics` and `/v1`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self.base}"

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that every request to this address carries: the key, where there is one."""
        return {"Connection": "close", **self.authorisation}

    @property
    def authorisation(self) -> dict[str, str]:
        """The key, where there is one."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection to the address, not opened yet; it gives up after `timeout_s`."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout_s)

    def explained(self, error: BaseException | str) -> str:
        """An error in a line that any terminal can show, without the key."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        line = " ".join((text.replace(self.key, _HIDDEN) if self.key else text).split())[:_SHOWN]
        return "".join(letter if letter.isprintable() else "?" for letter in line)

    def refused(self, status: int, text: str) -> AskingError:
        """What a status other than 200 says."""
        trouble = (
            Trouble.KEY if status in (401, 403)
            else Trouble.BUSY if status in (429, 503)
            else Trouble.REFUSED if 300 <= status < 500
            else Trouble.FAILED
        )  # fmt: skip
        return AskingError(trouble, self.explained(f"HTTP {status}: {text}"))

    def failed(self, error: BaseException) -> AskingError:
        """What an error of a transport says."""
        if isinstance(error, AskingError):
            return error
        return AskingError(_trouble(error), self.explained(_words(error)))


def _trouble(error: BaseException) -> Trouble:
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return Trouble.CERTIFICATE
            case ssl.SSLError() | http.client.BadStatusLine() | http.client.LineTooLong():
                return Trouble.CUT if isinstance(cause, http.client.RemoteDisconnected) else Trouble.FOREIGN
            case ConnectionRefusedError():
                return Trouble.CLOSED
            case ConnectionError() | http.client.IncompleteRead():
                return Trouble.CUT
            case TimeoutError():
                return Trouble.SILENT
            case OSError() if cause.errno == errno.ECONNREFUSED:
                return Trouble.CLOSED
            case OSError():
                return Trouble.UNREACHABLE
        kind = type(cause).__name__  # httpx is not imported where it is not used
        if kind in _HTTPX:
            return _HTTPX[kind]
    return Trouble.FOREIGN


_HTTPX = {
    "ConnectTimeout": Trouble.SILENT, "ReadTimeout": Trouble.SILENT, "WriteTimeout": Trouble.SILENT,
    "PoolTimeout": Trouble.SILENT, "ReadError": Trouble.CUT, "WriteError": Trouble.CUT, "CloseError": Trouble.CUT,
}  # fmt: skip


def _words(error: BaseException) -> BaseException | str:
    """The cause that says most: libraries wrap it in words of their own, or in none."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return sentence(
                "asking.address.certificate-refused",
                "its certificate is refused: {verify_message}",
                verify_message=cause.verify_message or cause,
            )
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return error if str(error) else type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What lies under it, the deepest first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(chain) < 20:
        chain.append(current)
        many = getattr(current, "exceptions", None)
        current = many[0] if many else current.__cause__ or current.__context__
    yield from reversed(chain)
