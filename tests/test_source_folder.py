"""In a clone, Python finds the source folder first: the installed package takes its place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import _cffi_backend
import numpy
import pytest

import pynn
from pynn import _source_folder

ROOT = Path(__file__).parent.parent

# Installed in the place of the extension: it loads the one of the pynn under test.
(EXTENSION_NAME,) = (name for name in sys.modules if name.split(".")[-1] == "_pynn")
EXTENSION = f"""
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location(__name__, {pynn.build_info()["extension"]!r})
sys.modules[__name__] = module_from_spec(spec)
spec.loader.exec_module(sys.modules[__name__])
"""

# The packages that pynn needs: names, and the folder that has them.
NEEDED = {
    "numpy*": Path(numpy.__file__).parent.parent,
    "_cffi_backend*": Path(_cffi_backend.__file__).parent,
}

# Prints the parent folder of the package, once for each that a module of it was imported from.
FOLDERS = """
import sys
modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "pynn"]
files = {module.__file__ for module in modules if hasattr(module, "__file__")}
print(*{file.partition("/pynn/")[0] for file in files if not file.endswith(".so")})
"""


class Clone:
    """A source folder in front of an installed package, which other folders on the path follow."""

    def __init__(self, folder: Path) -> None:
        self.source, self.site = folder / "clone" / "pynn", folder / "site"
        for package in (self.source, self.site / "pynn"):
            shutil.copytree(
                ROOT / "pynn", package, ignore=shutil.ignore_patterns("__pycache__", "*.so")
            )
        (self.site / EXTENSION_NAME.replace(".", "/")).with_suffix(".py").write_text(EXTENSION)
        (folder / "clone" / "pyproject.toml").touch()
        self.needed = folder / "needed"  # the packages that pynn needs, apart from pynn itself
        self.needed.mkdir()
        for pattern, packages in NEEDED.items():
            for path in packages.glob(pattern):
                (self.needed / path.name).symlink_to(path)
        self.path = [self.site, self.needed]

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the clone, without the packages of the Python that runs the tests."""
        path = os.pathsep.join(map(str, self.path))
        env = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=self.source.parent,
            env=env | {"PYTHONPATH": path} | environment,
            capture_output=True,
            text=True,
        )

    def folders(self, code: str) -> str:
        """The folders of all modules of pynn that `code` imports; it writes nothing to stderr."""
        done = self.python("-c", code + FOLDERS)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        "import pynn; assert pynn.Builder is pynn._builder.Builder; pynn.datasets",
        "import pynn.datasets",
        "from pynn.formats import nn_rust",
        "from pynn._base.errors import PynnError; import pynn; assert pynn.PynnError is PynnError",
    ],
)
def test_all_modules_are_the_installed_ones(clone: Clone, code: str) -> None:
    """Whatever is imported first, and none is of the source folder."""
    assert clone.folders(code) == str(clone.site)


def test_the_command_line_is_the_installed_one(clone: Clone) -> None:
    """python -m pynn in the clone."""
    done = clone.python("-m", "pynn", "info", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(clone.site / "pynn") in done.stdout


def test_models_are_pickled_in_the_clone_and_read_elsewhere(clone: Clone) -> None:
    """A pickle names modules, and those are the installed ones."""
    model = "pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=0)"
    code = f"import pickle, pynn; assert pickle.loads(pickle.dumps({model})).seed == 0"
    assert clone.folders(code) == str(clone.site)


def test_an_installation_in_a_zip_file(clone: Clone, tmp_path: Path) -> None:
    """It takes the source's place, too."""
    with ZipFile(tmp_path / "site.zip", "w") as archive:
        for file in clone.site.rglob("*.py"):
            archive.write(file, file.relative_to(clone.site))
    clone.path[0] = tmp_path / "site.zip"
    assert clone.folders("import pynn") == str(tmp_path / "site.zip")


@pytest.mark.parametrize("order", [["clone", "other", "site"], ["other", "clone", "site"]])
def test_several_source_folders(clone: Clone, tmp_path: Path, order: list[str]) -> None:
    """One may lead to the next, but never back; what is no package is passed over."""
    shutil.copytree(clone.source, tmp_path / "other" / "pynn")
    (tmp_path / "empty" / "pynn").mkdir(parents=True)
    clone.path = [tmp_path / name for name in ["gone", "empty", *order, "needed"]]
    assert clone.folders("import pynn") == str(clone.site)


def test_a_source_newer_than_what_is_installed(clone: Clone) -> None:
    """The installed package is imported whole, and a warning says how the source differs."""
    face = clone.source / "__init__.py"
    face.write_text(face.read_text().replace("import Builder,", "import Builder, Newer,"))
    (clone.source / "_newer.py").touch()
    done = clone.python("-c", "import pynn" + FOLDERS)
    assert (done.returncode, done.stdout.strip()) == (0, str(clone.site))
    assert done.stderr.startswith("<string>:1: UserWarning: imported the pynn installed in")
    assert f"{clone.site / 'pynn'}, which differs from the source in {clone.source}" in done.stderr
    assert "(__init__.py and 1 more). Install the source again (pip install .)" in done.stderr


def test_an_error_of_the_installed_package_stands_alone(clone: Clone) -> None:
    """What it raises does not come with the missing extension of the source."""
    done = clone.python("-c", "import pynn", PYNN_NUM_THREADS="x")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "PYNN_NUM_THREADS must be" in done.stderr


@pytest.mark.parametrize("missing", ["numpy", "_cffi_backend"])
def test_what_the_installed_package_misses_is_named(clone: Clone, missing: str) -> None:
    """The advice to install pynn is not given where it is another package that is not there."""
    for path in clone.needed.glob(f"{missing}*"):
        path.unlink()
    done = clone.python("-c", "import pynn")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: No module named '{missing}'"


@pytest.mark.parametrize("path", [["needed"], ["empty", "needed"], ["clone", "needed"]])
def test_nothing_is_installed(clone: Clone, tmp_path: Path, path: list[str]) -> None:
    """The error says what this folder is, and what to do."""
    (tmp_path / "empty" / "pynn").mkdir(parents=True)
    clone.path = [tmp_path / name for name in path]
    done = clone.python("-c", "import pynn")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: {clone.source} is pynn's source, without its compiled part, and the rest of"
        " sys.path has no installed pynn."
        f" Install it: {sys.executable} -m pip install {clone.source.parent}"
    )


