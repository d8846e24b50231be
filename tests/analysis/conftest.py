from pathlib import Path

import pytest
from synthetic import write_racing_study, write_study

from analysis.load import StudyData, load


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_study(folder)
    return folder


@pytest.fixture(scope="session")
def study(results: Path) -> StudyData:
    return load(results)


@pytest.fixture(scope="session")
def racing(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    """A study in which trials were stopped early and replicates raced."""
    folder = tmp_path_factory.mktemp("racing")
    write_racing_study(folder)
    return load(folder)
