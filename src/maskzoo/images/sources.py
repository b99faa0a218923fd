"""Many images named by one file: a text file that lists them, or a tar archive that holds them.

An archive is read where it lies: its headers are walked once, nothing is extracted, and a picture's bytes are read when
its turn comes. Names inside it are labels; no path is ever made of them beyond their last part.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from maskzoo.errors import ImageError, SourceError
from maskzoo.images.bounds import Bounds
from maskzoo.images.find import IMAGE_SUFFIXES, find_images, is_hidden
from maskzoo.images.read import check_untrusted
from maskzoo.images.sample import SAMPLE, sample_photo
from maskzoo.system.files import describe_address

__all__ = ["MAX_MEMBER_BYTES", "TarMember", "find_sources", "read_list", "read_tar"]

MAX_MEMBER_BYTES = 1 << 30  # a gigabyte: above any picture that passes the limit of pixels, below what fills a machine
MAX_HEADER_BYTES = 1 << 20  # of a name, or of what pax says of a file
MAX_LIST_BYTES = 1 << 30  # ten million paths of a hundred letters


@dataclass(frozen=True, slots=True)
class TarMember:
    """A picture inside an uncompressed tar archive: `offset` and `size` of its bytes there."""

    archive: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read(self) -> bytes:
        """Return the picture's bytes. Raises ImageError if it is too large, for a stranger's too, or the archive is cut off."""
        if self.size > MAX_MEMBER_BYTES:
            raise ImageError(f"{self}: {self.size:,} bytes; expected at most {MAX_MEMBER_BYTES:,}; make it smaller first")
        try:
            with self.archive.open("rb") as stream:
                stream.seek(self.offset)
                content = stream.read(self.size)
        except OSError as error:
            raise ImageError(f"{self}: the archive cannot be read: {error}; check its permissions") from error
        if len(content) < self.size:
            raise ImageError(
                f"{self}: the archive ends after {len(content):,} of {self.size:,} bytes; copy or download it again"
            )
        check_untrusted(content, str(self))
        return content


def find_sources(sources: list[str], images: Path | None = None) -> list[Path | TarMember]:
    """Return the images that `sources` name, in order, each once.

    Args:
        sources: what `find_images` takes, text files that list images (`@list.txt`), `.tar` archives, and `sample`, the
            photo that comes with the package, unless something has that name.
        images: a folder in which the pictures of lists may lie, beside those in a list's own folder.

    Raises:
        SourceError: a source names no image, or a list one that lies elsewhere.
    """
    found: list[Path | TarMember] = []
    plain: list[str] = []
    for source in sources:
        if address := describe_address(source.removeprefix("@")):
            raise SourceError(address)
        if source.startswith("@") and not Path(source).exists():
            new: list[Path | TarMember] = list(read_list(Path(source[1:]), images))
        elif source.lower().endswith(".tar") and Path(source).is_file():
            new = list(read_tar(Path(source)))
        elif source == SAMPLE and not Path(source).exists():
            new = [sample_photo()]
        else:
            plain.append(source)
            continue
        found += find_images(plain)
        plain = []
        found += new
    found += find_images(plain)
    return list(dict.fromkeys(found))


def read_list(path: Path, images: Path | None = None) -> list[Path]:
    """Return the files that a UTF-8 text file lists, one a line, relative to its folder; empty lines are passed over.

    Files are not opened here: one that is missing is reported in its turn. Raises SourceError if the list cannot be read,
    names nothing, or names what lies neither in its own folder nor in `images`.
    """
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for its writer
            raise SourceError(f"{path}: no plain file; expected a text file with one path a line")
        if path.stat().st_size > MAX_LIST_BYTES:
            raise SourceError(f"{path}: {path.stat().st_size:,} bytes; a list has at most {MAX_LIST_BYTES:,}; split it")
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # names may have other separators
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{path}: cannot be read as a list of images: {error}; expected a UTF-8 text file with one path a line"
        ) from error
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise SourceError(f"{path}: line {number} holds a null character; expected one path a line; write the list anew")
    named = [(line.strip(), path.parent / line.strip()) for line in lines if line.strip()]
    if not named:
        raise SourceError(f"{path}: lists no image; expected one path a line, relative to the list's folder")
    Bounds([path.parent, *([] if images is None else [images])]).check(named, str(path), path.parent)
    return [place for _, place in named]


def read_tar(path: Path) -> list[TarMember]:
    """Return the pictures of an uncompressed tar archive, by extension, in its order; labels and the like are left.

    Raises SourceError if it is not such an archive, is damaged, holds no picture, or a picture's name is absolute, leaves
    the archive (`..`) or belongs to a link.
    """
    found: list[TarMember] = []
    last = -1
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=_Headers(stream), mode="r:") as archive:
            for member in archive:
                if member.size < 0 or member.offset_data <= last:
                    raise tarfile.ReadError(f"a header says {member.size:,} bytes")
                last = member.offset_data
                archive.members.clear()  # type: ignore[attr-defined]  # its own list would grow with the archive
                name = PurePosixPath(member.name)
                hidden = any(is_hidden(part) for part in name.parts if part != "..")
                if name.suffix.lower() not in IMAGE_SUFFIXES or member.isdir() or hidden:
                    continue
                _check_member(path, member)
                found.append(TarMember(path, member.name, member.offset_data, member.size))
    except (tarfile.TarError, OSError, ArithmeticError, ValueError, LookupError, MemoryError, RecursionError) as error:
        raise SourceError(
            f"{path}: cannot be read as a tar archive: {error}; expected an uncompressed, whole .tar; unpack a .tar.gz "
            "and pack it again without compression"
        ) from error
    if not found:
        raise SourceError(f"{path}: the archive holds no image; expected files that end in .jpg, .png and the like")
    return found


class _Headers(io.RawIOBase):
    """An archive as tarfile reads it to walk its headers: no piece is larger than a header may be."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes; expected at most {MAX_HEADER_BYTES:,}")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _check_member(path: Path, member: tarfile.TarInfo) -> None:
    name = PurePosixPath(member.name)
    unsafe = name.is_absolute() or ".." in name.parts or "\\" in member.name or not member.name.isprintable()
    if unsafe or not member.isreg() or member.issparse():
        found = "an unsafe name" if unsafe else "a link, a sparse or a special file"
        raise SourceError(
            f"{path}: {member.name!r} is {found}; expected plain files under relative names without '..'; "
            "pack the archive again"
        )
