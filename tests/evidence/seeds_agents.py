"""What should not be of agents, credentials, gates, and what they do: one seed for each exception that a test can tell."""

from __future__ import annotations

from collections.abc import Iterator

from world import DAY, HOUR, MINUTE, digest_of
from world_b import UNTIL, House, seed

# --- who answers for agents ------------------------------------------------------------------------------------------


@seed
def agent_without_a_name(h: House) -> Iterator[float]:
    entry = h.index
    h.expect("agents_owned", entry, h.session(agent=""), "the agent has no name")
    yield from ()


@seed
def agent_of_nobody(h: House) -> Iterator[float]:
    agent, entry = h.fresh("agent"), h.index
    h.expect(
        "agents_owned", entry, h.session(agent=agent, person=None, owner=None), f"nobody answers for {agent}"
    )
    yield from ()


@seed
def agent_of_a_stranger(h: House) -> Iterator[float]:
    who, entry = h.fresh("stranger"), h.index
    session = h.session(owner=None, person=who)
    h.expect("agents_owned", entry, session, f"{who}, who answers for claude-code, is on no roster")
    yield from ()


@seed
def agent_of_somebody_removed(h: House) -> Iterator[float]:
    who = h.joins()
    h.leaves(who)
    entry = h.index
    session = h.session(owner=who)
    h.expect("agents_owned", entry, session, f"{who}, who answers for claude-code, was removed before")
    yield from ()


# --- credentials -----------------------------------------------------------------------------------------------------


@seed
def credential_shared(h: House) -> Iterator[float]:
    agent, entry = h.fresh("agent"), h.index
    credential = h.of_agent(agent)
    finding = h.finding("credential.shared", about={"credential": credential, "agent": agent})
    h.settled(finding)
    h.expect("agents_own_credentials", entry, credential, f"it is shared: {finding}")
    yield from ()


@seed
def credential_of_two_agents(h: House) -> Iterator[float]:
    entry = h.index
    credential = h.of_agent(h.fresh("agent"))
    for agent in ("one", "two"):
        h.session(agent=agent, opener=h.opener(credential))
    h.expect("agents_own_credentials", entry, credential, "2 agents used it")
    yield from ()


@seed
def credential_without_an_owner(h: House) -> Iterator[float]:
    agent, entry = h.fresh("agent"), h.index
    credential = h.of_agent(agent, owner=None)
    h.expect("agents_own_credentials", entry, credential, f"nobody answers for {agent}, whose it is")
    yield from ()


@seed
def credential_without_an_end(h: House) -> Iterator[float]:
    entry = h.index
    credential = h.of_agent(h.fresh("agent"), used=True, expires=0)
    h.expect("agents_own_credentials", entry, credential, "it has no end")
    yield from ()


@seed
def credential_of_a_gate_for_too_long(h: House) -> Iterator[float]:
    gate = h.new_gate()
    entry = h.index
    credential = h.credential("gate", gate, days=91)
    h.expect("agents_own_credentials", entry, credential, "it lasts 91 days")
    yield from ()


@seed
def gate_with_a_token_of_an_earlier_version(h: House) -> Iterator[float]:
    for removed in (False, True):
        gate, entry = h.fresh("gate") + "@host", h.index
        h.add("gate.enrolled", {"name": gate, "assurance": "enforced", "by": "ada", "token": digest_of(gate)})
        if removed:
            h.add("gate.removed", {"name": gate, "by": "ada"})
        else:
            h.gates.append((gate, "enforced"))
        h.expect("agents_own_credentials", entry, gate, "its token of an earlier version has no end")
    yield from ()


@seed
def credential_used_after_its_revocation(h: House) -> Iterator[float]:
    agent, entry = h.fresh("agent"), h.index
    credential = h.of_agent(agent)
    h.add("credential.revoked", {"credential": credential, "by": "mia", "why": "lost"})
    h.session(agent=agent, opener=h.opener(credential))
    h.expect("credentials_fresh", entry, credential, "a session was opened with it after it was revoked")
    yield from ()


