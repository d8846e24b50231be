"""The network of a flow-matching prior: a small U-Net of residual convolutions, told the time."""

from __future__ import annotations

from evae.lazy import F, nn, torch

FREQUENCIES, LARGEST, SMALLEST = 16, 8, 4


class Residual(nn.Module):
    """Two 3x3 convolutions, each behind a norm over all of the map and SiLU; the time scales and shifts what is between
    them."""

    def __init__(self, channels: int, made: int, times: int):
        super().__init__()
        self.before, self.after = (nn.GroupNorm(1, c) for c in (channels, made))
        self.first, self.second = nn.Conv2d(channels, made, 3, padding=1), nn.Conv2d(made, made, 3, padding=1)
        self.time = nn.Linear(times, 2 * made)
        self.skip = nn.Conv2d(channels, made, 1) if channels != made else nn.Identity()

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        made = self.first(F.silu(self.before(x)))
        return self.skip(x) + self.second(F.silu(self.after(made) * (1 + scale) + shift))


class Velocity(nn.Module):
    """Maps (n, *shape) and times (n,) in [0, 1] to velocities (n, *shape).

    Patches become channels until sides are 8 at most, so that a step costs about the same for any map. Then sides are
    halved, and the channels doubled once, as long as both are even and above 4.
    """

    def __init__(self, shape: tuple[int, int, int], width: int):
        super().__init__()
        channels, height, reach = shape
        self.patch = 1
        while height % 2 == reach % 2 == 0 and max(height, reach) > LARGEST:
            channels, height, reach, self.patch = 4 * channels, height // 2, reach // 2, 2 * self.patch
        times = 2 * width
        self.times = nn.Sequential(nn.Linear(2 * FREQUENCIES, times), nn.SiLU(), nn.Linear(times, times), nn.SiLU())
        self.place = nn.Parameter(torch.zeros(width, height, reach))
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        widths = [width]
        while height % 2 == reach % 2 == 0 and min(height, reach) > SMALLEST:
            height, reach = height // 2, reach // 2
            widths.append(2 * width)
        levels = range(len(widths) - 1)
        self.down = nn.ModuleList(Residual(widths[i], widths[i], times) for i in levels)
        self.halve = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in levels)
        self.middle = nn.ModuleList(Residual(widths[-1], widths[-1], times) for _ in range(2))
        self.up = nn.ModuleList(Residual(widths[i + 1] + widths[i], widths[i], times) for i in reversed(levels))
        self.leave = nn.Sequential(nn.GroupNorm(1, width), nn.SiLU())
        self.out = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        angles = time[:, None] * torch.pi * 2 ** torch.linspace(0, 6, FREQUENCIES)
        told = self.times(torch.cat([angles.sin(), angles.cos()], 1))
        x = self.enter(F.pixel_unshuffle(x, self.patch)) + self.place
        kept = []
        for block, halve in zip(self.down, self.halve, strict=True):
            kept.append(x := block(x, told))
            x = halve(x)
        for block in self.middle:
            x = block(x, told)
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), kept.pop()], 1), told)
        return F.pixel_shuffle(self.out(self.leave(x)), self.patch)
