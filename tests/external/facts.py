"""What clients know of a server that may be killed at any moment: acknowledged writes for certain, others perhaps.

A fact is something with one value at a time and one client that changes it, such as a template, one of its tags or a
version. While a write is under way its fact may have the old value or the new one; the answer leaves one of them, and
where there was none, what is read after the next start does. A version gets its number from the server, so until that
is known it is told by its marker, the first word of its description.
"""

import itertools
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any, Container, Hashable

Fact = tuple[Hashable, ...]
ABSENT = None


@dataclass
class Creation:
    """A version that a client asked for, and what has to become of it."""

    client: str
    marker: str
    kind: str
    template: str
    major: str | None
    bundle: str
    request: dict[str, Any]
    number: str | None = None

    @property
    def fact(self) -> Fact:
        return ("version", self.kind, self.template, self.number)


class Facts:
    def __init__(self) -> None:
        self.creations: dict[str, Creation] = {}
        self.violations: list[str] = []
        self.figures = Counter(acknowledged=0, unanswered=0, registrations=0, verified=0, lost=0, duplicated=0, wrong=0)
        self._possible: dict[Fact, set] = {}
        self._numbers: set[Fact] = set()
        self._serials = itertools.count(1)
        self._lock = threading.RLock()

    def serial(self) -> int:
        return next(self._serials)

    def value(self, fact: Fact) -> Any:
        """The value of a fact that no unanswered write concerns."""
        (value,) = self._possible.get(fact, {ABSENT})
        return value

    def known(self, what: str) -> list[Fact]:
        """The facts of a sort that have a value."""
        return [fact for fact, values in list(self._possible.items()) if fact[0] == what and values != {ABSENT}]

    def writing(self, fact: Fact, value: Any) -> Any:
        """Notes that the fact may soon have the value, and returns the one it has."""
        before = self.value(fact)
        self._possible[fact] = {before, value}
        return before

    def acknowledged(self, fact: Fact, value: Any) -> None:
        self._possible[fact] = {value}
        self.count("acknowledged")

    def refused(self, fact: Fact, before: Any) -> None:
        self._possible[fact] = {before}

    def asking(self, creation: Creation) -> None:
        self.creations[creation.marker] = creation

    def numbered(self, creation: Creation, number: str) -> None:
        """Notes the number of a version, which must be new or what it was told before."""
        with self._lock:
            if creation.number is None:
                creation.number = number
                self.count("registrations")
                if creation.fact in self._numbers:
                    self.violate("duplicated", f"{creation.fact} is given again, to {creation.marker}")
                self._numbers.add(creation.fact)
        if creation.number != number:
            self.violate("duplicated", f"{creation.marker} is version {creation.number} and {number} of {creation.template}")
        if creation.major not in (None, number.partition(".")[0]):
            self.violate("wrong", f"{creation.marker} was asked for under major version {creation.major}, not {number}")
        self._possible.setdefault(creation.fact, {(creation.marker, False)})

    def forget_tags_of_deleted(self, templates: Container[tuple[str, str]]) -> None:
        """Tags go with their template, so whether they are rightly gone is a question about that."""
        gone = [fact for fact in self._possible if fact[0] == "tag" and fact[1:3] not in templates]
        for fact in gone:
            del self._possible[fact]

    def forget_notifications_of_deleted(self, environments: Container[str]) -> None:
        gone = [fact for fact in self._possible if fact[0] == "notified" and fact[1] not in environments]
        for fact in gone:
            del self._possible[fact]

    def read(self, seen: dict[Fact, Any]) -> None:
        """Compares everything known with everything seen, which is what is known from here on."""
        for fact in self._possible.keys() | seen.keys():
            possible, value = self._possible.get(fact, {ABSENT}), seen.get(fact, ABSENT)
            self.check("lost", value in possible, f"{fact} is {value!r}, not {' or '.join(map(repr, possible))}")
        self._possible = {fact: {value} for fact, value in seen.items()}
        self.creations = {marker: made for marker, made in self.creations.items() if made.fact in seen}

    def check(self, sort: str, holds: bool, otherwise: str) -> None:
        self.count("verified")
        if not holds:
            self.violate(sort, otherwise)

    def violate(self, sort: str, what: str) -> None:
        self.count(sort)
        self.violations.append(f"{sort}: {what}")

    def count(self, figure: str, number: int = 1) -> None:
        with self._lock:
            self.figures[figure] += number
