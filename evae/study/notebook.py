"""What a running study shows in a notebook: one output, which is renewed as results come in."""

import io
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

EVERY_S = 0.5
"""It is renewed no more often."""
WIDTH = 110
FORM = '<pre style="white-space:pre;overflow-x:auto;line-height:normal;font-family:monospace">{code}</pre>'


class NotebookLive:
    """As `rich.live.Live`, which in a notebook needs widgets, and a program that can show them."""

    def __init__(self, render: Callable[[], RenderableType]):
        self.render, self.renewed = render, 0.0
        self.shown: Any = None

    def start(self) -> None:
        from IPython.display import display

        self.shown = display(self._bundle(), raw=True, display_id=True)

    def refresh(self) -> None:
        """Renew it, unless that was just done."""
        if time.monotonic() - self.renewed > EVERY_S:
            self._renew()

    def stop(self) -> None:
        """It stays as it is at the end."""
        if self.shown is not None:
            self._renew()

    def _renew(self) -> None:
        self.renewed = time.monotonic()
        self.shown.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        drawn = Console(file=io.StringIO(), width=WIDTH, record=True, force_jupyter=False, force_terminal=True)
        drawn.print(self.render())
        html = drawn.export_html(inline_styles=True, code_format=FORM, clear=False)
        return {"text/html": html, "text/plain": drawn.export_text()}
