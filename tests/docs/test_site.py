"""The site that `make docs` builds: links lead somewhere, pages are found, nothing is fetched from elsewhere."""

import re
import subprocess
import sys

import pytest
from running import DEADLINE_S, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site's folder. Dead links, pages that the navigation lacks and modules that are gone are errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_readme_is_the_first_page_and_its_links_lead_to_pages(site):
    page = (site / "index.html").read_text()
    assert 'href="options.html"' in page and 'href="results/verdicts.html"' in page and 'src="docs/' not in page


def test_results_stand_in_the_site_as_in_the_repository(site):
    names = {file.stem for file in (ROOT / "benchmarks" / "results").glob("*.md")}
    assert {file.stem for file in (site / "results").glob("*.html")} == names


def test_the_reference_has_what_the_docstrings_say(site):
    page = (site / "reference" / "families.html").read_text()
    assert 'id="evae.posteriors.base.Posterior.suggest"' in page and "all latents of the first number" in page


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link)[^>]*?(?:src|href)=\"?(https?:[^\"\s>]+)", page.read_text())
        assert not loaded, (page.name, loaded)
