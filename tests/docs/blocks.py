"""The code blocks of README and documentation."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", *sorted(ROOT.glob("C[A-Z]*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BEGINNINGS = {
    "python": r"(from|import|def|class) |@|[a-z_.]+ = ",
    "toml": r"\[",
    "listing": r"[\w./-]+/(\s|$)",
}
"""How an indented block of each language begins; any other is shell."""


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, block) of each fenced or indented block."""
    tokens = [token for token in MarkdownIt().parse(text) if token.type in ("fence", "code_block")]
    return [(token.info.strip() or language(token.content), token.content) for token in tokens]


def language(block: str) -> str:
    return next((name for name, begins in BEGINNINGS.items() if re.match(begins, block)), "shell")


def commands(block: str) -> list[str]:
    """The commands of a shell block: without comments, and lines that a backslash continues as one."""
    joined = re.sub(r"\\\n\s*", " ", block)
    lines = (re.sub(r"(^|\s+)#\s.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]
