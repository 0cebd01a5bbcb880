"""The report as PDF, by WeasyPrint where it is installed (`pip install keyturn[pdf]`). The same report gives the same bytes."""

from __future__ import annotations

import hashlib
import logging

from keyturn.errors import ExitCode, KeyturnError


class NoPrinter(KeyturnError):
    """WeasyPrint, or one of the libraries that it loads, is not there."""

    code = "evidence.no_pdf"
    status = 501
    exit_code = ExitCode.USAGE
    not_done = "No PDF was made; the pack has report.html, which prints the same pages."
    next_step = "Install it with `pip install 'keyturn[pdf]'` and the system's Pango (Debian: libpango-1.0-0 libpangoft2-1.0-0)."


def pdf(page: bytes) -> bytes:
    """The HTML of a report, printed on A4. Raises `NoPrinter`.

    Nothing is loaded from anywhere: the page refers to nothing outside, and a reference would be refused.
    """
    try:
        from weasyprint import HTML  # takes a second, and is not installed everywhere
    except (ImportError, OSError) as error:
        raise NoPrinter(f"The report can't be printed here: {error}.") from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    document = HTML(string=page.decode(), url_fetcher=_refused)
    made = document.write_pdf(
        pdf_identifier=hashlib.sha256(page).digest()[:16], uncompressed_pdf=False, pdf_tags=True
    )
    assert isinstance(made, bytes)
    return made


def _refused(url: str, *_: object, **__: object) -> dict[str, object]:
    raise ValueError(f"a report refers to nothing outside, and {url[:80]!r} is outside")
