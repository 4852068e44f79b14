"""Exported C, except for its layers: templates whose words in capitals `fill` replaces."""

from __future__ import annotations

import re
from collections.abc import Mapping

MARK = b"a neural network with"
"""Words in the first line of every header that pynn made."""

_STANDARD = """
assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdmchar stdnoreturn string
tgmath threads time uchar wchar wctype
"""

_POSIX = """
aio cpio dirent dlfcn endian fcntl fmtmsg fnmatch ftw glob grp iconv langinfo libgen libintl
monetary mqueue ndbm netdb nl_types poll pthread pwd regex sched search semaphore spawn strings
stropts syslog tar termios trace ulimit unistd utime utmpx wordexp
"""

_SYSTEMS = """
alloca byteswap corecrt crtdefs features ieeefp intrin malloc memory newlib sal stdc-predef
vcruntime values windows xlocale
"""

HEADERS_OF_OTHERS = frozenset(f"{name}.h" for name in (_STANDARD + _POSIX + _SYSTEMS).split())
"""Headers of C and of POSIX, and headers that these include on common systems; in lower case."""

HEADER = """\
/* HEADER_FILE: a neural network with INPUTS inputs and OUTPUTS outputs. pynn VERSION made it.
 *
CHAIN
 *
MEMORY
 *
 *     COMMAND
 */
#ifndef GUARD
#define GUARD

#ifdef __cplusplus
extern "C" {
#endif

enum { INPUTS_NAME = INPUT_COUNT, OUTPUTS_NAME = OUTPUT_COUNT };

/* Compute the outputs of the last layer, (OUTPUT_COUNT), for an input, (INPUT_COUNT).
 * The outputs are MEANING. The two arrays must not overlap. */
void NAME_predict(const float *input, float *output);

/* The same for an input in bytes, such as an image's pixels: each byte counts as value / 255. */
void NAME_predict_bytes(const unsigned char *input, float *output);

DECLARATIONS/* Check that this machine computes what pynn computed: both functions above predict
 * from a stored input. Return how many outputs are off by more than 1e-4 of the largest: 0 if all
 * is well. The check takes SELF_TEST_STACK more bytes of stack. */
int NAME_self_test(void);

#ifdef __cplusplus
}
#endif

#endif
"""

ON_THE_STACK = """\
 * The functions allocate nothing and keep nothing between calls: any number of threads may call
 * them at once. A prediction takes MULTIPLY_ADDS multiply-adds and STACK bytes of arrays on the
 * stack. The parameters are WEIGHTS bytes of constants."""

STATIC = """\
 * The functions allocate nothing. They work in STATIC bytes of static memory, so only one thread
 * at a time may call them; compiled with -DNAME_BUFFER= that memory is on the stack, and any number
 * of threads may. A prediction takes MULTIPLY_ADDS multiply-adds. The parameters are WEIGHTS bytes
 * of constants."""

CONSTANTS: tuple[str, ...] = ()
"""Arrays that are neither parameters nor those of the self-test."""

BUFFER = """
#ifndef NAME_BUFFER
#define NAME_BUFFER static /* or nothing: then the memory between the layers is on the stack */
#endif
"""

PASS = """\
/* Compute the outputs. The input, (INPUT_COUNT), is in bytes or, where bytes is NULL, in input. */
static void pass(const float *input, const unsigned char *bytes, float *output) {
BODY
}

void NAME_predict(const float *input, float *output) {
    pass(input, NULL, output);
}

void NAME_predict_bytes(const unsigned char *input, float *output) {
    pass(NULL, input, output);
}
"""

SELF_TEST = """\
/* Return how many outputs are not what pynn computed for test_input. */
static int count_wrong(const float *output) {
    const float tolerance = TOLERANCE; /* 1e-4 of the largest output */
    int count = 0;
    for (int o = 0; o < OUTPUTS_NAME; o++) {
        const float error = output[o] - test_output[o];
        if (!(error >= -tolerance && error <= tolerance)) count++; /* NaN counts as wrong, too */
    }
    return count;
}

int NAME_self_test(void) {
    float input[INPUTS_NAME], output[OUTPUTS_NAME];
    int wrong;
    for (int i = 0; i < INPUTS_NAME; i++) input[i] = (float)test_input[i] / 255.0f;
    NAME_predict(input, output);
    wrong = count_wrong(output);
    NAME_predict_bytes(test_input, output);
    return wrong + count_wrong(output);
}
"""


SOURCE = """\
/* SOURCE_FILE: the network that HEADER_FILE describes. pynn made this file: rather than change it,
 * change the model and export it anew.
 *
 * The file holds a function for each kind of layer, then pass(), which calls them one after the
 * other, and last the parameters, which are declared first. In comments (n) is a vector of n
 * floats, and (n, m) is a matrix, stored row by row.
 */
#include "HEADER_FILE"

INCLUDES
"""


CLASS_NAMES = """\
/* The names of the classes, by their numbers; in UTF-8. */
extern const char *const NAME_class_names[OUTPUT_COUNT];

"""


def literal(text: str) -> str:
    """Write text as a string of C: its UTF-8, with escapes for all but plain characters.

    "?" is escaped, too, because some pairs of them mean other characters in C99. An escape of three
    octal digits ends there, whatever follows.
    """
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{plain}"'


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each word of a template that is a key of `values` by its value.

    A key is also replaced where "_" follows it, as NAME in NAME_predict.
    """
    words = "|".join(sorted(values, key=len, reverse=True))
    return re.sub(rf"\b({words})(?=\b|_)", lambda match: values[match[1]], template)
