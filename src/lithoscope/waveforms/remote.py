"""Files of a store that fsspec reaches (s3://, gs://, https://, memory:// ...), by a local cache.

A file is fetched whole when it is first read: gaps may be anywhere in it, so its index needs every
record. The cache is bounded, and shared by the processes of a machine. Two environment variables
set it: ``LITHOSCOPE_CACHE`` (folder; default ``~/.cache/lithoscope``) and ``LITHOSCOPE_CACHE_GB``
(10). Credentials and endpoints are fsspec's matter (its configuration files, ``FSSPEC_S3_...``,
``AWS_...``).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from lithoscope.errors import ConfigError, DataError, StorageError
from lithoscope.files import storage_error

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DEFAULT_GB = 10.0
# What stores call the state of an object; whichever are given make its stamp.
_STAMPS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created", "size")


@dataclass(frozen=True, order=True)
class RemoteFile:
    """An object of a store; ``stamp`` changes when its content does."""

    url: str
    stamp: str
    size: int

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.url).suffix


def is_url(source: Path | str) -> bool:
    """Return whether a source is a URL of a store other than the file system."""
    text = str(source)
    return bool(_URL.match(text)) and not text.lower().startswith("file://")


def canonical(source: Path | str) -> str:
    """Return a source as it can be found from any folder: an absolute path, or the URL."""
    text = str(source)
    if is_url(text):
        return text
    if text.lower().startswith("file://"):
        text = unquote(urlsplit(text).path)
    return str(Path(text).resolve())


def list_objects(url: str) -> list[RemoteFile]:
    """Return the objects at a URL: one, all below a folder, or those of a pattern (``*``, ``?``).

    Raises
    ------
    DataError
        If there are none, or the store cannot be read; the message says what to install.
    """
    fs, root = _file_system(url)
    found: dict[str, Any] = {}
    with _translated(url), suppress(FileNotFoundError):
        if any(c in root for c in "*?["):
            found = fs.glob(root, detail=True)
        elif fs.isfile(root):
            found = {root: fs.info(root)}
        else:
            found = fs.find(root, detail=True)
    files = [
        _described(fs, info)
        for name, info in sorted(found.items())
        if info.get("type", "file") == "file"
        and not any(p.startswith(".") for p in PurePosixPath(name[len(root) :]).parts)
    ]
    if not files:
        raise DataError(f"{url}: no such object or folder; check the address of the data")
    return files


@contextmanager
def local_copy(source: Path | str | RemoteFile) -> Iterator[Path]:
    """Yield a file's path on this machine, valid inside the block.

    A path of this machine is yielded as it is; an object of a store is taken from the cache, or
    fetched into it, which may remove the objects that were not used for longest.

    Raises
    ------
    StorageError
        If it is not there (any more), cannot be fetched, or the cache cannot be written.
    """
    if isinstance(source, Path) or not (isinstance(source, RemoteFile) or is_url(source)):
        path = Path(canonical(source))
        if not path.exists():
            raise StorageError(
                f"'{path}' is not there for {os.uname().nodename} (any more); all machines need "
                "the data at the same place, or give a URL of a store"
            )
        yield path
        return
    fs, root = _file_system(str(source))
    if not isinstance(source, RemoteFile):
        with _translated(str(source)):
            source = _described(fs, fs.info(root))
    kept = cache_folder() / "objects" / _key(source)
    # A name of our own keeps the content while others make room.
    mine = kept.with_name(f"use-{os.getpid()}-{uuid.uuid4().hex}")
    try:
        if not _linked(kept, mine):
            _fetch(fs, root, source, mine)
            with suppress(OSError):
                os.link(mine, kept)
            make_room()
        yield mine
    finally:
        with suppress(OSError):
            mine.unlink()


def file_size(source: str) -> int:
    """Return the bytes of a file, or of an object of a store; 0 if that is not known."""
    if not is_url(source):
        return Path(source).stat().st_size
    fs, root = _file_system(source)
    with _translated(source):
        return int(fs.info(root).get("size") or 0)


def cache_folder() -> Path:
    """Return the folder of the cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LITHOSCOPE_CACHE") or Path(base) / "lithoscope")


