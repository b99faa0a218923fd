"""Drawn inputs of units.npz."""

import numpy as np


class Draw(np.random.RandomState):
    """Draws inputs."""

    def boxes(self, count: int, width: float, height: float, small: float = 2, large: float = 200) -> np.ndarray:
        """Return float32 boxes with sides from `small` to `large`, clipped to a picture."""
        centers = self.uniform(0, 1, (count, 2)) * [width, height]
        halves = np.exp(self.uniform(np.log(small), np.log(large), (count, 2))) / 2
        corners = np.concatenate([centers - halves, centers + halves], axis=1)
        return corners.clip(0, [width, height, width, height]).astype(np.float32)

    def normals(self, spread: float, *shape: int) -> np.ndarray:
        """Return float32 normal values of mean 0."""
        return self.normal(0, spread, shape).astype(np.float32)

    def polygon(self, count: int) -> list[float]:
        """Return `count` coordinates of no particular shape."""
        return [float(value) for value in self.uniform(0, 400, count)]

    def star(self, center: np.ndarray, part: int) -> list[float]:
        """Return a polygon of 3 to 11 corners around a centre, in float32 values; an outline's parts stand in a row."""
        count = self.randint(3, 12)
        angles = np.sort(self.uniform(0, 2 * np.pi, count))
        radii = self.uniform(5, 40, count)
        columns = center[0] + 12 * part + radii * np.cos(angles), center[1] - 9 * part + radii * np.sin(angles)
        return np.stack(columns, axis=1).ravel().astype(np.float32).tolist()
