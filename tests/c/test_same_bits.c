/* test_same_bits.c: a build with -Dsame_bits=true trains to the same bits on all processors.
 *
 *     test_same_bits                  trains on made examples, and compares with the bits of another build
 *     test_same_bits IMAGES LABELS    trains two epochs on the first 6,000 rows of MNIST, two IDX files,
 * and writes the parameters to the standard output, as little-endian floats
 *
 * scripts/check --only same-bits runs both on five kinds of processors. */
#include <stdint.h>

#include "helpers.h"

/* ---------------------------------------------------------------- made examples */

/* 1500 features: more than one register sums up (PYNN_MOST_SUMMED). About half of them are zero. */
enum { ROWS = 330, INPUTS = 1500, CLASSES = 10, BATCH = 100, STEPS = 4 };

static float features[ROWS * INPUTS];
static int32_t labels[ROWS];

static void make_examples(void) {
    pynn_random_uniform(7, 0, 0, ROWS * INPUTS, -1.0f, 1.0f, features);
    for (size_t i = 0; i < ROWS * INPUTS; i++) features[i] = features[i] < 0.0f ? 0.0f : features[i];
    fill_labels(ROWS, CLASSES, labels);
}

/* The hash FNV-1a of floats, whose bytes are taken in little-endian order. */
static uint64_t hash(size_t count, const float *values) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (int shift = 0; shift < 32; shift += 8)
            h = (h ^ (bits >> shift & 0xFF)) * UINT64_C(0x100000001b3);
    }
    return h;
}

/* Widths for which gemm.c has functions of its own at some levels, and widths for which it has none. */
static const pynn_layer wide[] = {HE(160), RELU, HE(64), RELU, HE(CLASSES)};
static const pynn_layer mixed[] = {XAVIER(45), LAYER_NORM(1e-5f), GELU, DROPOUT(0.2f), XAVIER(33),
                                   TANH,       XAVIER(CLASSES)};

/* The same numbers as images, with convolutions of both kinds of dX, one of them with places that are
 * computed together with those of other images, and with windows of both kinds. */
static const pynn_shape shape = {3, 25, 20};
static const pynn_layer of_images[] = {
    CONV2D(8, 3, 2, 1), BATCH_NORM(0.1f, 1e-3f), RELU,       MAX_POOL2D(2),
    CONV2D(8, 5, 0, 2), BATCH_NORM(0.1f, 1e-3f), GELU,       AVG_POOL2D(3),
    CONV2D(8, 2, 1, 8), GLOBAL_AVG_POOL,         HE(CLASSES)};
static const pynn_augmentation changes = {
    .shape = {3, 25, 20}, .shift = 2.0f, .rotate = 10.0f, .elastic = 2.0f, .seed = 5};

#define ADAM(rate) {.kind = PYNN_ADAM, .learning_rate = (rate), .adam = {0.9, 0.999, 1e-8}}

typedef struct training {
    const pynn_layer *layers;
    size_t layer_count;
    pynn_path path;
    pynn_optimizer optimizer;
    const pynn_augmentation *augmentation;
    uint64_t expected; /* the hash of the parameters, by GCC on x86-64 with SSE2 */
} training;

static const training trainings[] = {
    {wide, COUNT_OF(wide), PYNN_PATH_DENSE, SGD(0.1f), NULL, UINT64_C(0xccb503acd8593e54)},
    {wide, COUNT_OF(wide), PYNN_PATH_SPARSE, SGD(0.1f), NULL, UINT64_C(0x120d93062368a019)},
    {wide, COUNT_OF(wide), PYNN_PATH_AUTO, SGD(0.1f), NULL, UINT64_C(0x120d93062368a019)},
    {mixed, COUNT_OF(mixed), PYNN_PATH_DENSE, ADAM(1e-2), NULL, UINT64_C(0x8e06eeac41a1b473)},
    {mixed, COUNT_OF(mixed), PYNN_PATH_SPARSE, ADAM(1e-2), NULL, UINT64_C(0xd266c56b483354c4)},
    {of_images, COUNT_OF(of_images), PYNN_PATH_DENSE, SGD(0.1f), NULL, UINT64_C(0x9c0c7fddd7bdec49)},
    {of_images, COUNT_OF(of_images), PYNN_PATH_DENSE, ADAM(1e-2), &changes, UINT64_C(0xf986082340a88599)},
};