def test_an_installation_without_its_extension(clone: Clone) -> None:
    """What is not a clone is not called one: the advice is to install again."""
    (clone.source.parent / "pyproject.toml").unlink()
    clone.path = [clone.needed]
    done = clone.python("-c", "import pynn")
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: the compiled part of {clone.source} is missing, or made for another Python."
        f" Install pynn again: {sys.executable} -m pip install --force-reinstall pynn-blas"
    )


# ------------------------------------------------------------ function by function, in this process


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the source, in front of another pynn on the path."""
    for folder in ("clone", "site"):
        (tmp_path / folder / "pynn").mkdir(parents=True)
        (tmp_path / folder / "pynn" / "__init__.py").write_text("NAME = 'the installed one'\n")
    (tmp_path / "clone" / "pyproject.toml").touch()
    monkeypatch.setattr(_source_folder, "SOURCE", tmp_path / "clone" / "pynn")
    monkeypatch.setattr(sys, "path", ["nowhere", str(tmp_path / "clone"), str(tmp_path / "site")])
    return tmp_path / "clone" / "pynn"


def test_the_installed_package_is_found_behind_the_source(source: Path) -> None:
    """Not the source itself, though it comes first."""
    spec = _source_folder._find_installed()
    assert spec is not None and spec.origin is not None
    assert Path(spec.origin) == source.parents[1] / "site" / "pynn" / "__init__.py"


def test_the_installed_package_takes_the_place(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All modules that were imported before are forgotten."""
    ours = {name: module for name, module in sys.modules.items() if name.startswith("pynn")}
    try:
        _source_folder.use_installed()
        found = [name for name in sys.modules if name.partition(".")[0] == "pynn"]
        assert (found, sys.modules["pynn"].NAME) == (["pynn"], "the installed one")
    finally:
        sys.modules.update(ours)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ImportError, match="no installed pynn"):
        _source_folder.use_installed()
    (source.parent / "pyproject.toml").unlink()
    with pytest.raises(ImportError, match="Install pynn again"):
        _source_folder.use_installed()
    assert {name: sys.modules[name] for name in ours} == ours


def test_files_that_differ_are_named(source: Path) -> None:
    """By their size; by their contents where the source is newer; or where one is not there."""
    installed = source.parents[1] / "site" / "pynn"
    spec = _source_folder._find_installed()
    assert spec is not None
    _source_folder._warn_if_different(spec)
    (source / "__init__.py").write_text("NAME = 'The installed one'\n")
    os.utime(source / "__init__.py", (2**31 - 1, 2**31 - 1))
    with pytest.warns(UserWarning, match=r"differs from the source .*\(__init__\.py\)"):
        _source_folder._warn_if_different(spec)
    os.utime(source / "__init__.py", (0, 0))
    _source_folder._warn_if_different(spec)
    (source / "new.py").touch()
    (source / "__init__.py").write_text("")
    with pytest.warns(UserWarning, match=r"\(__init__\.py and 1 more\)"):
        _source_folder._warn_if_different(spec)
    spec.submodule_search_locations = [str(installed / "not there")]
    _source_folder._warn_if_different(spec)
