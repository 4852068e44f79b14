"""Write a model as C99 source: a .c file and its header, for programs and devices without Python.

The code is meant to be read by people. It calls no functions but libc's mathematical ones, such as
expf, and none at all with `libc=False`. It allocates nothing and keeps nothing between calls.
Parameters are written with nine digits (C's FLT_DECIMAL_DIG), from which a compiler gets the same
floats again.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading, words
from pynn._base.arrays import Floats
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._model import Model
from pynn._native.library import version
from pynn._network.parameters import TARGETS
from pynn._network.snapshot import Snapshot
from pynn._network.spec import Spec
from pynn.formats import _c_files, _c_functions, _c_tables
from pynn.formats._c_fold import arrays_of
from pynn.formats._c_forward import Forward, number
from pynn.formats._models import checked, finite_snapshot


class Footprint(NamedTuple):
    """The memory and the work that an exported network takes.

    Examples:
        >>> Footprint(872232, 1280, 217728, 824, 3070000)
        Footprint(872,232 bytes of weights, 1,280 bytes of stack, 217,728 multiply-adds)
        >>> Footprint(177704, 0, 416520, 824, 980000, 25424)
        Footprint(177,704 bytes of weights, 25,424 bytes of static memory, 416,520 multiply-adds)
    """

    weights_nbytes: int
    """Bytes of constants: four for each parameter. Those of a batch_norm are part of the weights
    and bias of the layer before it, if that is dense or conv2d."""
    stack_nbytes: int
    """Bytes of the arrays that a prediction has on the stack, besides the caller's arrays."""
    multiply_adds: int
    """Multiply-adds of a prediction, at most: where an input or activation is 0 there are fewer."""
    self_test_nbytes: int
    """Bytes of constants of the self-test; a linker can drop them if nothing calls it."""
    source_nbytes: int
    """Length of the C file in bytes."""
    static_nbytes: int = 0
    """Bytes of the static array that a network of images works in; other networks need none."""

    def __repr__(self) -> str:
        """The three figures that matter most."""
        memory = f"{self.stack_nbytes:,} bytes of stack"
        if self.static_nbytes:
            memory = f"{self.static_nbytes:,} bytes of static memory"
        return (
            f"Footprint({self.weights_nbytes:,} bytes of weights, {memory},"
            f" {self.multiply_adds:,} multiply-adds)"
        )


@words.corrected
def save(
    model: Model, path: str | os.PathLike[str], *, name: str | None = None, libc: bool = True
) -> Footprint:
    """Write a model as C source. `Model.export_c` calls this function, and documents it."""
    checked(model)
    source = Path(checks.path("path", path))
    if not re.fullmatch(r'[^"\\?]+\.c', source.name) or not source.name.isprintable():
        raise ArgumentError(
            f'path must end in ".c", and its name must not have quotes, question marks or'
            f' backslashes, as in "model.c"; got {os.fspath(source)!r}'
        )
    header = source.with_suffix(".h")
    _check_header(header)
    name = _identifier(name, source)
    # At one moment, so that the outputs of the self-test belong to the parameters that are written.
    snapshot, (test_input, test_output) = model._engine.at_one_moment(
        lambda: (finite_snapshot(model), _test_vector(model))
    )
    forward = Forward.of(snapshot.spec)
    weights = arrays_of(forward.layers, snapshot.named)
    weights |= {
        name.replace(".", "_"): array
        for name, array in snapshot.named.items()
        if name.startswith(f"{TARGETS}.")
    }
    weights_nbytes = sum(array.nbytes for array in weights.values())
    words = _words(snapshot, forward, name, header, libc) | {"WEIGHTS": f"{weights_nbytes:,}"}
    head = _header(snapshot, forward, words)
    test = test_input, test_output
    code = _source(snapshot, forward, weights, words, libc, test).encode()
    write_atomically(header, head.encode())
    write_atomically(source, code)
    return Footprint(
        weights_nbytes,
        forward.stack_nbytes,
        forward.multiply_adds,
        test_input.nbytes + test_output.nbytes,
        len(code),
        forward.static_nbytes,
    )


