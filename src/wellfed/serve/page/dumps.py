"""What people paste or upload for the page: kept in memory for a while under a name that its content gives."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

_MOST_BYTES = 64 << 20  # in all
_MOST_ONE = 16 << 20


class Dumps:
    """Contents by name; the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, content: bytes) -> str | None:
        """Its name; None where it is empty or too large."""
        if not content.strip() or len(content) > _MOST_ONE:
            return None
        name = hashlib.sha256(content).hexdigest()[:20]
        self._kept[name] = content
        self._kept.move_to_end(name)
        while sum(map(len, self._kept.values())) > _MOST_BYTES:
            self._kept.popitem(last=False)
        return name

    def get(self, name: str | None) -> bytes | None:
        """The content; None where it is not kept, or no longer."""
        if name is None or name not in self._kept:
            return None
        self._kept.move_to_end(name)
        return self._kept[name]
