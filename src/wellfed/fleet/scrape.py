"""Every exporter asked at about the same time: so many at once, each within its seconds and bytes.

One that is silent again and again is asked less often (every 2nd, 4th, 8th round), so that dead nodes hold nobody up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field

from wellfed.asking.address import AskingError, Trouble
from wellfed.asking.document import fetch
from wellfed.fleet.exporters import Exporter
from wellfed.fleet.exposition import MOST_BYTES, Page, read_pages
from wellfed.frozen import dataclass
from wellfed.message import sentence

_LEAST_OFTEN = 8  # rounds


@dataclass(frozen=True, slots=True)
class Answer:
    """What an exporter told, or the trouble in a word and in words. `skipped`: it was not asked in this round."""

    node: str
    pages: tuple[Page, ...] = ()
    trouble: Trouble | None = None
    why: str = ""
    skipped: bool = False


@dataclass(slots=True)
class Scraper:
    """Asks a list of exporters, round after round."""

    exporters: Sequence[Exporter]
    at_a_time: int = 64
    within_s: float = 5.0
    _silent: dict[str, int] = field(default_factory=dict)  # node -> rounds without an answer
    _round: int = 0

    def rounds(self) -> Iterator[tuple[Answer, ...]]:
        """One round each time it is asked for, answers in the order of the list."""
        with ThreadPoolExecutor(min(self.at_a_time, len(self.exporters)), "wellfed-scrape") as pool:
            while True:
                yield tuple(pool.map(self._scrape_exporter, self.exporters))
                self._round += 1

    def _scrape_exporter(self, exporter: Exporter) -> Answer:
        failures = self._silent.get(exporter.node, 0)
        if failures > 1 and self._round % min(_LEAST_OFTEN, 2 ** (failures - 1)):
            return Answer(exporter.node, skipped=True)
        answer = scraped(exporter, self.within_s)
        self._silent[exporter.node] = failures + 1 if answer.trouble else 0
        return answer


def scraped(exporter: Exporter, within_s: float = 5.0) -> Answer:
    """One exporter's pages; a trouble where it has none. Never raises for what the other side does."""
    try:
        status, content = fetch(exporter.address, "/metrics", MOST_BYTES, within_s)
        if status != 200:
            raise exporter.address.refused(status, content[:200].decode("utf-8", "replace"))
    except AskingError as error:
        return Answer(exporter.node, trouble=error.trouble, why=str(error))
    pages = read_pages(content.decode("utf-8", "replace"))
    if not pages and not content.startswith(b"# nothing seen yet"):
        return Answer(
            exporter.node,
            trouble=Trouble.FOREIGN,
            why=sentence("scrape.no-page-wellfed", "no page of `wellfed watch --export`"),
        )
    return Answer(exporter.node, pages)
