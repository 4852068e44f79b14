/* images_layers.c: how long each layer of the networks for images takes in a step of training on one
 * thread.
 *
 * benchmarks/images_layers.py compiles it with the library's sources, and makes a table of what it prints:
 *
 *     peak GFLOPS                               a loop of products and sums on registers
 *     stream NBYTES GBYTES_A_SECOND             a loop that reads and writes so many bytes
 *     step NETWORK SECONDS                      pynn_gradient(), a batch
 *     work NETWORK LAYER KIND IN OUT SIZE TURNED WHAT SECONDS
 *
 * where IN and OUT are shapes, three numbers each, and SIZE is the rows of a filter or window. The steps of
 * a batch are made here in the order in which pass.c makes them, so that each finds in the caches what it
 * finds there in training, and each call is timed. Seconds are those of a block of 32 rows: of all rounds
 * the one that a quarter is faster than, because a call that was interrupted is no measure of the call.
 *
 *     images_layers ROUNDS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/denormals.h"
#include "base/vector.h"
#include "internal.h"
#include "layers/conv2d.h"
#include "pynn.h"

enum { ROWS = 128, BLOCKS = 4, MOST_LAYERS = 16, MOST_ROUNDS = 1001, CLASSES = 10 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *left, const void *right) {
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static void fail(const char *what) {
    fprintf(stderr, "images_layers: %s\n", what);
    exit(1);
}

/* ---------------------------------------------------------------- the processor */

/* Twelve chains of products and sums: enough to hide how long one takes, and few enough for the registers
 * of AVX2. */
enum { CHAINS = 12, CHAIN_LENGTH = 100 * 1000 };

#define CHAIN(name, lanes, target)                                                                         \
    typedef float name##_vector __attribute__((vector_size((lanes) * sizeof(float)), aligned(4)));         \
    target static void name(float *values) {                                                               \
        name##_vector sums[CHAINS], factor = {0}, term = {0};                                              \
        factor += values[0];                                                                               \
        term += values[1];                                                                                 \
        PYNN_UNROLL for (int i = 0; i < CHAINS; i++) sums[i] = term + (float)i;                            \
        for (int n = 0; n < CHAIN_LENGTH; n++) {                                                           \
            PYNN_UNROLL for (int i = 0; i < CHAINS; i++) sums[i] = sums[i] * factor + term;                \
        }                                                                                                  \
        PYNN_UNROLL for (int i = 1; i < CHAINS; i++) sums[0] += sums[i];                                   \
        values[2] = sums[0][0];                                                                            \
    }
CHAIN(chain_4, 4, )
#if defined(PYNN_HAVE_LEVELS)
CHAIN(chain_8, 8, PYNN_FOR_V3)
CHAIN(chain_16, 16, PYNN_FOR_V4)
#endif

/* Gflop/s of the fastest of some loops, in vectors as wide as those of the level in use. */
static double peak(void) {
    void (*chain)(float *) = chain_4;
    size_t lanes = 4;
#if defined(PYNN_HAVE_LEVELS)
    if (pynn_level_in_use() == PYNN_LEVEL_X86_V3) chain = chain_8, lanes = 8;
    if (pynn_level_in_use() == PYNN_LEVEL_X86_V4) chain = chain_16, lanes = 16;
#endif
    volatile float start[] = {0.5f, 1.0f};
    float values[3] = {start[0], start[1], 0.0f};
    double least = 1e9;
    for (int round = 0; round < 50; round++) {
        double began = now();
        chain(values);
        double seconds = now() - began;
        if (seconds < least) least = seconds;
    }
    return 2.0 * (double)lanes * CHAINS * CHAIN_LENGTH / least * 1e-9;
}

