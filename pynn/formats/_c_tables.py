"""Exported C of a network whose input is a row of a table: templates, and the vocabularies.

`fill` of _c_files.py replaces the words in capitals. The input cannot be bytes. One more function
gives the code of a category.
"""

from __future__ import annotations

from pynn._network.columns import Column
from pynn._network.spec import Spec
from pynn.formats import _c_files

_BEGIN = "/* The same for an input in bytes"
_END = "DECLARATIONS"
_HEAD, _, _REST = _c_files.HEADER.partition(_BEGIN)

_AFTER = _REST.partition(_END)[2].replace(
    "both functions above predict\n * from a", "the function above predicts from\n * a"
)

HEADER = f"""{_HEAD}\
/* The code of a category, which belongs into the input at the place of its column; 0 if the value
 * is NULL, for a missing one, or is not in the vocabulary. A missing number is NaN in the input.
 * The columns, from 0, are:
COLUMN_LIST
 */
float NAME_code(int column, const char *value);

{_END}{_AFTER}"""

PASS = """\
void NAME_predict(const float *input, float *output) {
BODY
}

float NAME_code(int column, const char *value) {
    if (value == NULL || column < 0 || column >= INPUTS_NAME) return 0.0f;
    for (int w = first_word[column]; w < first_word[column + 1]; w++) {
        int i = 0;
        while (words[w][i] != '\\0' && words[w][i] == value[i]) i++;
        if (words[w][i] == value[i]) return (float)(w - first_word[column] + 1);
    }
    return 0.0f;
}
"""

SELF_TEST = f"""{_c_files.SELF_TEST.partition("int NAME_self_test")[0]}\
int NAME_self_test(void) {{
    float output[OUTPUTS_NAME];
    NAME_predict(test_input, output);
    return count_wrong(output);
}}
"""

CONSTANTS = (
    """\
/* The vocabularies, one after the other: that of column c begins at first_word[c]. */
static const int first_word[] = {FIRST_WORDS};
static const char *const words[] = {
ALL_WORDS
};
""",
)


def words_of(spec: Spec) -> dict[str, str]:
    """The values of the templates' words: the list of columns, and the vocabularies."""
    columns = spec.columns
    if columns is None:
        return {}
    texts = [[_literal(str(value)) for value in column.values] for column in columns.columns]
    first = [0]
    for own in texts:
        first.append(first[-1] + len(own))
    lines = [f"    {text}," for own in texts for text in own] or ["    0,"]
    return {
        "COLUMN_LIST": "\n".join(
            _in_comment(place, column) for place, column in enumerate(columns.columns)
        ),
        "FIRST_WORDS": ", ".join(map(str, first)),
        "ALL_WORDS": "\n".join(lines),
    }


def _in_comment(place: int, column: Column) -> str:
    """A line of the list of columns; no name can end the comment."""
    name = _literal(column.name).replace("*/", "* /").replace("/*", "/ *")
    what = f"{len(column.values):,} categories" if column.size else "a number"
    return f" *     {place:<3} {name}: {what}"


def _literal(text: str) -> str:
    """A string as C writes it. What is not printable ASCII becomes octal bytes of UTF-8."""
    escaped = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{"".join(escaped)}"'
