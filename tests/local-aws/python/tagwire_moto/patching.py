"""How a behaviour of moto is replaced."""

import functools
from collections.abc import Callable
from typing import Any


def patch(owner: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replaces the method of ``owner`` that has the decorated function's name.

    The function gets moto's own method as its first argument, ``original``, and may call it.
    A method that moto does not have is an error: a patch that hits nothing would let every test
    that relies on it pass or fail for the wrong reason.
    """

    def decorate(replacement: Callable[..., Any]) -> Callable[..., Any]:
        name = replacement.__name__
        original = owner.__dict__.get(name)
        if original is None:
            raise AttributeError(
                f"{owner.__module__}.{owner.__name__} has no {name!r} to patch: "
                "this moto is not the one the patches were written for"
            )

        @functools.wraps(original)
        def patched(self: Any, *arguments: Any, **named: Any) -> Any:
            return replacement(original, self, *arguments, **named)

        setattr(owner, name, patched)
        return replacement

    return decorate


def add(owner: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives ``owner`` a method that moto does not have yet; that it has one by now is an error."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        if hasattr(owner, method.__name__):
            raise AttributeError(f"{owner.__module__}.{owner.__name__} has a {method.__name__!r} of its own by now")
        setattr(owner, method.__name__, method)
        return method

    return decorate
