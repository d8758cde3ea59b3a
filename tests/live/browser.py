"""Looks at a web page with a real browser: Debian's Chromium, without a window."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright


@contextmanager
def browser_page(width: int = 1440, height: int = 900) -> Iterator[Page]:
    """Open an empty page; pictures for the documentation are taken at twice the usual density.

    Raises:
        FileNotFoundError: Chromium isn't installed.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("no Chromium: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        density = 2 if "TOLOKA_PICTURES" in os.environ else 1  # which takes four times as much
        page = browser.new_page(
            viewport={"width": width, "height": height}, device_scale_factor=density, reduced_motion="reduce"
        )
        try:
            yield page
        finally:
            browser.close()
