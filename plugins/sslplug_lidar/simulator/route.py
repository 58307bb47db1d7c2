"""Where the sensor drives: right-hand lanes of the city's roads, with turns on circles at the crossings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sslplug_lidar.simulator.city import BLOCK, LANE

RIGHT, STRAIGHT, LEFT = -1, 0, 1
_RADIUS = {RIGHT: 4.0, LEFT: 6.0}
_REACH = {RIGHT: LANE + 4.0, STRAIGHT: 0.0, LEFT: 6.0 - LANE}
"""Metres before and after a crossing's middle at which a turn begins and ends."""


@dataclass(frozen=True, eq=False)
class Route:
    """A path of straight lines and arcs.

    start   (s,) metres along the path where each piece begins;  length: of the whole path
    pose    (s, 3) x, y, yaw there;  bend (s,) 1 / radius, positive to the left, 0: straight
    """

    start: np.ndarray
    pose: np.ndarray
    bend: np.ndarray
    length: float

    def at(self, along: np.ndarray) -> np.ndarray:
        """(k, 3) x, y, yaw at (k,) metres along the path."""
        piece = np.clip(np.searchsorted(self.start, along, side="right") - 1, 0, len(self.start) - 1)
        rest, (x, y, yaw), bend = along - self.start[piece], self.pose[piece].T, self.bend[piece]
        end = yaw + bend * rest
        bent = bend != 0
        curve = np.where(bent, bend, 1.0)
        dx = np.where(bent, (np.sin(end) - np.sin(yaw)) / curve, rest * np.cos(yaw))
        dy = np.where(bent, (np.cos(yaw) - np.cos(end)) / curve, rest * np.sin(yaw))
        return np.stack([x + dx, y + dy, end], 1)


def route(crossing: tuple[int, int], heading: int, turns: Sequence[int]) -> Route:
    """From half a block before ``crossing`` (i, j), heading 0..3 (x, y, -x, -y), one turn a crossing, half a block beyond.

    Turns are RIGHT, STRAIGHT or LEFT. Four equal turns lead back to the start.
    """
    yaw = heading * np.pi / 2
    middle = np.array(crossing, np.float64) * BLOCK
    ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    pose = np.array([*(middle - ahead * BLOCK / 2 - left * LANE), yaw])
    pieces: list[tuple[float, float]] = []  # length, bend
    before = BLOCK / 2
    for turn in turns:
        pieces.append((before - _REACH[turn], 0.0))
        if turn != STRAIGHT:
            pieces.append((_RADIUS[turn] * np.pi / 2, turn / _RADIUS[turn]))
        before = BLOCK - _REACH[turn]
    pieces.append((before - BLOCK / 2, 0.0))
    starts, poses, bends, along = [], [], [], 0.0
    for length, bend in pieces:
        starts.append(along)
        poses.append(pose)
        bends.append(bend)
        pose = Route(np.zeros(1), pose[None], np.array([bend]), length).at(np.array([length]))[0]
        along += length
    return Route(np.array(starts), np.stack(poses), np.array(bends), along)
