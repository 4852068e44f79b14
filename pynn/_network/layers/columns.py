"""The columns of a table as the first layer: numbers are scaled, categories are looked up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number, total
from pynn._network.columns import KINDS, Column, Columns
from pynn._network.layers import Layer, OnnxGraph, Parameter, Shape

NUMBER, EMBEDDING, ONE_HOT = KINDS


class PlacedColumn(NamedTuple):
    """A column, and where what belongs to it begins."""

    column: Column
    feature: int
    """Its place in a row of X."""
    output: int
    """The place of its first value in a row of Y."""
    table: int
    """The place of the first value of its embedding in the weight."""


class TableColumns(Layer):
    """For each column of a table a piece of Y: (x - mean) / scale, or what belongs to the code x.

    Of an embedding it is row number x of the column's table, which is a part of the weight; of a
    one-hot code it is 1 at place x - 1, and 0 elsewhere. A missing number gives 0; a missing or
    unknown category has the code 0.
    """

    kind = "columns"
    options = ("columns",)
    reads_features = True
    is_input = True
    in_place = False
    takes_bytes = False
    torch_module = ""

    columns: Columns

    def __init__(self, columns: Any) -> None:
        own = columns if isinstance(columns, Columns) else Columns.from_list(columns)
        super().__init__(columns=own)

    def arguments(self) -> dict[str, Any]:
        return {"columns": self.columns.to_list()}

    def __str__(self) -> str:
        return f"columns({self.columns})"

    @property
    def takes_missing(self) -> bool:
        return True

    # ------------------------------------------------------------ shapes

    def shape_after(self, shape: Shape) -> Shape:
        count = len(self.columns.columns)
        if shape != (count,):
            raise ArgumentError(f"columns must have {count} features, one for each, got {shape}")
        return (sum(column.width for column in self.columns.columns),)

    @property
    def numbers(self) -> int:
        """How many columns are numbers; they are the first ones."""
        return sum(column.kind == NUMBER for column in self.columns.columns)

    @property
    def scaled_features(self) -> slice:
        return slice(0, self.numbers)

    def placed(self) -> Iterator[PlacedColumn]:
        """The columns, with their places."""
        output = table = 0
        for feature, column in enumerate(self.columns.columns):
            yield PlacedColumn(column, feature, output, table)
            output += column.width
            table += column.size * column.width if column.kind == EMBEDDING else 0

    def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
        found: tuple[Parameter, ...] = ()
        if numbers := self.numbers:
            found = tuple(Parameter(name, (numbers,), trained=False) for name in ("mean", "scale"))
        tables = sum(it.size * it.width for it in self.columns.columns if it.kind == EMBEDDING)
        return (*found, Parameter("weight", (tables,), decays=True)) if tables else found

    def c_struct(self, shape: Shape) -> dict[str, Any]:
        return {
            "columns": [
                {"kind": column.kind, "size": column.size, "width": column.width}
                for column in self.columns.columns
            ]
        }

    def details(self) -> list[tuple[str, Shape, int]]:
        return [
            (
                str(column),
                (column.width,),
                {NUMBER: 2, EMBEDDING: column.size * column.width, ONE_HOT: 0}[column.kind],
            )
            for column in self.columns.columns
        ]

    @property
    def encoder(self) -> Callable[[str, object], Floats]:
        return self.columns._encoded

    # ------------------------------------------------------------ explain

    def forward_marks(self, *, sparse: bool) -> tuple[str, ...]:
        marks = {NUMBER: "number", EMBEDDING: "embedding", ONE_HOT: "onehot"}
        kinds = {column.kind for column in self.columns.columns}
        return tuple(f"columns.{mark}" for kind, mark in marks.items() if kind in kinds)

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        return {"dweight": "columns.dweight"}

    def fused_marks(self, *, sparse: bool) -> dict[str, str]:
        return {"weight": "columns.fusedweight"}

    def update_mark(self, name: str) -> str:
        return "" if name == "weight" else "columns.kept"

    def _at_output(self, output: int) -> PlacedColumn:
        """The column that a value of Y belongs to."""
        return next(it for it in self.placed() if output < it.output + it.column.width)

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        at = self._at_output(output)
        x = float(arrays["X"][row, at.feature])
        if at.column.kind != NUMBER or math.isnan(x):
            return ""  # there is nothing to calculate: a value is looked up
        mean, scale = arrays["mean"][at.feature], arrays["scale"][at.feature]
        value = f"({number(x)} - {factor(mean)}) / {number(scale)}"
        return f"y{output} = {value} = {number(arrays['Y'][row, output])}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        own = [it for it in self.placed() if it.column.kind == EMBEDDING and it.table <= at[0]][-1]
        code, place = divmod(at[0] - own.table, own.column.width)
        rows = codes_of(forward["X"][:, own.feature], own.column.size) == code
        terms = total(backward["dY"][rows, own.output + place])
        return f"{name}[{at[0]}] = {terms} = {number(backward[name][at])}"

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        x = arrays["X"]
        found = []
        numbers, codes = x[:, self.scaled_features], x[:, self.numbers :]
        if missing := int(np.isnan(numbers).sum()):
            found.append(f"{missing:,} of {numbers.size:,} numbers are missing: their y is 0")
        if unknown := int((codes == 0).sum()):
            found.append(
                f"{unknown:,} of {codes.size:,} categories are missing or unknown: their code is 0"
            )
        return found

    # ------------------------------------------------------------ export

    def add_to_onnx(
        self,
        graph: OnnxGraph,
        x: str,
        parameters: Sequence[str],
        name: str,
        output: str,
        shape: Shape,
    ) -> None:
        """Add a piece for each column, and Concat."""
        pieces = []
        if count := self.numbers:
            pieces.append(_onnx_numbers(graph, x, parameters, name, count))
        for it in self.placed():
            if it.column.kind != NUMBER:
                pieces.append(_onnx_category(graph, x, parameters[-1], f"{name}.{it.feature}", it))
        graph.add("Concat", pieces, output, axis=1)

    def metadata(self) -> dict[str, Any]:
        return {"columns": self.columns.to_list()}

    def c_test_inputs(
        self, parameters: Mapping[str, Floats], spread: npt.NDArray[np.uint8]
    ) -> Floats:
        x = spread.astype(np.float32)
        if count := self.numbers:
            around = (x[:, :count] - 128) / 64
            mean, scale = parameters["columns1.mean"], parameters["columns1.scale"]
            x[:, :count] = mean + scale * around
        x[:, count:] %= [column.size for column in self.columns.columns[count:]]
        return x

    def c_sizes(self, shape: Shape, after: Shape) -> tuple[str, ...]:
        return ()

    def c_helper(self, *, libc: bool) -> str:
        kinds = {column.kind for column in self.columns.columns}
        parts = [_CODE] if kinds != {NUMBER} else []
        parts += [_EMBEDDING] if EMBEDDING in kinds else []
        return "\n".join(parts + ([_ONE_HOT] if ONE_HOT in kinds else []))

    def c_function(self) -> str:
        lines = []
        if count := self.numbers:
            lines.append(
                f"for (size_t i = 0; i < {count}; i++)"
                " y[i] = x[i] == x[i] ? (x[i] - mean[i]) / scale[i] : 0.0f;"
            )
        for column, feature, output, table in self.placed():
            what = f"x[{feature}], {column.size}, y + {output}"
            if column.kind == EMBEDDING:
                lines.append(f"embedding({what}, {column.width}, weight + {table});")
            elif column.kind == ONE_HOT:
                lines.append(f"one_hot({what});")
        arrays = [own.name for own in self.parameters((len(self.columns.columns),))]
        given = [f"const float *{own}, " for own in ("x", *arrays)]
        head = f"static void columns_layer({''.join(given)}float *y) {{"
        if len(head) > 100:
            blanks = " " * head.index("const")
            head = f"static void columns_layer({''.join(given[:3])}\n{blanks}".replace(
                ", \n", ",\n"
            )
            head += f"{''.join(given[3:])}float *y) {{"
        body = "\n".join(f"    {line}" for line in lines)
        return f"""\
