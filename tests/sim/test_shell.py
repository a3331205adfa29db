"""What nobody can see of a link is left out, and nothing else."""

from __future__ import annotations

import numpy as np

from vibrissa.sim.meshes import Mesh
from vibrissa.sim.shell import seen_from_outside

FACES = np.array(
    [
        *((0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7), (0, 1, 5), (0, 5, 4)),
        *((1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 0, 4), (3, 4, 7)),
    ],
    np.int32,
)


def box(half_m: float, centre_m: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    """A closed box, its triangles facing outwards."""
    signs = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    corners = np.array([(x, y, z) for z in (-1, 1) for x, y in signs], np.float32)
    return (corners * half_m + np.array(centre_m, np.float32)).astype(np.float32), FACES


def test_a_motor_inside_a_housing_is_left_out_and_the_housing_stays() -> None:
    housing, motor = seen_from_outside([box(0.03), box(0.01)])
    assert len(housing[1]) == 12
    assert len(motor[1]) == 0


def test_things_beside_each_other_stay_whole() -> None:
    for part in seen_from_outside([box(0.01), box(0.01, (0.05, 0, 0))]):
        assert len(part[1]) == 12


def test_through_an_open_side_one_sees_what_is_inside() -> None:
    vertices, faces = box(0.03)
    lidless = vertices, faces[[i for i in range(12) if i not in (2, 3)]]  # no top
    housing, motor = seen_from_outside([lidless, box(0.01)])
    assert len(housing[1]) == 10
    top = motor[0][motor[1]][:, :, 2].min(axis=1)
    assert (top > 0.009).any()  # the motor's upper side


def test_corners_that_belong_to_no_triangle_are_gone() -> None:
    _, motor = seen_from_outside([box(0.03), box(0.01)])
    assert motor[0].shape == (0, 3)
