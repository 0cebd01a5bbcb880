"""A policy's folder: what belongs to it, what is refused, and that its digest names exactly its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_building import BASE, FACTS, LOOK, STRANGE, policy, reading

from keyturn.policy import STARTER, Policy, PolicyInvalid, load, read_folder

FILES = {"policy.toml": b'name = "x"\n', "rules/a.cedar": BASE.encode()}


def problems(files: dict[str, bytes]) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        Policy.parse(files)
    return caught.value.render()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"rules/a.ceder": b"x"}, 'did you mean "rules/NAME.cedar"'),
        ({"rule/a.cedar": b"x"}, "no file of a policy has this name"),
        ({"../policy.toml": b"x"}, "no file of a policy has this name"),
        ({"rules/../../x.cedar": b"x"}, "no file of a policy has this name"),
        ({"rules/sub/x.cedar": b"x"}, "no file of a policy has this name"),
        ({"requirments.toml": b"x"}, 'did you mean "requirements.toml"'),
        ({"policy.toml": b'name = "x"\nmode = "enfroce"\n'}, 'did you mean "enforce"'),
        ({"policy.toml": b'name = "x"\nmod = "observe"\n'}, 'did you mean "mode"'),
        ({"policy.toml": b'mode = "observe"\n'}, "a policy has a name"),
        ({"policy.toml": b"name = \n"}, "policy.toml:1:8: this is not TOML"),
        ({"requirements.toml": b'[default]\napprove = "many"\n'}, "N of GROUP"),
        ({"requirements.toml": b'[default]\nwithin = "soon"\n'}, "requirements.toml:2:1"),
        ({"requirements.toml": b'[default]\nreason = "maybe"\n'}, "reason is"),
        ({"requirements.toml": b'[default]\nassurance = "sure"\n'}, "assurance is"),
        ({"requirements.toml": b"default = 3\n"}, "is a table"),
        ({"resources.toml": b'[[label]]\nname = "x"\npath = ["a"]\n'}, 'did you mean "paths"'),
        ({"resources.toml": b'[[label]]\nname = "x"\n'}, "on nothing"),
        ({"resources.toml": b'[[label]]\npaths = ["a"]\n'}, "has a name"),
        ({"resources.toml": b'[[label]]\nname = "x"\npaths = "a"\n'}, "list of texts"),
        ({"resources.toml": b'[[label]]\nname = "A"\npaths = ["a"]\n'}, "lowercase"),
        (
            {"resources.toml": b'[[label]]\nname="x"\npaths=["a"]\n[[label]]\nname="x"\npaths=["b"]\n'},
            "twice",
        ),
        ({"resources.toml": b"label = 3\n"}, "[[label]] has a name"),
        ({"rules/a.cedar": b" " * 2_200_000}, "larger than"),
        ({f"rules/r{n}.cedar": b"" for n in range(501)}, "at most 500 files"),
    ],
)
def test_what_does_not_belong_is_named(files, message):
    assert message in problems(FILES | files)


def test_a_policy_without_rules_or_settings_is_none():
    assert "there are no rules" in problems({"policy.toml": b'name = "x"'})
    assert "this file is missing" in problems({"rules/a.cedar": b""})
    assert "no such policy folder" in _missing_folder()


def _missing_folder() -> str:
    with pytest.raises(PolicyInvalid) as caught:
        read_folder(STARTER / "nowhere")
    return caught.value.render()


@given(
    st.dictionaries(
        st.sampled_from(("README.md", "programs/x.toml", "requirements.toml")), st.sampled_from((b"", b"#\n"))
    )
)
def test_the_digest_names_every_byte_of_every_file(more):
    assert Policy.parse(FILES | more).digest == Policy.parse(dict(reversed((FILES | more).items()))).digest
    if more:
        assert Policy.parse(FILES | more).digest != Policy.parse(FILES).digest
        changed = {name: data + b"\n" for name, data in more.items()}
        assert Policy.parse(FILES | changed).digest != Policy.parse(FILES | more).digest


def test_files_come_back_from_a_folder_as_they_were(tmp_path):
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("not policy")
    (tmp_path / "rules" / "a.cedar~").write_text("a backup")
    assert read_folder(tmp_path) == FILES
    assert load(tmp_path).digest == Policy.parse(FILES).digest
    (tmp_path / "rules" / "b.ceder").write_text("a typo that must not be passed over")
    with pytest.raises(PolicyInvalid):
        load(tmp_path)


def test_labels_and_defaults_are_read():
    read = policy(
        resources_toml=b'[[label]]\nname = "crown-jewels"\npaths = ["~/jewels/**"]\nhosts = ["*.crown"]\n',
        requirements_toml=b'[default]\napprove = "2 of leads"\nwithin = "1h"\nreason = "required"\nassurance = "signed"\n',
    )
    assert [(label.name, label.paths, label.hosts) for label in read.labels] == [
        ("crown-jewels", ("~/jewels/**",), ("*.crown",))
    ]
    asked = read.decide("shell", reading(STRANGE), FACTS).obligations
    assert (asked.approve, asked.within, asked.reason_required, asked.assurance) == (
        "2 of leads",
        3600,
        True,
        "signed",
    )


def test_rules_may_name_labels_of_resources_toml_only():
    rules = (
        BASE
        + '@id("j") @because("jewels") forbid(principal, action, resource) when { context.labels.contains("jewels") };'
    )
    with pytest.raises(PolicyInvalid, match="labels never has"):
        policy(rules)
    policy(rules, resources_toml=b'[[label]]\nname = "jewels"\npaths = ["x"]\n')


def test_a_policy_that_was_stored_as_blobs_decides_the_same():
    before = load(STARTER)
    after = Policy.parse(dict(before.files))
    assert before.digest == after.digest
    assert before.decide("shell", reading(LOOK), FACTS) == after.decide("shell", reading(LOOK), FACTS)
