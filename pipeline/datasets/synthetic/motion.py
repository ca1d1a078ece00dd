"""Smooth random courses over the frames of a clip: where things go, how they grow and turn."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Course: TypeAlias = npt.NDArray[np.float64]
"""One value a frame, shape (frame,), or one point x, y a frame, shape (frame, 2)."""

PERIODS = (20.0, 90.0)
"""Frames in one swing of ``wander``: slow enough to be smooth, fast enough to be seen in a clip."""

PERSISTENCE = 0.92
"""Share of a velocity that is left after one frame of ``travel``: it forgets its direction in about 12 frames."""

FASTEST = 2.5
"""Bound of the speed in ``travel`` over its typical speed, so that no jump is beyond a tracker's search region."""


def wander(rng: np.random.Generator, frames: int) -> Course:
    """A smooth random course within [-1, 1]: three swings of random period, phase and share."""
    share = rng.dirichlet((1.0, 1.0, 1.0))
    frequency = 2 * np.pi / rng.uniform(*PERIODS, size=3)
    phase = rng.uniform(0, 2 * np.pi, size=3)
    return np.sin(np.arange(frames)[:, None] * frequency + phase) @ share


def travel(rng: np.random.Generator, low: Course, high: Course, speed: float, agility: float) -> Course:
    """Points of a smooth journey within ``low`` and ``high``, pixels, shape (frame, 2).

    The velocity drifts (an Ornstein-Uhlenbeck process of standard deviation ``speed``, pixels a frame along each axis)
    and with probability ``agility`` a frame it is drawn anew. At a wall it turns round.

    low, high: smallest and largest point at each frame, shape (frame, 2). Where they cross, the middle is taken.
    """
    frames = len(low)
    middle = (low + high) / 2
    low, high = np.minimum(low, middle), np.maximum(high, middle)
    points = np.empty((frames, 2))
    points[0] = rng.uniform(low[0], high[0])
    velocity = rng.normal(0, speed, size=2)
    pushes = rng.normal(0, speed * np.sqrt(1 - PERSISTENCE**2), size=(frames, 2))
    turns = rng.random(frames) < agility
    fresh = rng.normal(0, speed, size=(frames, 2))
    for t in range(1, frames):
        velocity = fresh[t] if turns[t] else PERSISTENCE * velocity + pushes[t]
        velocity = np.clip(velocity, -FASTEST * speed, FASTEST * speed)
        free = points[t - 1] + velocity
        points[t] = np.clip(free, low[t], high[t])
        velocity = np.where(points[t] == free, velocity, -velocity)
    return points


def pass_by(meeting: npt.NDArray[np.float64], frame: float, velocity: npt.NDArray[np.float64], frames: int) -> Course:
    """A straight course that reaches the point ``meeting`` at ``frame`` with ``velocity`` (x, y in pixels a frame)."""
    return meeting + (np.arange(frames)[:, None] - frame) * velocity


def velocity_of(points: Course) -> Course:
    """Displacement per frame around each point of a course, by central differences, same shape."""
    return np.gradient(points, axis=0) if len(points) > 1 else np.zeros_like(points)
