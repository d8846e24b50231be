"""A cluster of machines that one owns, by README and cluster-own.yaml: three hosts on this one, with real sshd and Ray.

    sudo python -m pytest -m slow tests/cluster

The tests build on each other: the cluster goes up once and down at the end.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, OwnCluster, in_project, missing
from running import DEADLINE_S, Study, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
RAY = re.compile(r"/raylet |gcs_server|RayTrainWorker|ResourceTrainable")


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab"), hosts=3)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def cluster(lab) -> OwnCluster:
    made = OwnCluster(lab)
    status, said = lab.run(Path(sys.executable).with_name("ray"), "get-auth-token", "--generate")
    assert status == 0, said
    made.up()
    return made


class Remote(Study):
    """A study on the cluster, in the folder that all hosts have."""

    def __init__(self, cluster: OwnCluster, name: str, **options: object):
        super().__init__(cluster.lab.folder / "shared" / name, address="auto", **options)
        self.cluster, self.name = cluster, name

    def line(self, **changes: object) -> str:
        """The command, to be given to a shell on the head."""
        return shlex.join(self.command(results=f"/mnt/{self.name}", **changes)[1:])

    def run(self, **changes: object) -> tuple[int, str]:
        return self.cluster.python(self.line(**changes))


def members(host: int, name: str = "RayTrainWorker") -> list[int]:
    """Processes of that name on a host, by its network; as this machine numbers them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if name.encode() in (folder / "cmdline").read_bytes() and f"10.99.0.{host}\n" in (
                folder / "net/fib_trie"
            ).read_text().replace("|-- ", "").replace(" ", ""):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_all_hosts_are_fit_by_the_doctor(cluster):
    status, said = cluster.python("-m evae.doctor --address auto --store /mnt/doctor")
    assert status == 0, said
    assert "3 node(s) with 3 CPUs" in said and "asks for a token" in said and "is one place for all nodes" in said
    assert "bad" not in re.sub(r"\x1b\[[\d;]*m", "", said).split()


def test_the_doctor_sees_a_folder_that_every_host_has_for_itself(cluster):
    status, said = cluster.python("-m evae.doctor --address auto --store ~/results")
    assert status == 1, said
    assert "is one place for all nodes: no" in said and "a shared folder, or an object store" in said
    assert [cluster.lab.on(n, "find ~/results -type f | wc -l").strip() for n in (1, 2, 3)] == ["0"] * 3


def test_who_has_no_token_is_refused_from_another_machine(cluster):
    asked = (sys.executable, "-m", "evae.doctor", "--address", "10.99.0.1:6379")
    status, said = cluster.lab.run(*asked)
    assert status == 2 and "asks for its token, and this process has none" in said


def test_a_study_uses_all_machines(cluster):
    study = Remote(cluster, "study", trials=6, epochs=3)
    status, said = study.run()
    assert status == 0, said
    assert set(study.states().values()) == {"finished"} and len(study.rows()) == 6
    assert {row["slot"].partition(":")[0] for row in study.rows()} == {"h1", "h2", "h3"}


def test_other_code_on_one_machine_is_refused_and_named(cluster):
    cluster.lab.on(2, "echo '# another version' >> ~/evae/evae/kernels.py")
    study = Remote(cluster, "other-code")
    try:
        status, said = study.run()
        assert status != 0 and "h2 (10.99.0.2" in said and "Bring the same code" in said, said
        assert study.rows() == []
        status, said = cluster.python("-m evae.doctor --address auto --store /mnt/doctor")
        assert status == 1 and re.search(r"evae \w+ everywhere: no, h2 \(10.99.0.2:\d+\) has", said), said
    finally:
        cluster.lab.on(2, "sed -i '$ d' ~/evae/evae/kernels.py")


def test_a_worker_group_on_two_machines_survives_that_one_is_cut_off(cluster):
    study = Remote(cluster, "cut-off", workers_per_trial=2, epochs=6, train_images=1000)
    running = cluster.lab.command(*cluster.command("exec", in_project(study.line())))
    try:
        wait_until(lambda: len(study.rows()) >= 2 or running.poll() is not None, "no second trial")
        assert running.poll() is None, running.communicate()[0]
        hosts = wait_until(
            lambda: len(on := [n for n in (1, 2, 3) if members(n)]) == 2 and on, "no worker group on two hosts"
        )
        cluster.lab.cut_off(max(hosts))
        said, _ = running.communicate(timeout=DEADLINE_S)
    finally:
        running.kill()
        running.communicate()
        for host in (2, 3):
            cluster.lab.bring_back(host)
    assert running.returncode == 0, said
    assert set(study.states().values()) == {"finished"} and len(study.rows()) == 4, said


def test_ray_down_leaves_no_process_of_ray_on_any_machine(cluster):
    status, said = cluster.ray("down")
    assert status == 0 and "command not found" not in said, said
    # The head is stopped. The others give it a minute to come back.
    wait_until(lambda: not any(RAY.search(cluster.lab.on(n, "ps -eo args")) for n in (1, 2, 3)), said)
