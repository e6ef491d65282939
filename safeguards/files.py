"""Files that are there as a whole or not at all, however the process or the machine ends."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil

from safeguards.errors import SafeguardError, one_line

if TYPE_CHECKING:
    import numpy as np

Value = TypeVar("Value")
HOST = platform.node().replace(".", "-")
# How the system and libraries say that a disk, or the user's share of it, is full.
FULL = ("No space left on device", "Disk quota exceeded", "disk is full")
# Why the system may refuse to write.
REFUSED = (
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOLCK,
    errno.ENOSPC, errno.ENOTDIR, errno.ENOTEMPTY, errno.EOPNOTSUPP, errno.EPERM, errno.EROFS, errno.ESTALE,
)  # fmt: skip


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what becomes the file or folder `path` once all of it is on the disk, and not before.

    An error leaves nothing behind; what a killed process left is removed when its folder is next written to.

    Raises:
        SafeguardError: naming file and reason, if it cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        unfinished = path.with_name(f".{path.name}.{HOST}.{os.getpid()}.unfinished")
        remove(unfinished)
        try:
            yield unfinished
            sync(unfinished)
            unfinished.replace(path)
        except BaseException:
            with suppress(OSError):
                remove(unfinished)
            raise
        sync_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Report in one line what cannot be written, and why.

    Raises:
        SafeguardError: instead of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:  # such as a connection that broke meanwhile
            raise
        reason = f"{error.strerror or one_line(error)}; {free_space(path)}"
        raise SafeguardError(
            f"{path}: cannot be written ({reason}); make room there, or choose another folder"
        ) from error


def free_space(path: Path) -> str:
    """How much room is left where `path` is or would be."""
    there = next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path("/"))
    return f"{shutil.disk_usage(there).free / 1e6:.1f} MB free"


def is_full(error: BaseException | None) -> bool:
    """Whether it is for a full disk that something went wrong."""
    while error is not None:
        if any(said in str(error) for said in FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine that are no more have left unfinished in a folder."""
    for path in folder.glob(".*.unfinished"):
        host, pid = path.name.split(".")[-3:-1]
        if host == HOST and not psutil.pid_exists(int(pid)):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file, or a folder with all in it, written to the disk itself."""
    if path.is_dir():
        for inner in path.iterdir():
            sync(inner)
        sync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the file system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_files(folder: Path) -> None:
    """Refuse a folder of a model or an adapter in which a file is cut off. No weight is read.

    Raises:
        SafeguardError: naming the file.
    """
    from safetensors import safe_open

    for path in sorted(folder.iterdir()):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
            elif path.suffix == ".safetensors":
                with safe_open(path, "np"):
                    pass
        except Exception as error:  # of the reader, whatever it is
            raise SafeguardError(f"{path}: cannot be read ({one_line(error)})") from error


def move_damaged(path: Path, why: str) -> None:
    """Rename what is damaged, so that it is in nobody's way and yet not lost, and report it in one line."""
    name = f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    aside, number = path.with_name(name), 1
    while aside.exists():
        aside, number = path.with_name(f"{name}-{number}"), number + 1
    path.replace(aside)
    print(f"warning: {why}; set aside as {aside.name}, and made again", flush=True)


def digest(text: str) -> str:
    """A short hash, which tells contents apart in names of files and in records."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_whole(folder: Path, check: Callable[[Path], object]) -> bool:
    """Whether there is a folder that passes a check; one that does not is set aside, and a line says so."""
    if not folder.is_dir():
        return False
    try:
        check(folder)
    except SafeguardError as error:
        move_damaged(folder, str(error))
        return False
    return True


def cached(
    path: Path | None, make: Callable[[], Value], load: Callable[[Path], Value], save: Callable[[Value, Path], object]
) -> Value:
    """What `path` holds; made and cached there if there is nothing yet, or nothing that can be read.

    Args:
        path: of the file; None to cache nothing.
        make: the value.
        load: it from a file; may raise whatever its reader does.
        save: it to a file.
    """
    if path is None:
        return make()
    if path.is_file():
        try:
            return load(path)
        except Exception as error:
            print(f"warning: {path}: cannot be read ({one_line(error)}); made again", flush=True)
    value = make()
    with whole(path) as unfinished:
        save(value, unfinished)
    return value


def save_array(values: np.ndarray, path: Path) -> None:
    """Write an array under this very name."""
    import numpy as np

    with path.open("wb") as file:  # by name, NumPy would give it another ending
        np.save(file, values)