PYNN_KERNEL(void, double_all, (size_t count, const float *restrict x, float *restrict y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = 2.0f * x[i];
}

/* GB/s of a loop that reads half of so many bytes and writes the other half. */
static double stream(size_t nbytes) {
    size_t count = nbytes / 2 / sizeof(float);
    float *x = calloc(2 * count, sizeof(float));
    if (x == NULL) fail("out of memory");
    double least = 1e9;
    for (int round = 0; round < 200; round++) {
        double began = now();
        double_all(count, x, x + count);
        double seconds = now() - began;
        if (seconds < least) least = seconds;
    }
    free(x);
    return (double)nbytes / least * 1e-9;
}

/* ---------------------------------------------------------------- a step of training, timed */

typedef enum work {
    GATHER,
    OBSERVE,
    FORWARD,
    LOSS,
    SUM,
    SUM_WITHOUT_DX, /* of a convolution: dW and db alone */
    BACKWARD,
    ACCUMULATE,
    X_PLANES, /* of a convolution: laying out its inputs, once */
    DY_PLANES,
    WORKS
} work;

static const char *const NAMES[WORKS] = {
    "gather",         "observe",  "forward",    "loss",     "sum",
    "sum-without-dx", "backward", "accumulate", "x-planes", "dy-planes",
};

/* What a round measures besides the layers' functions: nothing, or, since these calls change what lies in
 * the caches, one thing alone. */
typedef enum round_kind { PLAIN, WITHOUT_DX, PLANES, ROUND_KINDS } round_kind;

typedef struct timed_network {
    pynn_network *network;
    pynn_workspace *workspace;
    pynn_data data;
    float *parameters, *gradients;
    double seconds[MOST_LAYERS][WORKS][MOST_ROUNDS];
    double step[MOST_ROUNDS];
    round_kind kind;
    size_t round;
} timed_network;

static timed_network all;

static pynn_layer_call call_of(size_t l, size_t block, const pynn_state *state) {
    pynn_workspace *w = all.workspace;
    const pynn_placed_layer *layer = &w->network->layers[l];
    return (pynn_layer_call){
        .layer = layer,
        .rows = ROWS,
        .parameters = all.parameters + layer->parameter_offset,
        .x = l == 0 ? w->inputs : w->layers[l - 1].outputs,
        .y = w->layers[l].outputs,
        .dy = w->layers[l].deltas,
        .dx = l == 0 ? NULL : w->layers[l - 1].deltas,
        .scratch = w->layers[l].scratch,
        .block_scratch = w->layers[l].block_scratch,
        .block = block,
        .blocks = BLOCKS,
        .state = state,
        .has_backward = true,
    };
}

/* Add the time since `began` to a piece of work of this round. */
static void add(size_t l, work w, double began) {
    if (all.kind == PLANES && w != X_PLANES && w != DY_PLANES) return;
    all.seconds[l][w][all.round] += now() - began;
}

static pynn_tile with_columns(pynn_tile tile, size_t columns) {
    tile.column_begin = 0;
    tile.column_end = columns;
    return tile;
}

static void do_planes(const pynn_layer_call *call, pynn_tile tile, work w) {
    if (call->layer->type->kind != PYNN_CONV2D || all.kind != PLANES) return;
    const pynn_conv_block b = pynn_conv_block_of(call);
    const pynn_conv_sizes *g = &b.g;
    if (w == X_PLANES ? g->is_plain : !g->is_turned || call->dx == NULL) return;
    double began = now();
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        if (w == X_PLANES)
            pynn_fill_planes(&g->planes, g->groups * g->channels, call->x + n * call->layer->inputs,
                             b.scratch + b.at.x);
        else
            pynn_fill_planes(&g->back, g->groups * g->filters, call->dy + n * call->layer->outputs,
                             b.scratch + b.at.work);
    }
    add(call->layer->index, w, began);
}

static void do_forward(size_t stage, pynn_tile tile, size_t block) {
    const pynn_stage *layers = &all.network->stages[stage];
    for (size_t l = layers->first; l < layers->end; l++) {
        pynn_layer_call call = call_of(l, block, NULL);
        double began = now();
        call.layer->type->forward(&call, with_columns(tile, call.layer->outputs));
        add(l, FORWARD, began);
        do_planes(&call, tile, X_PLANES);
    }
}

