"""Where the picture of a task is: in the task, in a folder, or at the one host that the server may ask."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from maskzoo.errors import ArgumentError, ImageError
from maskzoo.inference.choice import SCORE
from maskzoo.serving.uploads import decode_data_uri
from maskzoo.system.files import explained

if TYPE_CHECKING:
    import httpx

__all__ = ["LabelStudio", "Pictures"]

UPLOADS, LOCAL_FILES = "/data/upload/", "/data/local-files/"
SECONDS = 30.0  # for one picture to arrive


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """How a server serves Label Studio.

    Args:
        images: The folder of the pictures: the document root of local files, the media folder of uploaded ones. Nothing
            outside of it is read.
        url: Label Studio's own address. Pictures that are in no folder are fetched there, and nowhere else.
        token_file: A file with an access token of Label Studio, which goes to `url` alone.
        score: Objects from this score on.
    """

    images: str | Path | None = None
    url: str | None = None
    token_file: str | Path | None = None
    score: float = SCORE

    def __post_init__(self) -> None:
        """Raise ArgumentError for what does not go together, MaskzooError if the token cannot be read."""
        address = _split(self.url or "")
        if self.url is not None and (address is None or address.scheme not in ("http", "https") or not address.hostname):
            raise ArgumentError(
                f"url (--label-studio-url): found {self.url!r}; expected an address such as http://localhost:8080"
            )
        if self.token_file is not None and self.url is None:
            raise ArgumentError("token_file (--label-studio-token-file): goes to Label Studio; add --label-studio-url URL")
        if self.images is not None and not Path(self.images).is_dir():
            raise ArgumentError(f"images (--images): {self.images} is no folder; expected the folder of the pictures")
        if self.token_file is not None:
            _read_token(Path(self.token_file))
        if not 0 <= self.score <= 1:
            raise ArgumentError(f"score (--score): found {self.score}; expected 0 to 1")


@dataclass(slots=True)
class Pictures:
    """Reads the pictures of tasks; `most` bytes each."""

    root: Path | None
    host: Host | None
    most: int

    @classmethod
    def open(cls, settings: LabelStudio, most: int) -> Pictures:
        """Return what the settings say. Raises MaskzooError if the token cannot be read."""
        root = None if settings.images is None else Path(settings.images).resolve()
        return cls(root, None if settings.url is None else Host.open(settings.url, settings.token_file, most), most)

    async def read(self, named: str) -> bytes:
        """Return the content of a picture, as a task names it. Raises ImageError that says where it was looked for."""
        if named.startswith("data:"):
            return decode_data_uri(named)
        shown = named[:200]
        address = _split(named)
        if address is None or (not self._is_own(address) and (address.scheme or address.netloc)):
            raise ImageError(
                f"image of {shown}: this server does not fetch it; expected a data URI, or a file of Label Studio: "
                f"{UPLOADS}... or {LOCAL_FILES}?d=... Upload the picture, or connect local storage"
            )
        place = _find_place(address)
        if self.root is not None and place is not None:
            content = await asyncio.to_thread(self._read_file, self.root, place)
            if content is not None:
                return content
        if self.host is not None and place is not None:
            return await self.host.fetch(address.path + (f"?{address.query}" if address.query else ""))
        expected = f"{place} in the folder of --images" if place else f"a path that begins with {UPLOADS} or {LOCAL_FILES}?d="
        raise ImageError(f"image of {shown}: not found; expected {expected}, or --label-studio-url to fetch it from")

    def _is_own(self, address: SplitResult) -> bool:
        return self.host is not None and (address.scheme, address.netloc) == self.host.origin

    def _read_file(self, root: Path, place: str) -> bytes | None:
        try:
            path = (root / place).resolve()
            if not path.is_relative_to(root) or not path.is_file():
                return None
            if path.stat().st_size > self.most:
                raise ImageError(f"image of {place}: {path.stat().st_size:,} bytes; expected at most {self.most:,}")
            return path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a zero byte
            raise ImageError(f"image of {place}: cannot be read: {type(error).__name__}") from error


@dataclass(slots=True)
class Host:
    """Label Studio, where pictures are fetched. A token that lives long is exchanged there for one that does not."""

    origin: tuple[str, str]
    most: int
    token: str
    _access: str = field(default="")

    @classmethod
    def open(cls, url: str, token_file: str | Path | None, most: int) -> Host:
        """Return the host of an address. Raises MaskzooError if the token cannot be read."""
        token = "" if token_file is None else _read_token(Path(token_file))
        address = urlsplit(url)
        return cls((address.scheme, address.netloc), most, token)

    async def fetch(self, path: str) -> bytes:
        """Return what is at a path of the host. Raises ImageError if it is not there, or too large."""
        import httpx

        try:
            # No redirects and no proxy of the environment: the token must reach this host alone.
            async with asyncio.timeout(SECONDS), httpx.AsyncClient(timeout=SECONDS, trust_env=False) as http:
                status, content = await self._get(http, path)
                if status == 401 and self._access:
                    self._access = ""  # it has expired
                    status, content = await self._get(http, path)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ImageError(f"image of {path[:200]}: Label Studio does not answer: {type(error).__name__}") from error
        if status != 200:
            raise ImageError(f"image of {path[:200]}: Label Studio answers {status}; is the token in its file still valid?")
        return content

    async def _get(self, http: httpx.AsyncClient, path: str) -> tuple[int, bytes]:
        content = bytearray()
        headers = {"Accept-Encoding": "identity"} | await self._authorise(http)
        async with http.stream("GET", self._name(path), headers=headers) as answer:
            async for part in answer.aiter_raw():
                content += part
                if len(content) > self.most:
                    raise ImageError(f"image of {path[:200]}: more than {self.most:,} bytes; expected at most as many")
        return answer.status_code, bytes(content)

    async def _authorise(self, http: httpx.AsyncClient) -> dict[str, str]:
        """Return the header. A personal token, a JSON Web Token, is exchanged for a short one; a legacy one is sent itself."""
        if not self.token:
            return {}
        if self.token.count(".") != 2:
            return {"Authorization": f"Token {self.token}"}
        if not self._access:
            answer = await http.post(self._name("/api/token/refresh/"), json={"refresh": self.token})
            try:
                self._access = str(answer.json()["access"])
            except (ValueError, KeyError, TypeError):
                status = answer.status_code
                raise ImageError(f"Label Studio does not take the token (status {status}); make a new one there") from None
        return {"Authorization": f"Bearer {self._access}"}

    def _name(self, path: str) -> str:
        return f"{self.origin[0]}://{self.origin[1]}{path}"


def _read_token(path: Path) -> str:
    with explained(path):
        token = path.read_text(encoding="utf-8", errors="replace").strip()
    if not token.isascii() or len(token.split()) != 1:
        raise ArgumentError(f"{path}: expected one access token of Label Studio, and nothing else")
    return token


def _split(named: str) -> SplitResult | None:
    try:
        return urlsplit(named)
    except ValueError:  # a single bracket
        return None


def _find_place(address: SplitResult) -> str | None:
    """Return the path inside of the folder of pictures: of local files what `d` says, of uploads what follows /data/.

    None of any other address, and of one that climbs.
    """
    if ".." in unquote(address.path).split("/"):
        return None
    if address.path == LOCAL_FILES:
        return parse_qs(address.query).get("d", [""])[0].lstrip("/") or None
    if address.path.startswith(UPLOADS):
        return unquote(address.path).removeprefix("/data/")
    return None
