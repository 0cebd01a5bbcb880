"""What a workspace may add to the policy: rules that tighten it, never one that loosens it (promise 3).

The files lie where the agent works, so the agent can write them. Therefore:

- only `forbid` and `permit … @hold`; a plain `permit` is an error (`policy.invalid`);
- the policy's own answer stays: where no rule of the policy spoke, its default requirement is asked for as well,
  so a workspace can't replace "2 of security" by "1 of friends";
- descriptions of programs are the policy's alone: one that says too little would let a command run;
- merged obligations never ask less than each of their parts (`obligations`).
"""

from __future__ import annotations

from collections.abc import Mapping

from keyturn import canonical
from keyturn.policy.engine import Policy, parse_rules
from keyturn.policy.folder import MAX_FILE_BYTES, digest
from keyturn.policy.problems import PolicyInvalid, Problem

FOLDER = ".keyturn/rules/"
"""Where a workspace keeps them, below its root."""

MAX_OVERLAY_FILES = 20
MAX_OVERLAY_RULES = 200


def tighten(policy: Policy, extra_files: Mapping[str, bytes]) -> Policy:
    """*policy* with a workspace's rules ({`.keyturn/rules/NAME.cedar`: bytes}); its digest names both.

    Raises `PolicyInvalid`; a caller that can't load a workspace's rules holds its actions.
    """
    if not extra_files:
        return policy
    problems = _check(extra_files)
    rules, wrong = parse_rules(
        extra_files, FOLDER, policy.requirements, policy.labels, overlay=True, taken=policy.rules
    )
    problems += wrong
    if len(rules) > MAX_OVERLAY_RULES:
        problems.append(Problem(FOLDER, 0, 0, f"a workspace adds at most {MAX_OVERLAY_RULES} rules"))
    if problems:
        raise PolicyInvalid(problems)
    return Policy(
        name=policy.name,
        mode=policy.mode,
        requirements=policy.requirements,
        labels=policy.labels,
        rules=(*policy.rules, *rules),
        files={**policy.files, **extra_files},
        digest=canonical.digest({"policy": policy.digest, "workspace": digest(extra_files)}),
        programs=policy.programs,
        profiles=policy.profiles,
        drift=policy.drift,
    )


def _check(extra_files: Mapping[str, bytes]) -> list[Problem]:
    problems = []
    if len(extra_files) > MAX_OVERLAY_FILES:
        problems.append(Problem(FOLDER, 0, 0, f"a workspace adds at most {MAX_OVERLAY_FILES} files"))
    for name, data in sorted(extra_files.items()):
        if not name.startswith(FOLDER) or not name.endswith(".cedar"):
            problems.append(Problem(name, 0, 0, f"a workspace's rules lie in {FOLDER}NAME.cedar"))
        if len(data) > MAX_FILE_BYTES:
            problems.append(Problem(name, 0, 0, f"the file is larger than {MAX_FILE_BYTES:,} bytes"))
    return problems