@seed
def credential_used_after_its_rotation(h: House) -> Iterator[float]:
    agent, entry = h.fresh("agent"), h.index
    credential = h.of_agent(agent)
    following = h.of_agent(agent)
    fields = {"credential": credential, "next": following, "until": h.now + MINUTE, "by": "mia"}
    h.add("credential.rotated", fields)
    h.wait(minutes=2)
    h.session(agent=agent, opener=h.opener(credential))
    h.expect("credentials_fresh", entry, credential, "a session was opened with it after it was replaced")
    yield from ()


@seed
def credential_used_after_its_end(h: House) -> Iterator[float]:
    agent, entry = h.fresh("agent"), h.index
    credential = h.of_agent(agent, days=1)
    yield 2
    h.session(agent=agent, opener=h.opener(credential))
    h.expect("credentials_fresh", entry, credential, "a session was opened with it after it had expired")


@seed
def credential_beside_the_next(h: House) -> Iterator[float]:
    agent, entry = h.fresh("agent"), h.index
    credential = h.of_agent(agent)
    following = h.of_agent(agent)
    fields = {"credential": credential, "next": following, "until": h.now + 2 * HOUR, "by": "mia"}
    h.add("credential.rotated", fields)
    h.expect("credentials_fresh", entry, credential, "it was good beside the next one for 120 minutes")
    yield from ()


@seed
def credential_of_a_revoked_one(h: House) -> Iterator[float]:
    agent = h.fresh("agent")
    parent = h.of_agent(agent)
    h.add("credential.revoked", {"credential": parent, "by": "mia", "why": "lost"})
    entry = h.index
    credential = h.of_agent(h.fresh("agent"), days=1, parent=parent)
    h.expect("credentials_fresh", entry, credential, f"it was made from {parent}, which was revoked before")
    yield from ()


@seed
def credential_outlives_its_parent(h: House) -> Iterator[float]:
    parent = h.of_agent(h.fresh("agent"), days=5)
    entry = h.index
    credential = h.of_agent(h.fresh("agent"), days=6, parent=parent)
    h.expect("credentials_fresh", entry, credential, f"it outlives {parent}, from which it was made")
    yield from ()


@seed
def person_who_does_nothing(h: House) -> Iterator[float]:
    person = h.joins()
    h.people.remove(person)
    entry, made = h.index - 1, h.now - 1000
    days = (UNTIL - made) // DAY
    h.expect("credentials_dormant", entry, f"person {person}", f"not used for {days} days")
    yield from ()


@seed
def gate_that_nobody_uses(h: House) -> Iterator[float]:
    entry, days = h.index, (UNTIL - h.now) // DAY
    h.expect("credentials_dormant", entry, f"gate {h.enrolled_gate()}", f"not used for {days} days")
    yield from ()


@seed
def credential_that_nobody_uses(h: House) -> Iterator[float]:
    entry, days = h.index, (UNTIL - h.now) // DAY
    credential = h.of_agent(h.fresh("agent"), days=120)
    h.expect("credentials_dormant", entry, f"credential {credential}", f"not used for {days} days")
    h.expect("agents_own_credentials", entry, credential, "it lasts 120 days")
    yield from ()


# --- grants ----------------------------------------------------------------------------------------------------------


def _granted(h: House, minutes: float, uses: int = 0) -> tuple[str, int, str]:
    session = h.start()
    action, request = h.approved(session, "cyd")
    entry = h.index
    return h.grant(request, "cyd", minutes=minutes, uses=uses), entry, action.id


@seed
def grant_used_after_its_revocation(h: House) -> Iterator[float]:
    grant, entry, action = _granted(h, 30, 3)
    h.add("grant.revoked", {"grant": grant, "by": "cyd", "why": "enough"})
    h.add("grant.used", {"grant": grant, "action": action})
    h.expect("grants_narrow", entry, grant, "it was used after it was revoked")
    yield from ()


@seed
def grant_used_after_its_end(h: House) -> Iterator[float]:
    grant, entry, action = _granted(h, 30, 3)
    h.wait(minutes=30)
    h.add("grant.used", {"grant": grant, "action": action})
    h.expect("grants_narrow", entry, grant, "it was used after its end")
    yield from ()


