"""Proves a property of a policy for every action there can be, or gives one action that breaks it, as the real engine decides it.

    never run when context.labelled.contains("writes:production")
    always refuse when effects has "writes:keyturn"
    every hold asks at least 2 people when context.labels.contains("production")
    rule rm-build implies rule delete
    rule old-git is shadowed
    no new run since 41c0ffee                      (a version, or a folder)

What a proof speaks of is the policy: grants, plans and broken glass, which people give, are not in it. `when` takes a Cedar expression as
rules do; `SET has "x"` is short for `context.SET.contains("x")`, and `and`, `or`, `not` for Cedar's signs.

Rules kept here:

- *Proven* means that the solver found no step of any kind, at any time, that breaks it; the last word on a counterexample has the engine:
  one that it does not confirm is a mistake, and said to be one.
- An action of several steps runs only if each of its steps would, so what is proven of every step in every whole action holds for actions.
  A counterexample is shown as one step in no special circumstances where there is such a one. If none can be shown, the answer is "not
  decided", never "proven".
- What drift.toml and freezes do beside the rules only makes decisions stricter. Properties that this can't break are proven whatever they
  do; the others under what `assumes` says.
- Without an answer in `SECONDS` nothing is claimed.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from msgspec import Struct

from keyturn.actions import Reading
from keyturn.policy.decision import Decision, Facts
from keyturn.policy.engine import Policy
from keyturn.policy.proving.claims import Claim, claim_of, key
from keyturn.policy.proving.concrete import Concrete
from keyturn.policy.proving.encode import Encoder, labels_in
from keyturn.policy.proving.errors import NoSolver, NotExpressible, ProofUnconfirmed
from keyturn.policy.proving.world import World

SECONDS = 60
ASSUMED = (
    "no limit, order, freeze or missing attribution makes a decision stricter, and the definition is approved"
)
TRIES = 4
"""Models looked at before it is said that none can be made real."""


class Counterexample(Struct, frozen=True):
    """An action that breaks the property, and what the engine says of it."""

    kind: str
    reading: Reading
    facts: Facts
    at: int
    decision: Decision
    before: Decision | None = None


class Proof(Struct, frozen=True):
    """The answer: proven, or a counterexample. `kinds` are those of which the property can speak; `assumes` what it is proven under."""

    property: str
    policy: str
    proven: bool
    kinds: tuple[str, ...]
    assumes: str = ""
    counterexample: Counterexample | None = None


def prove(policy: Policy, text: str, older: Policy | None = None) -> Proof:
    """Prove *text* of *policy*. *older* is the version that `no new run` compares with.

    Raises `NoSolver`, `PropertyMalformed`, `NotExpressible`, `ProofUnconfirmed`.
    """
    if find_spec("z3") is None:
        raise NoSolver("The solver z3 is not installed.")
    z3 = import_module("z3")
    claim = claim_of(z3, policy, " ".join(text.split()), older)
    for kind in claim.kinds:
        found = _search(z3, policy, claim, kind)
        if found is not None:
            before = older.decide(kind, found[0], found[1], found[2]) if older else None
            decision = policy.decide(kind, *found)
            return Proof(
                text, policy.digest, False, claim.kinds, "", Counterexample(kind, *found, decision, before)
            )
    return Proof(text, policy.digest, True, claim.kinds, "" if claim.tightens else ASSUMED)


def _search(z3: Any, policy: Policy, claim: Claim, kind: str) -> tuple[Reading, Facts, int] | None:
    """An action of *kind* that breaks the claim, confirmed by the engine; None where there is none."""
    world = World(z3, kind, labels_in(claim.rules, [label.name for label in policy.labels]))
    encoder = Encoder(world)
    matches = {key(rule): encoder.rule(rule) for rule in claim.rules if kind in rule.kinds}
    solver = z3.Solver()
    solver.set("timeout", SECONDS * 1000)
    solver.add(claim.breaks(encoder, matches))
    solver.add(*world.laws())
    if not claim.tightens:
        solver.add(*world.calm())
    simple = False
    for _ in range(TRIES):
        answer = solver.check()
        if answer == z3.unsat:
            break
        if answer != z3.sat:
            raise NotExpressible(
                f"The solver gave no answer in {SECONDS} seconds for actions of kind {kind}."
            )
        model, simple = _simplest(z3, world, solver)
        concrete = Concrete(world, model)
        found = concrete.reading(), concrete.facts(), concrete.at()
        if claim.broken(kind, *found):
            return found
        if simple:
            decided = policy.decide(kind, *found)
            said = f"{decided.would}, {decided.reasons}, for {found}"
        solver.add(_another(z3, world, model))
    else:
        if simple:
            raise ProofUnconfirmed(f"The engine decides otherwise than the solver says: {said}.")
        raise NotExpressible(
            f"The rules alone let actions of kind {kind} break it, but only of several steps, or in circumstances that drift.toml holds "
            "anyway: no such action could be shown."
        )
    return None


def _simplest(z3: Any, world: World, solver: Any) -> tuple[Any, bool]:
    """A model that people can read, and whether it is of one step in no special circumstances. *solver* has found one."""
    model = solver.model()
    alone, calm = world.alone(), world.calm()
    for wanted, is_simple in ((alone + calm, True), (alone, False), (calm, False)):
        found = _with(solver, wanted)
        if found is not None:
            model, simple = found, is_simple
            break
    else:
        return solver.model() if str(solver.check()) == "sat" else model, False
    for most in (0, 1, 2):
        few = [z3.AtMost(*made, most) for made in (world.step.pair.values(), world.step.mark.values())]
        found = _with(solver, wanted + few)
        if found is not None:
            return found, simple
    return model, simple


def _with(solver: Any, more: list[Any]) -> Any:
    """A model that has *more*, or None."""
    solver.push()
    solver.add(*more)
    found = solver.model() if str(solver.check()) == "sat" else None
    solver.pop()
    return found


def _another(z3: Any, world: World, model: Any) -> Any:
    """Another model than this one: another program, other words, or another path."""
    texts = [world.text[name] for name in ("program", "words", "path", "host", "target")]
    return z3.Or([text != model.eval(text, model_completion=True) for text in texts])


__all__ = ["Counterexample", "Proof", "prove"]
