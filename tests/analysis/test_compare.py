"""Studies side by side: together where their distances have one identity, apart and with the reason where not."""

import json
from pathlib import Path

import pytest
from synthetic import DISTANCE, SHARPNESS, write_study

from analysis.page import comparison
from analysis.study import tables
from analysis.study.load import load
from evae.errors import UserError
from evae.results.store import Store


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Two studies that agree, and one whose distances are of fewer images."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two", "fewer")]
    for folder in folders:
        write_study(folder, configurations=6, seeds=2)
    store = Store(folders[2])
    for row in store.read("trials").to_pylist():
        of = {metric: identity | {"n_real": 100} for metric, identity in json.loads(row["distances"] or "{}").items()}
        store.write("trials", row["trial"], [row | {"distances": json.dumps(of)}])
    return tuple(map(str, folders))


def test_studies_that_agree_share_an_axis(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair[:2]]
    found = comparison.groups(studies, comparison.shared(studies))
    assert [group.members for group in found] == [(0, 1)] and found[0].reasons == ()


def test_distances_of_different_identity_never_share_an_axis(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair]
    found = comparison.groups(studies, comparison.shared(studies))
    assert [group.members for group in found] == [(0, 1), (2,)]
    assert found[1].reasons == ("generation Fréchet distance: n_real is 100, of the first 500",)
    text = comparison.render(pair)
    assert "not drawn on one axis" in text and "n_real is 100" in text
    drawn = json.loads(text[text.index('id="data">') + 10 :].partition("</script>")[0])["figures"]
    assert [len(figure["data"]) for figure in drawn.values()] == [2, 1]


def test_other_metrics_share_an_axis_whatever_the_distances_are(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair]
    sharpness = [o for o in comparison.shared(studies) if o.metric == SHARPNESS]
    assert len(comparison.groups(studies, sharpness)) == 1


def test_the_best_is_that_of_each_study(pair: tuple[str, str, str]) -> None:
    studies = [load(place) for place in pair]
    found = comparison.best(studies, comparison.shared(studies))
    for study in studies:
        first = tables.best(tables.configurations(study), study.objectives[0]).iloc[0]
        of_distance = found["objective"].map(lambda o: o.metric) == DISTANCE
        row = found[(found["study"] == study.location) & of_distance].iloc[0]
        assert (row["name"], row["value"]) == (first["name"], first[DISTANCE])


def test_what_cannot_be_compared_is_refused(pair: tuple[str, str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two studies"):
        comparison.render(pair[:1])
    store = write_study(tmp_path, configurations=4, seeds=1)
    for row in store.read("trials").to_pylist():
        kept = {k: v for k, v in row.items() if DISTANCE not in k and SHARPNESS not in k}
        store.write("trials", row["trial"], [kept])
    with pytest.raises(UserError, match="share an objective"):
        comparison.render([pair[0], str(tmp_path)])
