"""What a data store passes through on its way: created, changed, for as long as a test says.

A store is made and changed at once, unless a test wants to see what lies between (see `control`).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary


@dataclass
class Delays:
    """How many seconds stores take; for all that happens from now on."""

    creating: float = 0
    changing: float = 0


@dataclass(frozen=True)
class _Passage:
    status: str
    ends: float
    adding: frozenset[str] = frozenset()
    removing: frozenset[str] = frozenset()


delays = Delays()

_under_way: WeakKeyDictionary[Any, _Passage] = WeakKeyDictionary()


def created(store: Any) -> None:
    """Notes that a store begins to be made."""
    _begin(store, _Passage("creating", time.monotonic() + delays.creating), delays.creating)


def changed(store: Any, before: Iterable[str], after: Iterable[str]) -> None:
    """Notes that a store begins to change its security groups."""
    old, new = frozenset(before), frozenset(after)
    if old != new:
        _begin(store, _Passage("modifying", time.monotonic() + delays.changing, new - old, old - new), delays.changing)


def busy(store: Any) -> None:
    """Notes that a store is at something else than its security groups."""
    _begin(store, _Passage("modifying", time.monotonic() + delays.changing), delays.changing)


def arrived(store: Any) -> None:
    """Ends what a store is at."""
    _under_way.pop(store, None)


def memberships(store: Any, group_ids: Iterable[str]) -> list[tuple[str, str]]:
    """The groups that a store shows, each with its status; one on its way out is still shown."""
    passage = _current(store)
    adding, removing = (passage.adding, passage.removing) if passage else (frozenset(), frozenset())
    staying = [(group_id, "adding" if group_id in adding else "active") for group_id in group_ids]
    return staying + [(group_id, "removing") for group_id in sorted(removing)]


def attached(store: Any, group_ids: Iterable[str]) -> list[str]:
    """The groups on a store's interfaces: what is on its way out is there until it is gone."""
    return [group_id for group_id, _ in memberships(store, group_ids)]


def _begin(store: Any, passage: _Passage, seconds: float) -> None:
    if seconds > 0:
        _under_way[store] = passage


def _current(store: Any) -> _Passage | None:
    passage = _under_way.get(store)
    return passage if passage and passage.ends > time.monotonic() else None


def _told_status(store: Any) -> str:
    passage = _current(store)
    return passage.status if passage else store._status


def _set_status(store: Any, status: str) -> None:
    arrived(store)
    store._status = status


# A store's state is what it was set to, or what it passes through; setting it ends what the store is at.
status = property(_told_status, _set_status)
