"""Small policies and readings to try promises on."""

from __future__ import annotations

from hypothesis import strategies as st

from keyturn.actions import Effect, Reading, Step, Unread
from keyturn.policy import Facts, Policy

SETTINGS = b'name = "tried"\nmode = "enforce"\n'

BASE = """
@id("look") @because("looking is fine")
permit(principal, action, resource)
when { ["reads:workspace", "writes:device"].containsAll(context.effects) };

@id("push") @because("others see it") @hold @approve("2 of dba, then 1 of security") @within("15m")
permit(principal, action == Action::"shell", resource)
when { context.program == "git" && context.subcommand == "push" };

@id("network") @because("it leaves this machine") @hold @approve("1 of security") @reason("required")
permit(principal, action, resource)
when { context.effects.contains("connects:network") };

@id("own-files") @because("these files are for people")
forbid(principal, action, resource)
when { context.zones.contains("keyturn") };
"""


def policy(rules: str = BASE, *, mode: str = "enforce", **more: bytes) -> Policy:
    """A policy of these rules; `more` are further files, `__` standing for `/` and `_toml` for `.toml`."""
    files = {"policy.toml": f'name = "tried"\nmode = "{mode}"\n'.encode(), "rules/main.cedar": rules.encode()}
    files |= {name.replace("__", "/").replace("_toml", ".toml"): data for name, data in more.items()}
    return Policy.parse(files)


def step(
    program: str = "ls", *effects: str, subcommand: str = "", complete: bool = True, words: str = ""
) -> Step:
    """A step with effects written `verb:zone` or `verb:zone:label`."""
    made = []
    for number, text in enumerate(effects):
        verb, zone, *labels = text.split(":")
        what = "example.org" if zone == "network" else f"/{zone}/file{number}"
        made.append(Effect(verb, what, zone, tuple(labels)))  # type: ignore[arg-type]
    argv = (program, *filter(None, subcommand.split()), *words.split())
    return Step(program, argv, subcommand, effects=tuple(made), complete=complete)


def reading(*steps: Step, complete: bool = True, kind: str = "shell") -> Reading:
    """A reading of these steps."""
    unread = () if complete else (Unread(3, 9, "a word nobody knows"),)
    return Reading(kind, complete, steps, unread, "Does something.")


LOOK = step("ls", "reads:workspace")
PUSH = step("git", "connects:network", subcommand="push")
FETCH = step("curl", "connects:network")
OWN = step("cat", "reads:keyturn")
STRANGE = step("frobnicate", "writes:outside")
FACTS = Facts(agent="coder", client="claude-code", human="dana", assurance="cooperative")

effects = st.sampled_from(
    (
        "reads:workspace",
        "writes:workspace",
        "writes:device",
        "deletes:home",
        "connects:network",
        "reads:keyturn",
        "reads:home:secret",
        "configures:workspace",
        "executes:code",
    )
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Any step."""
    return step(
        draw(st.sampled_from(("ls", "git", "curl", "rm", "odd\nname", ""))),
        *draw(st.lists(effects, max_size=4)),
        subcommand=draw(st.sampled_from(("", "push", "status"))),
        complete=draw(st.booleans()),
        words=draw(st.sampled_from(("", "--force", "a b é", "\x00"))),
    )


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Any reading."""
    return reading(*draw(st.lists(steps(), max_size=4)), complete=draw(st.booleans()))


facts = st.builds(
    Facts,
    agent=st.sampled_from(("coder", "", 'a"b', "line\nbreak")),
    client=st.sampled_from(("", "codex")),
    human=st.sampled_from((None, "dana")),
    human_groups=st.sampled_from(((), ("dba",))),
    missing=st.sampled_from(((), ("human",))),
    target=st.sampled_from(("local", "production")),
    definition_known=st.booleans(),
)

_CONDITIONS = (
    'context.program == "git"',
    '["curl", "ls"].contains(context.program)',
    'context.effects.contains("connects:network")',
    '["reads:workspace"].containsAll(context.effects)',
    "context.complete",
    'context.labels.contains("secret")',
    'context.subcommand == "push" || context.human_known',
    "context.whole.steps > 1",
    "true",
)


@st.composite
def rule(draw: st.DrawFn, number: int, verdicts: tuple[str, ...] = ("run", "hold", "refuse")) -> str:
    """One rule with a verdict and one or two conditions."""
    verdict = draw(st.sampled_from(verdicts))
    head = {"run": "permit", "hold": "@hold permit", "refuse": "forbid"}[verdict]
    scope = draw(st.sampled_from(("action", 'action == Action::"shell"', 'action == Action::"file"')))
    conditions = draw(st.lists(st.sampled_from(_CONDITIONS), min_size=1, max_size=2))
    text = " && ".join(f"({condition})" for condition in conditions)
    return (
        f'@id("r{number}") @because("rule {number}") {head}(principal, {scope}, resource) when {{ {text} }};'
    )


@st.composite
def rule_lists(draw: st.DrawFn) -> list[str]:
    """Two to seven rules."""
    return [draw(rule(number)) for number in range(draw(st.integers(2, 7)))]
