"""Mutants of C, found by its tokens.

There is no parser. Where the tokens mislead, such as the * of a pointer, which looks like a
product, the compiler refuses the mutant, and scripts/mutate takes another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from _mutants import Edit

_TOKEN = re.compile(
    r"""(?P<skip> /\*.*?\*/ | //[^\n]* | ^[ \t]*\#(?:\\\n|[^\n])* | \s+ )
      | (?P<text> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' )
      | (?P<number> \.?\d(?:[eEpP][+-]|[\w.])* )
      | (?P<word> [A-Za-z_]\w* )
      | (?P<operator> -> | <<= | >>= | \+\+ | -- | [-+*/%&|^<>=!]= | << | >> | && | \|\| | . )""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)

_BINARY = {
    "<": ("<=", ">"), "<=": ("<", ">"), ">": (">=", "<"), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",),
    "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("*",),
    "<<": (">>",), ">>": ("<<",), "&": ("|",), "|": ("&",), "^": ("&",),
    "+=": ("-=", "="), "-=": ("+=", "="), "*=": ("/=", "="), "/=": ("*=", "="),
    "&=": ("|=",), "|=": ("&=", "="),
    "&&": ("||",), "||": ("&&",),
}  # fmt: skip
_PREFIX_OR_POSTFIX = {"++": "--", "--": "++"}
_OPENING = {"(": ")", "[": "]", "{": "}"}
_HEADERS = ("if", "for", "while", "switch")
_KEYWORDS = {*_HEADERS, "return", "sizeof", "case", "else", "do", "goto", "enum", "struct", "union"}
_TYPE = re.compile(r"char|const|double|float|int|long|short|unsigned|void|bool|\w+_t|pynn_\w+")
_CHECKS = ("assert", "static_assert", "_Static_assert")
_RETURNS = {
    "return true;": "return false;",
    "return false;": "return true;",
    "return PYNN_OK;": "return PYNN_INVALID_ARGUMENT;",
}


class _Token(NamedTuple):
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def edits(text: str, *, inside: bool = False) -> Iterator[Edit]:
    """The edits of C source; `inside` says that it is lines of a function's body.

    Outside of functions only numbers change.
    """
    tokens = [
        _Token(match.lastgroup or "", match[0], match.start())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "skip"
    ]
    outside = _Source(text, tokens)
    bodies = [range(len(tokens))] if inside else list(_bodies(outside))
    skipped = {i for body in bodies for i in _checks(outside, body)}
    for i, token in enumerate(tokens):
        if token.kind == "number" and i not in skipped:
            yield from _number(token)
    for body in bodies:
        for i in body:
            if i not in skipped:
                yield from outside.operator(i)
                yield from outside.condition(i)
                yield from outside.arguments(i)
        for i in outside.statements(body):
            if i not in skipped:
                yield from outside.statement(i)


def _bodies(source: _Source) -> Iterator[range]:
    """The insides of the functions' braces."""
    i = 0
    while i < len(source.tokens):
        if source.text_at(i) == "{":
            end = source.closing(i)
            if source.text_at(i - 1) == ")":
                yield range(i + 1, end)
            i = end
        i += 1


def _checks(source: _Source, body: range) -> Iterator[int]:
    """The tokens of assertions, which are compiled out, or done by the compiler."""
    for i in body:
        if source.text_at(i) in _CHECKS:
            yield from range(i, source.closing(i + 1) + 1)


def _number(token: _Token) -> Iterator[Edit]:
    """A whole number one up and one down, a float doubled and halved."""
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", token.text)
    if match:
        value, to_text = int(match[1], 0), hex if match[1][:2] in ("0x", "0X") else str
        texts = [to_text(value + 1) + match[2]]
        if value > 0:
            texts.append(to_text(value - 1) + match[2])
    else:
        suffix = "f" if token.text[-1] == "f" else ""
        digits = token.text.removesuffix(suffix)
        real = float.fromhex(digits) if "x" in digits else float(digits)
        texts = [f"{changed!r}{suffix}" for changed in ([2 * real, real / 2] if real else [1.0])]
    for text in texts:
        yield Edit(token.start, token.end, text, "constant")


class _Source:
    """Tokens, and what is found among them."""

    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self._text = text
        self.tokens = tokens

    def text_at(self, i: int) -> str:
        """A token's text; "" before the first and after the last."""
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def closing(self, i: int) -> int:
        """The index of the bracket that closes the one at i, or the last token's."""
        depth = 0
        for k in range(i, len(self.tokens)):
            depth += (self.text_at(k) in _OPENING) - (self.text_at(k) in _OPENING.values())
            if depth == 0:
                return k
        return len(self.tokens) - 1

    def _slice(self, first: int, last: int) -> tuple[int, int, str]:
        """Where the tokens first <= i <= last are in the text, and what it is."""
        start, end = self.tokens[first].start, self.tokens[last].end
        return start, end, self._text[start:end]

    def _ends_value(self, i: int) -> bool:
        token = self.tokens[i] if i >= 0 else _Token("", "", 0)
        if token.kind == "word":
            return token.text not in _KEYWORDS and not _TYPE.fullmatch(token.text)
        return token.kind == "number" or token.text in (")", "]")

    def operator(self, i: int) -> Iterator[Edit]:
        """Another operator in the place of one of two operands; or no negation."""
        token = self.tokens[i]
        if token.kind != "operator":
            return
        if token.text == "!":
            yield Edit(token.start, token.end, "", "negation")
        if token.text in _PREFIX_OR_POSTFIX:
            yield Edit(token.start, token.end, _PREFIX_OR_POSTFIX[token.text], "operator")
        if self._ends_value(i - 1) and self.text_at(i + 1) != ")":
            for other in _BINARY.get(token.text, ()):
                yield Edit(token.start, token.end, other, "operator")

    def condition(self, i: int) -> Iterator[Edit]:
        """The opposite of the condition of an if, or of ?:. (Of a loop it would run for ever.)"""
        if self.text_at(i) == "if" and self.text_at(i + 1) == "(":
            start, end, words = self._slice(i + 1, self.closing(i + 1))
        elif self.text_at(i) == "?":
            start, end, words = self._slice(self._first_of_operand(i), i - 1)
        else:
            return
        yield Edit(start, end, f"(!({words}))", "condition")

    def _first_of_operand(self, i: int) -> int:
        """Where the condition before the ? at i begins."""
        depth, k = 0, i - 1
        while k >= 0:
            text = self.text_at(k)
            depth += (text in _OPENING.values()) - (text in _OPENING)
            ends = text in ("return", ",", ";", "=", ":", "?", "{", "}") or text[1:] == "="
            if depth < 0 or (depth == 0 and ends and text not in ("==", "!=", "<=", ">=", "}")):
                return k + 1
            k -= 1
        return 0

    def arguments(self, i: int) -> Iterator[Edit]:
        """Two neighbouring arguments of a call, swapped."""
        if self.tokens[i].kind != "word" or self.text_at(i) in _KEYWORDS:
            return
        if self.text_at(i + 1) != "(":
            return
        parts: list[tuple[int, int, str]] = []
        first, end = i + 2, self.closing(i + 1)
        k = first
        while k <= end:
            if k == end or self.text_at(k) == ",":
                if k > first:
                    parts.append(self._slice(first, k - 1))
                first = k + 1
            elif self.text_at(k) in _OPENING:
                k = self.closing(k)
            k += 1
        for (start, middle, one), (again, stop, other) in pairwise(parts):
            if one != other:
                yield Edit(start, stop, other + self._text[middle:again] + one, "arguments")

    def statements(self, body: range) -> Iterator[int]:
        """Where the simple statements of a body begin."""
        i = body.start
        while i < body.stop:
            text = self.text_at(i)
            if text in _HEADERS:
                i = self.closing(i + 1) + 1
            elif text in ("case", "default"):
                while self.text_at(i) != ":" and i < body.stop:
                    i += 1
                i += 1
            elif text in ("else", "do", "{", "}", ";"):
                i += 1
            else:
                yield i
                i = self._semicolon(i) + 1

    def _semicolon(self, i: int) -> int:
        """Where the statement that begins at i ends."""
        while i < len(self.tokens) and self.text_at(i) != ";":
            i = self.closing(i) + 1 if self.text_at(i) in _OPENING else i + 1
        return min(i, len(self.tokens) - 1)

    def statement(self, i: int) -> Iterator[Edit]:
        """No call, assignment, break or early return; or another result."""
        start, end, words = self._slice(i, self._semicolon(i))
        word, following = self.text_at(i), self.tokens[min(i + 1, len(self.tokens) - 1)]
        if word == "return":
            plain = " ".join(words.split())
            if plain.startswith("return PYNN_") and plain.count(" ") == 1:
                yield Edit(start, end, _RETURNS.get(plain, "return PYNN_OK;"), "return")
            elif plain in _RETURNS:
                yield Edit(start, end, _RETURNS[plain], "return")
            if plain == "return;" or self.text_at(i - 1) == ")":
                yield Edit(start, end, ";", "statement")
            return
        declares = following.kind == "word" or (following.text == "*" and word != "*")
        if words == "(void)" + words[6:] or (self.tokens[i].kind == "word" and declares):
            return
        if words.endswith(";"):
            yield Edit(start, end, ";", "statement")
