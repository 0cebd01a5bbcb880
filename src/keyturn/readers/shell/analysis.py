"""`syntax` -> steps: every simple command, redirection, substitution and assignment, wherever it stands.

The walk keeps the set of folders that the script may be in (`cd` can fail), and the values of variables that
can only have one of a few. Everything is worked out for every possibility; effects are the union.
"""

from __future__ import annotations

from msgspec.structs import replace

from keyturn.actions import Effect, Step
from keyturn.readers.shell.arguments import MAX_ALTERNATIVES, argument, printed_instead
from keyturn.readers.shell.calls import Argument, Call, Scene
from keyturn.readers.shell.execution import MAX_DEPTH, Commands
from keyturn.readers.shell.grammar import programs
from keyturn.readers.shell.names import echoed, given, mixes, takes_input
from keyturn.readers.shell.results import MAX_STEPS, Folders
from keyturn.readers.shell.scope import after, assigned, combined, functions, redirected, without
from keyturn.readers.shell.syntax import (
    Beside,
    Binary,
    Case,
    Condition,
    Count,
    Evaluation,
    For,
    Function,
    Group,
    If,
    Loop,
    Sequence,
    Simple,
    Statement,
    Time,
    Word,
)


class Walk(Commands):
    """One walk over one script."""

    def script(self, tree: Sequence, scene: Scene) -> None:
        """The whole script. Functions that it defines and doesn't call are walked, too: a later script may call them."""
        self._functions = functions(tree)
        volatile = combined(
            *(
                assigned(each.body.command.body)
                for each in self._all()
                if isinstance(each.body.command, Group)
            )
        )
        everything = combined(assigned(tree), volatile)
        scene = replace(
            scene,
            alone=len(tree.statements) == 1 and isinstance(tree.statements[0].command, Simple),
            odd_splitting="IFS" in everything,
            volatile=volatile,
        )
        for name in redirected(tree):
            self._set(name, None, False, (0, 0))
        self.sequence(tree, scene)
        for name in [name for name in self._functions if name not in self._called]:
            self._call_function(name, scene)

    def _all(self) -> list[Function]:
        return [each for several in self._functions.values() for each in several]

    # --- control flow: each method returns (folders if it succeeded, folders if it failed) -------------

    def sequence(self, sequence: Sequence, scene: Scene) -> tuple[Folders, Folders]:
        """Statements one after the other."""
        succeeded = failed = scene.folders
        for statement in sequence.statements:
            succeeded, failed = self.statement(statement, scene)
            scene = scene.moved(succeeded | failed)
            scene = after(statement, scene)
        return succeeded, failed

    def statement(self, statement: Statement, scene: Scene) -> tuple[Folders, Folders]:
        """One statement with its redirections, `!` and `&`."""
        command = statement.command
        if takes_input(statement.redirections):
            text = given(statement.redirections) if isinstance(command, Simple) else None
            scene = replace(scene, lines=None, given=text)
        if not isinstance(command, Simple):
            scene = replace(scene, given=None)  # its first commands may take some of the input away
        if isinstance(command, Simple):
            succeeded, failed = self._simple(command, statement.redirections, scene)
        else:
            if statement.redirections:
                self._redirections_alone(statement, scene)
            succeeded, failed = self._compound(statement, scene)
        single = isinstance(command, Simple) or (isinstance(command, Binary) and command.operator == "|")
        if not single or mixes(statement.redirections):
            self._lines = None
        if statement.background:
            return scene.folders, scene.folders
        return (failed, succeeded) if statement.negated else (succeeded, failed)

    def _compound(self, statement: Statement, scene: Scene) -> tuple[Folders, Folders]:
        command = statement.command
        if isinstance(command, Binary):
            return self._binary(command, scene)
        if isinstance(command, Group):
            result = self.sequence(command.body, scene)
            return (scene.folders, scene.folders) if command.opening == "(" else result
        if isinstance(command, If):
            return self._if(command, scene)
        if isinstance(command, Loop):
            return self._loop(command, scene)
        if isinstance(command, For):
            return self._for(command, scene)
        if isinstance(command, Case):
            return self._case(command, scene)
        if isinstance(command, Time):
            return self.statement(command.statement, scene)
        if isinstance(command, Condition):
            return self._condition(command, scene)
        if isinstance(command, Count):
            return self._count(command, scene)
        if isinstance(command, Evaluation):
            self._arithmetic(command.expression, scene)
        elif isinstance(command, Function):
            self._define(command, scene)
        else:
            assert isinstance(command, Beside)
            self._set(command.name, None, False, command.span)
            self.sequence(command.body, replace(scene, piped=True, lines=None, given=None))
        return scene.folders, scene.folders

    # --- functions -------------------------------------------------------------------------------------

    def _define(self, command: Function, scene: Scene) -> None:
        self._defined.add(command.name)
        if command.name in programs(scene.around.programs):
            effect = Effect("configures", f"what {command.name} means", "code")
            self._add(Step(command.name, (), effects=(effect,), span=self._span(command.span)))

    def _call_function(self, name: str, scene: Scene) -> Folders:
        """Walk every body that *name* may have; returns the folders after it."""
        self._called.add(name)
        ends: Folders = frozenset()
        for each in self._functions[name]:
            self._evaluated += 1
            if name in self._running or len(self._running) > MAX_DEPTH:
                self._refuse("A function that calls itself", each.span)
                return scene.folders
            if self._evaluated > MAX_STEPS:
                self._refuse(f"More than {MAX_STEPS} calls of functions", self._functions[name][0].span)
                return scene.folders
            self._running.append(name)
            ends |= frozenset().union(*self.statement(each.body, scene))
            self._running.pop()
        return ends

    def _count(self, command: Count, scene: Scene) -> tuple[Folders, Folders]:
        first, condition, step = command.header
        if first is not None:
            self._arithmetic(first, scene)
            scene = after(Statement(Evaluation(first)), scene)
            scene = replace(scene, numbers=scene.numbers | (set(first.sets) - self._unsure(scene)))
        again = tuple(Statement(Evaluation(part)) for part in (condition, step) if part is not None)
        body = Sequence((*again, *command.body.statements))
        return self._again(body, without(scene, assigned(body)))

    def _binary(self, command: Binary, scene: Scene) -> tuple[Folders, Folders]:
        if command.operator in ("|", "|&"):
            self._lines = None
            self.statement(command.left, scene)
            lines = None if command.operator == "|&" else self._lines
            self._lines = None
            text = None if command.operator == "|&" or "echo" in self._functions else echoed(command.left)
            self.statement(command.right, replace(scene, piped=True, lines=lines, given=text))
            return scene.folders, scene.folders  # each side runs in a subshell
        succeeded, failed = self.statement(command.left, scene)
        if command.operator == "&&":
            if succeeded:
                ran, broke = self.statement(command.right, after(command.left, scene.moved(succeeded)))
                return ran, failed | broke
            return succeeded, failed
        if failed:
            left = assigned(Sequence((command.left,)))
            ran, broke = self.statement(command.right, without(scene.moved(failed), left))
            return succeeded | ran, broke
        return succeeded, failed

    def _if(self, command: If, scene: Scene) -> tuple[Folders, Folders]:
        ends: Folders = frozenset()
        for condition, body in command.branches:
            succeeded, failed = self.sequence(condition, scene)
            scene = without(scene, assigned(condition))
            ran = self.sequence(body, scene.moved(succeeded or scene.folders))
            ends |= ran[0] | ran[1]
            scene = scene.moved(failed or scene.folders)
        if command.otherwise is not None:
            ran = self.sequence(command.otherwise, scene)
            ends |= ran[0] | ran[1]
        else:
            ends |= scene.folders
        return ends, ends

    def _loop(self, command: Loop, scene: Scene) -> tuple[Folders, Folders]:
        scene = without(scene, combined(assigned(command.condition), assigned(command.body)))
        body = Sequence(command.condition.statements + command.body.statements)
        return self._again(body, scene)

    def _again(self, body: Sequence, scene: Scene) -> tuple[Folders, Folders]:
        """*body* run any number of times: if it changes the folder, it runs in folders that aren't known."""
        kept = len(self.steps), len(self.unread)
        ends = scene.folders | frozenset().union(*self.sequence(body, scene))
        if ends != scene.folders:
            del self.steps[kept[0] :], self.unread[kept[1] :]
            ends = scene.folders | {None}
            ends |= frozenset().union(*self.sequence(body, scene.moved(ends)))
        return ends, ends

    def _for(self, command: For, scene: Scene) -> tuple[Folders, Folders]:
        for item in command.items:
            self._substitutions(item, scene)
        self._set(command.name, None, False, command.span)
        items = [argument(item, scene) for item in command.items]
        scene = without(scene, combined(assigned(command.body), {command.name: False}))
        values = tuple(dict.fromkeys(item.text for item in items))
        known = all(item.known for item in items) and len(items) <= MAX_ALTERNATIVES
        if known and command.keyword == "for" and not {command.name, "*"} & set(scene.volatile):
            scene = replace(scene, variables={**scene.variables, command.name: values})
        elif command.keyword == "for" and not {command.name, "*"} & set(scene.volatile):
            fitting = [
                one
                for item, word in zip(items, command.items, strict=True)
                for one in _fitting(word, item, scene)
            ]
            if len(fitting) <= MAX_ALTERNATIVES and all(one.known or one.wild for one in fitting):
                scene = replace(scene, patterns={**scene.patterns, command.name: tuple(fitting)})
        return self._again(command.body, scene)

    def _case(self, command: Case, scene: Scene) -> tuple[Folders, Folders]:
        self._substitutions(command.word, scene)
        ends = scene.folders
        for arm in command.arms:
            for pattern in arm.patterns:
                self._substitutions(pattern, scene)
            ran = frozenset[str | None]().union(*self.sequence(arm.body, scene))
            ends |= ran
            if arm.end != ";;":
                scene = without(scene.moved(scene.folders | ran), assigned(arm.body))
        return ends, ends

    def _condition(self, command: Condition, scene: Scene) -> tuple[Folders, Folders]:
        call = Call("[[", scene, self._span(command.span))
        for index, token in enumerate(command.tokens):
            if isinstance(token, Word):
                self._substitutions(token, scene)
                before = command.tokens[index - 1] if index else ""
                after = command.tokens[index + 1] if index + 1 < len(command.tokens) else ""
                if before not in ("-n", "-z", "-v") and (
                    _looks_at_file(before) or after in ("-nt", "-ot", "-ef")
                ):
                    call.path("reads", argument(token, scene))
        self._step(call, ("[[", "…", "]]"))
        return scene.folders, scene.folders


def _fitting(word: Word, item: Argument, scene: Scene) -> list[Argument]:
    """What each name that *word* becomes fits."""
    return [replace(row[0], many=False) for row in printed_instead((word,), [item], scene, named=False)]


def _looks_at_file(token: str | Word) -> bool:
    return token in ("-nt", "-ot", "-ef") or (
        isinstance(token, str) and len(token) == 2 and token.startswith("-") and token[1].isalpha()
    )
