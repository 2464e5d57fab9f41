"""Ids, and the letters at the end of a stack's name, are random, so two servers give the same thing different ones. Tests call them by the order in which they came to know
them: the first id of a server is `00000000-0000-4000-8000-000000000000` to them, the next one ends in 1."""

import re
from typing import Any, Callable

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<=-cloudformation--)[A-Z]{15}")


# Deployments have ids of version 7. How many of them somebody has seen depends on when they looked.
DEPLOYMENT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def stand_in(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


class Ids:
    """The ids of one server."""

    def __init__(self) -> None:
        self._stand_ins: dict[str, str] = {}

    def learned(self, answer: Any) -> Any:
        """An answer with stand-ins for its ids, also for those that are new."""
        return _replaced(answer, self._stand_in)

    def _stand_in(self, id: str) -> str:
        if DEPLOYMENT.fullmatch(id):
            return "<deployment>"
        return self._stand_ins.setdefault(id, stand_in(len(self._stand_ins)))

    def shown(self, message: str) -> str:
        """A message with stand-ins for the ids that are known."""
        return _replaced(message, lambda id: self._stand_ins.get(id, id))

    def meant(self, request: Any) -> Any:
        """A request with the ids that its stand-ins stand for."""
        real = {stand_in: id for id, stand_in in self._stand_ins.items()}
        return _replaced(request, lambda id: real.get(id, id))


class Verbatim(Ids):
    """Ids as they are, for servers that share them."""

    def _stand_in(self, id: str) -> str:
        return id


def _replaced(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, replace) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, replace) for inner in value]
    return ID.sub(lambda found: replace(found[0]), value) if isinstance(value, str) else value
