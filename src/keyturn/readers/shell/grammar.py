"""What is known of programs: `programs/*.toml` as typed values.

A program is described positively: an option, operand or subcommand that its entry does not mention is not
understood. The notation is that of manual pages; `programs/README.md` explains it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, get_args

from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import Verb
from keyturn.readers.shell.wordlist import words
from keyturn.resources import ZONES

VALUE_ACTIONS = words(
    """
    alone
    also
    code
    connects
    default
    deletes
    dispatches
    enters
    executes
    globs
    held
    lists
    mode
    name
    only
    operands
    outputs
    pattern
    reads
    runs
    script
    stops
    target
    unpacks
    uploads
    writes
    """
)
"""First words of an option's description; see `programs/README.md`."""

OPERANDS = words(
    "text reads runs fixes writes edits deletes moves into links unpacks url sends shows remote copy code program rest "
    "process package held object changes repository packs makes begins system"
)
"""What an operand can be."""

SPECIAL = words(
    """
    any
    awk
    aws
    cd
    chmod
    cpio
    crontab
    csplit
    date
    dd
    echo
    env
    find
    git-config
    jar
    jq
    kill
    pager
    perl
    printf
    ps
    rsync
    scp
    sed
    set
    sh
    source
    split
    ssh
    sudo
    tar
    test
    unzip
    watch
    xargs
    zip
    """
)
"""Programs whose words have a grammar of their own, in `special/`."""

_NAME = re.compile(r"(--?[A-Za-z0-9?#@][A-Za-z0-9_.+-]*|-NUM|\+NUM)(\[=?[A-Z]+\]|[ =][A-Z]+)?")
_SETTINGS = words(
    "about operands options abbreviations stops default always special subcommands like single_dash "
    "required held_text argument_files can"
)
_EXTENDS = words("like about always options held_text subcommands")
_CAN: dict[str, tuple[str, ...]] = {
    "executes": ("executes unknown …",),
    "reads": ("reads unknown …",),
    "writes": ("writes unknown …",),
    "deletes": ("deletes unknown …",),
    "connects": ("connects network …",),
    "sends": ("connects network …", "sends network …"),
    "configures": ("configures system …",),
    "grants": ("grants system …",),
}
"""What a program that is known by name only can do -> its effects: to anything, in zones that nothing lets run."""
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("about", "operands", "options", "special", "like", "held_text", "can"), str),
    **dict.fromkeys(("abbreviations", "stops", "single_dash", "argument_files"), bool),
    **dict.fromkeys(("default", "always"), list),
    "subcommands": dict,
    "required": int,
}


class BadGrammar(ValueError):
    """A description that can't be used: which program, and what is wrong with it."""


class Clause(Struct, frozen=True):
    """What an option does: `action` of `VALUE_ACTIONS` and the words after it."""

    action: str
    rest: str = ""


class Option(Struct, frozen=True):
    """One option. `value` is `none`, `required` or `optional`; `shown` the longest name."""

    names: tuple[str, ...]
    values: tuple[str, ...]
    clauses: tuple[Clause, ...] = ()

    @property
    def shown(self) -> str:
        """The name that `Step.options` gives: the long one where there is one."""
        return max(self.names, key=len)

    def value(self, name: str) -> str:
        """How *name* takes a value: `none`, `required` or `optional`."""
        return self.values[self.names.index(name)]

    @property
    def harmless(self) -> bool:
        """Whether it can at most read."""
        return all(
            clause.action in ("reads", "lists", "globs", "pattern", "alone", "default")
            or (clause.action == "also" and clause.rest.startswith("reads "))
            for clause in self.clauses
        )


class Operand(Struct, frozen=True):
    """One kind of operand; `many` for a trailing `...`."""

    kind: str
    many: bool = False


class FixedEffect(Struct, frozen=True):
    """An effect that every call has.

    Zone `here`: `what` is a path in the folder that the command runs in. Zone `elsewhere`: only if that folder
    lies outside the workspace, and then with that folder's zone.
    """

    verb: Verb
    zone: str
    what: str
    labels: tuple[str, ...] = ()


