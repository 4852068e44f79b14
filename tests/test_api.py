"""The package as a whole: its names, their documentation, and what an import costs."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pynn
from pynn import datasets
from pynn._base import errors
from pynn._native import library, threads
from pynn._native.library import NotFinite, lib

PACKAGE = Path(pynn.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
ERRORS = [
    error
    for error in vars(errors).values()
    if inspect.isclass(error) and not issubclass(error, Warning)
]


def run_python(code: str, folder: Path) -> str:
    """What a program prints in an interpreter of its own, away from the sources."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


# ------------------------------------------------------------ names


@pytest.mark.parametrize("module", [pynn, datasets, pynn.schedules, errors])
def test_all_is_what_is_public(module: ModuleType) -> None:
    """Every name without an underscore that is no module is in __all__, and the other way round."""
    allowed = {"TYPE_CHECKING", "__version__"}  # the first is typing's, the second a custom
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    exported = {name for name in module.__all__ if not inspect.ismodule(getattr(module, name))}
    assert public - allowed == exported - allowed
    assert len(module.__all__) == len(set(module.__all__))


def test_modules_in_all() -> None:
    """The modules that are part of the interface."""
    modules = [name for name in pynn.__all__ if inspect.ismodule(getattr(pynn, name))]
    assert modules == ["datasets", "formats", "images", "models", "plots", "schedules"]


def test_star_import_gives_all(tmp_path: Path) -> None:
    """All of __all__ can be imported, also before anything else of pynn is."""
    names = run_python("from pynn import *; print(*dir())", tmp_path).split()
    assert set(pynn.__all__) <= set(names)


def test_unknown_name_is_an_attribute_error() -> None:
    """The module's own __getattr__ knows datasets only."""
    with pytest.raises(AttributeError, match="module 'pynn' has no attribute 'Tensor'"):
        _ = pynn.Tensor


# ------------------------------------------------------------ documentation


def documented() -> Iterator[tuple[str, Any]]:
    """(name, object) of all that is public, with the public members of classes and of datasets."""
    for module in (pynn, datasets):
        for name in module.__all__:
            value = getattr(module, name)
            label = f"{module.__name__}.{name}"
            if not isinstance(value, str):
                yield label, value
            if inspect.isclass(value) and value not in ERRORS:
                for member, definition in vars(value).items():
                    own = (
                        inspect.isfunction(definition) and definition.__module__ == value.__module__
                    )
                    if isinstance(definition, property) or own:
                        public = not member.startswith("_") or member == "__call__"
                        if public:
                            yield f"{label}.{member}", definition


DOCUMENTED = dict(documented())
FUNCTIONS = {name: value for name, value in DOCUMENTED.items() if inspect.isfunction(value)}
REFERRAL = re.compile(r"[Aa]rguments and\s+errors are\s+those of `\w+`")


def docstring(value: Any) -> str:
    """The docstring of an object, its own and not one that it inherited."""
    return inspect.cleandoc(value.__doc__ or "")


def parameters(function: Callable[..., Any]) -> list[str]:
    """The names of a function's parameters but self."""
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_public_name_has_a_docstring(name: str) -> None:
    """Its first paragraph is one sentence or more, on its own."""
    first = docstring(DOCUMENTED[name]).partition("\n\n")[0]
    assert first.endswith((".", ":", "?")), first
    assert "(" not in first.partition(" ")[0], "a signature, which dataclass and NamedTuple write"


@pytest.mark.parametrize("name", [n for n, f in FUNCTIONS.items() if parameters(f)])
def test_arguments_are_documented(name: str) -> None:
    """Every argument stands under Args, or the docstring says whose arguments they are."""
    text = docstring(FUNCTIONS[name])
    if REFERRAL.search(text):
        return
    args = re.search(r"^Args:\n((?:    .*\n|\n)+)", text + "\n", re.MULTILINE)
    assert args, "no Args"
    described = re.findall(r"^    (\w+): ", args[1], re.MULTILINE)
    assert described == parameters(FUNCTIONS[name])


# What takes an argument can get a wrong one; this one is fed by fit alone.
@pytest.mark.parametrize(
    "name", [n for n, f in FUNCTIONS.items() if parameters(f) and n != "pynn.History.append"]
)
def test_errors_are_documented(name: str) -> None:
    """Every error under Raises exists, and there is one at least."""
    text = docstring(FUNCTIONS[name])
    if REFERRAL.search(text):
        return
    raises = re.search(r"^Raises:\n((?:    .*\n|\n)+)", text + "\n", re.MULTILINE)
    assert raises, "no Raises"
    errors = re.findall(r"^    (\w+): ", raises[1], re.MULTILINE)
    known = {error.__name__ for error in ERRORS} | set(vars(builtins))
    assert errors
    assert set(errors) <= known