def _check_header(header: Path) -> None:
    """Check that the header takes the place of no other header.

    A compiler could find it instead of a system header of the same name; on some systems `Math.h`
    and `math.h` are the same file. And a file of this name may exist that pynn did not write.
    """
    if header.name.casefold() in _c_files.HEADERS_OF_OTHERS:
        raise ArgumentError(
            f"path must not be that of {header.with_suffix('.c').name}: a compiler could take its"
            f" header {header.name} for the system's; give another name, as in 'model.c'"
        )
    try:
        with reading.opened(header) as file:
            start = file.read(1 << 12)
    except OSError:  # there is no such file; any other fault will show when it is written
        return
    if start and _c_files.MARK not in start:
        raise ArgumentError(
            f"path must not be that of {header.with_suffix('.c').name}: its header {header} exists,"
            " and pynn, which did not make it, would replace it; give another path, or move that"
            " file away"
        )


def _identifier(name: object, source: Path) -> str:
    """The name that the C functions begin with: the caller's, or the file's without ".c"."""
    wanted = source.stem if name is None else name
    if not isinstance(wanted, str):
        raise ArgumentTypeError(f"name must be a str, got {checks.describe(wanted)}")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", wanted, re.ASCII):
        raise ArgumentError(
            "name must be ASCII letters, digits and _, beginning with a letter, because the names"
            f" of the C functions begin with it, as in name='model'; got {wanted!r}"
            + ("" if name is not None else ", the name of the file")
        )
    return wanted


def _test_vector(model: Model) -> tuple[npt.NDArray[Any], Floats]:
    """An input for the self-test, and the model's outputs for it.

    It is the one of 16 inputs with the largest output, so that rounding errors are small in
    proportion. Small outputs may be differences of large numbers, with large rounding errors.
    """
    count = np.arange(1, 16 * model.inputs + 1, dtype=np.uint64)
    # The upper bytes of the multiples of 2^32 / golden ratio, which are spread evenly.
    spread = ((count * np.uint64(2654435769) >> np.uint64(24)) & np.uint64(255)).astype(np.uint8)
    first = model._spec.layers[0]
    inputs = first.c_test_inputs(model.parameters, spread.reshape(16, model.inputs))
    outputs = model(inputs)
    best = int(np.abs(outputs).max(axis=1).argmax())
    return inputs[best], outputs[best]


def _words(
    snapshot: Snapshot, forward: Forward, name: str, header: Path, libc: bool
) -> dict[str, str]:
    """The values of the templates' words."""
    source = header.with_suffix(".c").name
    counts = {
        "INPUTS": snapshot.spec.inputs,
        "OUTPUTS": snapshot.spec.outputs,
        "MULTIPLY_ADDS": forward.multiply_adds,
        "STACK": forward.stack_nbytes,
        "STATIC": forward.static_nbytes,
        "SELF_TEST_STACK": 4 * (snapshot.spec.inputs + snapshot.spec.outputs),
    }
    return {key: f"{count:,}" for key, count in counts.items()} | {
        "INPUT_COUNT": str(snapshot.spec.inputs),
        "OUTPUT_COUNT": str(snapshot.spec.outputs),
        "NAME": name,
        "GUARD": f"PYNN_{name}_H",
        # NET_INPUTS for "net". NET_inputs for "NET", as a program may include both headers.
        "INPUTS_NAME": f"{name.upper()}_INPUTS" if name.islower() else f"{name}_inputs",
        "OUTPUTS_NAME": f"{name.upper()}_OUTPUTS" if name.islower() else f"{name}_outputs",
        "HEADER_FILE": header.name,
        "SOURCE_FILE": source,
        "VERSION": version(),
        "CHAIN": _in_comment(str(snapshot.spec)),
        "MEANING": snapshot.spec.loss.c_meaning(),
        "BODY": forward.body().replace("NAME", name),
        **_c_tables.words_of(snapshot.spec),
        "COMMAND": f"cc -std=c99 -O2 yours.c {source}{' -lm' if libc else ''}",
    }