static void *zeros(size_t count) {
    void *array = calloc(count, sizeof(float));
    if (!CHECK(array != NULL)) exit(check_failures());
    return array;
}

static void test_made_examples(size_t index) {
    const training *t = &trainings[index];
    const pynn_data data = {features, PYNN_FEATURES_FLOAT32,          ROWS, labels,
                            t->path,  .augmentation = t->augmentation};
    pynn_network *network = create_shaped(t->layers == of_images ? shape : (pynn_shape){INPUTS, 1, 1},
                                          t->layers, t->layer_count, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, BATCH);
    size_t count = pynn_network_parameter_count(network);
    float *parameters = zeros(count);
    pynn_state state = {1, 0, 0, zeros(count), zeros(count), zeros(count)};
    pynn_sums sums = {0};
    CHECK_EQ(pynn_network_initialize(network, 1, parameters), PYNN_OK);
    CHECK_EQ(
        pynn_train(workspace, &data, NULL, ROWS, BATCH, 0, STEPS, &t->optimizer, &state, parameters, &sums),
        PYNN_OK);
    uint64_t found = hash(count, parameters);
    if (!CHECK(found == t->expected)) printf("training %zu: 0x%016llx\n", index, (unsigned long long)found);
    free(parameters);
    free(state.gradients);
    free(state.first);
    free(state.second);
    destroy(workspace, network);
}

/* ---------------------------------------------------------------- MNIST */

enum { MNIST_ROWS = 6000, MNIST_INPUTS = 784, MNIST_BATCH = 128, EPOCHS = 2 };

/* The first nbytes bytes of an IDX file behind its header. The test ends if they cannot be read. */
static uint8_t *read_idx(const char *path, long header_nbytes, size_t nbytes) {
    uint8_t *bytes = malloc(nbytes);
    FILE *file = fopen(path, "rb");
    if (bytes == NULL || file == NULL || fseek(file, header_nbytes, SEEK_SET) != 0 ||
        fread(bytes, 1, nbytes, file) != nbytes) {
        fprintf(stderr, "%s: cannot read %zu bytes of examples\n", path, nbytes);
        exit(2);
    }
    fclose(file);
    return bytes;
}

static void write_floats(size_t count, const float *values) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (int shift = 0; shift < 32; shift += 8) putchar((int)(bits >> shift & 0xFF));
    }
}

static void train_on_mnist(const char *images, const char *answers) {
    static const pynn_layer layers[] = {HE(256), RELU, HE(64), RELU, HE(CLASSES)};
    static int32_t classes[MNIST_ROWS];
    static uint32_t order[MNIST_ROWS];
    uint8_t *pixels = read_idx(images, 16, MNIST_ROWS * MNIST_INPUTS);
    uint8_t *digits = read_idx(answers, 8, MNIST_ROWS);
    for (size_t n = 0; n < MNIST_ROWS; n++) classes[n] = digits[n];
    const pynn_data data = {pixels, PYNN_FEATURES_UINT8, MNIST_ROWS, classes, PYNN_PATH_AUTO};
    pynn_network *network = create_network(MNIST_INPUTS, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, MNIST_BATCH);
    size_t count = pynn_network_parameter_count(network);
    float *parameters = zeros(count);
    pynn_sums sums = {0};
    CHECK_EQ(pynn_network_initialize(network, 1, parameters), PYNN_OK);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        pynn_random_permutation(1, 1000 + epoch, MNIST_ROWS, order);
        sums = (pynn_sums){0};
        CHECK_EQ(pynn_train(workspace, &data, order, MNIST_ROWS, MNIST_BATCH, 0,
                            (MNIST_ROWS + MNIST_BATCH - 1) / MNIST_BATCH, &(pynn_optimizer)SGD(0.1f), NULL,
                            parameters, &sums),
                 PYNN_OK);
    }
    CHECK(sums.correct > MNIST_ROWS * 8 / 10); /* it learns: these are not the bits of nothing */
    write_floats(count, parameters);
    free(parameters);
    free(pixels);
    free(digits);
    destroy(workspace, network);
}

int main(int argc, char **argv) {
    if (argc == 3) {
        train_on_mnist(argv[1], argv[2]);
        return check_failures();
    }
    make_examples();
    for (size_t t = 0; t < COUNT_OF(trainings); t++) test_made_examples(t);
    return check_failures();
}
