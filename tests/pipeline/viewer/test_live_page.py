"""The page that follows a run, in a real browser: it shows what changes, is used by keyboard, and read by everybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import DESKTOP, PHONE, Browser, Page

from netx.files import alone_in
from pipeline.deploy.layout import recording_file
from pipeline.deploy.stages import Step, run_step
from pipeline.training.logs import Log
from sim.recording import Recording


def opened(browser: Browser, address: str, width: int = DESKTOP, dark: bool = False) -> Page:
    """The page, once it has shown the run for the first time."""
    page = browser.open(address, width, dark)
    page.until("!document.getElementById('updated').textContent.startsWith('Reading')")
    return page


def text(page: Page, part: str) -> str:
    return str(page.get(f"document.getElementById({part!r}).innerText"))


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (PHONE, False), (DESKTOP, True), (DESKTOP, False)])
def test_everybody_can_read_it_on_every_screen(
    browser: Browser, serving: Callable[..., Any], runs: Path, width: int, dark: bool
) -> None:
    with serving(runs / "small") as server:
        page = opened(browser, server.address, width, dark)
        page.until("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.accessibility() == []
        assert page.fits()
        assert page.problems() == []
        paper = page.get("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 3 * 128) is dark
        assert "Every spike is identical" in text(page, "verdict")
        assert "5 frames of <b>noise</b>" in text(page, "stages")
        page.close()


def test_the_slider_shows_every_frame_and_moves_by_keyboard(
    browser: Browser, serving: Callable[..., Any], runs: Path
) -> None:
    spikes = Recording.load(runs / "small" / recording_file("engine", "search")).spikes
    with serving(runs / "small") as server:
        page = opened(browser, server.address)
        assert page.reached_by_tab() == ["div#Stages", "div#Scores", "select#layer", "input#frame", "div#Chip loihi2"]
        page.get("document.getElementById('frame').focus()")
        for frame in range(len(spikes["conv1"])):
            count = np.count_nonzero(spikes["conv1"][frame])
            assert f"{count} of {spikes['conv1'][frame].size} neurons spike" in text(page, "count")
            assert f"frame {frame} of 4" in page.get("document.getElementById('frame').getAttribute('aria-valuetext')")
            assert f"frame={frame}" in page.get("document.getElementById('picture').src")
            page.press("ArrowRight")
        page.get("document.getElementById('layer').focus()")
        page.press("ArrowDown")
        page.until("document.getElementById('count').innerText.startsWith('conv2')")
        count = np.count_nonzero(spikes["conv2"][-1])
        assert f"{count} of" in text(page, "count")
        page.close()


def test_it_follows_a_run_while_its_last_stage_is_done(
    browser: Browser, serving: Callable[..., Any], small_run: Any, runs: Path
) -> None:
    with serving(runs / "small") as server:
        page = opened(browser, server.address)
        assert "to do" in text(page, "stages")
        with alone_in(runs / "small"):
            page.until("document.getElementById('stages').innerText.includes('running')")
            assert text(page, "updated").startswith("Running now")
            run_step(Step("report", lambda _: "all <i>done</i>"), small_run)
            page.until("document.getElementById('stages').innerText.includes('all <i>done</i>')")
        page.until("document.getElementById('verdict').innerText.includes('The deployment is done')")
        page.close()


def test_it_follows_the_losses_of_a_training_and_says_when_it_is_no_longer_updated(
    browser: Browser, serving: Callable[..., Any], runs: Path
) -> None:
    with serving(runs / "learns") as server:
        page = opened(browser, server.address, PHONE)
        assert "0.2 at step 20, between 0.1 and 0.2" in text(page, "losses")
        log = Log(runs / "learns", 20)
        log.add(30, {"student/class": 0.05})
        log.close()
        page.until("document.getElementById('losses').innerText.includes('0.05 at step 30')")
        assert "step 30 of 50" in text(page, "verdict")
        assert page.accessibility() == []
        assert page.problems() == []
    page.until("document.getElementById('updated').innerText.startsWith('No longer updated')")
    page.close()


def test_a_run_that_is_damaged_meanwhile_is_said_in_a_line(
    browser: Browser, serving: Callable[..., Any], runs: Path
) -> None:
    with serving(runs / "small") as server:
        page = opened(browser, server.address)
        (runs / "small" / "verify" / "verification.json").write_text("<script>document.title = 'run'</script>")
        page.until("document.getElementById('verdict').innerText.includes('cannot be read')")
        assert "verification.json: is no JSON" in text(page, "verdict")
        assert page.get("document.title") == "small · monospike"
        page.close()
