/* plane.c: for a network of two inputs, what it says of each point of the plane. */
#include "page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE = 128, /* pixels of the picture, each way */
    PIXELS = SIDE * SIDE,
    MOST_PARAMETERS = 20000, /* of a network that is quick enough to be asked for each pixel */
    MOST_DOTS = 600,
    COLOURS = 6,
};

/* Colours that stay apart for the usual kinds of colour blindness (Okabe and Ito 2008); they begin again
 * after the sixth class. */
static const uint8_t PALETTE[COLOURS][3] = {{0, 114, 178},   {230, 159, 0}, {0, 158, 115},
                                            {204, 121, 167}, {213, 94, 0},  {86, 180, 233}};

/* The part of the plane that is painted. */
typedef struct box {
    float left, top, width, height;
} box;

/* Find a box around the examples to train on, with a tenth of its size around it. */
static box find_box(const float *points, size_t rows) {
    float least[2] = {points[0], points[1]}, largest[2] = {points[0], points[1]};
    for (size_t i = 0; i < 2 * rows; i++) {
        least[i % 2] = fminf(least[i % 2], points[i]);
        largest[i % 2] = fmaxf(largest[i % 2], points[i]);
    }
    const float width = fmaxf(largest[0] - least[0], 1e-6f), height = fmaxf(largest[1] - least[1], 1e-6f);
    return (box){least[0] - 0.1f * width, least[1] - 0.1f * height, 1.2f * width, 1.2f * height};
}

/* Predict the probabilities of the classes, (PIXELS, classes), at the middle of each pixel. */
static pynn_status predict(box place, float *probabilities) {
    static float points[2 * PIXELS];
    pynn_workspace *workspace = NULL;
    for (size_t i = 0; i < PIXELS; i++) {
        points[2 * i] = place.left + place.width * ((float)(i % SIDE) + 0.5f) / SIDE;
        points[2 * i + 1] = place.top + place.height * ((float)(i / SIDE) + 0.5f) / SIDE;
    }
    const pynn_data data = {.features = points, .feature_type = PYNN_FEATURES_FLOAT32, .rows = PIXELS};
    pynn_status status = pynn_workspace_create(NULL, model.network, NULL, PYNN_ROWS_AT_A_TIME, &workspace);
    if (status == PYNN_OK)
        status =
            pynn_predict(workspace, &data, 0, PIXELS, model.parameters, PYNN_PROBABILITIES, probabilities);
    pynn_workspace_destroy(workspace);
    return status;
}

/* Mix the colours of the classes by their probabilities, half of it the page's own colour. */
static void mix(const float *p, size_t classes, const uint8_t ground[3], uint8_t *rgba) {
    for (size_t part = 0; part < 3; part++) {
        float sum = 0.5f * ground[part];
        for (size_t c = 0; c < classes; c++) sum += 0.5f * p[c] * PALETTE[c % COLOURS][part];
        rgba[part] = (uint8_t)sum;
    }
    rgba[3] = 255;
}

/* Put an example into the picture: a dot of 2 x 2 pixels. */
static void dot(box place, const float *point, int32_t label, uint8_t *painted) {
    const size_t x = (size_t)(SIDE * (point[0] - place.left) / place.width);
    const size_t y = (size_t)(SIDE * (point[1] - place.top) / place.height);
    for (size_t k = 0; k < 4; k++) {
        const size_t u = x + k % 2, v = y + k / 2;
        if (u < SIDE && v < SIDE) memcpy(painted + 4 * (v * SIDE + u), PALETTE[label % COLOURS], 3);
    }
}

EXPORT(page_plane_side) size_t page_plane_side(void) {
    return SIDE;
}

/* Whether there is such a picture. */
EXPORT(page_has_plane) int page_has_plane(void) {
    return model.inputs == 2 && page_usable(0) && sets[0].type == PYNN_FEATURES_FLOAT32 &&
           pynn_network_parameter_count(model.network) <= MOST_PARAMETERS;
}

/* Paint the plane, and examples to train on as dots. NULL if there is no memory, or no finite answer. */
EXPORT(page_paint_plane) const uint8_t *page_paint_plane(void) {
    const examples *set = &sets[0];
    const size_t classes = pynn_network_outputs(model.network);
    const box place = find_box(set->features, set->rows);
    const float nothing = 0.0f;
    uint8_t ground[4];
    paint(&nothing, 1, ground);
    float *probabilities = calloc(PIXELS * classes, sizeof(float));
    uint8_t *painted = room_for(PIXELS);
    if (probabilities == NULL || painted == NULL || predict(place, probabilities) != PYNN_OK) {
        free(probabilities);
        return NULL;
    }
    for (size_t i = 0; i < PIXELS; i++) mix(probabilities + i * classes, classes, ground, painted + 4 * i);
    const size_t dots = set->rows < MOST_DOTS ? set->rows : MOST_DOTS;
    for (size_t row = 0; row < dots; row++)
        dot(place, (const float *)set->features + 2 * row, set->labels[row], painted);
    free(probabilities);
    return painted;
}
