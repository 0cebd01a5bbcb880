"""`syntax` -> steps: every simple command, redirection, substitution and assignment, wherever it stands.

The walk keeps the set of folders that the script may be in (`cd` can fail), and the values of variables that
can only have one of a few. Everything is worked out for every possibility; effects are the union.
"""

from __future__ import annotations

from itertools import product

from msgspec.structs import replace

from keyturn.actions import Effect, Step, Unread
from keyturn.readers.http import OddUrl, url_effects
from keyturn.readers.shell.arguments import MAX_ALTERNATIVES, argument, is_safe_value, variables_in
from keyturn.readers.shell.calls import Argument, Call, Scene
from keyturn.readers.shell.commands import work_out
from keyturn.readers.shell.content import Trust, follow
from keyturn.readers.shell.inheritance import within
from keyturn.readers.shell.names import mixes, passed_on, takes_input
from keyturn.readers.shell.scope import after, assigned, without
from keyturn.readers.shell.syntax import (
    Binary,
    Case,
    Condition,
    For,
    Group,
    If,
    Loop,
    Part,
    Redirection,
    Sequence,
    Simple,
    Span,
    Statement,
    Substitution,
    Time,
    Variable,
    Word,
)
from keyturn.readers.shell.variables import environment_problem, is_secret_name, name_problem, own_problem

MAX_STEPS = 400
"""Most steps in one reading."""

MAX_DEPTH = 12
"""Deepest chain of commands that run commands (`env timeout 5 sh -c …`)."""

Folders = frozenset[str | None]