class Grammar(Struct, frozen=True, dict=True):
    """One program or subcommand. `by_name`: only what it can do is known (`can`), not how it is told to."""

    name: str
    about: str = ""
    operands: tuple[Operand, ...] = ()
    options: dict[str, Option] = {}
    abbreviations: bool = True
    stops: bool = False
    single_dash: bool = False
    required: int = 0
    default: tuple[str, ...] = ()
    always: tuple[FixedEffect, ...] = ()
    special: str = ""
    held_text: str = ""
    argument_files: bool = False
    by_name: bool = False
    subcommands: dict[str, Grammar] = {}

    @cached_property
    def harmless(self) -> bool:
        """Whether no words at all could make it do more than read: then words made at run time are fine."""
        return (
            not self.special
            and not self.by_name
            and not self.subcommands
            and not self.held_text
            and all(effect.verb == "reads" for effect in self.always)
            and all(operand.kind in ("text", "reads") for operand in self.operands)
            and all(option.harmless for option in self.options.values())
        )

    @cached_property
    def reads_files(self) -> bool:
        """Whether a word could name a file to read."""
        return any(operand.kind == "reads" for operand in self.operands) or any(
            clause.action in ("reads", "lists")
            for option in self.options.values()
            for clause in option.clauses
        )

    def option(self, name: str) -> Option | None:
        """The option called *name*, or the only one that a GNU abbreviation can mean (getopt_long(3))."""
        if name in self.options:
            return self.options[name]
        if not (self.abbreviations and name.startswith("--") and len(name) > 2):
            return None
        candidates = {id(o): o for n, o in self.options.items() if n.startswith(name)}
        return next(iter(candidates.values())) if len(candidates) == 1 else None


Files = tuple[tuple[str, str], ...]
"""Descriptions beside the shipped ones: (file name, TOML text)."""


@lru_cache(maxsize=16)
def programs(more: Files = ()) -> dict[str, Grammar]:
    """All described programs by name; those in *more* replace the shipped ones. Raises `BadGrammar`."""
    if more:
        return {**programs(), **_merged(more, programs())}
    folder = files("keyturn.readers.shell").joinpath("programs")
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return _merged(((e.name, e.read_text("utf-8")) for e in entries if e.name.endswith(".toml")), {})


def _merged(texts: Iterable[tuple[str, str]], shipped: dict[str, Grammar]) -> dict[str, Grammar]:
    """The programs of several files. An entry with `can` stands back for a full one, wherever that is."""
    found: dict[str, Grammar] = {}
    for source, text in texts:
        for name, grammar in load(text, source, {**shipped, **found}).items():
            before = found.get(name)
            if before is not None and not (before.by_name or grammar.by_name):
                raise BadGrammar(f"{source}: {name}: is described twice")
            if before is None or before.by_name:
                found[name] = grammar
    return found