static void do_backward(size_t l, pynn_tile tile, size_t block) {
    pynn_layer_call call = call_of(l, block, NULL);
    double began = now();
    call.layer->type->backward(&call, with_columns(tile, call.layer->inputs));
    add(l, BACKWARD, began);
}

static void do_backward_values(size_t stage, pynn_tile tile, size_t block) {
    const pynn_stage *layers = &all.network->stages[stage];
    for (size_t l = layers->end - 1; l > layers->first; l--) do_backward(l, tile, block);
}

static void do_loss(pynn_tile tile) {
    size_t last = all.network->layer_count - 1, outputs = all.network->outputs, row = tile.row_begin;
    double began = now();
    pynn_sums sums = {0};
    pynn_loss_rows rows = {.rows = tile.row_end - row,
                           .outputs = outputs,
                           .z = all.workspace->layers[last].outputs + row * outputs,
                           .labels = all.workspace->labels + row,
                           .scale = 1.0f / ROWS,
                           .dz = all.workspace->layers[last].deltas + row * outputs};
    all.network->loss_type->compute(&all.network->loss, &rows, &sums);
    add(last, LOSS, began);
}

static void do_sum(size_t l, pynn_tile tile, size_t block) {
    pynn_layer_call call = call_of(l, block, NULL);
    bool is_convolution = call.layer->type->kind == PYNN_CONV2D, alone = all.kind == WITHOUT_DX;
    if (is_convolution && alone) call.dx = NULL;
    double began = now();
    call.layer->type->sum(&call, with_columns(tile, call.layer->outputs));
    add(l, is_convolution && alone ? SUM_WITHOUT_DX : SUM, began);
    if (!alone) do_planes(&call, tile, DY_PLANES);
}

static void do_gather(pynn_tile tile, size_t block) {
    pynn_batch batch = {.workspace = all.workspace,
                        .data = &all.data,
                        .count = ROWS,
                        .parameters = all.parameters,
                        .purpose = PYNN_FOR_GRADIENT};
    double began = now();
    if (!pynn_gather(&batch, tile, block)) fail("a feature is not finite");
    add(0, GATHER, began);
}

static void do_step(pynn_pass_step step, pynn_tile tile, size_t block) {
    size_t first = all.network->stages[step.stage].first;
    switch (step.kind) {
    case PYNN_GATHER: do_gather(tile, block); break;
    case PYNN_OBSERVE: {
        pynn_layer_call call = call_of(first, block, NULL);
        double began = now();
        call.layer->type->observe(&call, with_columns(tile, call.layer->inputs));
        add(first, OBSERVE, began);
        break;
    }
    case PYNN_FORWARD: do_forward(step.stage, tile, block); break;
    case PYNN_OUTPUT:
        do_loss(tile);
        do_backward_values(step.stage, tile, block);
        break;
    case PYNN_SUM: do_sum(first, tile, block); break;
    case PYNN_BACKWARD:
        do_backward(first, tile, block);
        do_backward_values(step.stage - 1, tile, block);
        break;
    }
}

/* Whether a step reads what the tasks of all blocks of rows have written. */
static bool needs_whole_batch(pynn_pass_step step) {
    const pynn_placed_layer *layer = &all.network->layers[all.network->stages[step.stage].first];
    return layer->type->reach == PYNN_REACH_BATCH &&
           (step.kind == PYNN_FORWARD || step.kind == PYNN_BACKWARD);
}

static void do_accumulate(size_t stage) {
    pynn_layer_call call = call_of(all.network->stages[stage].first, 0, NULL);
    if (call.layer->type->cut == NULL) return;
    pynn_target target = {1.0f, 0.0f, all.gradients + call.layer->parameter_offset};
    double began = now();
    pynn_grid grid = call.layer->type->cut(&call);
    for (size_t i = 0; i < pynn_grid_count(&grid); i++) call.layer->type->accumulate(&call, i, &target);
    add(call.layer->index, ACCUMULATE, began);
}

