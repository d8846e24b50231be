"""What is set in a worker before its process group."""

import os

from evae.cluster.process_group import let_steps_be_captured


def test_what_captured_sums_need_of_nccl_is_set_where_nobody_has_set_it(monkeypatch):
    names = ("NCCL_GRAPH_REGISTER", "TORCH_NCCL_ASYNC_ERROR_HANDLING")
    for chosen, expected in (({}, ["0", "3"]), ({"NCCL_GRAPH_REGISTER": "1"}, ["1", "3"])):
        monkeypatch.setattr(os, "environ", dict(chosen))
        let_steps_be_captured()
        assert [os.environ[name] for name in names] == expected
