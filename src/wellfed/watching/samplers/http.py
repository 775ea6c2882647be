"""An engine's address, and connections to it with its key; the key goes into one header and nowhere else."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wellfed.errors import BadInput

_HIDDEN = "***"
Failure = (OSError, http.client.HTTPException, ValueError, RecursionError)  # what asking, and reading JSON, raises


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine answers. `base` is what comes before `/v1`. Raises BadInput for no address or no key."""

    url: str
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            good = False
        if not good:
            raise BadInput(f"{self.url!r} is no http address", "for example http://127.0.0.1:8080")
        if self.key is not None and not all("!" <= letter <= "~" for letter in self.key):
            raise BadInput("the API key has characters that no header can carry", "visible ASCII alone, in one line")

    @property
    def base(self) -> str:
        """The path before `/metrics` and `/v1`."""
        return urlsplit(self.url).path.rstrip("/").removesuffix("/v1")

    @property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"Connection": "close", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """Not open yet."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout_s)

    def told(self, error: BaseException | str) -> str:
        """An error in a line that any terminal can show, without the key."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        line = " ".join((text.replace(self.key, _HIDDEN) if self.key else text).split())[:200]
        return "".join(letter if letter.isprintable() else "?" for letter in line)
