"""What differs between the locked SDK and a service model, in the operations that the code calls."""

import re
from dataclasses import dataclass

from shapes import Shape

# Of these members the documentation lists the values, which are no part of the model.
LISTED = re.compile(r"(status|state|filters)$", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Difference:
    """One difference; it is `grave` if it takes away or renames what the code uses."""

    what: str
    grave: bool


class Comparison:
    """Walks the shapes of both sources side by side, from the operations on."""

    def __init__(self, service, ours, theirs, words, literals):
        self.service, self.ours, self.theirs = service, ours, theirs
        self.words, self.literals = words, literals
        self.walked = set()
        self.found = set()

    def note(self, what, grave=False):
        self.found.add(Difference(f"{self.service} {what}", grave))

    def operation(self, operation):
        ours, theirs = self.ours.operation(operation), self.theirs.operation(operation)
        if theirs is None:
            self.note(f"{operation.name}: removed", grave=True)
            return
        for name, code in ours.errors.items():
            if name not in theirs.errors:
                self.note(f"{operation.name}, error {code}: removed", grave=True)
            elif theirs.errors[name] not in (code, None):
                self.note(f"{operation.name}, error {code}: now {theirs.errors[name]}", grave=True)
        for name in set(theirs.errors) - set(ours.errors):
            self.note(f"{operation.name}, error {theirs.errors[name] or name}: added")
        for side in ("input", "output"):
            self.shape(f"{operation.name} {side}", getattr(ours, side), getattr(theirs, side))

    def shape(self, name, our_key, their_key, read=True):
        """The values of an enumeration matter only where the code reads or sends a member that holds one."""
        if (our_key, their_key, read) in self.walked:
            return
        self.walked.add((our_key, their_key, read))
        ours = self.ours.shape(our_key)
        theirs = Shape() if their_key is None else self.theirs.shape(their_key)
        if read:
            self.values(name, ours.values, theirs.values)
        for plain, member in ours.members.items():
            if plain not in theirs.members:
                self.note(f"{name}.{member.name}: removed", grave=self.used(member))
        for plain, member in theirs.members.items():
            if plain not in ours.members:
                self.note(f"{name}.{member.name}: added")
            else:
                self.member(name, ours.members[plain], member)

    def member(self, name, ours, theirs):
        if self.used(ours):
            self.documented(f"{name}.{theirs.name}", ours, theirs)
        if len(ours.shapes) != len(theirs.shapes):
            self.note(f"{name}.{theirs.name}: of another kind", grave=self.used(ours))
        for our_key, their_key in zip(ours.shapes, theirs.shapes, strict=False):
            self.shape(their_key, our_key, their_key, read=self.used(ours))

    def values(self, name, ours, theirs):
        for value in ours - theirs:
            used = value in self.literals or plain_variant(value) in self.words
            self.note(f"{name}, value {value}: removed", grave=used)
        for value in theirs - ours:
            self.note(f"{name}, value {value}: added")

    def documented(self, name, ours, theirs):
        """Filters and states that only the documentation lists."""
        for word in (ours.quoted & self.literals) - theirs.quoted:
            self.note(f"{name}, documented {word}: removed", grave=True)
        if LISTED.search(name):
            for word in theirs.quoted - ours.quoted:
                self.note(f"{name}, documented {word}: added")

    def used(self, member):
        name = member.name.removeprefix("r#")
        return name in self.words or f"set_{name}" in self.words


def plain_variant(value):
    """As the SDK names an enumeration's value: `shutting-down` is `ShuttingDown`."""
    return "".join(word[:1].upper() + word[1:].lower() for word in re.split(r"[^A-Za-z0-9]+", value))
