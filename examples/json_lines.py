"""A tracker of one's own: a file of JSON lines, which any program can follow.

python studies/kernel_sweep.py --plugin examples/json_lines.py --track json-lines
tail -f results/kernel-sweep/json-lines/rows.jsonl
"""

import json

from evae.trackers import Tracker, tracker


@tracker("json-lines")
class JsonLines(Tracker):
    """Writes a line for whatever it is told, in the order in which it comes."""

    def trial_start(self, trial):
        self.line("trial_start", trial)

    def epoch(self, trial, epoch):
        self.line("epoch", epoch)

    def trial_end(self, trial):
        self.line("trial_end", trial)

    def line(self, what, row):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "rows.jsonl", "a", encoding="utf-8") as file:
            print(json.dumps({"what": what, **row}, default=str), file=file)
