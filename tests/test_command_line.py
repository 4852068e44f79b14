"""python -m pynn: it looks at files and exports models, and fails in one line."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file, save_file

import pynn
from pynn import _info
from pynn.__main__ import FORMATS, main
from pynn.datasets import write_idx
from pynn.formats import nn_rust

ROOT = Path(__file__).parent.parent
CHAIN = pynn.Builder().input(4).dense(3).relu().dense(2).softmax_cross_entropy()
X = np.random.default_rng(60).normal(size=(20, 4)).astype(np.float32)
Y = np.arange(20) % 2


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(here: Path) -> pynn.Model:
    """A model, which is in model.safetensors, too."""
    model = CHAIN.build(seed=5)
    model.parameters["dense1.weight"][...] = np.arange(12).reshape(4, 3)  # mean 5.5
    model.save("model.safetensors")
    return model


def run(*arguments: str) -> int:
    """The exit status of a call, also of one that argparse ends."""
    try:
        return main(arguments)
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines that a call prints that goes well."""
    assert run(*arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a call that fails."""
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("pynn: error: ")
    return captured.err.removeprefix("pynn: error: ").rstrip("\n")


def squeezed(lines: list[str]) -> list[str]:
    """Lines with runs of blanks made one."""
    return [" ".join(line.split()) for line in lines]


# ------------------------------------------------------------ inspect


def test_inspect_a_model(model: pynn.Model, capsys: pytest.CaptureFixture[str]) -> None:
    """What the file says, and a line for each tensor."""
    lines = squeezed(out(capsys, "inspect", "model.safetensors"))
    nbytes = os.path.getsize("model.safetensors")
    assert lines[:8] == [
        f"file model.safetensors, {nbytes} bytes",
        "kind model of pynn",
        "chain 4 -> dense(3, he) -> relu -> dense(2, he) -> softmax_cross_entropy",
        "parameters 23",
        "seed 5",
        "epochs 0",
        "",
        "tensor dtype shape min mean max",
    ]
    second = model.parameters["dense2.weight"]
    figures = f"{second.min():.4g} {second.mean(dtype=float):.4g} {second.max():.4g}"
    assert lines[8:] == [
        "dense1.weight float32 4 x 3 0 5.5 11",
        "dense1.bias float32 3 0 0 0",
        f"dense2.weight float32 3 x 2 {figures}",
        "dense2.bias float32 2 0 0 0",
    ]


def test_inspect_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    """It says where the run stands, also in the middle of an epoch."""

    def stop(progress: pynn.Progress) -> None:
        if (progress.epoch, progress.step) >= (2, 1):
            raise KeyboardInterrupt

    options: dict[str, Any] = {"epochs": 3, "batch_size": 5, "checkpoint": "run", "every": 1}
    with pytest.raises(KeyboardInterrupt):
        CHAIN.build().fit(X, Y, **options, on_progress=stop)
    lines = squeezed(out(capsys, "inspect", "run"))
    assert lines[1] == "kind checkpoint of pynn"
    assert re.fullmatch(r"run 1 of 3 epochs done, [1-4] steps of the next", lines[2])
    assert "epochs 1" in lines
    pynn.Model.resume("run").fit(X, Y, **options)
    assert squeezed(out(capsys, "inspect", "run"))[2] == "run 3 of 3 epochs done"


def test_inspect_a_file_of_the_rust_library(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no seed and no epochs."""
    nn_rust.save(model, "model.bin")
    lines = squeezed(out(capsys, "inspect", "model.bin"))
    assert lines[1] == "kind model of the original Rust library"
    assert lines[2].startswith("chain 4 -> dense(3, he) -> relu -> dense(2, he) -> ")
    assert lines[3] == "parameters 23"
    assert lines[4:7] == [
        "",
        "tensor dtype shape min mean max",
        "dense1.weight float32 4 x 3 0 5.5 11",
    ]


@pytest.mark.parametrize(
    ("array", "row"),
    [
        (np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "uint8 2 x 3 x 4 0 11.5 23"),
        (np.array([-3, 123456], np.int32), "int32 2 -3 6.173e+04 123456"),
        (np.array(2.5), "float64 one 2.5 2.5 2.5"),
        (np.array([1.5e308, 1.7e308]), "float64 2 1.5e+308 1.6e+308 1.7e+308"),
        (np.empty((0, 28), np.uint8), "uint8 0 x 28"),
        (np.array([1, np.nan, 3, np.inf], np.float32), "float32 4 1 2 3 2 not finite"),
        (np.array([np.nan], np.float32), "float32 1 1 not finite"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_inspect_an_idx_file(
    array: np.ndarray[Any, Any], row: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of any type and shape; figures are those of what is finite."""
    write_idx(f"file{suffix}", array)
    lines = squeezed(out(capsys, "inspect", f"file{suffix}"))
    assert lines[0] == f"file file{suffix}, {os.path.getsize(f'file{suffix}'):,} bytes"
    assert lines[1] == "kind IDX" + ", compressed with gzip" * bool(suffix)
    assert lines[2:] == ["", "tensor dtype shape min mean max", f"elements {row}"]


def test_inspect_says_what_is_not_finite(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that diverged can be looked at."""
    model.parameters["dense1.weight"][0] = [np.nan, np.inf, -np.inf]
    model.save("model.safetensors")
    lines = squeezed(out(capsys, "inspect", "model.safetensors"))
    assert "dense1.weight float32 4 x 3 3 7 11 3 not finite" in lines


def test_columns_stand_below_each_other(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words begin, and numbers end, at the same place in each line."""
    lines = out(capsys, "inspect", "model.safetensors")
    head, *rows = lines[7:]
    for name in ("dtype", "shape"):
        at = head.index(name)
        assert all(row[at - 1] == " " and row[at] != " " for row in rows)
    for name in ("min", "mean", "max"):
        end = head.index(name) + len(name)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows)


# ------------------------------------------------------------ files that are not sound


def damaged_model() -> bytes:
    """A model whose header says that it has a layer of another size."""
    content = Path("model.safetensors").read_bytes()
    return content.replace(b'\\"outputs\\": 3', b'\\"outputs\\": 4')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is neither safetensors nor IDX, and as a model of the original Rust library: trunc"),
        (b"hello, world", "and as a model of the original Rust library: the number of dims is "),
        (b"\0\0\x08\x01\0\0\0\x05abc", "truncated: the header says 5 uint8 (5 bytes), the file "),
        (b"\0\0\x07\x01\0\0\0\0", "unknown element type 0x07"),
        (b"\x1f\x8b hello", "damaged gzip file"),
        (
            b"PK\3\4" + bytes(99),
            "begins as files of torch.save do; pynn.formats.pytorch.load reads",
        ),
        (b"\x10\0\0\0\0\0\0\0{}", "not a safetensors file: "),
        (bytes(8) + b"{", "not a safetensors file: "),
        (damaged_model, "tensor dense1.weight must have shape [4, 4], has [4, 3]"),
    ],
)
def test_inspect_what_is_not_sound(
    content: bytes | Callable[[], bytes],
    words: str,
    model: pynn.Model,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line that begins with the file's name, exit status 1, no traceback."""
    Path("file").write_bytes(content if isinstance(content, bytes) else content())
    message = complaint(capsys, "inspect", "file")
    assert message.startswith("file: ")
    assert words in message


def test_inspect_tensors_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    """A file without a chain is refused, and its names do nothing to the terminal."""
    save_file({"weight": X}, "others")
    assert "not a model of pynn: " in complaint(capsys, "inspect", "others")
    description = {"input": 1, "layers": [], "loss": "", "seed": 0, "epochs_trained": 0}
    metadata = {"format": "pynn", "format_version": "1", "model": json.dumps(description)}
    save_file({"weight": X}, "others", metadata | {"format_version": "\x1b[2J"})
    assert "\x1b" not in complaint(capsys, "inspect", "others")
    CHAIN.build().save("model")
    with safetensors.safe_open("model", framework="numpy") as file:
        metadata = file.metadata()
    save_file(load_file("model") | {"\x1b[2J\n" + "x" * 9000: X}, "others", metadata)
    message = complaint(capsys, "inspect", "others")
    assert "tensors that the model does not have: " in message
    assert message.isprintable() and len(message) < 2100 and "\\x1b[2J" in message


def test_a_run_that_is_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    """The model is sound, and what is said of its run is not."""
    CHAIN.build().fit(X, Y, epochs=1, checkpoint="run")
    content = Path("run").read_bytes()
    Path("run").write_bytes(content.replace(b'\\"first_epoch\\": 0', b'\\"first_epoch\\": 7'))
    assert "what it says of its run is damaged" in complaint(capsys, "inspect", "run")


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing", "missing: No such file"), (".", ".: Is a directory")],
)
def test_inspect_what_cannot_be_opened(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The system's reason, without its number."""
    message = complaint(capsys, "inspect", name)
    assert words in message and "Errno" not in message


def test_names_of_any_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no UTF-8 can be printed."""
    name = os.fsdecode(b"caf\xe9")
    assert "caf\\udce9: No such file" in complaint(capsys, "inspect", name)


# ------------------------------------------------------------ info


def info(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `info --json` prints."""
    known = json.loads("\n".join(out(capsys, "info", "--json")))
    assert isinstance(known, dict)
    return known


def test_info_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """All that build_info() knows, and what is around it."""
    known = info(capsys)
    assert known.items() >= pynn.build_info().items()
    assert known["python"] == platform.python_version()
    assert known["packages"]["numpy"] == np.__version__
    assert known["processor"] and known["platform"]


def test_info_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, a line each, in columns."""
    known = info(capsys)
    lines = out(capsys, "info")
    assert lines[0].split() == ["pynn", pynn.__version__]
    assert lines[1].split() == ["instruction", "set", known["instruction_set"]]
    at = lines[0].index(pynn.__version__)
    assert all(not line or (line[at - 2 : at] == "  " and line[at] != " ") for line in lines)
    said = {line[:at].rstrip(): line[at:] for line in lines if line}
    assert said["threads"].startswith(f"{known['threads']}, from ")
    assert said["package"] == known["package"]
    assert said["BLAS"].split()[0] == known["blas"]
    assert said["numpy"] == np.__version__


def test_info_of_what_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither packages, nor a home folder, nor /proc: it still says the rest."""

    def refuse(*_: object, **__: object) -> Any:
        raise FileNotFoundError

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_info, "open", refuse, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", absent)
    known = info(capsys)
    assert (known["data_cache"], known["blas_library"]) == (None, None)
    assert known["processor"] == platform.machine()
    assert set(known["packages"].values()) == {None}
    assert "data cache not known" in squeezed(out(capsys, "info"))
    assert "numpy not installed" in squeezed(out(capsys, "info"))


@pytest.mark.parametrize("version", [None, ""])
def test_info_of_a_package_without_a_version(
    version: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip leaves one behind that it could not remove."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert set(info(capsys)["packages"].values()) == {None}


def test_info_prints_nothing_raw(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder or a package may have any name and version, which a terminal must not obey."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache\x1b[2J\r\udce9")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1\n2\x9b" + "x" * 5000)
    text = "\n".join(out(capsys, "info"))
    assert text.replace("\n", "").isprintable() and len(text) < 10_000
    assert "/cache\\x1b[2J\\r\\udce9" in text and "1\\n2\\x9b" in text
    assert "\n".join(out(capsys, "info", "--json")).replace("\n", "").isprintable()


def test_info_imports_no_package(here: Path) -> None:
    """Versions are read, not asked for: importing torch alone takes seconds."""
    code = """if True:
        import sys
        from pynn.__main__ import main
        main(["info"])
        print(sorted({"matplotlib", "onnx", "PIL", "pooch", "sklearn", "torch"} & set(sys.modules)))
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=here)
    assert (result.stdout.splitlines()[-1], result.stderr) == ("[]", "")


def test_info_knows_what_pynn_can_use() -> None:
    """The packages that pyproject.toml requires, and those of its extras for users."""
    required, optional = set(), set()
    for line in importlib.metadata.requires("pynn-blas") or []:
        name = re.split(r"[<>=\[]", line)[0]
        extra = re.search(r"extra == .(\w+)", line)
        if extra is None:
            required.add(name)
        elif extra[1] not in ("test", "benchmarks", "dev"):
            optional.add(name)
    assert (required, optional) == (set(_info.REQUIRED), set(_info.OPTIONAL))


# ------------------------------------------------------------ export


def test_export_to_the_rust_library_and_on(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it writes is read, also by itself."""
    lines = out(capsys, "export", "nn_rust", "model.safetensors", "model.bin")
    assert lines == [f"wrote model.bin, {os.path.getsize('model.bin')} bytes"]
    np.testing.assert_array_equal(nn_rust.load("model.bin")(X), model(X))
    out(capsys, "export", "nn_rust", "model.bin", "again.bin")
    assert Path("again.bin").read_bytes() == Path("model.bin").read_bytes()


@pytest.mark.parametrize("output", ["model.safetensors", "./link"])
def test_export_does_not_replace_the_model_it_reads(
    output: str, model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """By whatever name: the new file holds less than the model does."""
    Path("link").symlink_to("model.safetensors")
    before = Path("model.safetensors").read_bytes()
    assert main(["export", "nn_rust", "model.safetensors", output]) == 1
    assert capsys.readouterr().err == (
        f"pynn: error: {output}: is the model itself, which would be lost: give another name\n"
    )
    assert Path("model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "names"), [([], ["0", "2"]), (["--names", "fc1,head"], ["fc1", "head"])]
)
def test_export_to_pytorch(
    options: list[str], names: list[str], model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """With names of places, or those that are asked for."""
    out(capsys, "export", "pytorch", *options, "model.safetensors", "torch.safetensors")
    arrays = load_file("torch.safetensors")
    assert sorted({key.rpartition(".")[0] for key in arrays}) == names
    np.testing.assert_array_equal(arrays[f"{names[0]}.weight"], model.parameters["dense1.weight"].T)


@pytest.mark.parametrize(
    ("arguments", "method", "keywords"),
    [
        (["onnx"], "export_onnx", {"probabilities": False}),
        (["onnx", "--probabilities"], "export_onnx", {"probabilities": True}),
        (["c"], "export_c", {"name": None, "libc": True}),
        (["c", "--no-libc", "--name", "net"], "export_c", {"name": "net", "libc": False}),
    ],
)
def test_export_by_methods_of_the_model(
    arguments: list[str],
    method: str,
    keywords: dict[str, Any],
    model: pynn.Model,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They get the options as keywords, and what export_c returns is printed."""
    calls = []

    def write(model: pynn.Model, path: str, **options: Any) -> str:
        calls.append((repr(model), path, options))
        Path(path).write_bytes(b"12345")
        return "a report"

    monkeypatch.setattr(pynn.Model, method, write)
    form, *options = arguments
    lines = out(capsys, "export", form, "model.safetensors", "output", *options)
    assert lines == ["wrote output, 5 bytes", "a report"][: 1 + (form == "c")]
    assert calls == [(repr(model), "output", keywords)]


def test_every_keyword_is_one_of_the_method() -> None:
    """What the pretended methods above take, the real ones do."""
    import inspect

    for name in ("onnx", "c"):
        taken = inspect.signature(getattr(pynn.Model, f"export_{name}")).parameters
        assert {settings["dest"] for settings in FORMATS[name].options.values()} < taken.keys()


@pytest.mark.parametrize("form", FORMATS)
def test_what_cannot_be_exported(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No model there, an IDX file, a tensor file: one line, and nothing is written."""
    write_idx("images", X)
    assert "missing: No such file" in complaint(capsys, "export", form, "missing", "output")
    message = complaint(capsys, "export", form, "images", "output")
    assert message == "images: begins as an IDX file does, and must be a model"
    assert os.listdir() == ["images"]


def test_what_a_format_cannot_say(capsys: pytest.CaptureFixture[str]) -> None:
    """Is that format's own error."""
    pynn.Builder().input(2).dense(2).tanh().softmax_cross_entropy().build().save("model")
    message = complaint(capsys, "export", "nn_rust", "model", "output")
    assert message.startswith("layer 2: tanh: the original Rust library has ")
    assert "to/output" in complaint(capsys, "export", "pytorch", "model", "to/output")
    monkey = complaint(capsys, "export", "pytorch", "model", "output", "--names", "a,b")
    assert "names must have one for each of the 1 dense layers, got 2: a, b" in monkey


def test_a_package_that_is_missing(
    model: pynn.Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is named, with the way to it."""

    def write(model: pynn.Model, path: str, **options: Any) -> None:
        raise ImportError("pip install 'pynn-blas[onnx]'")

    monkeypatch.setattr(pynn.Model, "export_onnx", write)
    message = complaint(capsys, "export", "onnx", "model.safetensors", "output")
    assert message == "pip install 'pynn-blas[onnx]'"


# ------------------------------------------------------------ the call itself


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """That of the package."""
    assert out(capsys, "--version") == [f"pynn {pynn.__version__}"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inspect"],
        ["inspect", "a", "b"],
        ["look", "a"],
        ["export"],
        ["export", "onnx"],
        ["export", "onnx", "a"],
        ["export", "jpeg", "a", "b"],
        ["export", "nn_rust", "a", "b", "--probabilities"],
        ["export", "onnx", "a", "b", "--prob"],
        ["--wrong"],
    ],
)
def test_wrong_calls(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and how it is called."""
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("usage: python -m pynn")


@pytest.mark.parametrize(
    "arguments", [[], ["inspect"], ["info"], ["export"], *(["export", form] for form in FORMATS)]
)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Fits 80 columns, and says what the command is for."""
    lines = out(capsys, *arguments, "--help")
    assert max(map(len, lines)) < 80
    assert lines[0].startswith(" ".join(["usage: python -m pynn", *arguments]))
    assert len(lines) > 6


def test_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ends it without a traceback, with the status that shells have for it."""
    from pynn import _inspect

    def interrupted(path: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(_inspect, "inspect", interrupted)
    assert run("inspect", "file") == 130
    assert capsys.readouterr().err == "pynn: interrupted\n"


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """python -m pynn in a process of its own."""
    command = [sys.executable, "-m", "pynn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **options)


def test_as_a_program(model: pynn.Model) -> None:
    """Its exit statuses and streams are those of main()."""
    done = python("inspect", "model.safetensors")
    assert (done.returncode, done.stderr) == (0, "")
    assert "parameters  23" in done.stdout
    failed = python("inspect", "missing")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "pynn: error: missing: No such file or directory\n"
    assert python("inspect").returncode == 2


def test_a_reader_that_goes_away(model: pynn.Model) -> None:
    """Is no error of ours, and leaves no traceback."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "pynn", "inspect", "model.safetensors"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=100)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


# ------------------------------------------------------------ the manual


SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ python -m pynn (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
PYTHON = re.compile(r"^```python\n(?!>>>)(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_manual_shows_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """Each call in docs/formats.md gives what stands below it, after the Python before it."""
    text = (ROOT / "docs" / "formats.md").read_text("utf-8")
    Path("data").symlink_to(ROOT / "data")
    blocks = [(m.start(), m) for m in (*SESSION.finditer(text), *PYTHON.finditer(text))]
    skipped = re.compile(r"<!-- not run: .+ -->\n+$")
    namespace: dict[str, object] = {}
    shown = 0
    for start, match in sorted(blocks, key=lambda block: block[0]):
        if skipped.search(text[:start]):
            continue
        if match.re is PYTHON:
            exec(match[1], namespace)
            continue
        for command, expected in COMMAND.findall(match[1]):
            assert out(capsys, *shlex.split(command)) == expected.splitlines()
            shown += 1
    assert shown >= 4


def test_gzip_is_seen_by_its_content(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the name."""
    write_idx("plain", np.arange(3, dtype=np.uint8))
    Path("packed").write_bytes(gzip.compress(Path("plain").read_bytes()))
    assert squeezed(out(capsys, "inspect", "packed"))[1] == "kind IDX, compressed with gzip"