# The chain's steps return the chain.
@pytest.mark.parametrize(
    "name", [n for n, f in FUNCTIONS.items() if "Args:" in docstring(f) and "Builder" not in n]
)
def test_results_are_documented(name: str) -> None:
    """What returns something says under Returns what."""
    returns_nothing = inspect.signature(FUNCTIONS[name]).return_annotation in ("None", None)
    assert returns_nothing != ("\nReturns:\n" in docstring(FUNCTIONS[name]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_function_is_typed(name: str) -> None:
    """Every parameter and the result have an annotation."""
    signature = inspect.signature(FUNCTIONS[name])
    assert signature.return_annotation is not signature.empty
    for parameter in parameters(FUNCTIONS[name]):
        assert signature.parameters[parameter].annotation is not signature.empty


# ------------------------------------------------------------ errors


def test_error_tree_is_as_drawn() -> None:
    """The docstring's drawing has every error with its two parents, and no other."""
    drawn = re.findall(r"── (\w+) +\((\w+)\) +\S", errors.__doc__ or "")
    assert sorted((error.__name__, error.__bases__[1].__name__) for error in ERRORS[1:]) == drawn
    assert re.search(r"^ *PynnError$", errors.__doc__ or "", re.MULTILINE)
    assert ERRORS[0] is pynn.PynnError
    assert {error.__bases__[0] for error in ERRORS[1:]} == {pynn.PynnError}
    assert all(issubclass(error.__bases__[1], Exception) for error in ERRORS[1:])


@pytest.mark.parametrize("error", ERRORS)
def test_errors_are_public(error: type[Exception]) -> None:
    """Whatever is raised can be caught by a name of pynn."""
    assert getattr(pynn, error.__name__) is error


# ------------------------------------------------------------ layers


def imports(source: Path) -> set[str]:
    """The full names of what a module of pynn imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def test_only_the_native_folder_calls_c() -> None:
    """One module imports the extension, and only those beside it take it from there."""
    importers = [source.stem for source in SOURCES if "pynn._pynn" in imports(source)]
    assert importers == ["library"]
    handles = {"pynn._native.library.ffi", "pynn._native.library.lib"}
    folders = {source.parent.name for source in SOURCES if handles & imports(source)}
    assert folders == {"_native"}


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        ("PYNN_OUT_OF_MEMORY", pynn.OutOfMemoryError, "out of memory"),
        ("PYNN_INVALID_ARGUMENT", pynn.ArgumentError, "invalid argument"),
        ("PYNN_SIZE_OVERFLOW", pynn.ArgumentError, "a size is too large"),
        ("PYNN_NOT_FINITE", NotFinite, "not finite"),
        (2, pynn.PynnError, "unknown status"),
    ],
)
def test_a_status_of_c_is_an_exception(
    status: str | int, error: type[Exception], message: str
) -> None:
    """Of its own kind, with C's words; also one that this Python does not know."""
    value = status if isinstance(status, int) else getattr(lib, status)
    with pytest.raises(error, match=message) as raised:
        library.check(value)
    assert raised.type is error
    library.check(lib.PYNN_OK)


def test_equal_optimizers_are_one_key() -> None:
    """They are values: equal ones can stand for each other in a set or a dict."""
    assert len({pynn.SGD(learning_rate=0.1), pynn.SGD(learning_rate=0.1), pynn.SGD()}) == 2


def test_library_never_prints() -> None:
    """No module of pynn calls print or touches the standard streams, but for commands."""
    printing = r"(?m)^(?!\s*(>>>|\.\.\.)).*\b(print\(|sys\.std(out|err))"  # examples may
    found = [s for s in SOURCES if re.search(printing, s.read_text("utf-8"))]
    # The commands; and scikit-learn's verbose=True and fit(progress=True), which mean to print.
    names = sorted(s.relative_to(PACKAGE).as_posix() for s in found)
    others = [name for name in names if not name.startswith("_commands/")]
    assert others == ["_training/progress_bar.py", "sklearn/_monitor.py"]


def test_using_it_is_silent(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Neither Python nor C writes to the standard streams."""
    x, y = np.zeros((8, 3), np.uint8), np.arange(8) % 2
    model = pynn.Builder().input(3).dense(2).softmax_cross_entropy().build()
    model.fit(x, y, epochs=2, batch_size=4, validation=(x, y))
    model.save(tmp_path / "model")
    pynn.load(tmp_path / "model").predict(x)
    with pytest.raises(pynn.ArgumentError):
        model.evaluate(x, y + 1)
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------ import


def test_import_loads_little(tmp_path: Path) -> None:
    """Besides NumPy and cffi's runtime, `import pynn` loads only what every program needs of it."""
    code = """if True:
        import sys
        import _cffi_backend, numpy
        before = set(sys.modules)
        import pynn
        new = set(sys.modules) - before
        print(*{name.partition(".")[0] for name in new} - set(sys.stdlib_module_names))
        print(*sorted(name for name in new if name.startswith("pynn.")))
    """
    packages, modules = run_python(code, tmp_path).splitlines()
    assert set(packages.split()) <= {"pynn", "numpy"}
    parts = {name.split(".")[1] for name in modules.split()}
    assert parts == {"_base", "_native", "_pynn"}


def test_a_model_imports_what_it_may_need(tmp_path: Path) -> None:
    """Nothing of pynn is left for a signal handler, or a forked child, that uses the model."""
    code = """if True:
        import sys
        import numpy, pynn
        model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()
        before = set(sys.modules)
        x, y = numpy.eye(2, dtype=numpy.float32), numpy.arange(2)
        model.fit(x, y, epochs=2, validation=(x, y), checkpoint="here")
        model.partial_fit(x, y)
        model.evaluate(x, y, per_class=True)
        model.predict_proba(x)
        model.save("there")
        pynn.Model.resume("here").parameters
        print(*(name for name in set(sys.modules) - before if name.startswith("pynn")))
    """
    assert run_python(code, tmp_path).split() == []


def test_a_model_can_be_loaded_before_all_else(tmp_path: Path) -> None:
    """Where the builder was not used, the kinds of layers are known all the same."""
    chain = pynn.Builder().input(2).dense(3).relu().dropout(0.5).dense(2)
    chain.softmax_cross_entropy().build().save(tmp_path / "saved")
    assert run_python("import pynn; print(pynn.load('saved').inputs)", tmp_path) == "2\n"


def test_names_that_come_late_are_there(tmp_path: Path) -> None:
    """All public names are listed before the first is used, and each is the same at each use."""
    code = """if True:
        import pynn
        print(set(pynn.__all__) <= set(dir(pynn)))
        print(all(getattr(pynn, name) is getattr(pynn, name) for name in pynn.__all__))
        print(hasattr(pynn, "Modle"))
    """
    assert run_python(code, tmp_path).split() == ["True", "True", "False"]


@pytest.mark.parametrize("name", ["datasets", "load"])
def test_lazy_parts_work_when_used(name: str, tmp_path: Path) -> None:
    """What import leaves out comes when it is asked for."""
    code = {
        "datasets": "import pynn; print(pynn.datasets.read_idx.__name__)",
        "load": "import pynn; pynn.Builder().input(2).dense(2).softmax_cross_entropy().build()"
        ".save('here'); print(pynn.load('here').inputs)",
    }
    assert run_python(code[name], tmp_path).strip() == {"datasets": "read_idx", "load": "2"}[name]


def test_build_info_tells_what_one_got() -> None:
    """Version, BLAS and its own words, the threads, and files that are there."""
    info = pynn.build_info()
    assert set(info) == set(pynn.BuildInfo.__annotations__)
    assert info["version"] == pynn.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", pynn.__version__)
    assert info["blas"] in ("accelerate", "openblas", "scipy-openblas", "reference")
    assert info["blas_config"].startswith("OpenBLAS") == info["blas"].endswith("openblas")
    assert info["blas_kernel"] in info["blas_config"]
    assert bool(info["blas_kernel"]) == info["blas"].endswith("openblas")
    levels = ("x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64", "aarch64", "portable")
    assert info["instruction_set"] in levels
    assert info["threads"] == pynn.get_num_threads()
    assert Path(info["package"], "__init__.py").samefile(pynn.__file__)
    assert Path(info["extension"]).name.startswith("_pynn.")
    assert Path(info["extension"]).is_file()
    if sys.platform == "linux" and info["blas"].endswith("openblas"):
        file = Path(info["blas_library"] or "")
        own = "libscipy_openblas_pynn"  # NumPy has a libscipy_openblas, too
        assert file.name.startswith(own if info["blas"] == "scipy-openblas" else "libopenblas")
        assert file.is_file()


def test_build_info_says_why_so_many_threads() -> None:
    """After a call it is the call, whatever it was before."""
    origin, before = threads.get_origin(), pynn.get_num_threads()
    try:
        pynn.set_num_threads(3)
        info = pynn.build_info()
        assert (info["threads"], info["threads_from"]) == (3, "set_num_threads")
    finally:
        threads._set(before, origin)