@seed
def grant_used_too_often(h: House) -> Iterator[float]:
    grant, entry, action = _granted(h, 30, 1)
    for _ in range(2):
        h.add("grant.used", {"grant": grant, "action": action})
    h.expect("grants_narrow", entry, grant, "it was used 2 times of 1")
    used = entry - 2
    h.expect("approved_in_time", used, action, "it ran as the use 2 of a grant for 1")
    yield from ()


@seed
def grant_for_too_long(h: House) -> Iterator[float]:
    grant, entry, _ = _granted(h, 30 * 60, 5)
    h.expect("grants_narrow", entry, grant, "it holds for 30 hours")
    yield from ()


@seed
def grant_without_a_limit(h: House) -> Iterator[float]:
    grant, entry, _ = _granted(h, 61)
    h.expect("grants_narrow", entry, grant, "it has no limit of uses, in any session")
    yield from ()


@seed
def grant_unused(h: House) -> Iterator[float]:
    grant, entry, action = _granted(h, 20 * 60, 3)
    h.add("grant.used", {"grant": grant, "action": action})
    h.expect("grants_narrow", entry, grant, "it stood unused for 19 hours")
    yield from ()


# --- what actions do -------------------------------------------------------------------------------------------------


def _mixed(other: str) -> None:
    def made(h: House) -> Iterator[float]:
        session = h.start()
        action, _ = h.voted(session, ("deletes", "network", ("production",)))
        h.let(session, ("reads", "workspace", ("customer", other)))
        h.expect("environments_apart", action.entry, session, f"it touched {other}, too")
        yield from ()

    made.__name__ = f"production_and_{other}"
    seed(made)


for _other in ("staging", "development", "dev", "testing", "test", "qa"):
    _mixed(_other)


@seed
def privileged_by_policy_alone(h: House) -> Iterator[float]:
    session = h.start()
    zones = ("system", "outside", "network", "tool", "keyturn", "home", "device", "unknown")
    effects = [("configures", zone, ()) for zone in zones]
    for effect in (*effects, ("grants", "workspace", ()), ("writes", "workspace", ("production",))):
        action = h.let(session, effect)
        h.expect(
            "privileged_approved", action.entry, action.id, "policy alone let it run: nobody approved it"
        )
    yield from ()


@seed
def privileged_while_observing(h: House) -> Iterator[float]:
    action = h.let(h.start(), ("grants", "system", ()), mode="observe", would="hold")
    words = "it ran because policy only observed: nobody approved it"
    h.expect("privileged_approved", action.entry, action.id, words)
    words = "it ran in observe mode, though policy would hold it"
    h.expect("approved_before_run", action.entry + 1, action.id, words)
    yield from ()


@seed
def privileged_part_of_nothing_approved(h: House) -> Iterator[float]:
    session = h.start()
    first = h.let(session, ("executes", "code", ()))
    reason = f"It is part of {first.id}, which was allowed and runs code."
    action = h.let(session, ("grants", "system", ()), would="hold", reasons=[reason])
    h.voted(session, ("executes", "code", ()))
    words = "it ran as part of another action, and nobody approved one in its session"
    h.expect("privileged_approved", action.entry, action.id, words)
    yield from ()


@seed
def egress_while_observing(h: House) -> Iterator[float]:
    action = h.let(h.start(), ("connects", "network", ()), mode="observe", would="refuse")
    h.expect("egress_decided", action.entry, action.id, "it ran because policy only observed")
    words = "it ran in observe mode, though policy would refuse it"
    h.expect("refused_stays_refused", action.entry, action.id, words)
    yield from ()


@seed
def egress_of_labelled_data(h: House) -> Iterator[float]:
    session = h.start()
    h.add("session.labelled", {"labels": ["customer"], "action": "a"}, session=session)
    action = h.let(session, ("connects", "network", ()), ("sends", "network", ()))
    words = "it sends after labelled data had come into its session, and nobody approved it"
    h.expect("egress_decided", action.entry, action.id, words)
    yield from ()


@seed
def egress_without_a_rule(h: House) -> Iterator[float]:
    action = h.let(h.start(), ("connects", "network", ()), decision=h.decision("run") | {"rules": []})
    h.expect("fields_complete", action.entry, action.id, "it does not say by which rule, or why")
    h.expect("egress_decided", action.entry, action.id, "no rule let it out")
    yield from ()


