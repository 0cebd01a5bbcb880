"""Content follows the command: files that a step runs, where the gate found out what is in them.

- A shell script that is understood to the last byte *is* what it says: its commands become steps, and the step that
  starts it no longer counts as code. Only inside the workspace; anywhere else others may write.
- Any other file stays code: the gate digests it into the action, and of a script, Makefile or package.json those
  commands are told that reach beyond the workspace.
- A file that does not exist yet, or that can't be digested, is not understood.
- A command that may rewrite a file which it then runs is judged as if nobody had looked into it.

What changes a file between the reading and the running, and in no step of this command, only a gate that stands where
programs start can see; that is the exec gate's business.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from keyturn.actions import Step
from keyturn.readers.shell.calls import Call, CodeUse
from keyturn.readers.shell.projects import found_by_name, scripts_of
from keyturn.resources import CodeFile, Surroundings, zone

MAX_CHAIN = 4
"""Deepest chain of scripts that run scripts which is read."""

_OUTWARD = frozenset(("grants", "sends", "connects", "configures"))
_INSIDE = frozenset(("workspace", "temporary", "device", "code"))
_CHANGING = frozenset(("writes", "deletes", "configures"))


class Trust(Struct):
    """Which files a walk reads in place of running them. `chain` are those it is inside of; `read` grows."""

    doubted: bool = False
    chain: tuple[str, ...] = ()
    read: set[str] = set()


Read = Callable[[str, str, Call, Trust], tuple[list[Step], bool]]


def follow(call: Call, trust: Trust, read: Read) -> list[Step]:
    """The steps inside the files that *call* runs. Takes the `code` off *call* where they say all that it does."""
    call.files += found_by_name(call)
    call.code_paths += [path for use in call.files for path in use.paths]
    contents = call.scene.around.contents
    if contents is None:
        return []
    known = {file.path: file for file in contents}
    steps: list[Step] = []
    for use in call.files:
        steps += _use(use, [known.get(path) for path in use.paths], call, trust, read)
    return steps


def _use(use: CodeUse, found: list[CodeFile | None], call: Call, trust: Trust, read: Read) -> list[Step]:
    files = [file for file in found if file is not None and not file.missing]
    by_name = use.language in ("make", "package")
    if by_name:
        files = files[:1]  # the first one there is the one that counts
    elif None in found:
        call.refuse(f"{use.shown} was not looked into: too many files run one another")
    elif not files:
        call.refuse(f"{use.shown} doesn't exist yet, so what it does isn't known")
    for file in files:
        if file.why:
            call.refuse(f"{use.shown} {file.why}")
    if any(file.why for file in files):
        return []
    steps: list[Step] = []
    whole = bool(files) and not by_name
    for file in files:
        inner, complete = _file(use, file, call, trust, read)
        call.code_paths += [path for step in inner for path in step.code]
        whole = whole and complete and zone(file.path, call.scene.around) == "workspace"
        steps += inner
    if whole and not trust.doubted:
        trust.read.update(use.paths)
        shown = {use.shown, *use.paths}
        call.effects = [e for e in call.effects if not (e.verb == "executes" and e.what in shown)]
        return steps
    return [step for step in steps if step.complete and _reaches_out(step)]


def _file(use: CodeUse, file: CodeFile, call: Call, trust: Trust, read: Read) -> tuple[list[Step], bool]:
    """The steps in one *file*, and whether they are all that it does."""
    if file.text is None or file.path in trust.chain or len(trust.chain) >= MAX_CHAIN:
        return [], False
    scripts, complete = scripts_of(use, file.text)
    inner = Trust(trust.doubted, (*trust.chain, file.path), trust.read)
    steps: list[Step] = []
    for text, dialect in scripts:
        more, understood = read(text, dialect, call, inner)
        steps += more
        complete = complete and understood
    return steps, complete


def _reaches_out(step: Step) -> bool:
    """Whether *step* does more than code of a workspace is expected to do in it."""
    return any(
        effect.verb in _OUTWARD
        or bool(effect.labels)
        or (effect.verb in ("writes", "deletes") and effect.zone not in _INSIDE)
        or (effect.verb == "reads" and effect.zone in ("home", "outside", "keyturn"))
        for effect in step.effects
    )


def rewritten(trust: Trust, steps: list[Step], around: Surroundings) -> bool:
    """Whether one of *steps* may change a file that was read in place of being run (errs towards yes)."""
    if not trust.read:
        return False
    names = trust.read | {real for named, real in around.links if named in trust.read}
    paths = {name.casefold() for name in names}
    changed = {
        effect.what.casefold()
        for step in steps
        for effect in step.effects
        if effect.verb in _CHANGING and effect.zone not in ("device", "code", "tool", "network", "loopback")
    }
    return any(_touches(what, path) for what in changed for path in paths)


def _touches(what: str, path: str) -> bool:
    if not what.startswith("/"):
        return True
    parts = what.rstrip("/").split("/")
    at = next((n for n, part in enumerate(parts) if any(mark in part for mark in "*?[{$…")), len(parts))
    fixed = "/".join(parts[:at])
    return ".." in parts or path == fixed or path.startswith(fixed + "/")


__all__ = ["MAX_CHAIN", "Trust", "follow", "rewritten"]
