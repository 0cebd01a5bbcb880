"""A typo in a policy is an error at publication, with its place and a suggestion, not a hole at run time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_building import BASE, policy

from keyturn.policy import Policy, PolicyInvalid, Problem


def problems(rules: str, **more: bytes) -> tuple[Problem, ...]:
    with pytest.raises(PolicyInvalid) as caught:
        policy(rules, **more)
    return caught.value.problems


def rule(condition: str, head: str = "permit(principal, action, resource)") -> str:
    return f'@id("a") @because("b")\n{head}\nwhen {{ {condition} }};'


@pytest.mark.parametrize(
    ("condition", "marked", "suggestion"),
    [
        ('context.programme == "ls"', "programme", '"program"'),
        ('context.whole.efects.contains("reads:home")', "efects", '"effects"'),
        ('principal.nam == "x"', "nam", '"name"'),
        ('context.effects.contains("raeds:workspace")', '"raeds:workspace"', '"reads:workspace"'),
        ('["reads:workspase"].containsAll(context.effects)', '"reads:workspase"', '"reads:workspace"'),
        (
            '["reads:home", "writse:home"].containsAny(context.whole.effects)',
            '"writse:home"',
            '"writes:home"',
        ),
        ('context.effects == ["reads:hom"]', '"reads:hom"', '"reads:home"'),
        ('context.zones.contains("keytrun")', '"keytrun"', '"keyturn"'),
        ('context.verbs.contains("delets")', '"delets"', '"deletes"'),
        ('context.labels.contains("secrte")', '"secrte"', '"secret"'),
        ('context.labelled.contains("reads:secrte")', '"reads:secrte"', '"reads:secret"'),
        ('context.missing.contains("humna")', '"humna"', '"human"'),
        ('context.assurance == "cooprative"', '"cooprative"', '"cooperative"'),
        ('context.assurance like "coop*"', None, ""),
        ('context.assurance like "cop*"', '"cop*"', ""),
        ("context has programme", "programme", '"program"'),
        ("context.program == 3", "context.program == 3", ""),
        ('context.program == "a" && context.whole.steps == "b"', 'context.whole.steps == "b"', ""),
        ('context.program = "a"', "=", "=="),
        ('context.program == "a" and true', "and", "&&"),
        ("context.program == ls", "ls", '"ls"'),
        ('context.effects.contans("reads:home")', "contans", '"contains"'),
        ('context.program == "a', '"', ""),
        ("context.program == 'a'", "'", ""),
        ('principal == Agnt::"x"', "Agnt", '"Agent"'),
        ("(context.complete", "(", ""),
        ("context.complete)", ")", ""),
    ],
)
def test_a_wrong_word_is_underlined_with_a_suggestion(condition, marked, suggestion):
    if marked is None:
        policy(rule(condition))  # negative control: the right word is no error
        return
    first = problems(rule(condition))[0]
    assert (first.file, first.line) == ("rules/main.cedar", 3)
    line, carets = first.render().splitlines()[1:3]
    start, width = carets.index("^"), carets.count("^")
    assert line[start : start + width] == marked
    assert suggestion in first.suggestion


def test_the_rendering_is_what_a_person_reads():
    shown = problems(rule('context.programme == "ls"'))[0].render()
    assert shown == (
        'rules/main.cedar:3:16: there is no attribute "programme"\n'
        '    3 | when { context.programme == "ls" };\n'
        "      |                ^^^^^^^^^\n"
        '      help: did you mean "program"?'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('@because("b") permit(principal, action, resource);', "no @id"),
        ('@id("a") permit(principal, action, resource);', "does not say why"),
        ('@id("A b") @because("b") permit(principal, action, resource);', "@id is lowercase"),
        ('@id("a") @because("b") @hodl permit(principal, action, resource);', "no annotation @hodl"),
        (
            '@id("a") @because("b") @tickets("required") permit(principal, action, resource);',
            "no annotation @tickets",
        ),
        ('@id("a") @because("b") @approve("1 of x") permit(principal, action, resource);', "without @hold"),
        ('@id("a") @because("b") @hold forbid(principal, action, resource);', "it can't hold"),
        ('@id("a") @because("b") @hold("x") permit(principal, action, resource);', "@hold takes no text"),
        (
            '@id("a") @because("b") @hold @approve("two of x") permit(principal, action, resource);',
            "N of GROUP",
        ),
        (
            '@id("a") @because("b") @hold @approve("0 of x") permit(principal, action, resource);',
            "N of GROUP",
        ),
        ('@id("a") @because("b") @hold @approve("") permit(principal, action, resource);', "N of GROUP"),
        (
            '@id("a") @because("b") @hold @approve("1 of Bad_Group!") permit(principal, action, resource);',
            "group's name",
        ),
        ('@id("a") @because("b") @hold @within("soon") permit(principal, action, resource);', "not a time"),
        ('@id("a") @because("b") @hold @reason("maybe") permit(principal, action, resource);', "@reason is"),
        (
            '@id("a") @because("b") @hold @assurance("sure") permit(principal, action, resource);',
            "@assurance is",
        ),
        ('@id("a") @because("b") permit(principal == ?principal, action, resource);', "slots"),
        (
            '@id("a") @because("b") permit(principal, action == Action::"shll", resource);',
            "unrecognized action",
        ),
        (
            '@id("a") @because("b") permit(principal in Target::"x", action, resource);',
            "a principal is never",
        ),
        ('@id("a") @because("b") permit(principal, action, resource is Agent);', "a resource is never"),
        ('@id("a") @because("b") permt(principal, action, resource);', "invalid policy effect"),
        ('@id("a") @because("b") permit(principal, action, resource)', "does not end"),
        (
            '@id("a") @because("b") permit(principal, action, resource) where { true };',
            "invalid policy condition",
        ),
        ('@id("a") @id("b") @because("b") permit(principal, action, resource);', "duplicate annotation"),
        ("hello", "does not end"),
        (";", "unexpected"),
    ],
)
def test_a_rule_that_is_no_rule_is_refused(text, message):
    assert any(message in problem.message for problem in problems(text)), problems(text)


def test_a_kind_s_own_attributes_are_known_only_to_that_kind():
    condition = 'context.server == "github"'
    first = problems(rule(condition))[0]
    assert "server" in first.message
    assert 'Action::"tool"' in first.suggestion
    policy(rule(condition, 'permit(principal, action == Action::"tool", resource)'))


def test_an_id_used_twice_names_both_places():
    twice = BASE.replace('@id("push")', '@id("look")')
    (found,) = problems(twice)
    assert "used already, at rules/main.cedar:3" in found.message
    assert found.line == 6


def test_every_mistake_is_reported_at_once():
    text = rule('context.effects.contains("raeds:home")') + '\n@id("z") permit(principal, action, resource);'
    assert len(problems(text, requirements_toml=b'[defualt]\napprove = "1 of x"\n')) == 3


def test_a_carriage_return_hides_no_rule_in_a_comment():
    """Cedar ends a comment at CR; a rule after it must count for us, too."""
    hidden = BASE + '// note\r@id("x") @because("y") forbid(principal, action, resource);\n'
    assert policy(hidden).rule("x") is not None


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 30 + "true" + ")" * 30,
        "(" * 5000 + "true" + ")" * 5000,
        " && ".join(["context.complete"] * 400),
        "!" * 400 + "true",
        "context" + ".whole" * 400 + ".steps == 1",
        "if true then " * 350 + "true" + " else false" * 350,
        "[" * 30 + "1" + "]" * 30 + " == [1]",
    ],
)
def test_nesting_is_bounded_before_the_parser_sees_it(condition):
    assert "more than" in problems(rule(condition))[0].message


def test_long_lists_are_fine():
    names = ", ".join(f'"p{n}"' for n in range(5000))
    assert len(policy(rule(f"[{names}].contains(context.program)")).rules[0].programs or ()) == 5000


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet='@id("a")permit(pncl,o r){};whe&|=<>!.:[]/\\\n\r\té0', max_size=120))
def test_any_text_is_a_policy_or_an_error_with_a_place(text):
    try:
        Policy.parse({"policy.toml": b'name = "x"', "rules/r.cedar": text.encode()})
    except PolicyInvalid as invalid:
        found = invalid.problems
    else:
        return
    assert all(problem.render() for problem in found)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_one_changed_character_never_breaks_out_as_another_error(data):
    at = data.draw(st.integers(0, len(BASE) - 1))
    new = data.draw(st.sampled_from('"\\{}()[];@&|=.: \nx0é\r'))
    try:
        policy(BASE[:at] + new + BASE[at + 1 :])
    except PolicyInvalid as invalid:
        found = invalid
    else:
        return
    assert found.as_json()["error"]["code"] == "policy.invalid"
    assert found.problems


def test_bytes_that_are_no_text_are_an_error():
    for files in (
        {"policy.toml": b"\xff", "rules/a.cedar": b""},
        {"policy.toml": b'name = "x"', "rules/a.cedar": b"\xff"},
    ):
        with pytest.raises(PolicyInvalid, match="UTF-8"):
            Policy.parse(files)