class Walk:
    """One walk over one script; `steps` and `unread` grow in source order."""

    def __init__(self, trust: Trust | None = None) -> None:
        self.trust = trust or Trust()
        self.steps: list[Step] = []
        self.unread: list[Unread] = []
        self._base: Span | None = None
        self._lines: tuple[Argument, ...] | None = None

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
            scene = replace(scene, lines=None)
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
        assert isinstance(command, Condition)
        return self._condition(command, scene)

    def _binary(self, command: Binary, scene: Scene) -> tuple[Folders, Folders]:
        if command.operator in ("|", "|&"):
            self._lines = None
            self.statement(command.left, scene)
            lines = None if command.operator == "|&" else self._lines
            self._lines = None
            self.statement(command.right, replace(scene, piped=True, lines=lines))
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
        scene = without(scene, assigned(command.condition) | assigned(command.body))
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
        problem = name_problem(command.name)
        if problem:
            self._refuse(problem, command.span)
        items = [argument(item, scene) for item in command.items]
        scene = without(scene, assigned(command.body) | {command.name})
        values = tuple(item.text for item in items)
        if (
            all(item.known for item in items)
            and len(items) <= MAX_ALTERNATIVES
            and all(map(is_safe_value, values))
        ):
            scene = replace(scene, variables={**scene.variables, command.name: values})
        return self._again(command.body, scene)

    def _case(self, command: Case, scene: Scene) -> tuple[Folders, Folders]:
        self._substitutions(command.word, scene)
        ends = scene.folders
        for arm in command.arms:
            for pattern in arm.patterns:
                self._substitutions(pattern, scene)
            ends |= frozenset().union(*self.sequence(arm.body, scene))
        return ends, ends

    def _condition(self, command: Condition, scene: Scene) -> tuple[Folders, Folders]:
        call = Call("[[", scene, self._span(command.span))
        for index, token in enumerate(command.tokens):
            if isinstance(token, Word):
                self._substitutions(token, scene)
                before = command.tokens[index - 1] if index else ""
                after = command.tokens[index + 1] if index + 1 < len(command.tokens) else ""
                if before not in ("-n", "-z") and (_looks_at_file(before) or after in ("-nt", "-ot", "-ef")):
                    call.path("reads", argument(token, scene))
        self._step(call, ("[[", "…", "]]"))
        return scene.folders, scene.folders

    # --- simple commands ---------------------------------------------------------------------------

    def _simple(
        self, command: Simple, redirections: tuple[Redirection, ...], scene: Scene
    ) -> tuple[Folders, Folders]:
        for assignment in command.assignments:
            self._substitutions(assignment.value, scene)
            visible = bool(command.words) or command.export
            problem = environment_problem(assignment) if visible else own_problem(assignment)
            if problem:
                self._refuse(problem, assignment.span)
        for word in command.words:
            self._substitutions(word, scene)
        effects = [e for r in redirections for e in self._redirection(r, scene)]
        if not command.words:
            if command.export and not command.assignments:
                self._refuse("export without a name prints every variable", command.span)
            if command.assignments or redirections:
                name = "export" if command.export else "=" if command.assignments else ">"
                shown = tuple(f"{a.name}={argument(a.value, scene).text}" for a in command.assignments)
                self._add(Step(name, shown, effects=tuple(effects), span=self._span(command.span)))
            return scene.folders, scene.folders
        succeeded: Folders = frozenset()
        alternatives = self._alternatives(command.words, scene)
        for words in alternatives:
            succeeded |= self.command(words, scene, self._span(command.span), effects)
        if len(alternatives) > 1:
            self._lines = None
        return succeeded, scene.folders

    def _alternatives(self, words: tuple[Word, ...], scene: Scene) -> list[list[Argument]]:
        """The command's arguments, once for each combination of the known variables in it."""
        names = list(dict.fromkeys(name for word in words for name in variables_in(word, scene)))
        choices = list(product(*(scene.variables[name] for name in names)))
        if len(choices) > MAX_ALTERNATIVES:
            names, choices = [], [()]
        bound = [dict(zip(names, choice, strict=True)) for choice in choices]
        return [[argument(word, scene, values) for word in words] for values in bound]

    def command(
        self, words: list[Argument], scene: Scene, span: Span, extra: list[Effect] | None = None
    ) -> Folders:
        """Work out one command and all that it runs in turn; returns the folders after it succeeded."""
        if scene.depth > MAX_DEPTH or len(self.steps) > MAX_STEPS:
            self._refuse("Commands that run commands, nested too deeply or too many", span)
            return scene.folders
        call = work_out(words, scene, span)
        call.effects += extra or []
        inner = follow(call, self.trust, self._inner)
        self._step(call, tuple(word.text for word in words))
        for step in inner:
            self._add(step)
        deeper = replace(scene, depth=scene.depth + 1)
        for nested, where in call.nested:
            self.command(nested, replace(where, depth=deeper.depth), span)
        for script, dialect, at in call.scripts:
            self._script(script, dialect, at, replace(call.scene, depth=deeper.depth))
        quiet = not (call.nested or call.scripts or inner)
        self._lines = passed_on(call) if quiet else None
        return call.moves if call.moves is not None else scene.folders

    def _inner(self, script: str, dialect: str, call: Call, trust: Trust) -> tuple[list[Step], bool]:
        """The steps of a *script* that *call* takes out of a file, and whether all of it is understood."""
        walk = Walk(trust)
        walk._script(script, dialect, self._span(call.span), replace(call.scene, depth=call.scene.depth + 1))
        return walk.steps, not walk.unread and all(step.complete for step in walk.steps)

    def _script(self, script: str, dialect: str, span: Span, scene: Scene) -> None:
        """A script given as text to `sh -c`: read like the outer one; its spans are the text's."""
        from keyturn.readers.shell.script import understand

        outer, self._base = self._base, span
        try:
            tree = understand(script, dialect)
            if isinstance(tree, Unread):
                self._refuse(tree.why, span)
            else:
                self.sequence(tree, replace(scene, variables={}, own=within(scene.own, script)))
        finally:
            self._base = outer

    # --- parts -------------------------------------------------------------------------------------

    def _substitutions(self, word: Word, scene: Scene) -> None:
        for part in word.parts:
            self._part(part, scene)

    def _part(self, part: Part, scene: Scene) -> None:
        if isinstance(part, Substitution):
            self.sequence(part.script, scene)
        elif isinstance(part, Variable):
            if is_secret_name(part.name) and part.operator not in ("length", ":+", "+"):
                effect = Effect("reads", f"${part.name}", "system", ("secret",))
                self._add(Step("$", (f"${part.name}",), effects=(effect,)))
            if part.word is not None:
                self._substitutions(part.word, scene)

    def _redirections_alone(self, statement: Statement, scene: Scene) -> None:
        effects = [e for r in statement.redirections for e in self._redirection(r, scene)]
        self._add(Step(">", (), effects=tuple(effects), span=self._span(statement.span)))

    def _redirection(self, redirection: Redirection, scene: Scene) -> list[Effect]:
        """The effects of one redirection; here-documents and duplicated descriptors have none of their own."""
        word = redirection.body if redirection.body is not None else redirection.target
        assert word is not None
        self._substitutions(word, scene)
        if redirection.body is not None or redirection.operator in ("<<<", ">&", "<&"):
            return []
        if any(isinstance(part, Substitution) and part.opening != "$(" for part in word.parts):
            return []  # `> >(command)`: a pipe to a command that is a step of its own
        effects = [self._target(words[0], redirection, scene) for words in self._alternatives((word,), scene)]
        return list(dict.fromkeys(effect for some in effects for effect in some))

    def _target(self, target: Argument, redirection: Redirection, scene: Scene) -> list[Effect]:
        call = Call(redirection.operator, scene, self._span(redirection.span))
        if target.text.startswith(("/dev/tcp/", "/dev/udp/")) or (
            not target.known and target.prefix in ("", "/")
        ):
            return self._device(target, redirection, call)
        if redirection.operator in ("<", "<>"):
            call.path("reads", target)
        if redirection.operator != "<":
            call.path("writes", target)
        return call.effects

    def _device(self, target: Argument, redirection: Redirection, call: Call) -> list[Effect]:
        """bash(1) REDIRECTION: `/dev/tcp/host/port` opens a connection; a target that isn't known might be one."""
        pieces = target.text.split("/")
        if target.known and len(pieces) == 5:
            try:
                return url_effects(
                    f"http://{pieces[3]}/", call.scene.around, sends=redirection.operator != "<"
                )
            except OddUrl as odd:
                self._refuse(str(odd), redirection.span)
                return []
        call.path(
            "reads" if redirection.operator == "<" else "writes", replace(target, wild=False, known=False)
        )
        return call.effects

    # --- results -----------------------------------------------------------------------------------

    def _step(self, call: Call, argv: tuple[str, ...]) -> None:
        for problem in call.problems:
            self._refuse(problem.why, problem.span)
        self._add(
            Step(
                call.program,
                argv,
                call.subcommand,
                tuple(dict.fromkeys(call.options)),
                tuple(dict.fromkeys(call.effects)),
                not call.problems,
                call.span,
                tuple(dict.fromkeys(call.code_paths)),
            )
        )

    def _add(self, step: Step) -> None:
        if len(self.steps) < MAX_STEPS:
            if step not in self.steps[-MAX_ALTERNATIVES:]:
                self.steps.append(step)
        else:
            self._refuse(f"More than {MAX_STEPS} commands", step.span)

    def _refuse(self, why: str, span: Span) -> None:
        where = self._span(span)
        note = Unread(where[0], where[1], why)
        if note not in self.unread and len(self.unread) < MAX_STEPS:
            self.unread.append(note)

    def _span(self, span: Span) -> Span:
        return self._base or span


def _looks_at_file(token: str | Word) -> bool:
    return token in ("-nt", "-ot", "-ef") or (
        isinstance(token, str) and len(token) == 2 and token.startswith("-") and token[1].isalpha()
    )
