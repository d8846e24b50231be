"""TensorBoard: `tensorboard --logdir results/NAME/tensorboard`."""

import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evae.callbacks import Row
from evae.trackers.base import ABOUT, Tracker, finite, hyperparameters, metrics, tracker


@tracker("tensorboard")
class TensorBoard(Tracker):
    """A run for each trial, below the folder by its name. A trial that goes on has another file in it, from the epoch
    on that it goes on with."""

    def study_start(self, study: Row) -> None:
        """Says, once for all runs, what columns the table of hyperparameters has."""
        from tensorboardX import summary

        self.files: dict[str, Any] = {}
        space = json.loads(study["space"])
        given = dict.fromkeys(ABOUT, "") | {"number": 0, "seed": 0, "epochs_planned": 0}
        given |= {name: 0 if _is_number(values) else "" for name, values in space.items()}
        found = {f"test/{metric}": 0 for metric, _ in json.loads(study["objectives"])}
        self._write({"trial": "", "epochs": 0}, [summary.hparams(given, found)[0]], 0)

    def trial_start(self, trial: Row) -> None:
        from tensorboardX import summary

        self._write(trial, [summary.hparams(hyperparameters(trial), {})[1]], 0)

    def epoch(self, trial: Row, epoch: Row) -> None:
        self._numbers(trial, "epoch", epoch, epoch["epoch"])

    def pictures(self, trial: Row, pictures: Sequence[Row]) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        for row in pictures:
            height, width, channels = _shape(row["png"])
            image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=row["png"])
            value = Summary.Value(tag=f"pictures/{row['kind']}", image=image)
            self._write(trial, [Summary(value=[value])], trial["epochs"])

    def trial_end(self, trial: Row) -> None:
        from tensorboardX import summary

        self._numbers(trial, "test", trial, trial["epochs"])
        said = ": ".join(filter(None, (trial["state"], trial.get("reason"))))
        recipe = f"`{trial['recipe']}`"
        self._write(trial, [summary.text("state", said), summary.text("recipe", recipe), summary.hparams({}, {})[2]], 0)
        self.files.pop(trial["trial"]).close()

    def study_end(self, study: Row) -> None:
        for file in self.files.values():
            file.close()

    def _numbers(self, trial: Row, of: str, row: Mapping[str, Any], step: int) -> None:
        from tensorboardX import summary

        # A number that is none would stretch the axes; the states tell of those.
        self._write(trial, (summary.scalar(f"{of}/{name}", v) for name, v in finite(metrics(row)).items()), step)

    def _write(self, trial: Row, summaries: Iterable[Any], step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event

        file = self._file(trial)
        for each in summaries:
            file.write_event(Event(wall_time=time.time(), step=step, summary=each))
        file.flush()

    def _file(self, trial: Row) -> Any:
        """The trial's open file. The writer of tensorboardX itself would hide a disk that is full in its thread."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        name = trial["trial"]
        if name not in self.files:
            folder = self.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            # Readers take files in the order of their names.
            file = self.files[name] = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
            # What earlier files of the run have from this step on counts no more.
            began = SessionLog(status=SessionLog.START)
            file.write_event(Event(wall_time=time.time(), step=max(1, trial["epochs"]), session_log=began))
        return self.files[name]


def _shape(png: bytes) -> tuple[int, int, int]:
    """(height, width, channels)."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return image.height, image.width, len(image.getbands())


def _is_number(values: Mapping[str, Any]) -> bool:
    """Whether a parameter of a space is a number, by what the manifest says of it."""
    choices = values.get("choices", [0])
    return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)