@seed
def egress_not_understood(h: House) -> Iterator[float]:
    action = h.let(h.start(), ("connects", "network", ()), complete=False)
    words = "it was not read to the last byte, and nobody approved it"
    h.expect("egress_decided", action.entry, action.id, words)
    yield from ()


@seed
def secret_not_sealed(h: House) -> Iterator[float]:
    action = h.action(h.start(), "refuse", facts={"secrets": ["aws"]})
    h.expect("no_secrets", action.entry, action.id, "a secret was found in it, and it is not sealed")
    yield from ()


@seed
def secret_written(h: House) -> Iterator[float]:
    action = h.ran(h.start(), facts={"secrets": ["aws"]}, sealed="hmac-sha256:00")
    finding = h.finding("secret.written", about={"agent": "claude-code", "action": action.id})
    h.settled(finding)
    words = f"it wrote a secret to a file, and nobody approved it: {finding}"
    h.expect("no_secrets", action.entry, action.id, words)
    yield from ()


@seed
def secret_recorded(h: House) -> Iterator[float]:
    entry = h.index
    finding = h.finding("secret.recorded", "critical", about={"object": "entry 3"})
    h.settled(finding)
    h.expect("no_secrets", entry, finding, "a secret stands in the record")
    yield from ()


@seed
def limit_exceeded_alone(h: House) -> Iterator[float]:
    session = h.start()
    for more in ({"exceeded": [{"limit": "queries"}]}, {"facts": {"over": ["queries"]}}):
        action = h.ran(session, **more)
        words = "it exceeds a limit and ran, and nobody approved it"
        h.expect("limits_kept", action.entry, action.id, words)
    yield from ()


@seed
def refusal_without_a_reason(h: House) -> Iterator[float]:
    action = h.action(h.start(), "refuse", decision=h.decision("refuse") | {"rules": []})
    h.expect("refusals_explained", action.entry, action.id, "it does not say why")
    h.expect("fields_complete", action.entry, action.id, "it does not say by which rule, or why")
    yield from ()


@seed
def refusals_that_nobody_saw(h: House) -> Iterator[float]:
    session = h.start()
    for number in range(1, 13):
        action = h.action(session, "refuse")
        if number == 10:
            h.expect(
                "refusals_explained",
                action.entry,
                action.id,
                f"it is refusal 10 in {session}, and nobody looked at it",
            )
    finding = h.finding("retry.variant", "medium", about={"agent": "claude-code", "session": session})
    yield 4
    h.settled(finding)


@seed
def action_without_instruction(h: House) -> Iterator[float]:
    session = h.start()
    for missing, words in (
        (["instruction"], "no instruction is given"),
        (["reasoning"], "no reason is given"),
        (["instruction", "reasoning"], "neither an instruction nor a reason is given"),
    ):
        action = h.action(session, missing=missing)
        h.expect("instructed", action.entry, action.id, words)
    yield from ()


# --- definitions, configurations -------------------------------------------------------------------------------------


@seed
def definition_not_told(h: House) -> Iterator[float]:
    session = h.session(definition=None)
    action = h.ran(session, definition=None)
    h.expect("definitions_approved", action.entry, session, "what claude-code is was not told")
    yield from ()


@seed
def definition_of_nobody(h: House) -> Iterator[float]:
    agent = h.fresh("agent")
    session = h.session(agent=agent)
    first = h.ran(session, agent=agent)
    h.defined(agent)
    h.ran(session, agent=agent)
    digest = digest_of(f"definition of {agent}")
    h.expect("definitions_approved", first.entry, session, f"nobody had approved what {agent} is: {digest}")
    yield from ()


def _withdrawn(h: House, agent: str) -> None:
    fields = {"agent": agent, "digest": digest_of(f"definition of {agent}"), "by": "noa", "why": "too much"}
    h.add("definition.withdrawn", fields)


