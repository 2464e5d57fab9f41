"""What clients asked to be deployed, and what deployments may and must therefore be there.

Whatever is to be deployed carries a marker in its spec, so that each deployment tells which call began it. A call that was
acknowledged has begun one; if it was made several times because nobody answered, and has neither a token nor a name by
which the server could tell, each time may have begun one.
"""

import threading

# The end of the ARN of what is to be deployed, and the marker.
Ask = tuple[str, str | None]


class Deeds:
    def __init__(self) -> None:
        # How many deployments there must be at least and may be at most.
        self.bounds: dict[Ask, tuple[int, int]] = {}
        # Whose deployments somebody wanted to stop.
        self.cancelled: set[str] = set()
        self._unsettled: set[Ask] = set()
        self._lock = threading.Lock()

    def bound(self, asks: list[Ask], least: int, most: int) -> None:
        with self._lock:
            self.bounds.update(dict.fromkeys(asks, (least, most)))
            self._unsettled.update(asks)

    def unsettled(self) -> set[Ask]:
        return set(self._unsettled)

    def settle(self, ask: Ask, number: int) -> None:
        """From now on there are as many as there are."""
        self._unsettled.discard(ask)
        self.bounds[ask] = (number, number)
