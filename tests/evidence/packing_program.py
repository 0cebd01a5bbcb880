"""Builds a pack in a process of its own, and says `built` or the error's code. Arguments: store, file, order, and a limit on file sizes."""

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
    from keyturn.evidence import pack_contents
    from keyturn.evidence.pack import Order, build
    from keyturn.store import open_store

    pack_contents.pdf = lambda page: b"%PDF"
    store, out, order, *limit = sys.argv[1:]
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
        )
        print("built")
    except KeyturnError as error:
        print(error.code)
