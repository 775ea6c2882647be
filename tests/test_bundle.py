"""Our modules' bytecode in one file: what is imported is what lies there, whatever the file holds."""

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

import pytest

from wellfed import bundle


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `fedpackage` of a module and a folder, in place of ours."""
    root = tmp_path / "fedpackage"
    (root / "inner").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "one.py").write_text("VALUE = 1\n")
    (root / "inner/__init__.py").write_text("VALUE = 2\n")
    (root / "inner/two.py").write_text("def where():\n    return where.__code__.co_filename\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(bundle, "ROOT", str(root))
    monkeypatch.setattr(bundle, "PACKAGE", "fedpackage")
    yield root
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "fedpackage"]:
        del sys.modules[name]


def _start(*names: str) -> list[ModuleType]:
    """As a process does: the bundle is used, modules are imported, what was lacking is kept."""
    _forget()
    importlib.invalidate_caches()
    used = bundle.use()
    loaded = [importlib.import_module(f"fedpackage.{name}") for name in names]
    bundle.keep(used)
    sys.meta_path.remove(used)
    return loaded


def _file() -> Path:
    place = bundle._place()
    assert place is not None
    return Path(place)


def _from_bundle(module: ModuleType) -> bool:
    return getattr(module.__loader__, "_content", None) is not None


def test_a_second_start_takes_modules_from_the_bundle(package: Path) -> None:
    assert not any(map(_from_bundle, _start("one", "inner", "inner.two")))
    one, inner, two = _start("one", "inner", "inner.two")
    assert all(map(_from_bundle, (one, inner, two)))
    assert (one.VALUE, inner.VALUE, two.where()) == (1, 2, str(package / "inner/two.py"))
    assert one.__file__ == str(package / "one.py") and one.__cached__ == cache_from_source(str(package / "one.py"))
    assert list(inner.__path__) == [str(package / "inner")] and inner.__package__ == "fedpackage.inner"


def test_a_changed_source_is_what_is_run_and_is_kept_anew(package: Path) -> None:
    _start("one")
    (package / "one.py").write_text("VALUE = 'other'\n")
    (changed,) = _start("one")
    assert changed.VALUE == "other" and not _from_bundle(changed)
    (again,) = _start("one")
    assert again.VALUE == "other" and _from_bundle(again)


def test_a_module_that_became_a_folder_or_went_is_found_as_it_lies(package: Path) -> None:
    _start("one", "inner.two")
    (package / "one.py").unlink()
    (package / "one").mkdir()
    (package / "one/__init__.py").write_text("VALUE = 'folder'\n")
    (package / "inner/two.py").unlink()
    assert _start("one")[0].VALUE == "folder"
    assert _start("one")[0].VALUE == "folder"
    with pytest.raises(ModuleNotFoundError):
        _start("inner.two")


@pytest.mark.parametrize("damage", [b"", b"wellfed modules 1\n", b"another format\n" * 9, None])
def test_a_damaged_bundle_is_none(package: Path, damage: bytes | None) -> None:
    _start("one")
    _file().write_bytes(_file().read_bytes()[:-9] if damage is None else damage)
    (one,) = _start("one")
    assert one.VALUE == 1 and not _from_bundle(one)
    assert _from_bundle(_start("one")[0])


def test_what_earlier_starts_loaded_stays_in_it(package: Path) -> None:
    _start("one")
    _start("inner")
    assert all(map(_from_bundle, _start("one", "inner")))


def test_a_package_that_was_moved_names_the_files_where_they_lie(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _start("inner.two")
    moved = package.parent / "moved" / "fedpackage"
    moved.parent.mkdir()
    package.rename(moved)
    monkeypatch.syspath_prepend(moved.parent)
    monkeypatch.setattr(bundle, "ROOT", str(moved))
    for _ in range(2):
        assert _start("inner.two")[0].where() == str(moved / "inner/two.py")


def test_code_that_another_user_wrote_or_may_write_is_not_run(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _start("one")
    _file().chmod(0o666)
    assert not _from_bundle(_start("one")[0])
    assert _file().stat().st_mode & 0o777 == 0o600 and _from_bundle(_start("one")[0])
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert not _from_bundle(_start("one")[0])


def test_without_a_cache_modules_are_found_as_everywhere(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/none")
    assert [_start("one")[0].VALUE for _ in range(2)] == [1, 1]
    monkeypatch.setenv("XDG_CACHE_HOME", "beside-me")
    assert bundle._place() is None and _start("one")[0].VALUE == 1


def test_a_write_that_fails_leaves_nothing(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "replace", refused)
    assert _start("one")[0].VALUE == 1
    assert not list(_file().parent.iterdir())


def test_only_so_many_bundles_are_kept(package: Path) -> None:
    _file().parent.mkdir(parents=True)
    for number in range(2 * bundle.FILES_MAX):
        (_file().parent / f"{number}.bundle").write_bytes(b"")
    _start("one")
    assert len(list(_file().parent.iterdir())) == bundle.FILES_MAX and _from_bundle(_start("one")[0])
