/* csv.c: examples from CSV files.
 *
 * A file is searched by the loops here and not by strspn(), strcspn() or strlen(): the strspn() of zig's
 * libc measures all of the text first, and a file would be gone through once for each of its numbers. */
#include "data.h"

#include <math.h>
#include <stdlib.h>

static const char *skip_blanks(const char *at) {
    while (*at == ' ' || *at == '\r') at++;
    return at;
}

/* Go to the beginning of the next line, or to the end of the text. */
static const char *skip_line(const char *at) {
    while (*at != '\n' && *at != '\0') at++;
    return *at == '\n' ? at + 1 : at;
}

/* Whether a number can begin with a character. */
static int begins_number(char letter) {
    return (letter >= '0' && letter <= '9') || letter == '+' || letter == '-' || letter == '.';
}

/* Pass over lines without anything in them. */
static const char *next_row(const char *text, size_t *line) {
    for (;;) {
        const char *at = skip_blanks(text);
        if (*at != '\n') return *at == '\0' ? at : text;
        text = at + 1;
        (*line)++;
    }
}

/* The first line with numbers: not a byte order mark, and no line of names. */
static const char *first_row(const char *text, size_t *line) {
    static const char MARK[] = "\xEF\xBB\xBF";
    if (text[0] == MARK[0] && text[1] == MARK[1] && text[2] == MARK[2]) text += 3;
    *line = 1;
    text = next_row(text, line);
    const char *first = skip_blanks(text);
    if (*first == '\0' || begins_number(first[*first == '"'])) return text;
    (*line)++;
    return next_row(skip_line(text), line);
}

/* What separates the numbers of a line: a semicolon or a tab, if it has one, or else a comma. */
static char separator_of(const char *line) {
    char found = ',';
    for (; *line != '\n' && *line != '\0' && found != ';'; line++) {
        if (*line == ';' || *line == '\t') found = *line;
    }
    return found;
}

/* Read a finite number, which may be in quotes, with the blanks around it. Returns whether there is one.
 * strtof() would pass over tabs and the ends of lines to the number of another cell. */
static int read_number(const char **text, float *value) {
    const char *at = skip_blanks(*text);
    const int is_quoted = *at == '"';
    char *end;
    if (is_quoted) at = skip_blanks(at + 1);
    if (!begins_number(*at)) return 0;
    *value = strtof(at, &end);
    if (end == at || !isfinite(*value)) return 0;
    at = skip_blanks(end);
    if (is_quoted && *at++ != '"') return 0;
    *text = skip_blanks(at);
    return 1;
}

/* Read one line: a label, and features. Sets *columns, and *text to the next line.
 *   features  (most,); NULL: the numbers are counted only */
static problem read_line(const char **text, size_t line, char separator, float *label, float *features,
                         size_t most, size_t *columns) {
    const char *at = *text;
    for (*columns = 0;; at++) {
        float value;
        const int is_number = read_number(&at, &value);
        if (!is_number || (*at != separator && *at != '\n' && *at != '\0'))
            return fail(DATA_NO_NUMBER, (double)line, (double)*columns + 1.0, 0.0);
        if (*columns == 0) *label = value;
        if (*columns > 0 && features != NULL && *columns <= most) features[*columns - 1] = value;
        (*columns)++;
        if (*at != separator) break;
    }
    *text = *at == '\n' ? at + 1 : at;
    return DATA_OK;
}

/* Read all lines into a set that has room for them; without room, count its rows and columns. */
static problem read_lines(const char *text, examples *set) {
    float *features = set->features;
    const size_t columns = set->columns;
    size_t line, row = 0;
    text = first_row(text, &line);
    const char separator = separator_of(text);
    for (; *text != '\0'; row++) {
        float label;
        size_t found, here = line;
        float *place = features != NULL ? features + row * columns : NULL;
        problem what = read_line(&text, line++, separator, &label, place, columns, &found);
        if (what != DATA_OK) return what;
        if (features == NULL && row > 0 && found != set->columns + 1)
            return fail(DATA_COLUMNS, (double)here, (double)found, (double)set->columns + 1.0);
        if (features == NULL) set->columns = found - 1;
        if (features != NULL) what = check_label(set, row, (double)label);
        if (what != DATA_OK) return what;
        text = next_row(text, &line);
    }
    set->rows = row;
    return DATA_OK;
}

/* Keep pictures of 28 x 28 whole numbers from 0 to 255 as bytes, as in an IDX file: the network then gets
 * them as it gets a drawing, scaled to 0 .. 1. If none is above 1 they are scaled already. */
static void pack_pictures(examples *it) {
    float *features = it->features, largest = 0.0f;
    uint8_t *pixels = it->features;
    if (it->columns != DIGIT_PIXELS) return;
    for (size_t i = 0; i < it->rows * it->columns; i++) {
        if (!(features[i] >= 0.0f && features[i] <= 255.0f) || floorf(features[i]) != features[i]) return;
        largest = fmaxf(largest, features[i]);
    }
    if (largest <= 1.0f) return;
    for (size_t i = 0; i < it->rows * it->columns; i++) {
        const float pixel = features[i];
        pixels[i] = (uint8_t)pixel;
    }
    it->type = PYNN_FEATURES_UINT8;
}

/* Read a whole CSV file, with a byte of 0 at its end, as the examples of a set: in each line a label, and
 * then the features. A first line of names is passed over. */
EXPORT(page_read_csv) int page_read_csv(size_t set, const char *file) {
    examples *it = &incoming[set];
    forget(it);
    const problem found = read_lines(file, it);
    if (found != DATA_OK) return (int)found;
    if (it->rows == 0) return DATA_EMPTY;
    if (it->columns == 0) return DATA_ONE_COLUMN;
    it->type = PYNN_FEATURES_FLOAT32, it->label_count = it->rows;
    it->features = calloc(it->rows * it->columns, sizeof(float));
    it->labels = calloc(it->rows, sizeof(int32_t));
    if (it->features == NULL || it->labels == NULL) return DATA_NO_MEMORY;
    const problem wrong = read_lines(file, it);
    if (wrong == DATA_OK) pack_pictures(it);
    return (int)wrong;
}
