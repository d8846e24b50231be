"""The cluster files, by the schema and the preparation that `ray up` puts them through."""

import copy
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]
CLOUDS = ("cluster.yaml", "cluster-gcp.yaml")
FILES = (*CLOUDS, "cluster-own.yaml")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_the_file_and_fills_it_out(name):
    validate_config(prepare_config(read(name)))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("wrong", ["max_worker", "file_mount", "setup_command"])
def test_a_mistyped_key_is_named(name, wrong):
    with pytest.raises(jsonschema.ValidationError, match=wrong):
        validate_config(prepare_config(read(name) | {wrong: []}))


@pytest.mark.parametrize("name", FILES)
def test_every_start_of_ray_asks_for_the_token_and_hides_the_dashboard(name):
    config = read(name)
    starts = [c for c in config["head_start_ray_commands"] + config["worker_start_ray_commands"] if "ray start" in c]
    assert len(starts) == 2 and all("RAY_AUTH_MODE=token" in c for c in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0] and "0.0.0.0" not in (ROOT / name).read_text()
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("name", CLOUDS)
def test_gpu_machines_start_when_they_are_needed_and_the_head_trains_nothing(name):
    types = read(name)["available_node_types"]
    assert types["head"]["resources"]["CPU"] == 0
    assert types["gpu"]["min_workers"] == 0
    assert types["gpu"]["max_workers"] == read(name)["max_workers"]


def test_gpu_machines_may_be_taken_away_and_the_head_may_not():
    aws, gcp = (read(name)["available_node_types"] for name in CLOUDS)
    assert aws["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert gcp["gpu"]["node_config"]["scheduling"]["provisioningModel"] == "SPOT"
    assert "InstanceMarketOptions" not in aws["head"]["node_config"]
    assert "scheduling" not in gcp["head"]["node_config"]


def test_resources_are_stated_where_ray_does_not_know_the_machine_type():
    """Ray looks those of AWS up."""
    assert read("cluster-gcp.yaml")["available_node_types"]["gpu"]["resources"] == {"CPU": 4, "GPU": 1}


@pytest.mark.parametrize("name", CLOUDS)
def test_what_the_autoscaler_needs_is_installed_for_the_python_that_runs_it(name):
    """Ray's own defaults install it for another one, the machine's."""
    commands = prepare_config(read(name))["head_setup_commands"]
    (installs,) = [command for command in commands if re.search(r"\bpip install\b.*(boto3|google-api)", command)]
    assert "&& .venv/bin/python -m pip" in installs


@pytest.mark.parametrize("name", FILES)
def test_what_a_user_must_change_is_marked(name):
    marked = [line for line in (ROOT / name).read_text().splitlines() if "<--" in line and not line.startswith("#")]
    assert len(marked) >= 4
    assert all(re.search(r"\S.*#.*<--", line) for line in marked)


def test_preparing_does_not_change_the_files_own_values():
    config = read("cluster.yaml")
    kept = copy.deepcopy(config)
    prepared = prepare_config(config)
    for key in ("cluster_name", "max_workers", "head_node_type", "rsync_exclude"):
        assert prepared[key] == kept[key]
