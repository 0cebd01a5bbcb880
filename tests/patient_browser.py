"""A browser that is waited for: on a busy machine a page takes its time, and a limit is only there for what never comes."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, expect

PATIENCE = 60.0
"""Seconds until something that is waited for counts as never coming."""

MILLISECONDS = PATIENCE * 1000
"""The same in Playwright's unit."""

expect.set_options(timeout=MILLISECONDS)


def patient(browser: Browser) -> Browser:
    """*browser*, whose contexts wait for `PATIENCE` and show nothing on its way: a colour is looked at when it stands still."""
    new = browser.new_context

    def opened(**options: Any) -> BrowserContext:
        context = new(**{"reduced_motion": "reduce", **options})
        context.set_default_timeout(MILLISECONDS)
        return context

    browser.new_context = opened  # type: ignore[method-assign]
    return browser
