"""What mixers with a state have in common: it is of fixed size, whatever the context."""

from __future__ import annotations


class Recurrent:
    """What all of them share: the state is read and written whole each step, and no keys are compared."""

    __slots__ = ()

    def _state(self) -> int:
        raise NotImplementedError

    def cache_elements(self, context: int) -> int:
        """The same for any context but an empty one."""
        return self._state() if context else 0

    def cache_read_elements(self, context: int) -> int:
        """The whole state, each step."""
        return self.cache_elements(context)

    def score_pairs(self, queries: int, context: int) -> float:
        """None: a state is updated, no keys are compared."""
        return 0.0
