"""The report as PDF, by WeasyPrint where it is installed (`pip install keyturn[pdf]`). The same report gives the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import re
from base64 import b64encode

from keyturn.errors import ExitCode, KeyturnError


class NoPrinter(KeyturnError):
    """WeasyPrint, or one of the libraries that it loads, is not there."""

    code = "evidence.no_pdf"
    status = 501
    exit_code = ExitCode.USAGE
    not_done = "No PDF was made; the pack has report.html, which prints the same pages."
    next_step = "Install it with `pip install 'keyturn[pdf]'` and the system's Pango (Debian: libpango-1.0-0 libpangoft2-1.0-0)."


_CHART = re.compile(rb"<svg .*?</svg>", re.DOTALL)
_TOLD = re.compile(rb"<title>(.*?)</title>")


def pdf(page: bytes) -> bytes:
    """The HTML of a report, printed on A4. Raises `NoPrinter`.

    Nothing is loaded from anywhere: the page refers to nothing outside, and a reference would be refused.
    """
    try:
        from weasyprint import HTML  # takes a second, and is not installed everywhere
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:
        raise NoPrinter(f"The report can't be printed here: {error}.") from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    shown = _CHART.sub(_as_image, page).decode()
    document = HTML(string=shown, url_fetcher=URLFetcher(allowed_protocols=("data",)))
    made = document.write_pdf(
        pdf_identifier=hashlib.sha256(page).digest()[:16], uncompressed_pdf=False, pdf_tags=True
    )
    assert isinstance(made, bytes)
    return made


def load() -> None:
    """Load what prints, if it is there."""
    with contextlib.suppress(ImportError, OSError):
        importlib.import_module("weasyprint")


def _as_image(chart: re.Match[bytes]) -> bytes:
    """A chart as an image that the page brings along: the style sheet is not matched with each of its shapes, which has none of it."""
    told = _TOLD.search(chart[0])
    words = told[1].replace(b'"', b"&quot;") if told else b""
    return b'<img class="k-chart" alt="%s" src="data:image/svg+xml;base64,%s">' % (words, b64encode(chart[0]))