@seed
def definition_withdrawn_before(h: House) -> Iterator[float]:
    agent = h.fresh("agent")
    session = h.start(agent)
    _withdrawn(h, agent)
    action = h.ran(session, agent=agent)
    digest = digest_of(f"definition of {agent}")
    words = f"the approval of what {agent} is had been withdrawn: {digest}"
    h.expect("definitions_approved", action.entry, session, words)
    yield from ()


@seed
def definition_withdrawn_meanwhile(h: House) -> Iterator[float]:
    agent = h.fresh("agent")
    session = h.start(agent)
    action = h.ran(session, agent=agent)
    _withdrawn(h, agent)
    h.ran(session, agent=agent)
    digest = digest_of(f"definition of {agent}")
    words = f"the approval of what {agent} is had been withdrawn: {digest}"
    h.expect("definitions_approved", action.entry, session, words)
    yield from ()


@seed
def configuration_drifted(h: House) -> Iterator[float]:
    target = h.fresh("target")
    entry = h.sees(target, drifted=2)
    h.expect("configurations_approved", entry, target, "2 fields differ from what people approved")
    yield from ()


@seed
def configuration_unexplained(h: House) -> Iterator[float]:
    target = h.fresh("target")
    entry = h.sees(target, patch={"x": {"image": "v3"}}, explanation={"grade": "CANDIDATE", "change": ""})
    h.expect("configurations_approved", entry, target, "it changed, and no approved change covers it")
    yield from ()


@seed
def configuration_explained_by_nothing_approved(h: House) -> Iterator[float]:
    target = h.fresh("target")
    other = h.approves_configuration(h.fresh("target"))
    for change in ("r_nothing", other):
        entry = h.sees(
            target, patch={"x": {"image": "v3"}}, explanation={"grade": "PROVEN", "change": change}
        )
        words = f"it is explained by {change}, which nobody approved for {target}"
        h.expect("configurations_approved", entry, target, words)
    yield from ()


@seed
def configuration_before_its_window(h: House) -> Iterator[float]:
    target = h.fresh("target")
    change = h.approves_configuration(target, opens=h.now + DAY)
    entry = h.sees(target, patch={"x": {"image": "v3"}}, explanation={"grade": "PROVEN", "change": change})
    words = f"it is explained by {change}, whose window had not opened"
    h.expect("configurations_approved", entry, target, words)
    yield from ()


# --- gates -----------------------------------------------------------------------------------------------------------


@seed
def gate_never_probed(h: House) -> Iterator[float]:
    gate, entry = h.new_gate("cooperative"), h.index
    h.session(gate=gate)
    h.expect("gates_probed", entry, gate, "it was never probed")
    yield from ()


@seed
def gate_whose_client_goes_on(h: House) -> Iterator[float]:
    gate, entry = h.new_gate("cooperative"), h.index
    h.session(gate=gate)
    h.probed(gate, stopped=False)
    yield 85
    h.probed(gate)
    h.expect("gates_probed", entry, gate, "its client did not stop when it was told to")


@seed
def gate_probed_long_ago(h: House) -> Iterator[float]:
    gate = h.new_gate("cooperative")
    h.probed(gate)
    days = (UNTIL - h.now + 1000) // DAY
    entry = h.index
    h.session(gate=gate)
    h.expect("gates_probed", entry, gate, f"it was probed {days} days ago")
    yield from ()


@seed
def gate_unknown(h: House) -> Iterator[float]:
    gate, entry = h.fresh("ghost"), h.index
    h.session(gate=gate, assurance="enforced")
    h.expect("gates_known", entry, gate, "nobody enrolled it, and it never said what it is")
    yield from ()


@seed
def gate_removed(h: House) -> Iterator[float]:
    gate = h.enrolled_gate()
    h.session(gate=gate, assurance="enforced")
    h.add("gate.removed", {"name": gate, "by": "ada"})
    entry = h.index
    h.session(gate=gate, assurance="enforced")
    h.expect("gates_known", entry, gate, "it was removed before")
    yield from ()


@seed
def gate_at_another_level(h: House) -> Iterator[float]:
    gate = h.new_gate()
    entry = h.index
    h.session(gate=gate, assurance="credentialed")
    h.expect("gates_known", entry, gate, "it claims to be credentialed, and is known as enforced")
    yield from ()