def cached_text(file: RemoteFile, kind: str) -> str | None:
    """Return a text that was kept with an object, or None."""
    path = cache_folder() / kind / _key(file)
    try:
        text = path.read_text(encoding="utf-8")
        os.utime(path)
    except OSError:
        return None
    return text


def keep_text(file: RemoteFile, kind: str, text: str) -> None:
    """Keep a text with an object; what cannot be kept is made again."""
    path = cache_folder() / kind / _key(file)
    temporary = path.with_name(f"use-{os.getpid()}-{uuid.uuid4().hex}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def make_room() -> None:
    """Remove from the cache what was not used for longest, down to its limit."""
    entries = []
    for path in cache_folder().glob("*/*"):
        with suppress(OSError):
            if path.name.startswith("use-"):
                if not _alive(int(path.name.split("-")[1])):
                    path.unlink()
                continue
            state = path.stat()
            entries.append((state.st_mtime, state.st_blocks * 512, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= _limit_bytes():
            return
        with suppress(OSError):
            path.unlink()
        total -= size


def _limit_bytes() -> float:
    text = os.environ.get("LITHOSCOPE_CACHE_GB", "")
    try:
        limit = float(text) if text else _DEFAULT_GB
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise ConfigError(f"LITHOSCOPE_CACHE_GB is '{text}'; give a number of gigabytes, 0 or more")
    return limit * 1e9


def _alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists() or not Path("/proc").is_dir()


def _linked(kept: Path, mine: Path) -> bool:
    try:
        os.link(kept, mine)
        os.utime(mine)  # used now; a link shares its times
    except OSError:
        return False
    return True


def _fetch(fs: Any, root: str, file: RemoteFile, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    except OSError as error:
        raise storage_error("write the cache", target.parent, error) from None
    with _translated(file.url):
        fs.get_file(root, str(target))
    size = target.stat().st_size
    if size != file.size >= 0:
        raise StorageError(f"{file.url}: {size} of {file.size} bytes arrived; run again")


def _key(file: RemoteFile) -> str:
    return hashlib.sha256(f"{file.url}\n{file.stamp}".encode()).hexdigest()[:40]


def _described(fs: Any, info: Mapping[str, Any]) -> RemoteFile:
    stamp = "|".join(f"{n}={_plain(info[n])}" for n in _STAMPS if info.get(n) is not None)
    size = info.get("size")
    return RemoteFile(fs.unstrip_protocol(info["name"]), stamp, -1 if size is None else int(size))


def _plain(value: Any) -> str:
    """Return a value as text; a store may list a time as a number and describe it as a date."""
    if isinstance(value, datetime):
        value = value.timestamp()
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _file_system(url: str) -> tuple[Any, str]:
    if urlsplit(url).password:
        raise ConfigError(
            f"'{url.split('://')[0]}://...' has a password in it, which would be kept with the "
            "run; give it to fsspec's configuration or to the environment"
        )
    try:
        import fsspec
    except ImportError:
        raise DataError(f"reading {url} needs fsspec; pip install lithoscope[scale]") from None
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise DataError(f"reading {url} needs one more package: {error}") from None
    except ValueError as error:
        raise DataError(f"{url}: {error}; known are s3://, gs://, https:// and more") from None
    return fs, root


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except _store_errors() as error:
        lines = str(error).strip().splitlines()
        reason = lines[0][:200] if lines else type(error).__name__
        raise StorageError(f"{url} cannot be read ({reason}); run again to go on") from None


def _store_errors() -> tuple[type[BaseException], ...]:
    """Return what drivers raise; those of libraries only if a driver has loaded them."""
    found: list[type[BaseException]] = [OSError, ValueError, TimeoutError]
    for module, name in (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)
