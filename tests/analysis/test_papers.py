"""Tables for papers: what they say, what they set in bold, and what LaTeX and Markdown make of any text."""

import csv
import io
import math
import re

import numpy as np
import pytest
from synthetic import DISTANCE, SHARPNESS

from analysis import papers
from analysis.study import tables
from analysis.study.load import StudyData
from analysis.typeset import Table, Value, in_latex, in_markdown

HOSTILE = "V_A%E & #1 $x {y} \\z ~ ^ | `q` *b* <i>"


def made(study: StudyData) -> dict[str, Table]:
    front = tables.front(tables.configurations(study), study.objectives)
    return {table.name: table for table in papers.all_tables(study, front)}


def test_every_table_comes_in_three_forms(study):
    found = papers.files(made(study).values())
    names = ("configurations", "identities", "losses", "time", "trials")
    assert sorted(found) == sorted(f"table-{name}.{form}" for name in names for form in ("csv", "md", "tex"))
    rows = list(csv.reader(io.StringIO(found["table-trials.csv"])))
    assert len(rows) == 1 + len(study.trials)


def test_values_are_those_of_fresh_seeds_with_their_intervals(confirmed):
    table = tables.configurations(confirmed).set_index("name")
    of = made(confirmed)["configurations"]
    assert [head for head, _ in of.heads][2:] == ["generation Fréchet distance ↓", "generation sharpness ↑"]
    assert of.heads[2][1] == "on efficientnet-lite0-b4 features"
    for name, seeds, distance, sharpness in of.rows:
        assert table.loc[name, "confirmed"] and seeds == 2
        assert (distance.mean, distance.half) == (table.loc[name, DISTANCE], table.loc[name, f"{DISTANCE}_half"])
        assert sharpness.mean == table.loc[name, SHARPNESS]
    assert "fresh seeds, which took no part" in of.caption and "wrong in 5 % of studies" in of.caption


def test_bold_is_what_is_better_than_all_others_by_more_than_noise(confirmed):
    trials = confirmed.trials.copy()
    fresh = sorted(trials.loc[tables.confirms(confirmed), "configuration"].unique())

    def bold(ahead: float) -> list[str]:
        """Where one is ahead of all others, which are alike, by so much; seeds differ by 1."""
        of = trials["configuration"].map({name: 100.0 * (place > 0) for place, name in enumerate(fresh)}).fillna(200.0)
        noise = trials["seed"] % 2 + np.random.default_rng(0).normal(0, 0.5, len(trials))
        value = of * ahead / 100 + 50 + noise
        changed = trials.assign(**{DISTANCE: value, f"val_{DISTANCE}": value})
        table = made(StudyData(**{**vars(confirmed), "trials": changed}))["configurations"]
        return [row[0] for row in table.rows if row[2].best]

    assert bold(0.5) == [] and len(bold(50.0)) == 1


def test_nothing_is_bold_without_replicates(tmp_path):
    from synthetic import write_study

    from analysis.study.load import load

    table = made(load(write_study(tmp_path, configurations=8, seeds=1).root))["configurations"]
    assert table.rows and not any(cell.best for row in table.rows for cell in row if isinstance(cell, Value))


def test_latex_is_whole_whatever_the_texts_are():
    table = Table("t", HOSTILE, [("a_b", "50 %"), ("n", "")], ["text", "number"], [[HOSTILE, Value(1.5, 0.25, True)]])
    text = table.latex()
    # Nothing of the text is a command, a column or a comment.
    bare = re.sub(r"\\[a-z]+\{\}|\\[&%$#_{}]|\$\\?[a-z^0-9−-]+\$", "", text.replace("\\\\", ""))
    body = bare[bare.index("\\midrule") : bare.index("\\bottomrule")]
    assert body.count("&") == 1 and not set("%#$_^") & set(body)
    assert r"\textbf{1.50~$\pm$~0.25}" in text and bare.count("{") == bare.count("}")
    assert r"V\_A\%E \& \#1 \$x \{y\} \textbackslash{}z \textasciitilde{} \textasciicircum{}" in text


@pytest.mark.parametrize("text", ["a|b", "a\nb", "*a* `b` <c> [d](e)"])
def test_markdown_keeps_its_columns(text):
    table = Table("t", "", [(text, ""), ("n", "")], ["text", "number"], [[text, Value(-2.0, math.nan)]])
    lines = table.markdown().strip().splitlines()
    assert len(lines) == 3 and all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines)
    assert lines[-1].endswith("| −2 |") and "\n" not in in_markdown(text) and "\n" not in in_latex(text)


def test_csv_has_the_numbers_as_they_were_measured():
    table = Table("t", "", [("a", "nats"), ("b", "")], ["number", "text"], [[Value(1 / 3, 0.1, True), HOSTILE]])
    (row,) = csv.DictReader(io.StringIO(table.csv()))
    assert row == {
        "a (nats)": repr(1 / 3),
        "half of 95 % interval": "0.1",
        "better than all others": "yes",
        "b": HOSTILE,
    }