/* As pynn_run_batch() does it, where no layer is so large that it is cut into tiles. */
static void do_batch(void) {
    const pynn_network *network = all.network;
    pynn_grid blocks = pynn_cut_rows(ROWS);
    if (pynn_grid_count(&blocks) != BLOCKS) fail("a batch is cut into other blocks");
    for (size_t first = 0, end; first < network->step_count; first = end) {
        for (end = first + 1; end < network->step_count && !needs_whole_batch(network->steps[end]);) end++;
        for (size_t block = 0; block < BLOCKS; block++) {
            for (size_t s = first; s < end; s++)
                do_step(network->steps[s], pynn_grid_tile(&blocks, block), block);
        }
    }
    for (size_t stage = network->first_trained; stage < network->stage_count; stage++) do_accumulate(stage);
}

/* ---------------------------------------------------------------- the networks */

#define FILTERS(count, side, pad)                                                                          \
    {                                                                                                      \
        .kind = PYNN_CONV2D, .conv2d = {.filters = (count),                                                \
                                        .size = {(side), (side)},                                          \
                                        .stride = 1,                                                       \
                                        .before = {(pad), (pad)},                                          \
                                        .after = {(pad), (pad)},                                           \
                                        .groups = 1,                                                       \
                                        .init = PYNN_INIT_HE}                                              \
    }
#define DENSE(count)                                                                                       \
    {                                                                                                      \
        .kind = PYNN_DENSE, .dense = {.outputs = (count), .init = PYNN_INIT_HE}                            \
    }
#define POOL {.kind = PYNN_MAX_POOL2D, .max_pool2d = {.size = {2, 2}, .stride = 2}}
#define RELU {.kind = PYNN_RELU}
#define NORM {.kind = PYNN_BATCH_NORM, .batch_norm = {.momentum = 0.1f, .eps = 1e-5f}}

static const pynn_layer LENET[] = {
    FILTERS(6, 5, 0),       RELU,       POOL, FILTERS(16, 5, 0), RELU, POOL,
    {.kind = PYNN_FLATTEN}, DENSE(120), RELU, DENSE(84),         RELU, DENSE(10),
};
static const pynn_layer SMALL_CNN[] = {
    FILTERS(8, 3, 1),  NORM, RELU, POOL,
    FILTERS(16, 3, 1), NORM, RELU, POOL,
    FILTERS(32, 3, 1), NORM, RELU, {.kind = PYNN_GLOBAL_AVG_POOL},
    DENSE(10),
};

/* As many bytes that are not 0 as MNIST has. */
static void make_data(void) {
    enum { INPUTS = 28 * 28 };
    static uint8_t features[ROWS * INPUTS];
    static int32_t labels[ROWS];
    uint32_t random = 1;
    for (size_t i = 0; i < ROWS * INPUTS; i++) {
        random = random * 1664525u + 1013904223u;
        features[i] = random >> 24 < 49 ? (uint8_t)(random >> 16) : 0;
    }
    for (size_t i = 0; i < ROWS; i++) labels[i] = (int32_t)(i % CLASSES);
    all.data = (pynn_data){.features = features,
                           .feature_type = PYNN_FEATURES_UINT8,
                           .rows = ROWS,
                           .labels = labels,
                           .path = PYNN_PATH_DENSE};
}

