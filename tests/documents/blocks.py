"""The blocks of commands in the documents."""

import re
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Block:
    """What stands between ```sh and ```, and where."""

    path: str
    line: int
    text: str
    # For people with an account: nothing of it can run here.
    account: bool

    def __str__(self):
        return f"{self.path}:{self.line}"


def documents():
    return [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").rglob("*.md"))]


def blocks():
    found = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^( *)```(\w[^\n]*)\n(.*?)^\1```$", text, flags=re.MULTILINE | re.DOTALL):
            indent, language, body = match.groups()
            if language.split()[0] in ("sh", "bash", "shell", "console"):
                assert language in ("sh", "sh account"), f"{path.name}: {language}"
                body = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
                line = text.count("\n", 0, match.start()) + 2
                found.append(Block(str(path.relative_to(TOP)), line, body, language == "sh account"))
    return found
