"""Secrets on their way: which files hold one, and who read or sent such a file, or has the secret now (`keyturn.drift.secret_files`).

Rules kept here:

- A file is known by an entry (`secret.placed`), with the secrets' keyed digests, once the action that wrote it began; so it is known
  for as long as the log is, and after every restart. `secret.gone` ends it, when an action that deletes it was done.
- That a secret comes up in another session's action is seen when that is decided on, whether it ran or not: the agent has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from keyturn import canonical
from keyturn.actions import Reading
from keyturn.drift import secret_files
from keyturn.drift.secret_files import Actor, Held, Secret
from keyturn.ledger.entries import Draft, Entry
from keyturn.redaction.marker import own
from keyturn.service.following import Follower, Noted
from keyturn.service.starting import reading_of

MOST_KEPT = 5_000
"""Files with secrets that are looked at when one action deletes or sends a folder."""
Row = dict[str, Any]


class SecretFiles(Follower):
    """The follower."""

    name = "secret files"
    reads = frozenset(("action.decided", "permit.consumed", "action.receipt"))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """An action was decided on, began, or was done."""
        if entry.type == "action.decided":
            return list(self._decided(entry)) if entry.fields.get("sealed") else ()
        if entry.type == "permit.consumed":
            return list(self._began(entry))
        if entry.type == "action.receipt" and entry.fields["outcome"] == "done":
            return list(self._done(entry)) if entry.fields.get("exit_code") in (0, None) else ()
        return ()

    def _decided(self, entry: Entry) -> Iterator[Noted]:
        """A secret in an action, that another session had written to a file."""
        secrets = self._secrets(entry)
        known = [held for one in secrets for held in self._at(one)]
        if known:
            who = self._actor(entry, entry)
            for use in secret_files.uses(Reading(entry.fields["kind"], True, ()), who, (), secrets, known):
                yield secret_files.drift(use, who)

    def _began(self, entry: Entry) -> Iterator[Noted]:
        """What was read or sent, and what was written."""
        decided = self._decision(entry.fields["action"])
        if decided is None or not (decided.fields.get("sealed") or self.core.ledger.count("secret-file")):
            return
        reading, who = reading_of(self.core, entry.fields["action"]), self._actor(decided, entry)
        files = self._touched(reading)
        hosts = [one.what for one in reading.effects if one.verb == "sends"]
        for use in secret_files.uses(reading, who, files, (), ()):
            yield secret_files.drift(use, who, hosts)
        for path, secrets, source in secret_files.written(reading, self._secrets(decided), files):
            fields = {
                "path": path,
                "secrets": [list(one) for one in secrets],
                "source": source,
                "action": who.action,
                "agent": who.agent,
                "decided": decided.index,
                "made": entry.time,
            }
            once = f"secret.placed:{who.action}:{canonical.digest(path)}"
            yield Draft("secret.placed", fields, session=entry.session, once=once)

    def _done(self, entry: Entry) -> Iterator[Noted]:
        """What is gone."""
        if not self.core.ledger.count("secret-file"):
            return
        reading = reading_of(self.core, entry.fields["action"])
        if not any(effect.verb == "deletes" for effect in reading.effects):
            return
        kept = {row["path"]: row for row in self._kept() if row["written"] <= entry.time}
        for path in secret_files.removed(reading, kept):
            fields = {"path": path, "action": entry.fields["action"]}
            once = f"secret.gone:{kept[path]['action']}:{canonical.digest(path)}"
            yield Draft("secret.gone", fields, session=entry.session, once=once)

    def _touched(self, reading: Reading) -> list[Held]:
        """Files with secrets that it reads; asked for by their names unless a folder is sent."""
        if secret_files.sends(reading):
            rows = {row["path"]: row for row in self._kept()}
        else:
            named = dict.fromkeys(e.what for e in reading.effects if e.verb in ("reads", "executes"))
            found = (self.core.ledger.row("secret-file", path) for path in named)
            rows = {row["path"]: row for row in found if row is not None and row["state"] == "kept"}
        return [_held(rows[path]) for path in secret_files.touched(reading, rows)]

    def _kept(self) -> list[Row]:
        return self.core.ledger.rows("secret-file", state="kept", limit=MOST_KEPT)

    def _at(self, secret: Secret) -> Iterator[Held]:
        for path in (self.core.ledger.row("secret-at", secret[1]) or {"paths": ()})["paths"]:
            row = self.core.ledger.row("secret-file", path)
            if row is not None:
                yield _held(row)

    def _secrets(self, decided: Entry) -> list[Secret]:
        """(kind, keyed digest) of the secrets in a recorded action."""
        if not decided.fields.get("sealed"):
            return []
        action = self.core.full(decided.fields["action"])
        data = canonical.dumps([action["content"], action["cwd"], action["environment"]])
        found = own(data, self.core.redaction.key)
        return list(dict.fromkeys((kind, digest) for _, _, kind, digest in found))

    def _decision(self, action: str) -> Entry | None:
        row = self.core.ledger.row("action", action)
        return self.core.ledger.entry(row["entry"]) if row is not None else None

    def _actor(self, decided: Entry, entry: Entry) -> Actor:
        session = self.core.ledger.row("session", decided.session or "") or {}
        agent = self.core.full(decided.fields["agent"])["name"]
        parents = (*session.get("parents", ()), *(self.core.full(decided.fields["parents"]) or ()))
        return Actor(agent, decided.session or "", parents, decided.fields["id"], decided.index, entry.time)


def _held(row: Row) -> Held:
    return Held(
        row["path"],
        tuple((kind, digest) for kind, digest in row["secrets"]),
        row["agent"],
        row["session"],
        row["action"],
        row["entry"],
        row["written"],
        row["source"],
    )


__all__ = ["SecretFiles"]
