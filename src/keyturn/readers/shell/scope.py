"""Which variables have which known values at a point of a script."""

from __future__ import annotations

from msgspec.structs import replace

from keyturn.readers.shell.arguments import is_safe_value
from keyturn.readers.shell.calls import Scene
from keyturn.readers.shell.syntax import (
    Binary,
    Case,
    For,
    Group,
    If,
    Loop,
    Sequence,
    Simple,
    Statement,
    Time,
)
from keyturn.readers.shell.variables import value_of


def after(statement: Statement, scene: Scene) -> Scene:
    """*scene* with the variables that *statement* surely set, if it is a plain assignment."""
    command = statement.command
    names = assigned(Sequence((statement,)))
    if not names:
        return scene
    variables = {name: values for name, values in scene.variables.items() if name not in names}
    simple = isinstance(command, Simple) and not command.words and not statement.background
    if simple and isinstance(command, Simple):
        for assignment in command.assignments:
            value = value_of(assignment)
            if value is not None and is_safe_value(value) and not assignment.append:
                variables[assignment.name] = (value,)
            else:
                variables.pop(assignment.name, None)
    return replace(scene, variables=variables)


def without(scene: Scene, names: frozenset[str] | set[str]) -> Scene:
    """*scene* in which nothing is known of the variables *names*."""
    return replace(scene, variables={k: v for k, v in scene.variables.items() if k not in names})


def assigned(sequence: Sequence) -> frozenset[str]:
    """Names of all variables that are set anywhere in *sequence* (by assignments or loops)."""
    names: set[str] = set()
    waiting: list[object] = list(sequence.statements)
    while waiting:
        item = waiting.pop()
        command = item.command if isinstance(item, Statement) else item
        if isinstance(command, Simple):
            names |= {assignment.name for assignment in command.assignments}
        elif isinstance(command, Binary):
            waiting += [command.left, command.right]
        elif isinstance(command, Group):
            waiting += command.body.statements
        elif isinstance(command, Loop):
            waiting += command.condition.statements + command.body.statements
        elif isinstance(command, For):
            names.add(command.name)
            waiting += command.body.statements
        elif isinstance(command, If):
            for condition, body in command.branches:
                waiting += condition.statements + body.statements
            waiting += command.otherwise.statements if command.otherwise else ()
        elif isinstance(command, Case):
            for arm in command.arms:
                waiting += arm.body.statements
        elif isinstance(command, Time):
            waiting.append(command.statement)
    return frozenset(names)
