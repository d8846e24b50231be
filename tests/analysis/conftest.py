from pathlib import Path

import pytest
from synthetic import write_study

from analysis.load import StudyData, load


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_study(folder)
    return folder


@pytest.fixture(scope="session")
def study(results: Path) -> StudyData:
    return load(results)