def _in_comment(text: str) -> str:
    lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f" *     {line}" for line in lines)


def _files_of(spec: Spec) -> ModuleType:
    """The templates for a network."""
    return _c_files if spec.layers[0].takes_bytes else _c_tables


def _header(snapshot: Snapshot, forward: Forward, words: dict[str, str]) -> str:
    declarations = snapshot.spec.loss.c_declarations()
    if snapshot.classes is not None:
        declarations += _c_files.CLASS_NAMES
    files = _files_of(snapshot.spec)
    memory = _c_files.STATIC if forward.static_nbytes else _c_files.ON_THE_STACK
    template = files.HEADER.replace("MEMORY", memory).replace("DECLARATIONS", declarations)
    return _c_files.fill(template, words)


def _source(
    snapshot: Snapshot,
    forward: Forward,
    weights: Mapping[str, Floats],
    words: dict[str, str],
    libc: bool,
    test: tuple[npt.NDArray[Any], Floats],
) -> str:
    test_input, test_output = test
    words = words | {"TOLERANCE": number(max(1e-4 * float(np.abs(test_output).max()), 1e-30))}
    files = _files_of(snapshot.spec)
    own = [files.PASS, snapshot.spec.loss.c_functions(), files.SELF_TEST]
    parts = [part for part in [*forward.functions(libc=libc), *own] if part]
    parts = _c_functions.with_functions(parts, libc=libc)
    arrays: list[tuple[str, npt.NDArray[Any]]] = [
        (f"float {name}", array) for name, array in weights.items()
    ]
    type_of_test = "unsigned char" if test_input.dtype == np.uint8 else "float"
    arrays += [(f"{type_of_test} test_input", test_input), ("float test_output", test_output)]
    declared = [(f"static const {name}[{array.size}];", _shape(array)) for name, array in arrays]
    width = max(len(text) for text, _ in declared)
    declarations = [f"{text:<{width}} /* {shape} */\n" for text, shape in declared]
    opening = _c_files.fill(_c_files.SOURCE, words | {"INCLUDES": _c_functions.includes(parts)})
    parts = [_c_files.BUFFER.lstrip(), *parts] if forward.static_nbytes else parts
    code = _c_files.fill("\n".join([*files.CONSTANTS, *parts]), words)
    data = [
        f"static const {name}[{array.size}] = {{\n{_values(array)}}};\n" for name, array in arrays
    ]
    if snapshot.classes is not None:
        data.append(_class_names(words["NAME"], snapshot.classes))
    return "\n".join([opening + "".join(declarations), code, *data])


def _class_names(name: str, classes: Sequence[str]) -> str:
    """The definition of the array of the classes' names."""
    lines = "".join(f"    {_c_files.literal(one)},\n" for one in classes)
    return f"const char *const {name}_class_names[{len(classes)}] = {{\n{lines}}};\n"


def _shape(array: npt.NDArray[Any]) -> str:
    return f"({', '.join(map(str, array.shape))})"


def _values(array: npt.NDArray[Any]) -> str:
    """The lines with an array's values; each row of a matrix begins a new line."""
    matrix = array.reshape(-1, array.shape[-1])
    to_text, step = (str, 20) if array.dtype == np.uint8 else (number, 6)
    lines = []
    for row in matrix:
        texts = [to_text(value) for value in row.tolist()]
        for begin in range(0, len(texts), step):
            lines.append(f"    {', '.join(texts[begin : begin + step])},\n")
    return "".join(lines)


__all__ = ["Footprint", "save"]
