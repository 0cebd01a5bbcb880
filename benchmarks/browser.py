"""The Chromium of this machine."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Its path; None, said on the terminal, where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        print("no Chromium on this machine (package `chromium`): pages were not measured")
    return found
