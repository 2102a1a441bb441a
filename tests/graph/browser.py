"""A headless Chromium for the tests of the page; they are skipped, with the reason, where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser: the one that DIFFPROG_CHROMIUM names, one on the path, or playwright's own."""
    library = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with library.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        named = os.environ.get("DIFFPROG_CHROMIUM")
        found = named or next(filter(None, map(shutil.which, NAMES)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip(f"no Chromium: none of {', '.join(NAMES)} on the path, nor playwright's own")
        root = hasattr(os, "geteuid") and os.geteuid() == 0  # where Chromium cannot shut itself in
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()


class Visit:
    """A page that is open, and everything that went wrong on it."""

    def __init__(self, browser: Any, path: Path, **options: Any):
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.tab = browser.new_page(viewport={"width": 1280, "height": 800}, **options)
        self.tab.on("console", lambda message: self.troubles.append(message.text))
        self.tab.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.go(path)

    def go(self, path: Path) -> None:
        self.tab.goto(path.as_uri())
        self.tab.wait_for_selector("body.ready", timeout=20_000)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def text(self, selector: str) -> str:
        return self.tab.inner_text(selector)

    def count(self, selector: str) -> int:
        return self.tab.locator(selector).count()

    def box(self, name: str) -> Any:
        """A box or an open group, by the beginning of what a screen reader says of it."""
        return self.tab.locator(f'#canvas [role=button][aria-label^="{name},"]')

    def boxes(self) -> int:
        return self.count("#canvas .box")

    def focused(self) -> str:
        return self.tab.evaluate("document.activeElement.getAttribute('aria-label') ?? ''")

    def colour(self, selector: str) -> str:
        return self.tab.evaluate(f"getComputedStyle(document.querySelector('{selector}')).backgroundColor")
