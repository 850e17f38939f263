"""Writing files so that a kill or a full disk never leaves half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lithoscope.errors import StorageError


def storage_error(action: str, path: object, error: OSError) -> StorageError:
    """Return a one-line error for a failed file operation, with what to do about it."""
    remedy = {
        errno.ENOSPC: "the disk is full; free space and run again: finished work is kept",
        errno.EDQUOT: "the disk quota is used up; free space and run again: finished work is kept",
        errno.EACCES: "no permission; choose another place",
        errno.EPERM: "no permission; choose another place",
        errno.EROFS: "the file system is read-only; choose another place",
        errno.ENOENT: "no such file or folder",
        errno.ENOTDIR: "a part of the path is a file; choose another place",
        errno.EEXIST: "a file of that name is in the way; choose another place",
        errno.EISDIR: "it is a folder; name a file",
    }.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"cannot {action} {path}: {remedy}")


def sync_path(path: Path) -> None:
    """Wait until what was written to a file, or a folder's names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers of `replacing` left below a folder.

    Only for the one process that may write there.
    """
    for part in folder.rglob(".*.part"):
        with suppress(OSError):
            part.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place when the block succeeds.

    Raises
    ------
    StorageError
        If the folder cannot be made or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise storage_error("write", path, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
