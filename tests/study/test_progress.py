"""What a running study says of its trials."""

from driving import drive, searcher

from analysis.study.tables import name
from evae.study.progress import describe
from search_spaces.kernels import SPACE


def test_the_console_names_configurations_as_the_report_does():
    search = searcher(SPACE, total=12)
    said = [describe(search.configurations[row["configuration"]]) for row in drive(search)]
    recipes = [(c, c.recipe.to_dict()["posterior"]) for c in search.configurations.values()]
    assert said == [name(c.label, c.number, posterior.get("kernel"), posterior["family"]) for c, posterior in recipes]
    assert {"kernel" in posterior for _, posterior in recipes[-8:]} == {True, False}
