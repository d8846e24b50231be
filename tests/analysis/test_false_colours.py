"""What the page says of images that have other channels than one or three."""

import json
from pathlib import Path

import pytest
from synthetic import write_study

from analysis.page.page import render
from analysis.study.load import load


@pytest.mark.parametrize(("channels", "said"), [(1, False), (3, False), (5, True)])
def test_pictures_of_other_channels_are_said_to_be_in_false_colours(channels, said, tmp_path: Path):
    store = write_study(tmp_path, configurations=4, seeds=1)
    (row,) = store.read("study").to_pylist()
    store.write("study", row["session"], [row | {"data": json.dumps(json.loads(row["data"]) | {"channels": channels})}])
    assert (f"Images of {channels} channels are in false colours" in render(load(tmp_path))) == said
