"""TensorBoard's own reader finds in the files what the store has."""

from pathlib import Path

import pytest
from telling import Session, emptied, ended
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read(folder: Path, trial: str) -> EventAccumulator:
    found = EventAccumulator(str(folder / "my study" / "tensorboard" / trial))
    found.Reload()
    return found


def curve(found: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_a_run_for_each_trial_with_its_curves_pictures_and_hyperparameters(tmp_path):
    store = emptied(tmp_path)
    ended(store, 0), ended(store, 1, "diverged")
    session = Session(store, "tensorboard")
    row, epochs = ended(store, 2, before=False)
    session.tell(row, epochs)
    session.tracking.trial_end(row)
    assert session.end() == ""
    for seed in (0, 2):
        found = read(tmp_path, f"abc-s{seed}")
        assert curve(found, "epoch/train_loss_nats") == [(n, 10.0 - n - seed) for n in (1, 2, 3)]
        assert curve(found, "test/rec_fd") == [(3, 2.5 + seed)] and "test/gen_fd" not in found.Tags()["scalars"]
        (picture,) = found.Images("pictures/sampled")
        assert (picture.width, picture.height, picture.step) == (64, 32, 3)
    assert read(tmp_path, "abc-s1").Tensors("state/text_summary")[0].tensor_proto.string_val == [b"diverged: why"]


def test_its_table_has_all_parameters_of_the_space_and_the_objectives(tmp_path):
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.metadata import parse_experiment_plugin_data, parse_session_start_info_plugin_data

    store = emptied(tmp_path)
    ended(store, 0, taken_study="theirs", taken_from="s3://***@bucket/x", taken_trial="y-s0")
    Session(store, "tensorboard").end()
    plugin = read(tmp_path, "").PluginTagToContent("hparams")["_hparams_/experiment"]
    experiment = parse_experiment_plugin_data(plugin)
    types = {each.name: each.type for each in experiment.hparam_infos}
    assert types["beta"] == types["seed"] == api_pb2.DATA_TYPE_FLOAT64
    assert types["kernel"] == types["label"] == api_pb2.DATA_TYPE_STRING
    assert [each.name.tag for each in experiment.metric_infos] == ["test/rec_fd"]
    plugin = read(tmp_path, "abc-s0").PluginTagToContent("hparams")["_hparams_/session_start_info"]
    given = parse_session_start_info_plugin_data(plugin).hparams
    assert given["label"].string_value == "mine, 100 %" and given["beta"].number_value == pytest.approx(0.5)
    assert types["taken_study"] == api_pb2.DATA_TYPE_STRING and given["taken_study"].string_value == "theirs"
    assert given["taken_from"].string_value == "s3://***@bucket/x"


def test_a_trial_that_goes_on_is_the_same_run(tmp_path):
    """Its process died after epoch 2, and the last checkpoint was after the first."""
    store = emptied(tmp_path)
    first = Session(store, "tensorboard")
    row, epochs = ended(store, 0, before=False)
    first.tell(row, epochs[:2])
    first.end()
    second = Session(store, "tensorboard")
    second.tell(row, [epoch | {"train_loss_nats": 0.5} for epoch in epochs[1:]])
    second.tracking.trial_end(row)
    second.end()
    assert curve(read(tmp_path, "abc-s0"), "epoch/train_loss_nats") == [(1, 9.0), (2, 0.5), (3, 0.5)]
