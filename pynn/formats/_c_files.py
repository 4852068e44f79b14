"""What exported C has but its layers: templates, in which words in capitals are filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping

MARK = b"a neural network with"
"""What a header that we made has in its first line."""

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
"""Headers of C, of POSIX, and those that they include on common systems; in lower case."""

HEADER = """\
/* HEADER_FILE: a neural network with INPUTS inputs and OUTPUTS outputs. pynn VERSION made it.
 *
CHAIN
 *
 * Nothing is allocated, and nothing kept between calls: any number of threads may call at once.
 * A prediction is MULTIPLY_ADDS multiply-adds, with STACK bytes of arrays on the stack; the
 * parameters are WEIGHTS bytes of constants.
 *
 *     COMMAND
 */
#ifndef GUARD
#define GUARD

#ifdef __cplusplus
extern "C" {
#endif

enum { INPUTS_NAME = INPUT_COUNT, OUTPUTS_NAME = OUTPUT_COUNT };

/* For an input, (INPUT_COUNT), the outputs of the last layer, (OUTPUT_COUNT):
 * MEANING. The two arrays may not overlap. */
void NAME_predict(const float *input, float *output);

/* The same for an input in bytes, such as the pixels of an image. Each counts as value / 255. */
void NAME_predict_bytes(const unsigned char *input, float *output);

DECLARATIONS/* Does this machine calculate what pynn did? Both functions predict from a stored
 * input: 0 if all outputs are right, to 1e-4 of the largest, else how many are wrong. It takes
 * SELF_TEST_STACK bytes of stack more. */
int NAME_self_test(void);

#ifdef __cplusplus
}
#endif

#endif
"""

PASS = """\
/* Take the input, (INPUT_COUNT), from bytes or, where that is NULL, from input. */
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
/* How many outputs are not what pynn calculated for test_input. */
static int count_wrong(const float *output) {
    const float tolerance = TOLERANCE; /* 1e-4 of the largest output */
    int count = 0;
    for (int o = 0; o < OUTPUTS_NAME; o++) {
        const float error = output[o] - test_output[o];
        if (!(error >= -tolerance && error <= tolerance)) count++; /* also where it is no number */
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
/* SOURCE_FILE: the network that HEADER_FILE describes. pynn made it: rather than change this file,
 * change the model and export it anew.
 *
 * First the layers, as functions; then the way through them, pass(); last the parameters, which are
 * declared here. In comments (n) is a vector of n floats, (n, m) a matrix, row by row.
 */
#include "HEADER_FILE"

INCLUDES
"""


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in the place of the words that are their names; NAME goes before a _."""
    words = "|".join(sorted(values, key=len, reverse=True))
    return re.sub(rf"\b({words})(?=\b|_)", lambda match: values[match[1]], template)
