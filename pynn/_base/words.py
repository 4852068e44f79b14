"""Errors for words that pynn does not have: they say which word it has instead.

`corrected` does this for arguments, `missing` for methods and other names. The words that people
know from other libraries are in vocabulary.py.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

from pynn._base.checks import printable
from pynn._base.errors import ArgumentTypeError, ChainError
from pynn._base.vocabulary import ARGUMENTS, ELSEWHERE, MODULES, OF_CALLS, OF_NUMBERS, OF_OBJECTS

Target = TypeVar("Target", bound=Any)


def corrected(target: Target) -> Target:
    """Let a function, or the public methods of a class, say what is wrong with a call of it.

    A call that does not fit the signature raises an ArgumentTypeError with pynn's word.
    """
    if not isinstance(target, type):
        wrapped: Target = _corrected(target)
        return wrapped
    for name, value in list(vars(target).items()):
        if inspect.isfunction(value) and (not name.startswith("_") or name == "__init__"):
            setattr(target, name, _corrected(value))
    return target


def _corrected(function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:  # it was called, and failed later
                raise
            why = _wrong_call(function, given, named) or str(error)
        raise ArgumentTypeError(why)

    return call


def _wrong_call(
    function: Callable[..., Any], given: tuple[Any, ...], named: Mapping[str, Any]
) -> str:
    """Say why a call does not fit a signature; "" if that is not known."""
    takes = list(inspect.signature(function).parameters.values())
    is_method = bool(takes) and takes[0].name == "self"
    takes = takes[is_method:]
    *_, owner, name = ("", *function.__qualname__.split("."))
    called = owner if name == "__init__" else name
    what = f"{called}()"
    names = [one.name for one in takes]
    for word in named:
        if word not in names:
            return f"{what} has no argument {printable(word, 60)!r}: {_advice(word, names, called)}"
    places = [one for one in takes if one.kind is not one.KEYWORD_ONLY]
    count = len(given) - is_method
    if count > len(places):
        extra = given[len(places) + is_method]
        hint = _text(called, OF_NUMBERS if isinstance(extra, (int, float)) else OF_OBJECTS)
        rest = ", ".join(f"{name}=" for name in names[len(places) :])
        return (
            f"{what} takes {len(places)} positional argument{'s' * (len(places) != 1)}, got {count}"
            + (f"; {hint}" if hint else f"; give the others by name: {rest}" * bool(rest))
        )
    needs = [one.name for one in takes[count:] if one.default is one.empty]
    lacks = [repr(one) for one in needs if one not in named]
    return f"{what} needs {' and '.join(lacks)}" if lacks else ""


def _advice(word: str, takes: list[str], called: str) -> str:
    """Say what to write instead of an argument that a call does not have."""
    if text := _text(word, OF_CALLS.get(called, {})):
        return f"it {text}"
    if own := find(word, {name: ARGUMENTS.get(name, "") for name in takes}):
        return f"pynn calls it {own}"
    if text := _text(word, ELSEWHERE):
        return f"it {text}"
    if own := _nearest(word, takes):
        return f"did you mean {own}?"
    return f"it takes {', '.join(takes)}" if takes else "it takes none"


class Missing(NamedTuple):
    """What to say of a name that an object does not have."""

    message: str
    meant: str
    """The name of pynn that was meant, or ""."""
    known: bool
    """Whether the message says what to do."""


def missing(
    what: str,
    name: str,
    own: Iterable[str],
    words: Mapping[str, str],
    advice: Mapping[str, str],
    form: str = ".{}",
) -> Missing:
    """Say what to write instead of a name that an object does not have.

    Args:
        what: The object, as in "module 'pynn'".
        name: The name that it does not have.
        own: The names that it has.
        words: One of the tables of vocabulary.py: for names of pynn what others call them.
        advice: One of those tables: for names of others what to do instead.
        form: How a name of `own` is shown.
    """
    begin = f"{what} has no attribute {printable(name, 60)!r}"
    own = list(own)
    if meant := find(name, {one: words.get(one, "") for one in own}):
        return Missing(f"{begin}: pynn says {form.format(meant)}", meant, True)
    if text := _text(name, advice):
        return Missing(f"{begin}: {text}", "", True)
    if meant := _nearest(name, own):
        return Missing(f"{begin}: did you mean {form.format(meant)}?", meant, True)
    return Missing(begin, "", False)


def refuse(
    thing: object, name: str, words: Mapping[str, str], advice: Mapping[str, str]
) -> NoReturn:
    """Raise the error for an attribute that an object does not have; call it in __getattr__.

    Of a name with an underscore it says no more: copy, pickle and notebooks look for such names.
    """
    what = f"{type(thing).__name__!r} object"
    if name.startswith("_"):
        raise AttributeError(f"{what} has no attribute {name!r}")
    own = [one for one in dir(thing) if not one.startswith("_")]
    raise ChainError(missing(what, name, own, words, advice).message)


def of_module(module: str, own: Iterable[str]) -> Callable[[str], NoReturn]:
    """The __getattr__ of a module of pynn, which raises the error for a name that it does not have.

    Args:
        module: The module without "pynn.", as in vocabulary.MODULES.
        own: Its public names.
    """

    def refused(name: str) -> NoReturn:
        what = f"module 'pynn.{module}'"
        if name.startswith("_"):
            raise AttributeError(f"{what} has no attribute {name!r}")
        words, advice = MODULES[module]
        form = f"pynn.{module}.{{}}"
        raise AttributeError(missing(what, name, own, words, advice, form).message)

    return refused


def squeezed(word: str) -> str:
    """A word without capitals and underscores."""
    return word.lower().replace("_", "")


def find(word: str, table: Mapping[str, str]) -> str:
    """The name of pynn that a word stands for in a table, or ""."""
    for own, others in table.items():
        if squeezed(word) in (squeezed(own), *map(squeezed, others.split())):
            return own
    return ""


def _text(word: str, table: Mapping[str, str]) -> str:
    """What a table says of a word, or ""."""
    for words, text in table.items():
        if squeezed(word) in map(squeezed, words.split()):
            return text
    return ""


def _nearest(word: str, names: list[str]) -> str:
    """The name that is nearest to a misspelt one, or ""."""
    import difflib  # only an error needs it

    table = {squeezed(name): name for name in names}
    return "".join(table[it] for it in difflib.get_close_matches(squeezed(word), table, n=1))
