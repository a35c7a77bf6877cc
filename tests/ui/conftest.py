"""A real sweep in a real `mlflow server`, and one headless Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from tiny import SMALL_MODEL, TINY

from tests.track.conftest import Server

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 60  # seconds: the pages are large, the machine may be busy


class Pages:
    """MLflow's pages in the browser."""

    def __init__(self, browser: Chrome, address: str) -> None:
        self.browser, self._address = browser, address

    def open(self, page: str, *texts: str) -> str:
        """Open a page anew and wait until all of these texts are on it; returns its text."""
        self.browser.get("about:blank")
        self.browser.get(f"{self._address}/#/{page}")
        return self.wait_for(*texts)

    def wait_for(self, *texts: str) -> str:
        """Wait until all of these texts are on the page; returns its text."""
        self.until(lambda: all(text in self.text for text in texts), f"{texts} on the page")
        return self.text

    def until(self, what: Callable[[], object], message: str) -> None:
        """Wait until something holds; elements may come and go meanwhile."""
        passing = (NoSuchElementException, StaleElementReferenceException, IndexError)
        wait = WebDriverWait(self.browser, _PATIENCE, poll_frequency=0.1, ignored_exceptions=passing)
        wait.until(lambda _: what(), message)

    @property
    def text(self) -> str:
        """What can be read."""
        return self.browser.find_element(By.TAG_NAME, "body").text

    def click(self, selector: str) -> None:
        """Click what a CSS selector finds, once it is there."""

        def click() -> bool:
            element = self.browser.find_element(By.CSS_SELECTOR, selector)
            self.browser.execute_script("arguments[0].click()", element)  # whatever lies above it
            return True

        self.until(click, selector)

    def choose(self, name: str, last: bool) -> None:
        """Tick the first or last column of this name in the list of columns."""

        def tick() -> bool:
            found = self.browser.find_elements(By.XPATH, f"//span[contains(@class, 'tree-title') and text()='{name}']")
            self.browser.execute_script("arguments[0].click()", found[-last])
            return True

        self.until(tick, name)

    def wait_for_column(self, name: str, values: set[str]) -> None:
        """Wait until these values stand in a column of the list of runs."""
        cells = (By.CSS_SELECTOR, f'[role=gridcell][col-id="{name}"]')
        self.until(lambda: {cell.text for cell in self.browser.find_elements(*cells)} == values, f"{values} in {name}")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Debian's Chromium, by its own driver; nothing is downloaded."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs Chromium and its driver: as root `bash tests/ui/browser.sh`")
    options = ChromeOptions()
    options.binary_location = chromium
    home = tmp_path_factory.mktemp("chromium")
    flags = ["headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1600,1200"]
    for flag in (*flags, f"user-data-dir={home}"):
        options.add_argument(f"--{flag}")
    browser = Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def sweep(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of two arms of two seeds, trained as a user would; the browser is asked for first, to skip soon."""
    folder = tmp_path_factory.mktemp("sweep")
    own = [text for text in (*TINY, *SMALL_MODEL) if not text.startswith("track=")]
    where = [f"out={folder}/runs", f"track.mlflow.uri=sqlite:///{folder}/mlflow.db", "sweep=pair"]
    command = [sys.executable, "launch/run.py", "-m", "aug=[],mixup", "seeds=2", *own, *where]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def server(sweep: Path) -> Iterator[Server]:
    server = Server(sweep)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def pages(browser: Chrome, server: Server) -> Pages:
    return Pages(browser, server.uri)
