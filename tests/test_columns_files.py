"""A table goes in, and the file alone predicts: in a new process, by ONNX and as C."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed_tables import COLUMNS, UNSEEN, build, table, trained

import pynn
from pynn._network.columns import Columns

TOLERANCE = 1e-5

NEW_PROCESS = """
import json, sys
import pynn
rows = json.load(sys.stdin)
print(json.dumps(pynn.load(sys.argv[1]).predict_proba(rows).tolist()))
"""

PROGRAM = """
#include <math.h>
#include <stdio.h>
#include "net.h"
int main(void) {
    const char *ports[] = {"S", "Z\\303\\274rich", NULL, ""};
    const char *decks[] = {"2", "77", NULL, "4"};
    const char *alone[] = {"True", NULL, "False", "True"};
    const float fares[] = {7.25f, NAN, NAN, 12.5f};
    if (net_self_test() != 0) return 1;
    if (net_code(-1, "S") + net_code(4, "S") + net_code(0, "S") + net_code(1, "Gen") != 0) return 2;
    if (net_code(1, "Gen\\303\\250ve") != 4) return 3;
    for (int row = 0; row < 4; row++) {
        float input[NET_INPUTS] = {fares[row], net_code(1, ports[row]), net_code(2, decks[row]),
                                   net_code(3, alone[row])}, output[NET_OUTPUTS];
        net_predict(input, output);
        net_probabilities(output);
        printf("%.9g %.9g\\n", output[0], output[1]);
    }
    /* what is no code counts as 0 */
    const float wrong[] = {7, NAN, -1, 1e30f}, none[] = {7, 0, 0, 0};
    float a[NET_OUTPUTS], b[NET_OUTPUTS];
    net_predict(wrong, a);
    net_predict(none, b);
    return a[0] == b[0] && a[1] == b[1] ? 0 : 4;
}
"""

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-std=c99", "-O1"]


def compiled(model: pynn.Model, folder: Path, program: str, **options: Any) -> str:
    """What a C program prints with the exported model."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    model.export_c(folder / "net.c", **options)
    (folder / "main.c").write_text(program)
    command = [compiler, *STRICT, "main.c", "net.c", "-lm", "-o", "program"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run([folder / "program"], check=True, capture_output=True, text=True).stdout


def as_json(rows: Any) -> str:
    """The rows as JSON has them: NaN and bools of NumPy become null and true."""
    return json.dumps(
        [
            {
                name: None if v != v else bool(v) if isinstance(v, np.bool_) else v
                for name, v in it.items()
            }
            for it in rows
        ]
    )


def test_the_file_alone_predicts(tmp_path: Path) -> None:
    """Strings, missing values and unseen categories: a new process, ONNX and C say the same."""
    runtime = pytest.importorskip("onnxruntime")
    model = trained()
    expected = model.predict_proba(UNSEEN)
    assert np.abs(expected[0] - expected[1]).max() > 0.01

    model.save(tmp_path / "model.safetensors")
    command = [sys.executable, "-c", NEW_PROCESS, str(tmp_path / "model.safetensors")]
    done = subprocess.run(
        command, input=as_json(UNSEEN), capture_output=True, text=True, check=True
    )
    np.testing.assert_array_equal(np.array(json.loads(done.stdout), np.float32), expected)

    model.export_onnx(tmp_path / "model.onnx", probabilities=True)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    columns = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    x = encoded_by_metadata(columns, UNSEEN)
    (found,) = session.run(None, {"input": x})
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)

    lines = compiled(model, tmp_path, PROGRAM).splitlines()
    found = np.array([line.split() for line in lines], np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def encoded_by_metadata(columns: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Any:
    """The input of an ONNX file, from what its metadata says: the loop of docs/tables.md."""
    x = np.zeros((len(rows), len(columns)), np.float32)
    for place, column in enumerate(columns):
        for number, row in enumerate(rows):
            value = row[column["name"]]
            if column["kind"] == "number":
                x[number, place] = np.nan if value in (None, "") else value
            elif value in column["values"]:
                x[number, place] = column["values"].index(value) + 1
    return x


def test_onnx_takes_any_number(tmp_path: Path) -> None:
    """What is no code counts as 0 in the graph, too: no table is read outside of it."""
    runtime = pytest.importorskip("onnxruntime")
    model = trained()
    model.export_onnx(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    for bad in (np.nan, -1, 0.5, 99, 3e38, -np.inf, np.inf):
        x = np.array([[7, bad, bad, bad], [7, 0, 0, 0]], np.float32)
        (found,) = session.run(None, {"input": x})
        np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[1:], model(x[1:]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "columns",
    [pynn.Columns(["a"]), pynn.Columns(categories={"a": [1, 2]})],
    ids=["number", "category"],
)
def test_exports_of_one_kind(columns: pynn.Columns, tmp_path: Path) -> None:
    """Without numbers or without categories no function is left unused, also without libc."""
    model = build(columns)
    frame = {"a": [1, 2, 1, 2]}
    model.fit(frame, np.array([0, 1, 0, 1]), epochs=1)
    program = '#include "net.h"\nint main(void) { return net_self_test(); }'
    assert compiled(model, tmp_path, program, libc=False) == ""
    onnx = pytest.importorskip("onnx")
    model.export_onnx(tmp_path / "model.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)


HOSTILE = '*/ int main(void) { return 0; } /* "\\ ??/ NAME BODY\n'


def test_names_and_values_are_only_text(tmp_path: Path) -> None:
    """No name of a column and no value can become code, end a comment or be taken for a word."""
    columns = pynn.Columns(categories={HOSTILE: [HOSTILE, "'", "%s", "é\t"]})
    model = build(columns)
    frame = {HOSTILE: [HOSTILE, "é\t"]}
    model.fit(frame, np.array([0, 1]), epochs=1)
    quoted = '"*/ int main(void) { return 0; } /* \\"\\\\ \\?\\?/ NAME BODY\\012"'
    program = f'#include "net.h"\nint main(void) {{ return (int)net_code(0, {quoted}) - 1; }}'
    assert compiled(model, tmp_path, program) == ""
    assert "NAME BODY" in (tmp_path / "net.h").read_text()


def test_export_needs_a_fit(tmp_path: Path) -> None:
    """A model without mean and scale cannot be exported."""
    with pytest.raises(pynn.PynnError, match="has not seen examples yet"):
        build().export_c(tmp_path / "net.c")


# ------------------------------------------------------------ pynn's own files


def test_checkpoints_know_the_columns(tmp_path: Path) -> None:
    """A run that is resumed ends with the same bits, and the file loads as a model, too."""
    frame, labels = table()
    options: dict[str, Any] = {"batch_size": 7, "checkpoint": tmp_path / "run"}
    whole = build()
    whole.fit(frame, labels, epochs=4, batch_size=7)
    build().fit(frame, labels, epochs=2, **options)
    resumed = pynn.Model.resume(tmp_path / "run")
    resumed.fit(frame, labels, epochs=4, **options)
    np.testing.assert_array_equal(resumed.predict_proba(UNSEEN), whole.predict_proba(UNSEEN))
    assert pynn.load(tmp_path / "run").columns == COLUMNS


def test_large_vocabularies(tmp_path: Path) -> None:
    """A file may have a vocabulary of many short values, but not many objects."""
    columns = pynn.Columns(categories={"a": range(70_000)}, embedding=1)
    model = build(columns)
    model.save(tmp_path / "model")
    assert pynn.load(tmp_path / "model").columns == columns


def rewritten(path: Path, change: Any) -> None:
    """Change the columns in the JSON of a model file."""
    contents = path.read_bytes()
    end = 8 + int.from_bytes(contents[:8], "little")
    header = json.loads(contents[8:end])
    model = json.loads(header["__metadata__"]["model"])
    change(model["layers"][0]["columns"])
    header["__metadata__"]["model"] = json.dumps(model)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + contents[end:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.clear(), "at least one column"),
        (lambda it: it.pop(), "columns must have 3 features"),
        (lambda it: it.append(it[1]), "each name once"),
        (lambda it: it[1].update(width=2**16), r"must have shape \[327688\], has \[23\]"),
        (lambda it: it[1].update(width=2**40), "embedding of 'port'"),
        (lambda it: it[1].update(width=-1), "embedding of 'port'"),
        (lambda it: it[1].update(width="3"), "must be an integer"),
        (lambda it: it[1].update(values=[]), "1 to 16,777,215 values"),
        (lambda it: it[1].update(values="CQSG"), "must be the values"),
        (lambda it: it[1].update(values=["C", None]), "a category must be"),
        (lambda it: it[1].update(values=["C", "C"]), "each value once"),
        (lambda it: it[1].update(values=[1e300]), "a category must be"),
        (lambda it: it[1]["values"].append("new"), r"must have shape \[26\], has \[23\]"),
        (lambda it: it[1].update(kind="number"), "unknown entries: values, width"),
        (lambda it: it[1].update(kind=[]), "unknown kind of column"),
        (lambda it: it[0].update(name=None), "must be a str"),
        (lambda it: it.append({"name": "z", "kind": "one_hot", "values": [1]}), "5 features"),
        (lambda it: it.reverse(), "numbers must come first"),
    ],
)
def test_hostile_files(change: Any, message: str, tmp_path: Path) -> None:
    """Every entry is checked, and the shapes before anything is allocated."""
    path = tmp_path / "model"
    trained().save(path)
    rewritten(path, lambda it: None)
    assert pynn.load(path).columns == COLUMNS
    rewritten(path, change)
    with pytest.raises(pynn.FileFormatError, match=message):
        pynn.load(path)


def test_order_of_a_list() -> None:
    """Numbers come first: the parameters are laid out so."""
    with pytest.raises(pynn.ArgumentError, match="numbers must come first"):
        Columns.from_list(COLUMNS.to_list()[::-1])
