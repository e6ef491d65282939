"""Files are there as a whole or not at all, and what cannot be written or read is named."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from safeguards.errors import SafeguardError
from safeguards.files import HOST, cached, is_full, move_damaged, whole


def put(path: Path, text: str) -> None:
    with whole(path) as unfinished:
        unfinished.write_text(text)


def test_what_marks_done_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}") if Path("/proc/self/fd").is_dir() else "")
        sync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    put(tmp_path / "result.json", "{}")
    assert len(done) == 3
    assert done[1] == "rename", "first the file, then its name, then the folder that has the name"


def test_a_folder_is_there_as_a_whole_or_not_at_all(tmp_path):
    def stop_half_way() -> None:
        with whole(tmp_path / "scorer") as unfinished:
            unfinished.mkdir()
            (unfinished / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []
    with whole(tmp_path / "scorer") as unfinished:
        (unfinished / "deep").mkdir(parents=True)
        (unfinished / "deep" / "file").write_text("x")
    assert (tmp_path / "scorer" / "deep" / "file").read_text() == "x"


def test_what_a_kill_leaves_is_removed_and_what_others_write_is_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = [tmp_path / f".{name}.{HOST}.{ended.pid}.unfinished" for name in ("a.json", "scorer")]
    dead[0].write_text("half")
    (dead[1] / "adapter").mkdir(parents=True)
    living = tmp_path / f".b.json.{HOST}.{os.getppid()}.unfinished"
    elsewhere = tmp_path / f".b.json.another-{HOST}.{ended.pid}.unfinished"
    living.write_text("")
    elsewhere.write_text("")
    put(tmp_path / "c.json", "{}")
    assert set(tmp_path.iterdir()) == {living, elsewhere, tmp_path / "c.json"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_what_cannot_be_written_is_named_with_the_room_there_is(tmp_path, monkeypatch, number):
    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    expected = rf"{tmp_path}/a.json: cannot be written \({os.strerror(number)}; .* MB free\)"
    with pytest.raises(SafeguardError, match=expected) as told:
        put(tmp_path / "a.json", "{}")
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []
    assert is_full(told.value) is (number != errno.EROFS)


def test_a_file_where_a_folder_belongs_is_named(tmp_path):
    (tmp_path / "outputs").write_text("")
    with pytest.raises(SafeguardError, match=r"outputs/sweep/a\.json: cannot be written"):
        put(tmp_path / "outputs" / "sweep" / "a.json", "{}")


def test_what_is_damaged_is_made_again(tmp_path, capsys):
    made: list[int] = []
    path = tmp_path / "cache" / "value"

    def value() -> int:
        return cached(
            path, lambda: made.append(1) or 7, lambda p: int(p.read_text()), lambda v, p: p.write_text(str(v))
        )

    assert (value(), value(), len(made)) == (7, 7, 1)
    path.write_text("")
    assert (value(), len(made)) == (7, 2)
    assert f"warning: {path}: cannot be read" in capsys.readouterr().out
    assert value() == 7
    assert capsys.readouterr().out == ""


def test_what_is_set_aside_is_not_lost(tmp_path, capsys):
    for text in ("first", "second"):
        (tmp_path / "arm").mkdir()
        (tmp_path / "arm" / "result.json").write_text(text)
        move_damaged(tmp_path / "arm", "half of it is gone")
    assert sorted(path.read_text() for path in tmp_path.rglob("result.json")) == ["first", "second"]
    assert capsys.readouterr().out.count("half of it is gone; set aside as arm.damaged-") == 2
