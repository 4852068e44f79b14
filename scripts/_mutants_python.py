"""Mutants of Python, found in its syntax tree, and of the C that some of its strings hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

import _mutants_c
from _mutants import Edit

_COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"), ast.LtE: ("<", ">"), ast.Gt: (">=", "<"), ast.GtE: (">", "<"),
    ast.Eq: ("!=",), ast.NotEq: ("==",),
    ast.Is: ("is not",), ast.IsNot: ("is",), ast.In: ("not in",), ast.NotIn: ("in",),
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*",
    ast.Pow: "*", ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&",
    ast.BitXor: "&",
}  # fmt: skip
# Calls whose arguments are types or names, or that matter to type checkers alone.
_NO_ARGUMENTS = {"cast", "isinstance", "issubclass", "getattr", "setattr", "hasattr", "TypeVar"}
_C_CODE = re.compile(r"\) \{$|;$", re.MULTILINE)


def edits(text: str) -> Iterator[Edit]:
    """The edits of Python source; not of annotations, messages of errors and docstrings."""
    yield from _Finder(text).visit_all(ast.parse(text).body, known=set(), inside=False)


class _Finder:
    """Walks through a module."""

    def __init__(self, text: str) -> None:
        self._text = text
        lines = text.splitlines(keepends=True)
        self._lines = lines
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))

    def _place(self, line: int, column: int) -> int:
        """Where in the text a line's byte is."""
        before = self._lines[line - 1].encode()[:column] if line <= len(self._lines) else b""
        return self._starts[line - 1] + len(before.decode())

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._place(node.lineno, node.col_offset)

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._place(node.end_lineno, node.end_col_offset)

    def _words(self, node: ast.expr | ast.stmt) -> str:
        return self._text[self._start(node) : self._end(node)]

    def _replace(self, node: ast.expr | ast.stmt, text: str, kind: str) -> Edit:
        return Edit(self._start(node), self._end(node), text, kind)

    # ------------------------------------------------------------ statements

    def visit_all(
        self, body: Sequence[ast.stmt], *, known: set[str], inside: bool
    ) -> Iterator[Edit]:
        """The edits of some statements; `known` are the names that the function has by then."""
        for statement in body:
            yield from self._visit(statement, known, inside)

    def _visit(self, node: ast.stmt, known: set[str], inside: bool) -> Iterator[Edit]:
        if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom | ast.Raise):
            if isinstance(node, ast.Raise):
                yield self._replace(node, "pass", "statement")
            return
        if isinstance(node, ast.If) and self._words(node.test) in (
            "TYPE_CHECKING",
            "not TYPE_CHECKING",
        ):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.FunctionDef):
            yield from self._function(node)
            return
        if isinstance(node, ast.ClassDef):
            yield from self.visit_all(node.body, known=set(), inside=False)
            return
        if inside:
            yield from self._deleted(node, known)
        if isinstance(node, ast.If):
            yield self._negated(node.test)
        for expression in self._expressions(node):
            yield from self._expression(expression, inside)
        known |= set(_bound(node))
        for field in ("body", "orelse", "finalbody"):
            yield from self.visit_all(getattr(node, field, []), known=known, inside=inside)
        for handler in getattr(node, "handlers", []):
            yield from self.visit_all(handler.body, known=known, inside=inside)

    def _function(self, node: ast.FunctionDef) -> Iterator[Edit]:
        if any("overload" in self._words(decorator) for decorator in node.decorator_list):
            return
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                yield from self._expression(default, inside=True)
        arguments = [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]
        known = {argument.arg for argument in arguments}
        yield from self.visit_all(node.body, known=known, inside=True)

    def _deleted(self, node: ast.stmt, known: set[str]) -> Iterator[Edit]:
        """No call, no assignment to what is there already, no break; or no result."""
        if isinstance(node, ast.Return):
            if node.value is not None and self._words(node.value) != "None":
                yield self._replace(node.value, "None", "return")
            return
        targets = node.targets if isinstance(node, ast.Assign) else []
        replaces = isinstance(node, ast.AugAssign) or (
            bool(targets)
            and all(not isinstance(target, ast.Name) or target.id in known for target in targets)
            and not all(isinstance(target, ast.Tuple) for target in targets)
        )
        if replaces or isinstance(node, ast.Expr | ast.Break | ast.Continue | ast.Delete):
            yield self._replace(node, "pass", "statement")

    @staticmethod
    def _expressions(node: ast.stmt) -> Iterator[ast.expr]:
        """The expressions of a statement, without annotations and what it assigns to."""
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "targets", "target", "decorator_list"):
                continue
            if isinstance(value, ast.expr):
                yield value
            elif name == "items":
                yield from (item.context_expr for item in value)

    # ------------------------------------------------------------ expressions

    def _expression(self, node: ast.expr, inside: bool) -> Iterator[Edit]:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.Constant):
            yield from self._constant(node)
        if isinstance(node, ast.Compare):
            yield from self._comparison(node)
        if isinstance(node, ast.BoolOp):
            yield from self._all_between(node)
        if isinstance(node, ast.BinOp) and (inside or not isinstance(node.op, ast.BitOr)):
            yield from self._operator(node)
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
            yield self._replace(node, self._words(node.operand), "negation")
        if isinstance(node, ast.IfExp):
            yield self._negated(node.test)
        if isinstance(node, ast.Call):
            yield from self._arguments(node)
        for child in self._children(node):
            yield from self._expression(child, inside)

    @staticmethod
    def _children(node: ast.expr) -> Iterator[ast.expr]:
        """The expressions in an expression; of a subscription of a type, none."""
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "cast":
            yield from node.args[1:]
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield child
            elif isinstance(child, ast.keyword):
                yield child.value
            elif isinstance(child, ast.comprehension):
                yield from (child.iter, *child.ifs)

    def _constant(self, node: ast.Constant) -> Iterator[Edit]:
        value = node.value
        if isinstance(value, bool):
            texts = [str(not value)]
        elif isinstance(value, int):
            texts = [str(value + 1), *([str(value - 1)] if value > 0 else [])]
        elif isinstance(value, float):
            texts = [repr(2 * value), repr(value / 2)] if value else ["1.0"]
        elif isinstance(value, str):
            yield from self._c_code(node, value)
            return
        else:
            return
        for text in texts:
            yield self._replace(node, text, "constant")

    def _c_code(self, node: ast.Constant, value: str) -> Iterator[Edit]:
        """The edits of C in a string of many lines without escapes."""
        words, start = self._words(node), self._start(node)
        if not (words.startswith('"""') and len(_C_CODE.findall(value)) > 1):
            return
        for edit in _mutants_c.edits(words[3:-3]):
            yield edit._replace(start=edit.start + start + 3, end=edit.end + start + 3)

    def _between(self, left: ast.expr, right: ast.expr, word: str, text: str) -> Iterator[Edit]:
        """An operator between two operands, which brackets and line ends may stand around."""
        start, end = self._end(left), self._start(right)
        pattern = r"\s+".join(map(re.escape, word.split()))
        pattern = rf"\b{pattern}\b" if word[0].isalpha() else pattern
        match = re.search(pattern, self._text[start:end])
        if match:
            yield Edit(start + match.start(), start + match.end(), text, "operator")

    def _comparison(self, node: ast.Compare) -> Iterator[Edit]:
        operands = [node.left, *node.comparators]
        for left, right, operator in zip(operands, operands[1:], node.ops, strict=False):
            for text in _COMPARISONS[type(operator)]:
                yield from self._between(left, right, _SIGNS[type(operator)], text)

    def _all_between(self, node: ast.BoolOp) -> Iterator[Edit]:
        word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from self._between(left, right, word, other)

    def _operator(self, node: ast.BinOp) -> Iterator[Edit]:
        operands = (node.left, node.right)
        if any(isinstance(operand, ast.JoinedStr) for operand in operands) or any(
            isinstance(operand, ast.Constant) and isinstance(operand.value, str)
            for operand in operands
        ):
            return
        if type(node.op) in _OPERATORS:
            text = _OPERATORS[type(node.op)]
            yield from self._between(*operands, _SIGNS[type(node.op)], text)

    def _negated(self, node: ast.expr) -> Edit:
        return self._replace(node, f"(not ({self._words(node)}))", "condition")

    def _arguments(self, node: ast.Call) -> Iterator[Edit]:
        """Two neighbouring arguments, swapped."""
        if self._words(node.func).split(".")[-1] in _NO_ARGUMENTS:
            return
        for left, right in zip(node.args, node.args[1:], strict=False):
            one, other = self._words(left), self._words(right)
            between = self._text[self._end(left) : self._start(right)]
            if one != other and between.strip() == ",":
                start, end = self._start(left), self._end(right)
                yield Edit(start, end, other + between + one, "arguments")


_SIGNS: dict[type[ast.AST], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Pow: "**", ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|",
    ast.BitXor: "^",
}  # fmt: skip


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement binds."""
    for name in ast.walk(node):
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
            yield name.id