def load(text: str, source: str, known: dict[str, Grammar] | None = None) -> dict[str, Grammar]:
    """The programs described in one TOML *text*. Raises `BadGrammar` naming *source*."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadGrammar(f"{source}: {error}") from error
    except RecursionError as error:
        raise BadGrammar(f"{source}: is nested too deep") from error
    return _grammars(tables, source, "", known or {})


def _grammars(
    tables: dict[str, Any], source: str, outer: str, known: dict[str, Grammar]
) -> dict[str, Grammar]:
    """Sibling tables; one that is `like` another takes its entry, with further options if it names some."""
    found: dict[str, Grammar] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BadGrammar(f"{source}: {outer}{name} is not a table")
        where = f"{source}: {outer}{name}"
        if "like" not in table:
            found[name] = _grammar(name, table, source, outer, {**known, **found})
            continue
        _types({k: v for k, v in table.items() if k in _TYPES}, where)
        model = _model(table["like"], {**known, **found})
        if model is None or set(table) - _EXTENDS:
            raise BadGrammar(f"{where}: is like one that is not described before it")
        more = _grammars(
            table.get("subcommands", {}),
            source,
            f"{outer}{name} ",
            {**known, **found, **model.subcommands},
        )
        found[name] = replace(
            model,
            name=name,
            about=table.get("about", model.about),
            always=(*model.always, *(_fixed(text, where) for text in table.get("always", []))),
            options={**model.options, **_options(table.get("options", ""), where)},
            held_text=_pattern(table.get("held_text", model.held_text), where),
            subcommands={**model.subcommands, **more},
        )
    return found


def _model(path: str, known: dict[str, Grammar]) -> Grammar | None:
    """The entry that another is `like`: one of those before it at its own level or above, or a subcommand (`docker compose`)."""
    first, *rest = path.split(" ")
    model = known.get(first)
    for name in rest:
        model = model.subcommands.get(name) if model else None
    return model


def _grammar(name: str, table: dict[str, Any], source: str, outer: str, known: dict[str, Grammar]) -> Grammar:
    where = f"{source}: {outer}{name}"
    unknown = set(table) - _SETTINGS
    if unknown:
        raise BadGrammar(f"{where}: unknown setting {sorted(unknown)[0]}")
    _types(table, where)
    if not table.get("about"):
        raise BadGrammar(f"{where}: says nothing about what it does")
    special = table.get("special", "")
    if special and special not in SPECIAL:
        raise BadGrammar(f"{where}: unknown grammar {special}")
    if "can" in table:
        return _by_name(name, table, where)
    subcommands = _grammars(table.get("subcommands", {}), source, f"{outer}{name} ", known)
    return Grammar(
        name=name,
        about=table["about"],
        operands=_operands(table.get("operands", ""), where),
        options=_options(table.get("options", ""), where),
        abbreviations=table.get("abbreviations", True),
        stops=table.get("stops", False),
        single_dash=table.get("single_dash", False),
        required=table.get("required", 0),
        default=tuple(_default(word, where) for word in table.get("default", [])),
        always=tuple(_fixed(text, where) for text in table.get("always", [])),
        special=special,
        held_text=_pattern(table.get("held_text", ""), where),
        argument_files=table.get("argument_files", False),
        subcommands=subcommands,
    )


def _by_name(name: str, table: dict[str, Any], where: str) -> Grammar:
    """A program of which only the worst is known: it has those effects, and is never understood."""
    unknown = [verb for verb in table["can"].split() if verb not in _CAN]
    if unknown or not table["can"].split() or set(table) - {"about", "can"}:
        raise BadGrammar(f"{where}: `can` stands beside `about` only, and is any of {', '.join(_CAN)}")
    effects = dict.fromkeys(effect for verb in table["can"].split() for effect in _CAN[verb])
    return Grammar(
        name, table["about"], by_name=True, always=tuple(_fixed(effect, where) for effect in effects)
    )


def _types(table: dict[str, Any], where: str) -> None:
    for setting, value in table.items():
        wanted = _TYPES[setting]
        texts = wanted is not list or (isinstance(value, list) and all(isinstance(v, str) for v in value))
        if not isinstance(value, wanted) or not texts or (wanted is int and isinstance(value, bool)):
            raise BadGrammar(f"{where}: {setting} is written in another way")


def _operands(text: str, where: str) -> tuple[Operand, ...]:
    operands = tuple(Operand(w.removesuffix("..."), w.endswith("...")) for w in text.split())
    for operand in operands:
        if operand.kind not in OPERANDS:
            raise BadGrammar(f"{where}: unknown operand {operand.kind}")
    if sum(1 for operand in operands if operand.many) > 1:
        raise BadGrammar(f"{where}: more than one kind of operand repeats")
    return operands


def _options(text: str, where: str) -> dict[str, Option]:
    known: dict[str, Option] = {}
    for line in text.strip().splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        usage, _, does = line.strip().partition("  ")
        names, values = [], []
        for written in usage.split(", "):
            match = _NAME.fullmatch(written)
            if not match:
                raise BadGrammar(f"{where}: {written!r} is not an option as manual pages write it")
            names.append(match.group(1))
            values.append(_value_kind(match.group(2)))
        option = Option(tuple(names), tuple(values), _clauses(does.strip(), where))
        for name in names:
            if name in known:
                raise BadGrammar(f"{where}: {name} is described twice")
            known[name] = option
    return known


def _value_kind(written: str | None) -> str:
    if not written:
        return "none"
    return "optional" if written.startswith("[") else "required"


def _clauses(text: str, where: str) -> tuple[Clause, ...]:
    clauses = []
    for piece in filter(None, (part.strip() for part in text.split(";"))):
        action, _, rest = piece.partition(" ")
        if action.rstrip(":") not in VALUE_ACTIONS:
            raise BadGrammar(f"{where}: an option can't do {action!r}")
        action = action.rstrip(":")
        if action == "operands":
            _operands(rest, where)
        if action == "also":
            _fixed(rest, where)
        if action == "only":
            _pattern(rest, where)
        clauses.append(Clause(action, rest))
    return tuple(clauses)


def _default(word: str, where: str) -> str:
    verb, _, path = word.partition(" ")
    if verb not in ("reads", "writes") or not path:
        raise BadGrammar(f"{where}: a default is `reads PATH` or `writes PATH`")
    return word


def _pattern(text: str, where: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise BadGrammar(f"{where}: held_text is not a regular expression ({error})") from error
    return text


def _fixed(text: str, where: str) -> FixedEffect:
    match = re.fullmatch(r"(\w+) (\w+) (.+?)(?: \[(\w+)\])?", text)
    if (
        not match
        or match.group(1) not in get_args(Verb)
        or match.group(2) not in (*ZONES, "here", "elsewhere")
    ):
        raise BadGrammar(f"{where}: {text!r} is not `VERB ZONE WHAT`")
    verb, zone, what, label = match.groups()
    return FixedEffect(verb, zone, what, (label,) if label else ())  # type: ignore[arg-type]


def fixed(text: str) -> FixedEffect:
    """`VERB ZONE WHAT` as a value."""
    return _fixed(text, "effect")
