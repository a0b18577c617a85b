# SPDX-License-Identifier: Apache-2.0
"""Places for labels beside crowded points, so that none covers another label or a point. Pure geometry, in points."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Spot = tuple[float, float]
Line = tuple[Spot, Spot]

DISTANCES = (7, 11, 16, 22, 29, 37, 46, 56, 68, 82, 100, 125)
DIRECTIONS = 24
POINT_RADIUS = 5
CROSSING, CONFUSION = 60, 90  # what either is worth, in candidates tried


@dataclass(frozen=True)
class Box:
    """A rectangle: left, bottom, right, top, with y upwards."""

    x0: float
    y0: float
    x1: float
    y1: float

    def overlap(self, other: "Box") -> float:
        """The area that both cover."""
        wide = min(self.x1, other.x1) - max(self.x0, other.x0)
        high = min(self.y1, other.y1) - max(self.y0, other.y0)
        return wide * high if wide > 0 and high > 0 else 0.0

    def inside(self, other: "Box") -> bool:
        return self.x0 >= other.x0 and self.y0 >= other.y0 and self.x1 <= other.x1 and self.y1 <= other.y1


def place(points: Sequence[Spot], sizes: Sequence[Spot], frame: Box, others: Sequence[Spot] = ()) -> list[Box]:
    """A box of the given size (width, height) for each point, within `frame`, near its point, covering nothing.

    `others` are points without a label of their own, to stay clear of too. A label keeps nearer to its own point than
    to any other, and its leader line crosses nothing, where that can be. The tallest labels choose first; where there
    is no free place at all, the box that covers least.

    >>> place([(50, 50)], [(20, 10)], Box(0, 0, 100, 100))
    [Box(x0=57.0, y0=45.0, x1=77.0, y1=55.0)]
    """
    spots = [*points, *others]
    placed: dict[int, Box] = {}
    lines: list[Line] = []
    for number in sorted(range(len(points)), key=lambda index: (-sizes[index][1], index)):
        own = points[number]
        placed[number] = _choose(own, _candidates(own, sizes[number], frame), spots, list(placed.values()), lines)
        lines.append((own, anchor(own, placed[number])))
    return [placed[number] for number in range(len(points))]


def _choose(own: Spot, boxes: list[Box], spots: list[Spot], placed: list[Box], lines: list[Line]) -> Box:
    """The box that covers least; of those the one with the least of distance, crossings and confusion."""
    markers = [_around(spot) for spot in spots]
    foreign = [spot for spot in spots if spot != own]
    in_the_way = [*placed, *(_around(spot) for spot in foreign)]
    best, least = boxes[0], (math.inf, math.inf)
    for rank, box in enumerate(boxes):
        if least[0] == 0 and rank >= least[1]:
            break  # a farther box costs its rank at least
        covered = round(_covered(box, [*markers, *placed]), 3)
        if covered > least[0]:
            continue
        near = _distance(own, box) + 2
        confusing = sum(1 for spot in foreign if _distance(spot, box) < near)
        cost = rank + CROSSING * _crossings(own, box, lines, in_the_way) + CONFUSION * confusing
        if (covered, cost) < least:
            best, least = box, (covered, cost)
    return best


def anchor(point: Spot, box: Box) -> Spot:
    """Where a line from the point meets the box: its nearest spot."""
    return min(max(point[0], box.x0), box.x1), min(max(point[1], box.y0), box.y1)


def _candidates(point: Spot, size: Spot, frame: Box) -> list[Box]:
    """Boxes around the point from near to far, first to the right of it, that stay within the frame."""
    (x, y), (width, height) = point, size
    boxes = []
    for distance in DISTANCES:
        for step in range(DIRECTIONS):
            turn = (step + 1) // 2 * (1 if step % 2 else -1) * 2 * math.pi / DIRECTIONS
            cos, sin = math.cos(turn), math.sin(turn)
            centre_x = x + cos * (distance + width / 2)
            centre_y = y + sin * (distance + height / 2)
            box = Box(centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
            if box.inside(frame):
                boxes.append(box)
    return boxes or [Box(frame.x0, frame.y0, frame.x0 + width, frame.y0 + height)]


def _around(point: Spot) -> Box:
    x, y = point
    return Box(x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS)


def _distance(point: Spot, box: Box) -> float:
    return math.dist(point, anchor(point, box))


def _covered(box: Box, obstacles: Sequence[Box]) -> float:
    return sum(box.overlap(other) for other in obstacles)


def _crossings(point: Spot, box: Box, lines: Sequence[Line], placed: Iterable[Box]) -> int:
    """How many leader lines the line to this box would cross, and labels and points it would run through."""
    own = (point, anchor(point, box))
    count = sum(1 for line in lines if _cross(own, line))
    return count + sum(1 for other in placed if _runs_through(own, other))


def _cross(one: Line, two: Line) -> bool:
    def side(a: Spot, b: Spot, c: Spot) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    (a, b), (c, d) = one, two
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _runs_through(line: Line, box: Box) -> bool:
    rising: Line = ((box.x0, box.y0), (box.x1, box.y1))
    falling: Line = ((box.x0, box.y1), (box.x1, box.y0))
    return _cross(line, rising) or _cross(line, falling)
