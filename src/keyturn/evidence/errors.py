"""What can go wrong when controls are tested."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError
from keyturn.policy.problems import PolicyInvalid


class TestMalformed(KeyturnError):
    """A test's file is not one: it lacks a title, a population, an exception or what it rests on."""

    __test__ = False  # pytest: this is no collection of tests
    code = "evidence.test_malformed"
    status = 500
    exit_code = ExitCode.USAGE
    not_done = "No control was tested."
    next_step = "Correct the named file; docs/how-to/test-controls.md shows the form."


class TestUnknown(KeyturnError):
    """There is no test of that name."""

    __test__ = False
    code = "evidence.unknown_test"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was tested."
    next_step = "`keyturn evidence controls` names every control with its tests."


class PeriodInvalid(KeyturnError):
    """The period ends before it begins, begins in the future, or ends after the log that it is of."""

    code = "evidence.period"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was tested."
    next_step = "Let it begin before it ends, and end no later than the log: --since 90d; for a pack, days for --from, and --to left away."


class CatalogueMalformed(PolicyInvalid):
    """A catalogue of controls, or a test of the house, is not one."""

    code = "evidence.catalogue_malformed"
    not_done = "No control was tested by it; the policy in force has not changed."
    next_step = "Correct the places named; docs/how-to/add-controls.md shows the form."


class UnknownQuery(CatalogueMalformed):
    """A control names a test that there is none of: it would never be tested."""

    code = "evidence.unknown_query"
    next_step = "Name a test of docs/reference/controls.md, or add controls/queries/NAME.sql to the policy."


class FrameworkUnknown(KeyturnError):
    """No catalogue has a framework of that id."""

    code = "evidence.unknown_framework"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was tested."
    next_step = "`keyturn evidence controls` names every framework with its controls."


class ControlUnknown(KeyturnError):
    """The framework has no control of that id."""

    code = "evidence.unknown_control"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was tested."
    next_step = "`keyturn evidence controls` names every framework with its controls."


class EvidenceBusy(KeyturnError):
    """Another process tests controls in the same home."""

    code = "evidence.busy"
    status = 503
    exit_code = ExitCode.UNREACHABLE
    not_done = "No control was tested."
    next_step = "Try again when it is done: it takes a few seconds for each 100,000 entries."


class EvidenceUnusable(KeyturnError):
    """The folder of the evidence tables can't be read or written."""

    code = "evidence.tables"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "No control was tested; the ledger is untouched."
    next_step = (
        "Check owner, mode and room of the home's folder `evidence`; it may be deleted, and is made again."
    )
