"""What the report says of a study that ended with fresh seeds, and of one that has not yet."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from browsing import needs_chromium, new_page, open_page
from playwright.sync_api import Browser
from synthetic import DISTANCE, FRESH, LOST, LUCKY, SHARPNESS

from analysis import export
from analysis.page import page
from analysis.report import write_report
from analysis.study import advice, details, pictures, tables, words
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.views import hypervolume, importance, sections, side_by_side
from analysis.views.drawing import CHOSE, UNCONFIRMED, Chart

CONFIRMED = {0, 1, 2, 3, 7, 10, LUCKY}


@pytest.fixture(scope="module")
def table(confirmed: StudyData) -> pd.DataFrame:
    return tables.configurations(confirmed)


@pytest.fixture(scope="module")
def ranks(confirmed: StudyData, table: pd.DataFrame) -> pd.DataFrame:
    return tables.front(table, confirmed.objectives)


@pytest.fixture(scope="module")
def unconfirmed(confirmed: StudyData) -> StudyData:
    """The same study, had it ended with its search."""
    return replace(confirmed, trials=confirmed.searched)


def means(study: StudyData, column: str, role: str) -> pd.Series:
    trials = study.trials[(study.trials["role"] == role) & (study.trials["state"] == "finished")]
    return trials.groupby("number")[column].mean()


def test_rows_without_a_role_are_of_the_search(confirmed: StudyData, study: StudyData) -> None:
    assert set(study.trials["role"]) == {"search"}
    roles = confirmed.trials.set_index("trial")["role"]
    assert {trial for trial in roles.index if roles[trial] == "confirm"} == {
        trial for trial in roles.index if trial.endswith(tuple(f"-s{seed}" for seed in FRESH))
    }


def test_values_are_of_fresh_seeds_alone_and_ranks_of_the_search(confirmed: StudyData, table: pd.DataFrame) -> None:
    table = table.set_index("number")
    assert set(table.index[table["confirmed"]]) == CONFIRMED
    fresh, own = means(confirmed, DISTANCE, "confirm"), means(confirmed, DISTANCE, "search")
    for number in CONFIRMED:
        assert table.loc[number, DISTANCE] == fresh[number] and table.loc[number, "n"] == 2
        assert table.loc[number, f"{DISTANCE}_chosen"] == table.loc[number, f"{DISTANCE}_half"]
    for metric in ("rec_psnr_db", SHARPNESS):  # a row is of one set of trainings
        assert table.loc[LUCKY, metric] == means(confirmed, metric, "confirm")[LUCKY]
    others = own.index.difference(CONFIRMED)
    assert (table.loc[others, DISTANCE] == own[others]).all() and (table.loc[others, "n"] == 1).all()
    assert (table.loc[others, f"{DISTANCE}_chosen"] > table.loc[others, f"{DISTANCE}_half"]).all()
    assert (table.loc[own.index, f"select_{DISTANCE}"] == means(confirmed, f"val_{DISTANCE}", "search")).all()
    assert (table.loc[own.index, f"searched_{DISTANCE}"] == own).all()


def test_lost_fresh_seeds_leave_a_configuration_unconfirmed_and_are_counted(
    confirmed: StudyData, table: pd.DataFrame, ranks: pd.DataFrame
) -> None:
    row = table.set_index("number").loc[LOST]
    assert (row["confirmed"], row["n_lost"], row["n_trials"], row["n_searched"]) == (False, 2, 3, 1)
    assert row[DISTANCE] == row[f"searched_{DISTANCE}"]
    assert not ranks.set_index("number").loc[LOST, ["on_front", "dominated_within_noise"]].any()
    assert f"Chosen for it by the search, but not confirmed: {row['name']}." in words.trade_off(confirmed, table)


def test_a_lucky_winner_is_exposed(confirmed: StudyData, table: pd.DataFrame) -> None:
    lucky = table.set_index("number").loc[LUCKY, "name"]
    said = words.best(table, confirmed.objectives[0])
    assert f"(lowest): {lucky} with 39" in said and "over 2 fresh seeds (in the search, which chose it, 12)" in said
    assert "The search was deceived by luck: on fresh seeds #7 gaussian with 31." in said
    assert words.flattered(confirmed, table, confirmed.objectives[0]) == ""
    assert "was deceived" not in words.best(table, confirmed.objectives[1])
    tiles = {name: (value, remark) for name, value, remark in page.tiles(confirmed, table)}
    value, remark = tiles["chosen as best generation Fréchet distance"]
    assert value.startswith("39") and remark == f"{lucky}, in the search 12; #7 gaussian is better"


def test_the_front_is_of_the_confirmed_by_their_fresh_seeds(confirmed: StudyData, ranks: pd.DataFrame) -> None:
    fresh = means(confirmed, DISTANCE, "confirm"), means(confirmed, SHARPNESS, "confirm")
    points = list(zip(fresh[0].index, *fresh, strict=True))
    expected = {
        n for n, a, b in points if not any(c <= a and d >= b and (c, d) != (a, b) for m, c, d in points if m != n)
    }
    by_number = ranks.set_index("number")
    assert set(by_number.index[by_number["on_front"]]) == expected
    assert set(by_number.index[by_number["dominated_within_noise"]]) <= CONFIRMED - expected
    assert by_number.loc[[LUCKY, LOST], "chosen"].all() and not by_number.loc[7, "chosen"]


def test_what_dominates_by_more_than_noise_on_fresh_seeds_takes_the_chosen_off_the_front(confirmed: StudyData) -> None:
    trials = confirmed.trials.copy()
    better = (trials["number"] == 7) & (trials["role"] == "confirm")
    trials.loc[better, SHARPNESS] = 0.2
    moved = replace(confirmed, trials=trials)
    table = tables.configurations(moved)
    found = tables.front(table, moved.objectives).set_index("number")
    assert not found.loc[LUCKY, ["on_front", "dominated_within_noise"]].any() and found.loc[7, "on_front"]
    assert "Chosen for it by the search, but dominated by more than noise on fresh seeds: " in words.trade_off(
        moved, table
    )
    # With one fresh seed each nobody knows the noise.
    single = replace(moved, trials=trials[~trials["seed"].isin(FRESH[1:])])
    said = words.trade_off(single, tables.configurations(single))
    assert "Chosen for it by the search, but dominated on fresh seeds: " in said and "noise" not in said


def test_what_is_said_of_the_space_is_by_the_search_alone(confirmed: StudyData, unconfirmed: StudyData) -> None:
    def drawn(study: StudyData) -> dict[str, Chart]:
        table = tables.configurations(study)
        ranks, grown = tables.front(table, study.objectives), hypervolume.history(study, table)
        found = sections.draw(study, table, ranks, grown, importance.shares(study, table))
        return {chart.key: chart for section in found.values() for chart in section}

    whole, searched = drawn(confirmed), drawn(unconfirmed)
    assert whole.keys() == searched.keys()

    def points(chart: Chart) -> set[tuple]:
        marked = [trace for trace in chart.figure.data if trace.meta == "configuration"]
        return {point for t in marked for point in zip(t.customdata, t.x, t.y, strict=True) if point[2] == point[2]}

    for key, chart in whole.items():
        if chart.searched:
            assert points(chart) == points(searched[key]), key
    assert {key for key, chart in whole.items() if chart.searched} >= {"parallel", f"kernels-{DISTANCE}"}
    assert points(whole["front"]) != points(searched["front"])
    fit = {key: [t.y for t in c.figure.data if t.name == "smooth fit"] for key, c in whole.items() if "slice" in key}
    assert fit and all(
        np.array_equal(fit[key], [t.y for t in searched[key].figure.data if t.name == "smooth fit"]) for key in fit
    )
    tables_ = [tables.configurations(study) for study in (confirmed, unconfirmed)]
    histories = [hypervolume.history(*of) for of in zip((confirmed, unconfirmed), tables_, strict=True)]
    assert histories[0].equals(histories[1])
    assert advice.late_progress(confirmed).equals(advice.late_progress(unconfirmed))


def test_without_fresh_seeds_the_best_is_called_flattered(unconfirmed: StudyData) -> None:
    table = tables.configurations(unconfirmed)
    said = words.summary(unconfirmed, table)
    assert any("It was chosen by its luck, too" in text for text in said) and "fresh seed" not in " ".join(said[1:])
    assert not table["confirmed"].any() and tables.judged(table) is table
    assert not any(remark for remark in (it["remark"] for it in details.configurations(unconfirmed, table, table[:0])))


def test_fresh_seeds_of_claims_alone_confirm_nothing(confirmed: StudyData, unconfirmed: StudyData) -> None:
    some = with_sessions(confirmed, {"confirm": 0}, {"confirm": 0, "until": None})
    found, searched = tables.configurations(some), tables.configurations(unconfirmed)
    assert not found["confirmed"].any() and found[DISTANCE].equals(searched[DISTANCE])
    assert words.best(found, some.objectives[0]) == words.best(searched, some.objectives[0])


def test_until_decided_confirms_what_was_chosen_whatever_later_sessions_do(confirmed: StudyData) -> None:
    whole = tables.configurations(confirmed)
    for sessions in (({"confirm": 0, "until": "decided"}, {"confirm": 0}), ({"confirm": 0}, {"confirm": 2})):
        some = with_sessions(confirmed, *sessions)
        assert tables.configurations(some).equals(whole)
        assert ("looked at each time" in words.method(some, whole)) == ("until" in sessions[0])


def with_sessions(study: StudyData, *options: dict[str, object]) -> StudyData:
    rows = [study.sessions.iloc[-1:].assign(options=json.dumps(each)) for each in options]
    return replace(study, sessions=pd.concat(rows, ignore_index=True))


def test_a_best_that_has_no_fresh_seeds_yet_is_named(confirmed: StudyData) -> None:
    """A study that still runs: the controls have theirs, the best has not."""
    trials = confirmed.trials
    some = replace(confirmed, trials=trials[(trials["role"] == "search") | (trials["number"] < 4)])
    table = tables.configurations(some)
    lucky = table.set_index("number").loc[LUCKY, "name"]
    said = words.best(table, some.objectives[0])
    assert "The search ranks " + lucky in said and "before it, which are not confirmed." in said
    assert page.render(some, live=True)


def test_more_fresh_seeds_are_advised_than_there_are(confirmed: StudyData, table: pd.DataFrame) -> None:
    advised = advice.next_steps(confirmed, table, tables.front(table, confirmed.objectives), pd.DataFrame(), {})
    assert f"--extend --confirm {len(FRESH) + 1} or more" in " ".join(advised["text"])


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_configuration_and_one_fresh_seed(confirmed: StudyData, seeds: int) -> None:
    trials = confirmed.trials
    of_one = trials["configuration"] == trials["configuration"].iloc[0]
    some = replace(confirmed, trials=trials[of_one & (trials["seed"] < FRESH[0] + seeds)].reset_index(drop=True))
    table = tables.configurations(some)
    said = " ".join(words.summary(some, table))
    assert f"over {seeds} fresh seed" in said and ("no intervals" in said) == (seeds == 1)
    advised = advice.next_steps(some, table, tables.front(table, some.objectives), pd.DataFrame(), {})
    assert ("--extend --confirm 2" in " ".join(advised["text"])) == (seeds == 1)
    assert page.render(some)


def test_a_metric_of_constant_value_and_identical_models_are_no_different(confirmed: StudyData) -> None:
    metrics = [c for o in confirmed.objectives for c in (o.metric, f"val_{o.metric}")]
    finished = confirmed.trials["state"] == "finished"
    same = confirmed.trials.copy()
    same.loc[finished, metrics] = 1.5
    some = replace(confirmed, trials=same)
    table = tables.configurations(some)
    assert tables.front(table, some.objectives)["on_front"].sum() == len(CONFIRMED)
    said = " ".join(words.summary(some, table))
    assert "by more than noise." not in said and "deceived" not in said and page.render(some)


def test_fresh_seeds_of_fewer_epochs_than_the_search_has_now_do_not_count(confirmed: StudyData) -> None:
    longer = confirmed.trials.copy()
    longer.loc[(longer["role"] == "search") & (longer["number"] == LUCKY), "epochs_planned"] = 9
    table = tables.configurations(replace(confirmed, trials=longer)).set_index("number")
    assert not table.loc[LUCKY, "confirmed"] and table.loc[LUCKY, DISTANCE] == 12.0
    assert table["confirmed"].sum() == len(CONFIRMED) - 1


def test_a_fresh_seed_without_an_objective_counts_in_none(confirmed: StudyData) -> None:
    some = confirmed.trials.copy()
    first = (some["number"] == LUCKY) & (some["seed"] == FRESH[0])
    some.loc[first, SHARPNESS] = np.nan
    table = tables.configurations(replace(confirmed, trials=some)).set_index("number")
    other = some[(some["number"] == LUCKY) & (some["seed"] == FRESH[1])].iloc[0]
    assert (table.loc[LUCKY, [DISTANCE, SHARPNESS]] == other[[DISTANCE, SHARPNESS]]).all()


def test_pictures_tables_and_files_are_of_fresh_seeds_where_there_are_some(
    confirmed: StudyData, ranks: pd.DataFrame
) -> None:
    cards = pictures.choose(ranks, confirmed)
    assert all(trial.endswith(f"-s{FRESH[0]}") for trial in cards["trial"])
    first = {trial.partition("-")[0]: trial for trial in reversed(pictures.wanted(confirmed, ranks))}
    assert all(first[row.configuration] == row.trial for row in ranks.itertuples())
    markdown = side_by_side.as_markdown(confirmed, [DISTANCE])
    assert f"2 of 3 | {means(confirmed, DISTANCE, 'confirm')[0]:.4g}"[:14] in markdown


def test_csv_says_of_which_trials_a_point_is(confirmed: StudyData, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(export, "BROWSERS", ())
    export.export(confirmed, tmp_path)

    def rows(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((tmp_path / f"{name}.csv").read_text())))

    roles = {(row["series"] in (CHOSE, UNCONFIRMED), row["role"]) for row in rows("front")}
    assert roles == {(True, "search"), (False, "confirm")}
    assert {row["role"] for row in rows("parallel")} == {"search"}
    assert {row["role"] for row in rows("val_distortion_nats")} >= {"search", "confirm"}


def confirmed_frame(random: np.random.Generator, truth: np.ndarray, metrics: list[str], fresh: int) -> pd.DataFrame:
    """The trials of a study whose configurations have these true values in all metrics, with a noise of 1 a training
    that both splits share: one seed each, then `fresh` ones of the best in any metric and of the last four, controls.
    """
    n = len(truth)
    first = truth[:, None] + random.normal(size=(n, len(metrics)))
    chosen = sorted({*first.argmin(axis=0), *range(n - 4, n)})
    rows = [(i, 0, "search", *first[i]) for i in range(n)]
    for seed in range(1000, 1000 + fresh):
        rows += [(i, seed, "confirm", *(truth[i] + random.normal(size=len(metrics)))) for i in chosen]
    frame = pd.DataFrame(rows, columns=["number", "seed", "role", *metrics])
    label = frame["number"].map(lambda i: f"control {i}" if i >= n - 4 else None).astype(object)
    frame = frame.assign(label=label.where(label.notna(), None), configuration=frame["number"].map("c{}".format))
    frame = frame.assign(**{f"val_{metric}": frame[metric] for metric in metrics}, origin="searched", state="finished")
    return frame.assign(
        trial=frame["configuration"],
        method="m",
        kernel=None,
        params="{}",
        recipe="{}",
        rate_is=None,
        epochs_planned=1.0,
    )


@pytest.mark.parametrize("fresh", [0, 2])
def test_the_best_of_seven_equals_is_unbiased_and_its_interval_holds_only_by_fresh_seeds(
    study: StudyData, fresh: int
) -> None:
    """By 20 studies of 5 objectives, whose noise is independent: 100 choices. The least of seven is 1.35 standard
    deviations below its truth."""
    random, metrics = np.random.default_rng(0), [f"gen_fd_{k}" for k in range(5)]
    errors, inside, told = [], [], 0
    for _ in range(20 if fresh else 8):
        frame = confirmed_frame(random, np.full(7, 10.0), metrics, fresh)
        of = replace(study, trials=frame, objectives=[Objective(metric, "min") for metric in metrics])
        table = tables.configurations(of)
        for objective in of.objectives:
            first = tables.judged(tables.best(table, objective)).iloc[0]
            lucky = frame.loc[frame["seed"] == 0, objective.metric].idxmin()
            assert first["configuration"] == frame.loc[lucky, "configuration"]
            errors.append(first[objective.metric] - 10)
            inside.append(abs(errors[-1]) <= first[f"{objective.metric}_chosen"])
            if fresh:
                said = words.best(table, objective)
                told += "deceived" in said or words.APART[0] in said or "better on fresh seeds" in said
    if fresh:
        assert abs(np.mean(errors)) < 0.25  # 3.5 times its error
        assert 0.88 <= np.mean(inside) < 1 and told <= 17  # of 100, 5 % for each of two statements
    else:
        assert np.mean(errors) < -1.2


@needs_chromium
def test_grey_marks_in_the_browser(confirmed: StudyData, browser: Browser, tmp_path) -> None:
    """What chose is grey: in the front, the table, the gallery and the panel."""
    shown = new_page(browser)
    trouble = open_page(shown, write_report(confirmed.location, tmp_path / "report.html"))
    shown.wait_for_selector("html[data-ready=yes]")
    shown.locator('[data-figure="front"]').scroll_into_view_if_needed()
    shown.wait_for_selector('[data-figure="front"] .legend')
    legend = shown.locator('[data-figure="front"] .legendtext').all_text_contents()
    assert CHOSE in legend and UNCONFIRMED in legend
    grey = shown.locator("#table tr.chose")
    assert grey.count() == len(confirmed.searched)
    soft = "el => getComputedStyle(el).color"
    cells = [
        shown.locator(f"#table tbody tr{kind} td.number").first.evaluate(soft) for kind in (".chose", ":not(.chose)")
    ]
    assert cells[0] != cells[1]
    assert shown.locator(".gallery .chose").first.inner_text().startswith("in the search")
    name = f"#{LUCKY} logistic"
    shown.locator(f"#table tr:not(.chose) button:text-is('{name}')").first.click()
    panel = shown.locator("#panel")
    assert "By 2 fresh seeds, which took no part in choosing it." in panel.inner_text()
    assert panel.locator("tr.chose").count() == 1 and "in the search 12" in shown.locator("#said").inner_text()
    assert panel.locator("pre").first.inner_text().count('"seed":1000') == 1
    assert trouble == []
    shown.close()


def test_a_study_with_very_many_metrics_is_drawn_without_complaints(confirmed: StudyData) -> None:
    """pandas warns of tables whose columns came one after the other, once there are more than a hundred."""
    rng = np.random.default_rng(0)
    more = pd.DataFrame({f"rec_m{k}": rng.normal(size=len(confirmed.trials)) for k in range(120)})
    study = replace(confirmed, trials=pd.concat([confirmed.trials.reset_index(drop=True), more], axis=1))
    table = tables.configurations(study)
    assert {"rec_m0", "rec_m119"} <= set(table)
    ranks = tables.front(table, study.objectives)
    assert sections.draw(study, table, ranks, hypervolume.history(study, table), importance.shares(study, table))
