"""What several studies say of the same claims: tables in a page, and a picture; and ours, which go with its results."""

import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from browsing import needs_chromium
from synthetic import write_study
from test_verdicts_table import BEST, LESS, SHARE, confirm, state

from analysis.claims import BEGIN, END, renewed, svg, tables
from analysis.page.page import render
from analysis.study.answers import OTHERS, SHARES, called, cell, lines, scale
from analysis.study.load import load
from analysis.study.verdicts import verdicts
from analysis.views.answers import picture, said
from evae.errors import UserError
from evae.results.publication import publish
from evae.results.store import Store
from evae.search.claims import Stated

ROOT = Path(__file__).parents[2]
PAGE, FIGURE = ROOT / "docs/is-it-the-kernel.md", ROOT / "docs/is-it-the-kernel.svg"
PUBLISHED = sorted((ROOT / "benchmarks/results/is-it-the-kernel").glob("*/study"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    for name, factor in (("digits", 1.0), ("photos", 10.0)):
        store = write_study(folder / name, configurations=24, seeds=1, with_pictures=0)
        noise = np.random.default_rng(len(name)).normal(size=16)
        confirm(store, "EVAE paper", list(factor * (20 + noise[:8])))
        confirm(store, "VAE", list(factor * (30 + noise[8:])))
        state(store, Stated(LESS, "s"), Stated(SHARE, "s"), Stated(BEST, "s"), study=name)
    return folder


@pytest.fixture
def stores(made: Path, tmp_path: Path) -> list[Store]:
    """Copies of them, to be changed."""
    return [Store(shutil.copytree(made / name, tmp_path / name)) for name in ("digits", "photos")]


def test_a_table_has_a_line_a_claim_and_a_column_a_study_on_one_scale(stores):
    studies = [load(store) for store in stores]
    found = lines(studies)
    assert [(line.kind, line.metric) for line in found] == [(OTHERS, "gen_fd"), (SHARES, "gen_fd"), (OTHERS, "gen_fd")]
    assert [line.against for line in found] == ["VAE", "", "best method kernel"]
    for verdict in found[0].verdicts:
        middle, low, high = scale(verdict)
        assert low < middle < high < 1 and middle == pytest.approx(2 / 3, abs=0.03)
    text = tables(studies)
    assert text.count("| EVAE < VAE |".replace("<", r"\<")) == 1 and text.count("holds: −3") == 2
    assert "digits: " in text and "1 holds, 0 do not hold, 2 are undecided" in text and "8 fresh seeds" in text
    assert called(studies) == ["digits", "photos"] and cell(None) == "–"


def test_a_claim_that_one_study_lacks_is_a_dash_and_none_at_all_an_error(stores):
    state(stores[0], Stated(SHARE, "s"))
    text = tables([load(store) for store in stores])
    assert re.search(r"EVAE \\< VAE \| – \| holds", text)
    state(stores[0]), state(stores[1])
    with pytest.raises(UserError, match="no claims were stated in"):
        tables([load(store) for store in stores])


def test_the_picture_shows_what_is_decided_filled_and_every_interval_ends_in_its_frame(stores):
    studies = [load(store) for store in stores]
    found = lines(studies)
    drawn = picture(found, called(studies))
    assert len(drawn.data) == 4  # of two studies in two panels
    shares, others = drawn.data[:2], drawn.data[2:]
    assert all(list(trace.marker.color) == ["white"] for trace in shares)
    assert [trace.marker.color[0] for trace in others] == [trace.marker.line.color for trace in others]
    for trace, axis in ((trace, drawn.layout[trace.xaxis.replace("x", "xaxis")]) for trace in drawn.data):
        low, high = axis.range
        ends = np.add(trace.x, trace.error_x.array), np.subtract(trace.x, trace.error_x.arrayminus)
        assert (np.array(ends) <= high + 1e-9).all() and (np.array(ends) >= low - 1e-9).all()
    text = said(found, called(studies)).splitlines()
    assert len(text) == 2 + 6 and text[2].startswith("digits, EVAE < VAE in gen_fd, holds, 0.6")


def test_a_page_gets_its_tables_and_only_where_it_has_a_place_for_them(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    page.write_text(renewed(page, r"new \1"))
    assert page.read_text() == f"before\n{BEGIN}\nnew \\1\n{END}\nafter\n"
    assert renewed(page, r"new \1") == page.read_text()
    page.write_text("nothing")
    with pytest.raises(UserError, match="has no place for tables"):
        renewed(page, "")
    with pytest.raises(UserError, match="cannot read"):
        renewed(tmp_path / "none.md", "")


@needs_chromium
def test_the_picture_is_a_small_svg_that_holds_its_numbers(stores):
    studies = [load(store) for store in stores]
    image = svg(studies)
    assert image.startswith("<svg") and len(image) < 150_000 and 'role="img"' in image[:2000]
    assert unescape(re.search("<desc>(.*?)</desc>", image, re.DOTALL)[1]) == said(lines(studies), called(studies))


def test_a_published_study_has_the_report_of_the_whole_one(stores, tmp_path):
    target, _ = publish(stores[0], tmp_path / "published")
    whole, published = load(stores[0]), load(target)
    assert lines([published]) == lines([whole]) and len(verdicts(published)) == 3
    assert str(tmp_path) not in render(load(target)).replace(str(target), "")


def test_page_and_picture_are_those_of_the_results_that_are_here():
    studies = [load(study.parent) for study in PUBLISHED]
    assert PAGE.read_text() == renewed(PAGE, tables(studies)), "evae claims, as the page says, renews it"
    assert FIGURE.exists() == bool(studies)
    if studies:
        drawn = unescape(re.search("<desc>(.*?)</desc>", FIGURE.read_text(), re.DOTALL)[1]).splitlines()
        again = said(lines(studies), called(studies)).splitlines()
        assert drawn[:2] == again[:2] and len(drawn) == len(again)
        for mark, now in zip(drawn[2:], again[2:], strict=True):
            (*words, middle, low, high), (*same, x, y, z) = mark.split(", "), now.split(", ")
            assert words == same
            then, here = (list(map(float, ends)) for ends in ((middle, low, high), (x, y, z)))
            assert then == pytest.approx(here, rel=2e-3, nan_ok=True)
