"""A client of `maskzoo serve`: its `predict` takes and returns what a predictor's does."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from PIL import Image

from maskzoo.errors import ArgumentError, ImageError, RequestError
from maskzoo.images.read import read_image
from maskzoo.inference.choice import SCORE
from maskzoo.inference.prediction import Masks, Prediction
from maskzoo.system.packages import import_extra

if TYPE_CHECKING:
    import httpx

    from maskzoo.inference.predictor import Source

__all__ = ["Client"]

Made = TypeVar("Made")


class Client:
    """A connection to a server of `maskzoo serve`; use it in a `with` block, or `close` it.

    `address` is the server's, as `http://127.0.0.1:8000`; `model` one of its models, None the first; `token` what it asks
    for. A server that is busy is asked again for `patience` seconds, at the times that it names. Raises
    MissingPackageError if httpx is not installed, ArgumentError for what is no address or token.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        model: str | None = None,
        token: str | None = None,
        timeout: float = 120.0,
        patience: float = 60.0,
    ) -> None:
        httpx = import_extra("httpx")
        self.address, self.model, self.patience = address.strip().rstrip("/"), model, patience
        secret = (token or "").strip()  # of a file it ends with its line
        if not (secret.isascii() and secret.isprintable()):
            raise ArgumentError(
                "token has letters outside ASCII, or several lines; expected one line of the server's token file"
            )
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        try:  # trust_env: a proxy that the environment names is for the internet, and would see the photos
            self._http = httpx.Client(base_url=self.address, headers=headers, timeout=timeout, trust_env=False)
        except httpx.InvalidURL as error:
            raise ArgumentError(f"address is {address!r:.80}: {error}; expected one like http://127.0.0.1:8000") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, source: Source, *, score: float = SCORE, classes: Sequence[str] = ()) -> Prediction:
        """Return what is on one photo (path, bytes, PIL image, RGB array), as `Predictor.predict` does.

        `score` and `classes` choose objects before they are sent. Raises ImageError for a photo that cannot be read, here or
        there, RequestError for any other refusal and if there is no answer.
        """
        content = _to_bytes(source)
        query: dict[str, Any] = {"score": score, "masks": "map", "classes": list(classes)}
        if self.model is not None:
            query["model"] = self.model
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._ask("POST", "/v1/predict", params=query, content=content, headers=headers)
        image = None if isinstance(source, str | Path) else read_image(source)
        if image is not None and isinstance(source, np.ndarray) and np.may_share_memory(image, source):
            image = image.copy()
        return self._read(answer, lambda found: _to_prediction(found, str(source) if image is None else None, image))

    def models(self) -> list[dict[str, Any]]:
        """Return the server's models: name, classes, backend and so on. Raises RequestError."""
        return self._read(self._ask("GET", "/v1/models"), lambda found: list(found["models"]))

    def is_ready(self) -> bool:
        """Say whether the server takes requests."""
        try:
            self._ask("GET", "/ready", patience=0)
        except RequestError:
            return False
        return True

    def _ask(self, method: str, path: str, patience: float | None = None, **options: Any) -> httpx.Response:
        import httpx

        end = time.monotonic() + (self.patience if patience is None else patience)
        while True:
            try:
                answer: httpx.Response = self._http.request(method, path, **options)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                why = str(error) or type(error).__name__
                raise RequestError(f"{self.address}: no answer: {why}; is this its address, and does it run?") from error
            wait = _read_wait(answer) or 0
            if answer.status_code != 503 or not wait or time.monotonic() + wait > end:
                break
            time.sleep(wait)
        if answer.is_success:
            return answer
        raise _to_error(answer, self.address)

    def _read(self, answer: httpx.Response, make: Callable[[Any], Made]) -> Made:
        """Return what `make` makes of an answer's JSON. Raises RequestError if it is not that of a maskzoo server."""
        try:
            return make(answer.json())
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise RequestError(
                f"{self.address}: its answer is not that of a maskzoo server of this version; is this the right address?",
                answer.status_code,
            ) from error


def _read_wait(answer: httpx.Response) -> int | None:
    """Return the seconds after which to ask again; a date, which a proxy may send, is as good as none."""
    wait = answer.headers.get("retry-after", "")
    return int(wait) if wait.isdecimal() and len(wait) < 10 else None


def _to_error(answer: httpx.Response, address: str) -> RequestError | ImageError:
    try:
        problem = answer.json()
        detail, request_id = str(problem["detail"]), str(problem["id"])
    except (ValueError, KeyError, TypeError):
        return RequestError(
            f"{address}: status {answer.status_code} from something that is no maskzoo server", answer.status_code
        )
    if answer.status_code in (413, 422) and detail.startswith("image of "):
        return ImageError(detail)
    message = f"{address}: {detail} (status {answer.status_code}, request {request_id})"
    return RequestError(message, answer.status_code, _read_wait(answer))


def _to_bytes(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | Path):
        try:
            return Path(source).read_bytes()
        except (OSError, ValueError) as error:
            raise ImageError(f"{source}: cannot be opened: {error}; check the spelling and the current folder") from error
    stream = io.BytesIO()
    Image.fromarray(read_image(source)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _to_prediction(answer: dict[str, Any], source: str | None, image: Any) -> Prediction:
    rows, size = answer["detections"], (answer["height"], answer["width"])
    boxes = np.array([row["box"] for row in rows], dtype=np.float32).reshape(-1, 4)
    maps = [np.frombuffer(base64.b64decode(row["segmentation"]["float32"]), "<f4") for row in rows]
    side = rows[0]["segmentation"]["side"] if rows else 0
    return Prediction(
        boxes=boxes,
        scores=np.array([row["score"] for row in rows], dtype=np.float32),
        labels=np.array([row["label"] for row in rows], dtype=np.int64),
        names=tuple(row["name"] for row in rows),
        category_ids=np.array([row["category_id"] for row in rows], dtype=np.int64),
        masks=Masks(np.array(maps, dtype=np.float32).reshape(len(rows), side, side), boxes, size, answer["mask_threshold"]),
        size=size,
        scale=(answer["scale"][0], answer["scale"][1]),
        source=source,
        image=image,
    )
