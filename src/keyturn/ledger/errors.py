"""What can go wrong with a ledger, each with a code that never changes meaning."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError, Malformed, TooLarge


class AlreadyDone(KeyturnError):
    """A draft's `once` key is in the log already: whatever it guards happened before. `details["index"]` says where."""

    code = "ledger.already_done"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was recorded a second time and nothing ran."
    next_step = "Look at the entry named in the details; it is the one that counts."


class LedgerUnwritable(KeyturnError):
    """The store could not make the entry durable (promise 1: no durable record, no execution)."""

    code = "ledger.unwritable"
    status = 503
    next_step = "Make the store writable again (free disk space, permissions, database) and ask again."


class LedgerClosed(KeyturnError):
    """The ledger was closed while, or before, the entry was asked for."""

    code = "ledger.closed"
    status = 503
    next_step = "Ask again when the server is up."


class LedgerDamaged(KeyturnError):
    """What the store holds is not what the checkpoint commits to."""

    code = "ledger.damaged"
    exit_code = ExitCode.DAMAGED
    not_done = "The log was not opened for writing and nothing ran."
    next_step = "Run `keyturn ledger verify` to see what was damaged, keep the files as they are, and restore from a copy."


class WrongKey(KeyturnError):
    """The log was signed by another key, or belongs to another origin, than the one given."""

    code = "ledger.wrong_key"
    exit_code = ExitCode.USAGE
    not_done = "The log was not opened for writing and nothing ran."
    next_step = "Use the key file that belongs to this home; the log's first entry names its origin and key."


class UnknownVersion(KeyturnError):
    """An entry has a format version this program does not read."""

    code = "ledger.unknown_version"
    exit_code = ExitCode.DAMAGED
    not_done = "The entry was not read."
    next_step = "Read this log with the newer Keyturn that wrote it."


class UnknownType(KeyturnError):
    """An entry has a type this program does not know."""

    code = "ledger.unknown_type"
    exit_code = ExitCode.DAMAGED
    not_done = "The entry was neither written nor read."
    next_step = "Read this log with the newer Keyturn that wrote it; types are listed in docs/reference."


class EntryMalformed(KeyturnError):
    """Bytes that should be an entry's leaf or disclosure are not."""

    code = "ledger.entry_malformed"
    exit_code = ExitCode.DAMAGED
    not_done = "The entry was not read."
    next_step = "Run `keyturn ledger verify` to see what was damaged."


class DraftMalformed(Malformed):
    """A draft that can't become an entry: a bad field name, session or blob digest."""

    code = "ledger.draft_malformed"
    not_done = "Nothing was recorded and nothing ran."
    next_step = "This is a defect in the program that asked; report it with these words."


class EntryTooLarge(TooLarge):
    """A leaf over 65,535 bytes (C2SP tlog-tiles: uint16 lengths)."""

    code = "ledger.entry_too_large"
    not_done = "Nothing was recorded and nothing ran."
    next_step = "Record fewer fields; large values go to the blob store by themselves."


class NoteInvalid(KeyturnError):
    """A signed note, checkpoint or key line that is malformed, or that no trusted key signed."""

    code = "ledger.note_invalid"
    status = 400
    exit_code = ExitCode.DAMAGED
    not_done = "Nothing in it was believed."
    next_step = "Check that the key belongs to this log and that the file was copied whole."


class ProofInvalid(KeyturnError):
    """A proof that does not prove what it claims."""

    code = "ledger.proof_invalid"
    status = 400
    exit_code = ExitCode.DAMAGED
    not_done = "The entry was not taken as logged."
    next_step = "Ask for the proof again, against a checkpoint you already trust."
