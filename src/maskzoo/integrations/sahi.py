"""A predictor as a detection model of SAHI, which looks for small objects slice by slice and merges what it finds."""

from __future__ import annotations

from typing import Any

from maskzoo.integrations.found import Finder
from maskzoo.system.packages import import_extra

__all__ = ["make_model"]


def make_model(predictor: Finder, score: float = 0.5) -> Any:
    """Return a `sahi.models.base.DetectionModel` for `get_prediction` and `get_sliced_prediction`.

    Objects count from `score` on. Category ids are the data set's, as in COCO results. Masks become SAHI's polygons, which
    have no holes. Raises MissingPackageError if SAHI is not installed.
    """
    base = import_extra("sahi.models.base").DetectionModel
    prediction = import_extra("sahi.prediction")
    cv = import_extra("sahi.utils.cv")

    class Model(base):  # type: ignore[misc, valid-type]
        """What SAHI calls; the names are its own."""

        def set_model(self, model: Finder) -> None:
            self.model = model
            self.category_mapping = {str(number): name for number, name in model.config.classes.items()}

        @property
        def num_categories(self) -> int:
            return len(self.category_mapping)

        def perform_inference(self, image: Any) -> None:
            self._original_predictions = self.model.predict(image, score=self.confidence_threshold)

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = None, full_shape_list: Any = None
        ) -> None:
            found = self._original_predictions
            shift, full = _first(shift_amount_list) or [0, 0], _first(full_shape_list) or list(found.size)
            masks = found.masks.dense()
            self._object_prediction_list_per_image = [
                [
                    prediction.ObjectPrediction(
                        bbox=found.boxes[place].tolist(),
                        category_id=int(found.category_ids[place]),
                        category_name=found.names[place],
                        segmentation=cv.get_coco_segmentation_from_bool_mask(masks[place]),
                        score=float(found.scores[place]),
                        shift_amount=shift,
                        full_shape=full,
                    )
                    for place in range(len(found))
                    if masks[place].any()
                ]
            ]

    return Model(model=predictor, confidence_threshold=score)


def _first(given: Any) -> Any:
    """Return the list of the one image, which SAHI passes alone or in a list; None if there is none."""
    return given[0] if given and isinstance(given[0], list | tuple) else given
