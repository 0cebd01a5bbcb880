"""Files that hold shell text: scripts by their first line, Makefiles (GNU make manual), package.json (npm-run-script(1)).

Makefiles and package.json are read for what they say plainly. Both do more than that (implicit rules, configuration of
npm), so whoever runs them runs code all the same; what is found here is told besides.
"""

from __future__ import annotations

import posixpath
import re

import msgspec

from keyturn.readers.shell.calls import Call, CodeUse
from keyturn.resources import inside

MAX_SCRIPTS = 60
"""Most recipe lines and package scripts that one command is followed into."""

_SHEBANG = re.compile(
    r"#![ \t]?(?:/usr)?/bin/(?:env[ ])?(bash|sh|dash)(?:[ ]-[euxf]+|[ ]-o[ ]pipefail)?[ \t]*(?:\n|$)"
)
_ENV_WITH_OPTIONS = re.compile(r"#![ \t]?(?:/usr)?/bin/env[ ]\S+[ ]")
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_RUN = frozenset(("run", "run-script"))
_SCRIPTED = frozenset(("npm", "yarn", "pnpm", "bun"))
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)[ \t]*(?:\?|::?)?=[ \t]*(.*)")
_RULE = re.compile(r"([A-Za-z0-9_./-]+(?:[ \t]+[A-Za-z0-9_./-]+)*)[ \t]*:(?![:=])[ \t]*(.*)")
_EXPANDED = re.compile(r"\$(?:\(([A-Za-z_]\w*)\)|\{([A-Za-z_]\w*)\}|(\$)|(@))")


def found_by_name(call: Call) -> list[CodeUse]:
    """The files that *call*'s program looks for by itself: Makefiles, package.json."""
    if call.program == "make":
        targets = tuple(o.text for o in call.operands if o.known and "=" not in o.text)
        if any(option in ("-f", "--file", "--makefile") for option in call.options):
            named = [CodeUse(use.shown, use.paths, "make", targets) for use in call.files]
            call.files.clear()
            return named
        return [_one_of(_MAKEFILES, call, "make", targets)]
    if call.program in _SCRIPTED and call.subcommand:
        called = call.subcommand.split()[-1]
        first = next((o.text for o in call.operands if o.known and not o.text.startswith("-")), "")
        name = first if called in _RUN else {"t": "test"}.get(called, called)
        return [_one_of(_upward(call), call, "package", (f"pre{name}", name, f"post{name}"))]
    return []


def _one_of(texts: tuple[str, ...], call: Call, language: str, names: tuple[str, ...]) -> CodeUse:
    paths = tuple(path for text in texts for path in call.places(text))
    return CodeUse(texts[0], paths, language, names)


def _upward(call: Call) -> tuple[str, ...]:
    """package.json in the folder and those above it, as far as the workspace (npm-prefix(1))."""
    workspace, found = call.scene.around.workspace, []
    for folder in sorted(folder for folder in call.scene.folders if folder):
        while True:
            found.append(posixpath.join(folder, "package.json"))
            if not workspace or folder == workspace or not inside(folder, workspace):
                break
            folder = posixpath.dirname(folder)
    return tuple(dict.fromkeys(found)) or ("package.json",)


def scripts_of(use: CodeUse, text: str) -> tuple[list[tuple[str, str]], bool]:
    """The scripts in *text*, each with its dialect, and whether they are all that it does."""
    if use.language in ("bash", "posix"):
        return [(text, use.language)], True
    if use.language == "shebang":
        match = None if _ENV_WITH_OPTIONS.match(text) else _SHEBANG.match(text)
        return ([(text, "bash" if match.group(1) == "bash" else "posix")], True) if match else ([], False)
    if use.language == "make":
        return [(line, "posix") for line in _recipes(text, use.names)], False
    if use.language == "package":
        return [(line, "posix") for line in _package_scripts(text, use.names)], False
    return [], False


def _package_scripts(text: str, names: tuple[str, ...]) -> list[str]:
    try:
        package = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    scripts = package.get("scripts") if isinstance(package, dict) else None
    if not isinstance(scripts, dict):
        return []
    return [scripts[name] for name in names if isinstance(scripts.get(name), str)][:MAX_SCRIPTS]


def _recipes(text: str, targets: tuple[str, ...]) -> list[str]:
    """The recipe lines that *targets* (the first one, without) and what they need would run, as far as it is plain."""
    variables: dict[str, str] = {}
    needs: dict[str, list[str]] = {}
    lines: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.replace("\\\n", " ").split("\n"):
        if line.startswith("\t"):
            for target in current:
                lines[target].append(line.strip().lstrip("@+-").strip())
            continue
        line = line.partition("#")[0].strip()
        if match := _ASSIGNED.fullmatch(line):
            variables.setdefault(match.group(1), match.group(2))
        elif match := _RULE.fullmatch(line):
            before, _, first = match.group(2).partition(";")
            current = match.group(1).split()
            for target in current:
                needs.setdefault(target, []).extend(before.split())
                lines.setdefault(target, []).extend([first.strip()] if first.strip() else [])
        elif line:
            current = []
    first_one = next((target for target in needs if not target.startswith(".")), "")
    found: list[str] = []
    waiting, seen = list(targets or (first_one,))[::-1], set[str]()
    while waiting and len(found) < MAX_SCRIPTS:
        target = waiting.pop()
        if target not in seen and target in needs:
            seen.add(target)
            waiting += needs[target][::-1]
            found += [expanded for line in lines[target] if (expanded := _expanded(line, target, variables))]
    return found[:MAX_SCRIPTS]


def _expanded(line: str, target: str, variables: dict[str, str]) -> str | None:
    """*line* with make's variables put in; None where that takes more than looking up a name."""
    for _ in range(8):
        unknown = False

        def value(match: re.Match[str]) -> str:
            nonlocal unknown
            name = match.group(1) or match.group(2)
            if match.group(3):
                return "\0"
            if match.group(4):
                return target
            unknown = unknown or name not in variables
            return variables.get(name, "")

        again = _EXPANDED.sub(value, line)
        if unknown or len(again) > 16_384:
            return None
        if again == line:
            break
        line = again
    plain = line.replace("\0", "")
    return None if "$" in plain else line.replace("\0", "$")


__all__ = ["MAX_SCRIPTS", "found_by_name", "scripts_of"]
