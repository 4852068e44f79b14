/* test_model_file.c: the same model file gives the same probabilities on all processors.
 *
 *     test_model_file MODEL PROBABILITIES
 *
 * reads a safetensors file that make_model_file.py has made with pynn, and compares what it predicts with
 * the probabilities that Python has written. The parser is for this file alone: it trusts the file. */
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

enum { ROWS = 60, CLASSES = 5, CHANNELS = 3, SIDE = 4, INPUTS = CHANNELS * SIDE * SIDE };

static const float tolerance = 1e-6f;

static const pynn_layer layers[] = {STANDARDIZE(0.0f, 0),
                                    CONV2D(6, 3, 1, 1),
                                    BATCH_NORM(0.1f, 1e-5f),
                                    RELU,
                                    MAX_POOL2D(2),
                                    FLATTEN,
                                    HE(24),
                                    LAYER_NORM(1e-5f),
                                    GELU,
                                    DROPOUT(0.1f),
                                    HE(12),
                                    TANH,
                                    HE(CLASSES)};

/* What a file calls a kind of layer that has parameters. */
static const char *name_of(pynn_layer_kind kind) {
    switch ((int)kind) {
    case PYNN_STANDARDIZE: return "standardize";
    case PYNN_CONV2D: return "conv2d";
    case PYNN_BATCH_NORM: return "batch_norm";
    case PYNN_LAYER_NORM: return "layer_norm";
    default: return "dense";
    }
}

/* The whole file, with a zero behind it. */
static uint8_t *read_file(const char *path) {
    enum { MOST = 20000 };
    uint8_t *bytes = calloc(MOST + 1, 1);
    FILE *file = fopen(path, "rb");
    if (bytes == NULL || file == NULL || fread(bytes, 1, MOST, file) < 8) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    fclose(file);
    return bytes;
}

/* A number of nbytes bytes, the lowest first. */
static uint64_t little(const uint8_t *bytes, size_t nbytes) {
    uint64_t number = 0;
    for (size_t i = nbytes; i-- > 0;) number = number << 8 | bytes[i];
    return number;
}

/* Copy an array of the file to where a view has it: "dense2.weight" for the second dense layer. */
static void read_parameter(const uint8_t *file, const pynn_parameter_view *view, float *parameters) {
    const char *header = (const char *)file + 8;
    const uint8_t *data = file + 8 + little(file, 8);
    size_t number = 0, count = 1;
    char key[64];
    for (size_t i = 0; i <= view->layer; i++) number += layers[i].kind == layers[view->layer].kind;
    for (size_t d = 0; d < view->ndim; d++) count *= view->dims[d];
    snprintf(key, sizeof key, "\"%s%zu.%s\":{", name_of(layers[view->layer].kind), number, view->name);
    const char *entry = strstr(header, key), *offsets = entry == NULL ? NULL : strstr(entry, "offsets\":[");
    if (!CHECK(offsets != NULL)) {
        printf("no %s\n", key);
        exit(check_failures());
    }
    char *end;
    size_t begin = strtoul(offsets + strlen("offsets\":["), &end, 10);
    CHECK_EQ(strtoul(end + 1, NULL, 10), begin + 4 * count);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)little(data + begin + 4 * i, 4);
        memcpy(&parameters[view->offset + i], &bits, sizeof bits);
    }
}

static void predict(const pynn_network *network, const float *parameters, float *probabilities) {
    static float features[ROWS * INPUTS];
    for (uint32_t i = 0; i < ROWS * INPUTS; i++) features[i] = (float)((i * i * 7 + i * 5) % 251) / 16.0f;
    const pynn_data data = {.features = features, .feature_type = PYNN_FEATURES_FLOAT32, .rows = ROWS};
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, parameters, PYNN_PROBABILITIES, probabilities),
             PYNN_OK);
    pynn_workspace_destroy(workspace);
}

/* Compare probabilities with those of a text; print the largest difference. */
static void compare(const char *text, const float *probabilities) {
    float largest = 0.0f;
    char *rest = (char *)text;
    for (size_t i = 0; i < ROWS * CLASSES; i++) {
        const char *number = rest;
        float difference = fabsf(strtof(number, &rest) - probabilities[i]);
        CHECK(rest != number && difference <= tolerance);
        largest = difference > largest ? difference : largest;
    }
    CHECK(rest[strspn(rest, " \r\n")] == '\0');
    printf("the largest difference: %g\n", (double)largest);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    pynn_network *network =
        create_shaped((pynn_shape){CHANNELS, SIDE, SIDE}, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    float *parameters = calloc(pynn_network_parameter_count(network), sizeof(float));
    uint8_t *file = read_file(argv[1]), *text = read_file(argv[2]);
    float probabilities[ROWS * CLASSES];
    if (!CHECK(parameters != NULL)) return check_failures();
    for (size_t v = 0; v < pynn_network_view_count(network); v++) {
        pynn_parameter_view view;
        CHECK_EQ(pynn_network_view(network, v, &view), PYNN_OK);
        read_parameter(file, &view, parameters);
    }
    predict(network, parameters, probabilities);
    compare((const char *)text, probabilities);
    free(parameters);
    free(file);
    free(text);
    pynn_network_destroy(network);
    return check_failures();
}