static void create(const pynn_layer *layers, size_t count) {
    const pynn_shape images = {1, 28, 28};
    const pynn_loss loss = {.kind = PYNN_SOFTMAX_CROSS_ENTROPY};
    memset(&all, 0, sizeof all);
    make_data();
    if (count > MOST_LAYERS ||
        pynn_network_create_shaped(NULL, &images, layers, count, &loss, &all.network) != PYNN_OK ||
        pynn_workspace_create(NULL, all.network, NULL, ROWS, &all.workspace) != PYNN_OK)
        fail("the network cannot be made");
    all.parameters = calloc(pynn_network_parameter_count(all.network), sizeof(float));
    all.gradients = calloc(pynn_network_parameter_count(all.network), sizeof(float));
    if (all.parameters == NULL || all.gradients == NULL) fail("out of memory");
    pynn_network_initialize(all.network, 1, all.parameters);
}

static void destroy(void) {
    free(all.parameters);
    free(all.gradients);
    pynn_workspace_destroy(all.workspace);
    pynn_network_destroy(all.network);
}

/* The lower quartile of those rounds in which the work was done; 0 if there are none. */
static double quartile(const double *seconds, size_t rounds) {
    static double some[MOST_ROUNDS];
    size_t count = 0;
    for (size_t r = 0; r < rounds; r++) {
        if (seconds[r] > 0.0) some[count++] = seconds[r];
    }
    qsort(some, count, sizeof *some, compare);
    return count == 0 ? 0.0 : some[count / 4];
}

static void print(const char *name, size_t rounds) {
    printf("step %s %.9f\n", name, quartile(all.step, rounds));
    for (size_t l = 0; l < all.network->layer_count; l++) {
        const pynn_placed_layer *layer = &all.network->layers[l];
        pynn_shape in = layer->input_shape, out = layer->output_shape;
        bool is_turned = false;
        size_t side = layer->type->kind == PYNN_MAX_POOL2D ? layer->layer.max_pool2d.size[0] : 0;
        if (layer->type->kind == PYNN_CONV2D) {
            pynn_layer_call call = call_of(l, 0, NULL);
            is_turned = pynn_conv_block_of(&call).g.is_turned;
            side = layer->layer.conv2d.size[0];
        }
        for (size_t w = 0; w < WORKS; w++) {
            double seconds = quartile(all.seconds[l][w], rounds) / BLOCKS;
            if (seconds > 0.0)
                printf("work %s %zu %d %zu %zu %zu %zu %zu %zu %zu %d %s %.9f\n", name, l + 1,
                       (int)layer->type->kind, in.channels, in.height, in.width, out.channels, out.height,
                       out.width, side, is_turned, NAMES[w], seconds);
        }
    }
}

static void measure(const char *name, const pynn_layer *layers, size_t count, size_t rounds) {
    create(layers, count);
    uint64_t mode = pynn_flush_denormals();
    for (size_t round = 0; round < rounds; round++) {
        pynn_sums sums = {0};
        double began = now();
        if (pynn_gradient(all.workspace, &all.data, NULL, ROWS, NULL, all.parameters, all.gradients,
                          &sums) != PYNN_OK)
            fail("the gradient cannot be computed");
        all.step[round] = now() - began;
        all.kind = (round_kind)(round % ROUND_KINDS);
        all.round = round;
        do_batch();
    }
    pynn_restore_denormals(mode);
    print(name, rounds);
    destroy();
}

int main(int argument_count, char **arguments) {
    long rounds = argument_count == 2 ? strtol(arguments[1], NULL, 10) : 0;
    if (rounds < ROUND_KINDS || rounds > MOST_ROUNDS) fail("usage: images_layers ROUNDS, 3 to 1001");
    printf("level %s\npeak %.2f\n", pynn_instruction_set(), peak());
    static const size_t sizes[] = {32 * 1024, 512 * 1024, 2 * 1024 * 1024, 16 * 1024 * 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        printf("stream %zu %.2f\n", sizes[i], stream(sizes[i]));
    measure("lenet", LENET, sizeof LENET / sizeof *LENET, (size_t)rounds);
    measure("small_cnn", SMALL_CNN, sizeof SMALL_CNN / sizeof *SMALL_CNN, (size_t)rounds);
    return 0;
}
