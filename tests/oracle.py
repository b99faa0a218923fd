"""A predictor without fault, so that what is done with predictions is tested alone: each object has a colour of its own."""

import numpy as np

from maskzoo.datasets.rle import encode_mask, read_placed
from maskzoo.inference.mask_runs import RunMasks, count_common, count_pixels
from maskzoo.inference.prediction import Prediction
from maskzoo.inference.predictor import Predictor
from networks import FPN, small_predictor

SCORE = 0.9


class Oracle(Predictor):
    """Red and green are an object's number, blue its label; black is background. It counts the images that it sees."""

    def __init__(self, *overrides):
        predictor = small_predictor(FPN, *overrides)
        super().__init__(predictor.backend, predictor.config)
        self.seen = 0

    def predict_prepared(self, photos):
        self.seen += len(photos)
        return [self.look(photo.pixels) for photo in photos]

    def look(self, pixels):
        height, width = pixels.shape[:2]
        numbers = pixels.astype(np.int64) @ np.array([1, 256, 65536])
        boxes, labels, runs = [], [], []
        for number in np.unique(numbers[numbers > 0]).tolist():
            mask = numbers == number
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            labels.append(number >> 16)
            runs.append(read_placed(encode_mask(mask).decode(), (height, width), (0, 0), height))
        names, ids = list(self.config.classes.values()), np.array(list(self.config.classes))
        return Prediction(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.full(len(runs), SCORE, np.float32),
            np.array(labels, np.int64),
            tuple(names[label] for label in labels),
            ids[np.array(labels, np.int64)],
            RunMasks(runs, (height, width)),
            (height, width),
            (1.0, 1.0),
        )


class Scene:
    """An image of `size` (height, width) with objects that tiles of `tile` pixels cut, and the runs of each as it is seen.

    Some are larger than several tiles, some stand on the image's border, pairs of one class touch, one row of squares lies
    where tiles meet.
    """

    def __init__(self, size, tile, seed=0):
        self.size, self.tile = size, tile
        self.random = np.random.default_rng(seed)
        self.numbers = np.zeros(size, np.uint16)
        self.labels, self.boxes = [], []
        height, width = size
        for place in ((0.3, 0.3), (0.7, 0.65)):
            self.add_ellipse(place[1] * width, place[0] * height, 1.3 * tile, 0.9 * tile, 0)
        self.add_ellipse(0.5 * width, 0.5 * height, 0.9 * width / 2, 0.1 * tile, 1)
        for _ in range(height * width // tile**2):
            y, x, side = self.random.uniform(0, height), self.random.uniform(0, width), self.random.uniform(0.05, 0.25) * tile
            self.add_ellipse(x, y, side, self.random.uniform(0.5, 1) * side, int(self.random.integers(5)))
        side = max(6, tile // 12)
        for x in range(side, width - 3 * side, 3 * side):  # touching squares of one class, side by side
            y = int(self.random.uniform(0, height - side))
            self.add_square(x, y, side, 2)
            self.add_square(x + side, y, side, 2)
        self.pixels = np.zeros((height, width, 3), np.uint8)
        self.pixels[..., 0], self.pixels[..., 1] = self.numbers & 255, self.numbers >> 8
        self.pixels[..., 2] = np.array([0, *self.labels], np.uint8)[self.numbers]
        truth = [(number, self.find_runs(number)) for number in range(1, len(self.labels) + 1)]
        self.truth = {number: runs for number, runs in truth if len(runs)}

    def add_ellipse(self, x, y, across, down, label):
        y1, y2 = max(0, int(y - down)), min(self.size[0], int(y + down) + 1)
        x1, x2 = max(0, int(x - across)), min(self.size[1], int(x + across) + 1)
        rows, columns = np.ogrid[y1:y2, x1:x2]
        self.add(x1, y1, ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1, label)

    def add_square(self, x, y, side, label):
        self.add(x, y, np.ones((side, side), bool), label)

    def add(self, x, y, mask, label):
        self.labels.append(label)
        self.boxes.append((x, y, x + mask.shape[1], y + mask.shape[0]))
        self.numbers[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = len(self.labels)

    def find_runs(self, number):
        x1, y1, x2, y2 = self.boxes[number - 1]
        mask = self.numbers[y1:y2, x1:x2] == number
        return read_placed(encode_mask(mask).decode(), mask.shape, (x1, y1), self.size[0])

    def match(self, prediction):
        """The best IoU of each object with what was found of its class, and how many were found beyond one for each."""
        found = prediction.masks.runs()
        best = []
        for number, runs in self.truth.items():
            same = [one for one, label in zip(found, prediction.labels, strict=True) if label == self.labels[number - 1]]
            best.append(max((measure_iou(one, runs) for one in same), default=0.0))
        return np.array(best), len(found) - len(self.truth)


def measure_iou(one, other):
    if one[0, 0] > other[-1, 1] or other[0, 0] > one[-1, 1]:
        return 0.0
    common = count_common(one, other)
    return common / (count_pixels(one) + count_pixels(other) - common)
