"""What is said of an operation, in one form for both sources: the locked SDK and a service model of botocore."""

import gzip
import html
import json
import re
import zipfile
from dataclasses import dataclass, field


@dataclass
class Member:
    """A member of a structure: the shapes that it holds, and the words that its documentation quotes."""

    name: str
    shapes: list
    quoted: set


@dataclass
class Shape:
    """A structure with members or an enumeration with values."""

    members: dict = field(default_factory=dict)
    values: set = field(default_factory=set)


@dataclass
class Described:
    """An operation: where its shapes begin, and the code of each error, which is not known of every protocol."""

    input: str | None
    output: str | None
    errors: dict


def plain(name):
    """A name without what the two sources spell differently."""
    return name.removeprefix("r#").replace("_", "").lower()


def quoted(documentation):
    return {html.unescape(word).strip() for word in re.findall(r"<code>([^<]+)</code>", documentation)}


class Sdk:
    """The generated sources of a service's SDK."""

    def __init__(self, folder):
        self.folder = folder / "src"
        types = (self.folder / "types.rs").read_text(encoding="utf-8")
        self.files = {kind: file for file, kind in re.findall(r"pub use crate::types::(\w+)::(\w+);", types)}
        self.read = {}

    def operation(self, operation):
        place = self.folder / "operation" / operation.method
        # The SDKs of some protocols keep the codes in a file of their own.
        files = [place.with_suffix(".rs"), self.folder / "protocol_serde" / f"shape_{operation.method}.rs"]
        code = "".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
        errors = re.findall(r'"([\w.]+)" =>\s*(?:\{\s*)?crate::operation::\w+::\w+Error::(\w+)\(', code)
        roots = []
        for side in ("input", "output"):
            key = f"{operation.method}:{side}"
            self.read[key] = self._shape((place / f"_{operation.method}_{side}.rs").read_text(encoding="utf-8"))
            roots.append(key)
        return Described(*roots, {plain(variant): code for code, variant in errors})

    def shape(self, key):
        if key not in self.read:
            self.read[key] = self._shape((self.folder / "types" / f"{self.files[key]}.rs").read_text(encoding="utf-8"))
        return self.read[key]

    def _shape(self, text):
        values = re.findall(r'^\s+"([^"]+)" => \w+::\w+,$', text, flags=re.MULTILINE)
        shape = Shape(values=set(values))
        # The variants of an enumeration are its values, those of a union its members.
        declared = r"((?: *///[^\n]*\n| *#\[[^\n]*\n)*)    (?:pub ([\w#]+):\s(.+?)|([A-Z]\w*)\((.+?)\)),\n(?= {4}\S|\Z)"
        empty_or_not = r"^pub (?:struct|enum) \w+ \{(?:\}|(.*?)^\})"
        body = "" if values else re.search(empty_or_not, text, re.MULTILINE | re.DOTALL)[1] or ""
        for documentation, name, kind, variant, payload in re.findall(declared, body, re.DOTALL):
            holds = re.findall(r"crate::types::(\w+)", kind or payload)
            member = Member(name or variant, holds, quoted(documentation))
            shape.members[plain(member.name)] = member
        return shape


class Model:
    """A service model of botocore."""

    def __init__(self, document):
        self.document = document

    def operation(self, operation):
        described = self.document["operations"].get(operation.name)
        if described is None:
            return None
        shapes = self.document["shapes"]
        errors = [error["shape"] for error in described.get("errors", [])]
        # These answer with the codes of an older protocol, which their models do not tell.
        told = "awsQueryCompatible" not in self.document["metadata"]
        return Described(
            described.get("input", {}).get("shape"),
            described.get("output", {}).get("shape"),
            {plain(name): shapes[name].get("error", {}).get("code", name) if told else None for name in errors},
        )

    def shape(self, key):
        found = self.document["shapes"][key]
        shape = Shape(values=set(found.get("enum", [])))
        for name, member in found.get("members", {}).items():
            documentation = member.get("documentation", "")
            shape.members[plain(name)] = Member(name, self._holds(member["shape"]), quoted(documentation))
        return shape

    def _holds(self, key):
        """The structures and enumerations in it, however deep in lists and maps."""
        found = self.document["shapes"][key]
        inner = {"list": ["member"], "map": ["key", "value"]}.get(found["type"], [])
        if inner:
            return [shape for part in inner for shape in self._holds(found[part]["shape"])]
        return [key] if "members" in found or "enum" in found else []


class Release(dict):
    """The newest model of each service in a wheel of botocore, read when it is asked for."""

    def __init__(self, wheel):
        super().__init__()
        self.archive = zipfile.ZipFile(wheel)
        paths = [name for name in self.archive.namelist() if re.search(r"/service-2\.json(\.gz)?$", name)]
        self.newest = {path.split("/")[2]: path for path in sorted(paths)}

    def __missing__(self, service):
        self[service] = Model(self._json(self.newest[service]))
        return self[service]

    def _json(self, path):
        data = self.archive.read(path)
        return json.loads(gzip.decompress(data) if path.endswith(".gz") else data)

    def partitions(self):
        return {partition["id"] for partition in self._json("botocore/data/partitions.json")["partitions"]}
