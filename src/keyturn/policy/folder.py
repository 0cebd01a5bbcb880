"""A policy's folder: which files it has, what they may say, and its digest. Only `read_folder` touches the disk.

policy.toml         name, mode ("enforce" or "observe")
requirements.toml   what is asked of people (`policy.requirements`)
resources.toml      [[label]] name, paths, hosts
envelope.toml       what a confined command may touch (`policy.profiles`)
clauses.toml        the written policy, and what enforces each clause (`policy.clauses`)
drift.toml          what counts as drift, and what follows (`policy.drift`)
rules/*.cedar       the rules
tests/*.toml        must-run, must-hold and must-refuse cases
programs/*.toml     descriptions of programs for the readers (`policy.programs`)
controls/*.toml     a house's own controls, and controls/queries/*.sql its tests of them (`evidence.catalogue` reads them)
README.md           words for people: part of the version
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keyturn import canonical
from keyturn.policy.cedar_text import Source
from keyturn.policy.decision import Mode
from keyturn.policy.problems import PolicyInvalid, Problem, nearest
from keyturn.resources import Label

STARTER = Path(__file__).parent / "starter"
"""The folder of the starter policy as shipped: useful for a coding agent on the first day."""

MAX_FILES = 500
MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_TOTAL_BYTES = 16 * 1024 * 1024
MAX_PATTERNS = 2000

_KNOWN = re.compile(
    r"policy\.toml|requirements\.toml|resources\.toml|envelope\.toml|drift\.toml|clauses\.toml|README\.md|rules/[A-Za-z0-9_][\w.-]*\.cedar"
    r"|(?:tests|programs|controls)/[A-Za-z0-9_][\w.-]*\.toml|controls/queries/[a-z][a-z0-9_]{0,63}\.sql",
    re.ASCII,
)
_PATTERNS = (
    "policy.toml",
    "requirements.toml",
    "resources.toml",
    "envelope.toml",
    "drift.toml",
    "clauses.toml",
    "README.md",
    "rules/NAME.cedar",
    "tests/NAME.toml",
    "programs/NAME.toml",
    "controls/NAME.toml",
    "controls/queries/NAME.sql",
)
_LABEL = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of *folder* as {relative path: bytes}. Hidden files and editors' backups (`x~`) are not policy.

    Raises `PolicyInvalid` when it is no folder or over the limits, `OSError` when a file can't be read.
    """
    if not folder.is_dir():
        raise PolicyInvalid([Problem(str(folder), 0, 0, "there is no such policy folder")])
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or any(part.startswith(".") for part in name.split("/")) or name.endswith("~"):
            continue
        if len(files) >= MAX_FILES:
            raise PolicyInvalid([Problem(name, 0, 0, f"the folder has more than {MAX_FILES} files")])
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PolicyInvalid([_too_large(name)])
        files[name] = path.read_bytes()
    return files


def digest(files: Mapping[str, bytes]) -> str:
    """`sha256:<hex>` over the canonical JSON of {path: sha256 of content}: one name for one version."""
    return canonical.digest({path: hashlib.sha256(data).hexdigest() for path, data in files.items()})


def check_files(files: Mapping[str, bytes]) -> list[Problem]:
    """Unknown names (a rule in `rules/x.ceder` would silently not count) and sizes."""
    problems = [_too_large(name) for name, data in sorted(files.items()) if len(data) > MAX_FILE_BYTES]
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_TOTAL_BYTES:
        problems.append(
            Problem(
                "policy.toml", 0, 0, f"a policy has at most {MAX_FILES} files and {MAX_TOTAL_BYTES:,} bytes"
            )
        )
    for name in sorted(files):
        if not _KNOWN.fullmatch(name):
            hint = nearest(name, _PATTERNS) or "a policy has " + ", ".join(_PATTERNS)
            problems.append(Problem(name, 0, 0, "no file of a policy has this name", suggestion=hint))
    if "policy.toml" not in files:
        problems.append(Problem("policy.toml", 0, 0, "this file is missing: a policy has a name and a mode"))
    if not any(name.startswith("rules/") for name in files):
        problems.append(Problem("rules/", 0, 0, "there are no rules: everything would be held"))
    return problems


