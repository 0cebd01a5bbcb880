"""Builds a pack in a process of its own, and says `built` or the error's code.

Arguments: store, file, order, a limit on the size of files, how many processes read the log (each of them, then, many times).
"""

from __future__ import annotations

import resource
import signal
import sys
from functools import partial
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"

if __name__ == "__main__":
    sys.path.insert(0, str(SOURCES))

    import msgspec
    from packing_house import SIGNER

    from keyturn.errors import KeyturnError
    from keyturn.evidence import pack, pack_contents
    from keyturn.evidence.pack import Order, build
    from keyturn.store import open_store

    pack_contents.pdf = lambda page: b"%PDF"
    store, out, order, *more = sys.argv[1:]
    limit, processes = more[:1], int(more[1]) if len(more) > 1 else 1
    if processes > 1:
        pack.FEW, pack.STRETCH = 0, 1
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
    try:
        build(
            partial(open_store, Path(store), writer=False),
            SIGNER.key,
            Path(out),
            msgspec.json.decode(order, type=Order),
            signer=SIGNER,
            processes=processes,
        )
        print("built")
    except KeyturnError as error:
        print(error.code)
        print(error.happened, file=sys.stderr)
