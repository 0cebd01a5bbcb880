"""Reading + facts → decision, in Cedar. Entry points: `Policy.parse`, `load`, `Policy.decide`, `explain`, `run_tests`."""

from keyturn.policy.cases import TestReport, run_tests
from keyturn.policy.decision import Decision, Facts, Mode, Obligations, RuleHit, Verdict
from keyturn.policy.engine import Policy, load, parse
from keyturn.policy.explain import Explanation, explain
from keyturn.policy.folder import STARTER, read_folder
from keyturn.policy.overlay import tighten
from keyturn.policy.problems import PolicyInvalid, Problem
from keyturn.policy.replay import Change, diff

__all__ = [
    "STARTER", "Change", "Decision", "Explanation", "Facts", "Mode", "Obligations", "Policy", "PolicyInvalid", "Problem",
    "RuleHit", "TestReport", "Verdict", "diff", "explain", "load", "parse", "read_folder", "run_tests", "tighten",
]  # fmt: skip