class Table:
    """One TOML file, checked key by key; problems carry the place of the key."""

    def __init__(self, file: str, data: bytes) -> None:
        self.problems: list[Problem] = []
        self.source = Source(file, "")
        self.body: dict[str, Any] = {}
        try:
            self.source = Source(file, data.decode("utf-8").replace("\r\n", "\n"))
            self.body = tomllib.loads(self.source.text)
        except UnicodeDecodeError:
            self.problems.append(Problem(file, 0, 0, "this is not UTF-8 text"))
        except tomllib.TOMLDecodeError as error:
            self._not_toml(str(error))
        except RecursionError:
            self.problems.append(Problem(file, 0, 0, "this is nested too deep"))

    def _not_toml(self, error: str) -> None:
        place = _AT.search(error)
        line, column = (int(place[1]), int(place[2])) if place else (0, 0)
        lines = self.source.text.split("\n")
        excerpt = lines[line - 1] if 0 < line <= len(lines) else ""
        message = "this is not TOML: " + _AT.sub("", error).strip()
        self.problems.append(Problem(self.source.file, line, column, message, excerpt))

    def wrong(self, word: str, message: str, suggestion: str = "", after: str = "") -> None:
        """A problem at the first place *word* stands (behind the place of *after*)."""
        begin = max(0, self.source.text.find(after)) if after else 0
        found = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])").search(self.source.text, begin)
        if found is None:
            self.problems.append(Problem(self.source.file, 0, 0, message, suggestion=suggestion))
        else:
            self.problems.append(self.source.problem(found.start(), found.end(), message, suggestion))

    def known_keys(self, table: Mapping[str, Any], known: Iterable[str], where: str = "") -> None:
        """Report keys that nobody reads."""
        names = tuple(known)
        for key in table:
            if key not in names:
                place = f" in {where}" if where else ""
                hint = nearest(key, names) or "known: " + ", ".join(names)
                self.wrong(key, f"there is no setting {key}{place}", hint)

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """A list of texts, possibly absent."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.wrong(key, f"{key} is a list of texts")
            return ()
        return tuple(value)


def read_settings(data: bytes) -> tuple[str, Mode, list[Problem]]:
    """policy.toml: (name, mode, problems)."""
    table = Table("policy.toml", data)
    table.known_keys(table.body, ("name", "mode", "description"))
    name, mode = table.body.get("name"), table.body.get("mode", "enforce")
    if not table.problems and (not isinstance(name, str) or not name.strip()):
        table.wrong("name", "a policy has a name", 'name = "starter"')
    if mode not in ("enforce", "observe"):
        table.wrong("mode", 'mode is "enforce" or "observe"', nearest(str(mode), ("enforce", "observe")))
        mode = "enforce"
    return str(name), mode, table.problems


def read_labels(data: bytes) -> tuple[tuple[Label, ...], list[Problem]]:
    """resources.toml: what paths and hosts are."""
    table = Table("resources.toml", data)
    table.known_keys(table.body, ("label",))
    labels: dict[str, Label] = {}
    listed = table.body.get("label", [])
    for entry in listed if isinstance(listed, list) else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            table.wrong("label", "each [[label]] has a name")
            continue
        name = entry["name"]
        table.known_keys(entry, ("name", "paths", "hosts"), f"label {name}")
        if not _LABEL.fullmatch(name):
            table.wrong(name, "a label's name is lowercase letters, digits and `-`")
        if name in labels:
            table.wrong(name, f"the label {name} is described twice")
        label = Label(name, table.texts(entry, "paths"), table.texts(entry, "hosts"))
        if not label.paths and not label.hosts:
            table.wrong(name, f"the label {name} is on nothing: it has no paths and no hosts")
        labels[name] = label
    if sum(len(label.paths) + len(label.hosts) for label in labels.values()) > MAX_PATTERNS:
        table.problems.append(Problem("resources.toml", 0, 0, f"there are more than {MAX_PATTERNS} patterns"))
    return tuple(labels.values()), table.problems


def _too_large(name: str) -> Problem:
    return Problem(name, 0, 0, f"the file is larger than {MAX_FILE_BYTES:,} bytes")
