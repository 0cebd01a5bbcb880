"""The whole matrix: every mutant of a log and of a pack, each verified within this process. `make test-mutants` (ARGS=log or pack).

Prints how many of each class there are and each one that was not refused; exits with 1 if there is one.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from log_folder import small_world, write_world
from mutants import mutants
from pack_mutants import every
from test_evidence_verify_log import refused
from test_evidence_verify_pack import refused as pack_refused
from test_evidence_verify_pack import small_pack

from keyturn.evidence.program import checks


def main() -> int:
    """The exit code."""
    began, wrong, slowest = time.monotonic(), [], 0.0
    seen: Counter[str] = Counter()
    checks._alone = lambda: True  # a log as small as this is not worth a second process
    with tempfile.TemporaryDirectory() as place:
        log = write_world(Path(place) / "log", small_world())
        pack = small_pack(Path(place))
        kept = Path(shutil.copy(log / "checkpoint", Path(place) / "kept"))
        of_log = (
            ("log: " + one.cls, partial(refused, one, log, Path(place) / "copy", kept))
            for one in mutants(log)
        )
        of_pack = (("pack: " + one.cls, partial(pack_refused, one, pack, Path(place))) for one in every(pack))
        chosen = {"log": of_log, "pack": of_pack}
        doings: Iterator[tuple[str, Callable[[], str]]] = chain(
            *(chosen[one] for one in sys.argv[1:] or chosen)
        )
        for cls, refuses in doings:
            at = time.monotonic()
            words = refuses()
            slowest = max(slowest, time.monotonic() - at)
            seen[cls] += 1
            if words:
                wrong.append(words)
                print(f"NOT REFUSED: {words}", flush=True)
    for cls, count in sorted(seen.items()):
        print(f"{count:6}  {cls}")
    print(
        f"{seen.total():6}  in all, {len(wrong)} not refused; {time.monotonic() - began:.0f} s, the slowest {slowest:.1f} s"
    )
    return 1 if wrong or seen.total() < 500 else 0


if __name__ == "__main__":
    sys.exit(main())
