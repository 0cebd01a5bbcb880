"""Where a written secret goes: whose reading is news, what a copy is, and what ends it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import Effect, Reading, Step
from keyturn.drift.secret_files import (
    MOST_SECRETS,
    Actor,
    Held,
    drift,
    removed,
    sends,
    touched,
    uses,
    written,
)

TOKEN = ("github-token", "3f9a")
FILE = "/w/.env"
HELD = Held(FILE, (TOKEN,), "writer", "s_1", "a_1", 10, 1_000)
names = st.sampled_from(["/w/.env", "/w/.envrc", "/w/a/b", "/w", "/tmp/x", "/"])
secrets = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.text("0123", min_size=1, max_size=2)), max_size=30
)


def reading(*effects: tuple[str, str], program: str = "cat") -> Reading:
    zones = {"sends": "network"}
    made = tuple(Effect(verb, what, zones.get(verb, "workspace")) for verb, what in effects)  # type: ignore[arg-type]
    return Reading("shell", True, (Step(program, effects=made),))


def actor(session: str = "s_2", *parents: str) -> Actor:
    return Actor("reader", session, parents, "a_2", 20, 2_000)


def test_another_session_s_reading_is_news_and_the_writer_s_own_is_none() -> None:
    read = reading(("reads", FILE))
    assert [one.how for one in uses(read, actor(), [HELD], (), ())] == ["read"]
    assert uses(read, actor("s_1"), [HELD], (), ()) == []  # negative control
    child = drift(uses(read, actor("s_2", "s_1"), [HELD], (), ())[0], actor("s_2", "s_1"))
    assert "the session above it" in child.words
    assert child.observed == "read by a child of the session that wrote it"
    assert child.entries == (10, 20)
    assert (child.since.earliest, child.since.latest) == (1_000, 2_000) if child.since else False


def test_sending_is_news_whoever_does_it_and_is_critical() -> None:
    sent = reading(("reads", FILE), ("sends", "evil.example"), program="curl")
    (use,) = uses(sent, actor("s_1"), [HELD], (), ())
    told = drift(use, actor("s_1"), ["evil.example"])
    assert told.severity == "critical"
    assert "sent /w/.env to evil.example" in told.words
    assert drift(uses(reading(("reads", FILE)), actor(), [HELD], (), ())[0], actor()).severity is None


def test_the_secret_itself_is_known_again_and_another_one_is_not() -> None:
    asked = reading()
    assert [one.how for one in uses(asked, actor(), (), [TOKEN], [HELD])] == ["came up"]
    assert uses(asked, actor(), (), [("named-secret", TOKEN[1])], [HELD])  # another rule found the same one
    assert uses(asked, actor(), (), [("github-token", "0000")], [HELD]) == []
    assert uses(asked, actor("s_1"), (), [TOKEN], [HELD]) == []


@given(names, names)
def test_a_folder_is_a_use_only_where_it_is_sent(read: str, held: str) -> None:
    below = held == read or held.startswith(read.rstrip("/") + "/")
    assert touched(reading(("reads", read)), [held]) == ((held,) if read == held else ())
    assert touched(reading(("reads", read), ("sends", "h")), [held]) == ((held,) if below else ())
    assert not sends(reading(("reads", read)))
    assert removed(reading(("deletes", read)), [held]) == ((held,) if below else ())
    assert removed(reading(("writes", read)), [held]) == ()  # writing again is no proof


@given(secrets, secrets, st.sampled_from(["cat", "python3"]))
def test_a_file_holds_the_action_s_secrets_and_a_copier_s_those_of_its_source(
    own: list[tuple[str, str]], of_source: list[tuple[str, str]], program: str
) -> None:
    source = Held("/w/a", tuple(dict.fromkeys(of_source))[:MOST_SECRETS], "x", "s", "a", 1, 1)
    done = written(reading(("reads", "/w/a"), ("writes", "/w/b"), program=program), own, [source])
    expected = [*own, *(source.secrets if program == "cat" else ())]
    assert {one for _, kept, _ in done for one in kept} <= set(expected)
    assert bool(done) == bool(expected)
    for path, kept, of in done:
        assert path == "/w/b"
        assert len(kept) == len(set(kept)) <= MOST_SECRETS
        assert of == ("/w/a" if program == "cat" else "")


def test_devices_and_hosts_are_no_files() -> None:
    made = Reading("shell", True, (Step("tee", effects=(Effect("writes", "/dev/null", "device"),)),))
    assert written(made, [TOKEN], ()) == []
