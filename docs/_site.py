"""What `make docs` does beside mkdocs' own work: pages from files that are not in docs/, and links between all of them.

The README is the site's first page and the tables of benchmarks/results are pages of it, as they stand. Links are
written as paths of the repository, so that they work there too; one to a file that is no page is shown as its path, and
one to nothing stays as it is, which mkdocs then complains of.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OF_ROOT = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages from files of the root, where these are."""
RESULTS = "benchmarks/results"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def pages() -> dict[str, str]:
    """The page of each file, both by their paths: in the repository, and in the site."""
    found = {file: page for file, page in OF_ROOT.items() if (ROOT / file).exists()}
    found |= {f"{RESULTS}/{file.name}": f"results/{file.name}" for file in sorted((ROOT / RESULTS).glob("*.md"))}
    docs = (file.relative_to(ROOT).as_posix() for file in sorted((ROOT / "docs").rglob("*")) if file.is_file())
    return found | {file: file.removeprefix("docs/") for file in docs}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of results where the navigation names their folder."""
    results = [page for page in pages().values() if page.startswith("results/")]
    config.nav = [{"Results": results} if entry == {"Results": "results/"} else entry for entry in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    for file, page in pages().items():
        if not file.startswith("docs/"):
            files.append(File.generated(config, page, content=(ROOT / file).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links between files of the repository into links between pages."""
    known = pages()
    (here,) = [file for file, its in known.items() if its == page.file.src_uri]

    def linked(found: re.Match) -> str:
        picture, text, target, anchor = found.groups(default="")
        if not target or ":" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        if path in known:
            way = posixpath.relpath(known[path], posixpath.dirname(page.file.src_uri) or ".")
            return f"{picture}[{text}]({way}{anchor})"
        if not (ROOT / path).exists():
            return found[0]
        return f"`{path}`" if text.strip("`/") == path else f"{text} (`{path}`)"

    return LINK.sub(linked, markdown)
