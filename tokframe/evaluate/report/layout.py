"""Layout: ids placed on a plane by their vectors, each class on a disc of its own, discs of similar classes together.

The same vectors give the same plane on one machine. What is drawn there is left to `vocabulary`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["placed"]

Floats = npt.NDArray[np.float64]

_STRESS_STEPS = 300
_PACKING_STEPS = 600
#: Share of a disc's radius between it and the next one.
_GAP = 0.12
_STEPS = 50  # to which places within a disc are told apart
_PULL = 0.004  # towards the middle at each step of packing


def placed(vectors: npt.NDArray[np.floating], classes: npt.NDArray[np.int64]) -> Floats:
    """Return a place for each vector, (n, d) -> (n, 2), within -1 to 1; `classes` (n,) says which disc it is on.

    Discs are as large as their classes. Their distances follow the angles between the classes' mean vectors (stress
    majorization: de Leeuw, 1977), then they are moved apart. Within a disc those in
    a like direction, in the plane in which the class differs most, lie beside each other; the less typical farther out.
    """
    if not len(vectors):
        return np.zeros((0, 2))
    numbers, members = np.unique(classes, return_inverse=True)
    groups = [np.flatnonzero(members == n) for n in range(len(numbers))]
    means = np.stack([vectors[group].mean(0) for group in groups])
    radii = np.sqrt([len(group) for group in groups])
    middles = _packed(_spread(means), radii)
    places = np.zeros((len(vectors), 2))
    for group, middle, radius in zip(groups, middles, radii, strict=True):
        places[group] = middle + radius * _on_disc(np.asarray(vectors[group], np.float64))
    extent = np.abs(places).max(initial=0)
    return places / extent if extent else places


def _spread(means: npt.NDArray[np.floating]) -> Floats:
    """Place mean vectors so that their distances in the plane are like those of their directions: (k, d) -> (k, 2)."""
    unit = np.asarray(means, np.float64)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    wanted = np.sqrt(np.maximum(0, 2 - 2 * unit @ unit.T))
    places = _plane(unit)
    for _ in range(_STRESS_STEPS if len(unit) > 1 else 0):
        ratio = -wanted / np.maximum(_distances(places), 1e-9)
        np.fill_diagonal(ratio, 0)
        np.fill_diagonal(ratio, -ratio.sum(1))
        places = ratio @ places / len(places)
    return places


def _packed(places: Floats, radii: Floats) -> Floats:
    """Move discs apart until none lie on each other, and towards the middle: (k, 2) -> (k, 2)."""
    if len(places) < 2:
        return places
    reach = (radii[:, None] + radii) * (1 + _GAP)
    nearest = _distances(places) + np.where(np.eye(len(places), dtype=bool), np.inf, 0)
    places = places * np.median(reach.diagonal()) / max(float(np.median(nearest.min(1))), 1e-9)
    for step in range(_PACKING_STEPS):
        apart = places[:, None] - places
        distance = np.maximum(_distances(places), 1e-9)
        overlap = np.maximum(0, reach - distance)
        np.fill_diagonal(overlap, 0)
        places = places + (apart * (overlap / distance)[..., None]).sum(1) * 0.4
        places = places * (1 - _PULL * (1 - step / _PACKING_STEPS))
    return places


def _on_disc(vectors: Floats) -> Floats:
    """Place the vectors of a class on a disc of radius one, evenly from the middle to the border: (n, d) -> (n, 2)."""
    plane = _plane(vectors)
    around = 2 * np.pi * _shares(np.arctan2(plane[:, 1], plane[:, 0]), 0)
    outward = np.sqrt(_shares(np.linalg.norm(plane, axis=1), 1))
    return np.asarray(outward[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1))


def _shares(values: Floats, seed: int) -> Floats:
    """Return the place of each value in their order, 0 to 1; of those about equal in an arbitrary but fixed one."""
    about = (values * _STEPS / max(float(np.abs(values).max(initial=0)), 1e-12)).round()
    chance = np.random.default_rng(seed).permutation(len(values))
    shares = np.empty(len(values))
    shares[np.lexsort((chance, about))] = (np.arange(len(values)) + 0.5) / max(1, len(values))
    return shares


def _plane(vectors: Floats) -> Floats:
    """Project onto the two directions in which vectors differ most, the largest entry of each positive: (n, 2)."""
    centered = vectors - vectors.mean(0)
    _, _, directions = np.linalg.svd(centered, full_matrices=False)
    directions = directions[:2]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1)
    flat = centered @ (directions * np.where(largest < 0, -1, 1)).T
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))


def _distances(places: Floats) -> Floats:
    return np.asarray(np.linalg.norm(places[:, None] - places, axis=-1))
