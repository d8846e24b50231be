"""Torch's own random numbers, while several threads build networks."""

from concurrent.futures import ThreadPoolExecutor

import torch

from evae.global_seed import global_seed


def drawn(seed: int) -> list[float]:
    with global_seed(seed):
        return [float(torch.rand(())) for _ in range(200)]


def test_a_thread_draws_what_it_draws_alone_while_others_draw():
    alone = [drawn(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            assert list(threads.map(drawn, range(8))) == alone


def test_afterwards_random_numbers_go_on_as_if_nothing_had_been():
    torch.manual_seed(3)
    expected = [float(torch.rand(())), float(torch.rand(()))]
    torch.manual_seed(3)
    first = float(torch.rand(()))
    with global_seed(5):
        drawn(6)  # a network within a network
        torch.rand(7)
    assert [first, float(torch.rand(()))] == expected