/* y from the columns x of a table: numbers are scaled, and a missing one, which is NaN, gives 0;
 * categories are codes. */
{head}
{body}
}}
"""


def codes_of(x: Any, size: int) -> Any:
    """The codes that C reads for some values: 0 for what is not a code."""
    with np.errstate(invalid="ignore"):
        return np.where((x >= 1) & (x < size), x, 0).astype(np.int64)


def _onnx_numbers(
    graph: OnnxGraph, x: str, parameters: Sequence[str], name: str, count: int
) -> str:
    """Add what makes of the first columns (x - mean) / scale, or 0; return its name."""
    places = [graph.integers(f"{name}.{what}", [at]) for what, at in (("begin", 0), ("end", count))]
    axis, zero = graph.integers(f"{name}.axis", [1]), graph.constant(f"{name}.zero", 0.0)
    numbers = graph.add("Slice", [x, *places, axis], f"{name}.numbers")
    centered = graph.add("Sub", [numbers, parameters[0]], f"{name}.centered")
    scaled = graph.add("Div", [centered, parameters[1]], f"{name}.scaled")
    is_missing = graph.add("IsNaN", [numbers], f"{name}.is_missing")
    return graph.add("Where", [is_missing, zero, scaled], f"{name}.filled")


def _onnx_category(graph: OnnxGraph, x: str, weight: str, name: str, it: PlacedColumn) -> str:
    """Add what a category gives; return its name. A value that is no code becomes 0 first."""
    column = it.column
    one, most = graph.constant(f"{name}.one", 1.0), graph.constant(f"{name}.size", column.size)
    place = graph.integers(f"{name}.place", it.feature)
    values = graph.add("Gather", [x, place], f"{name}.values", axis=1)
    above = graph.add("GreaterOrEqual", [values, one], f"{name}.above")
    below = graph.add("Less", [values, most], f"{name}.below")
    inside = graph.add("And", [above, below], f"{name}.inside")
    zero = graph.constant(f"{name}.unknown", 0.0)
    known = graph.add("Where", [inside, values, zero], f"{name}.known")
    codes = graph.add("Cast", [known], f"{name}.codes", to=graph.INT64)
    if column.kind == EMBEDDING:
        limits = [it.table, it.table + column.size * column.width]
        places = [graph.integers(f"{name}.limit{k}", [at]) for k, at in enumerate(limits)]
        shape = graph.integers(f"{name}.shape", [column.size, column.width])
        table = graph.add("Slice", [weight, *places], f"{name}.part")
        table = graph.add("Reshape", [table, shape], f"{name}.table")
        return graph.add("Gather", [table, codes], f"{name}.embedding", axis=0)
    words = graph.integers(f"{name}.words", list(range(1, column.size)))
    axis = graph.integers(f"{name}.axis", [1])
    columns = graph.add("Unsqueeze", [codes, axis], f"{name}.column")
    equal = graph.add("Equal", [columns, words], f"{name}.equal")
    return graph.add("Cast", [equal], f"{name}.one_hot", to=graph.FLOAT)


_CODE = """\
/* The code of a category: a whole number below size, or 0 for anything else, such as NaN. */
static size_t code_of(float x, size_t size) {
    return x >= 1.0f && x < (float)size ? (size_t)x : 0;
}
"""

_EMBEDDING = """\
/* y (width) = row number x of a table (size, width) */
static void embedding(float x, size_t size, float *y, size_t width, const float *table) {
    const float *row = table + code_of(x, size) * width;
    for (size_t i = 0; i < width; i++) y[i] = row[i];
}
"""

_ONE_HOT = """\
/* y (size - 1) = 1 at place x - 1, else 0 */
static void one_hot(float x, size_t size, float *y) {
    const size_t code = code_of(x, size);
    for (size_t i = 1; i < size; i++) y[i - 1] = i == code ? 1.0f : 0.0f;
}
"""
