"""Convolutions of single pixels with a stride and few channels, which oneDNN does wrong on some CPUs."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import conv2d

from evae.networks.layers import Pixels

TRAINING = """
import torch
from evae.networks.layers import Pixels

torch.set_num_threads(1)
for channels in (1, 3, 7):
    layer = Pixels(channels, 12, stride=2).to(memory_format=torch.channels_last)
    for _ in range(6):
        x = torch.randn(6, channels, 16, 16).to(memory_format=torch.channels_last).requires_grad_()
        layer(x).square().sum().backward()
        beside = [torch.randn(7) for _ in range(20)]
"""


def test_their_gradients_keep_to_their_memory_on_a_cpu_with_avx2_and_no_more():
    env = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    ended = subprocess.run([sys.executable, "-c", TRAINING], env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("channels", [1, 5, 8])
@pytest.mark.parametrize("side", [6, 7])
def test_they_are_those_of_torch_with_their_gradients(channels, side):
    layer = Pixels(channels, 4, stride=2)
    x, by = (
        torch.randn(2, channels, side, side, requires_grad=True),
        torch.randn(2, 4, (side + 1) // 2, (side + 1) // 2),
    )
    # In double precision, which oneDNN leaves to torch.
    given = [tensor.detach().double().requires_grad_() for tensor in (x, layer.weight, layer.bias)]
    expected, made = conv2d(*given, stride=2), layer(x)
    torch.testing.assert_close(made.double(), expected, rtol=1e-5, atol=1e-5)
    found = torch.autograd.grad(made, (x, layer.weight, layer.bias), by)
    for mine, right in zip(found, torch.autograd.grad(expected, given, by.double()), strict=True):
        torch.testing.assert_close(mine.double(), right, rtol=1e-4, atol=1e-4)
