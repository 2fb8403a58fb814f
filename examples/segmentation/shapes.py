"""A generated set for segmentation: discs, squares and triangles in front of each other, with noise."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SIDE = 64
NAMES = ("background", "disc", "square", "triangle")
SHAPES = (1, 5)  # fewest and most on a picture
RADII = (6.0, 14.0)
NOISE = 0.15
APART = 0.25  # the least difference between the colour of a shape and that of the background


def pictures(count: int, seed: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Return pictures [count, 3, side, side] and the class of each pixel [count, side, side]; a seed gives the same ones."""
    images, maps = torch.zeros(count, 3, side, side), torch.zeros(count, side, side, dtype=torch.long)
    for index in range(count):
        draw = np.random.default_rng([seed, index])
        image, classes = picture(draw, side)
        images[index], maps[index] = torch.from_numpy(image), torch.from_numpy(classes)
    return images, maps


def picture(draw: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one picture [3, side, side] and its classes [side, side]."""
    ground = draw.uniform(size=3)
    image = np.broadcast_to(ground[:, None, None], (3, side, side)).copy()
    classes = np.zeros((side, side), np.int64)
    for _ in range(int(draw.integers(SHAPES[0], SHAPES[1] + 1))):
        kind = int(draw.integers(1, len(NAMES)))
        inside = shape(kind, draw.uniform(0, side, 2), draw.uniform(*RADII), draw.uniform(0, 2 * math.pi), side)
        colour = ground
        while np.abs(colour - ground).max() < APART:
            colour = draw.uniform(size=3)
        image[:, inside] = colour[:, None]
        classes[inside] = kind
    image += draw.normal(0, NOISE, image.shape)
    return image.astype(np.float32), classes


def shape(kind: int, centre: np.ndarray, radius: float, turn: float, side: int) -> np.ndarray:
    """Return which pixels [side, side] lie in a disc (1), a turned square (2) or a turned triangle (3) of a radius."""
    y, x = np.mgrid[:side, :side] - centre[:, None, None]
    if kind == 1:
        return x**2 + y**2 < radius**2
    corners = {2: 4, 3: 3}[kind]
    nearest = radius * math.cos(math.pi / corners)  # from the centre to the middle of an edge
    angles = turn + 2 * math.pi * np.arange(corners) / corners
    return np.all([x * math.cos(angle) + y * math.sin(angle) < nearest for angle in angles], axis=0)
