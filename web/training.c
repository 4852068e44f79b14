/* training.c: the run, and its curves.
 *
 * The training is that of Model.fit: with the same seed and the same kernels it gives the same bytes. */
#include "page.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_POINTS = 512 }; /* of a curve */

/* Of a step: WebAssembly has 4 GiB at most, and does not give memory back. */
static const double MOST_BYTES = 2147483648.0;

/* The random streams for the order of an epoch's examples are those of pynn/_training/trainer.py. */
static const uint64_t SHUFFLE_STREAMS = (uint64_t)1 << 32;

page_run run;

/* A curve: a point for every `every` steps. When it is full, neighbours become one point. */
typedef struct point {
    float loss, accuracy;
} point;
static point points[MOST_POINTS];
static size_t point_count, every, steps_done;
static pynn_sums since; /* since the last point */

void forget_run(void) {
    pynn_workspace_destroy(run.workspace);
    free(run.state.gradients), free(run.state.first), free(run.state.second), free(run.order);
    run = (page_run){0};
    point_count = steps_done = 0;
    since = (pynn_sums){0};
}

/* ---------------------------------------------------------------- a run */

static pynn_optimizer optimizer_of(pynn_optimizer_kind kind, double rate, double momentum) {
    pynn_optimizer it = {.kind = kind, .learning_rate = rate};
    const pynn_adam_options usual = {0.9, 0.999, 1e-8};
    if (kind == PYNN_SGD) it.sgd.momentum = momentum;
    if (kind == PYNN_ADAM) it.adam = usual;
    if (kind == PYNN_ADAMW) it.adamw = usual, it.weight_decay = 0.01;
    return it;
}

static float *zeros(size_t count, int is_needed) {
    return is_needed ? calloc(count, sizeof(float)) : NULL;
}

/* About the bytes that a step takes that is explained: six arrays of parameters, three more for each that
 * the optimizer needs, and two arrays of values for each layer, with and without keeping them. */
static double bytes_of_step(size_t needs, size_t batch) {
    double widths = (double)model.inputs;
    for (size_t layer = 0; layer < model.layer_count; layer++) widths += (double)model.widths[layer];
    const double count = (double)pynn_network_parameter_count(model.network);
    return 4.0 * (count * (6.0 + 3.0 * (double)needs) + 4.0 * (double)batch * widths);
}

/* Begin a run with an optimizer, behind the epochs and steps that the model has been trained for; momentum
 * is for SGD alone. The parameters stay as they are. */
EXPORT(page_train_begin)
pynn_status page_train_begin(pynn_optimizer_kind kind, double rate, double momentum, size_t batch,
                             uint64_t seed, size_t epochs_before, size_t steps_before) {
    if (!page_usable(0) || batch == 0) return PYNN_INVALID_ARGUMENT;
    forget_run();
    const size_t rows = sets[0].rows, count = pynn_network_parameter_count(model.network);
    run.optimizer = optimizer_of(kind, rate, momentum);
    run.batch = batch < rows ? batch : rows;
    run.steps = (rows + run.batch - 1) / run.batch;
    run.epoch = epochs_before, run.steps_before = steps_before;
    run.state.seed = seed, run.state.step = steps_before;
    every = 8;
    const size_t needs = pynn_optimizer_needs(&run.optimizer);
    if (bytes_of_step(needs, run.batch) > MOST_BYTES) {
        forget_run();
        return PYNN_OUT_OF_MEMORY;
    }
    run.state.gradients = zeros(count, needs > 0);
    run.state.first = zeros(count, needs > 1);
    run.state.second = zeros(count, needs > 2);
    run.order = calloc(rows, sizeof(uint32_t));
    const size_t most_rows = run.batch > PYNN_ROWS_AT_A_TIME ? run.batch : PYNN_ROWS_AT_A_TIME;
    pynn_status status = pynn_workspace_create(NULL, model.network, NULL, most_rows, &run.workspace);
    if (run.order == NULL || (needs > 0 && run.state.gradients == NULL) ||
        (needs > 1 && run.state.first == NULL) || (needs > 2 && run.state.second == NULL))
        status = PYNN_OUT_OF_MEMORY;
    if (status != PYNN_OK) forget_run();
    return status;
}

/* Add the mean over the last steps to the curve. */
static void add_point(void) {
    if (point_count == MOST_POINTS) {
        for (size_t i = 0; i < MOST_POINTS / 2; i++) {
            points[i].loss = (points[2 * i].loss + points[2 * i + 1].loss) / 2.0f;
            points[i].accuracy = (points[2 * i].accuracy + points[2 * i + 1].accuracy) / 2.0f;
        }
        point_count = MOST_POINTS / 2;
        every *= 2;
    }
    const double rows = (double)since.rows;
    points[point_count++] = (point){(float)(since.loss / rows), (float)((double)since.correct / rows)};
    since = (pynn_sums){0};
}

void begin_step(void) {
    if (run.step == run.steps) {
        run.step = 0;
        run.epoch++;
        run.steps_before += run.steps;
        run.sums = (pynn_sums){0};
    }
    if (run.step == 0) {
        const uint64_t stream = SHUFFLE_STREAMS + run.epoch;
        pynn_random_permutation(run.state.seed, stream, (uint32_t)sets[0].rows, run.order);
    }
}

/* Train for one step. The first step of an epoch draws the order of its examples. */
EXPORT(page_train_step) pynn_status page_train_step(void) {
    if (run.workspace == NULL) return PYNN_INVALID_ARGUMENT;
    begin_step();
    const pynn_data data = data_of(&sets[0]);
    const pynn_sums before = run.sums;
    pynn_status status = pynn_train(run.workspace, &data, run.order, data.rows, run.batch, run.step,
                                    run.step + 1, &run.optimizer, &run.state, model.parameters, &run.sums);
    if (status != PYNN_OK) return status;
    run.step++;
    since.loss += run.sums.loss - before.loss;
    since.correct += run.sums.correct - before.correct;
    since.rows += run.sums.rows - before.rows;
    if (++steps_done % every == 0) add_point();
    return PYNN_OK;
}

/* Eight numbers that say where the run stands: epochs done, steps done in all, steps of the epoch done,
 * steps of an epoch, mean loss of the epoch, its accuracy, points of the curve, the share of the epoch
 * done. */
EXPORT(page_progress) const double *page_progress(void) {
    static double numbers[8];
    const double rows = run.sums.rows > 0 ? (double)run.sums.rows : 1.0;
    numbers[0] = (double)(run.epoch + (run.steps > 0 && run.step == run.steps));
    numbers[1] = (double)(run.steps_before + run.step);
    numbers[2] = (double)run.step;
    numbers[3] = (double)run.steps;
    numbers[4] = run.sums.loss / rows;
    numbers[5] = (double)run.sums.correct / rows;
    numbers[6] = (double)point_count;
    numbers[7] = run.steps > 0 ? (double)run.step / (double)run.steps : 0.0;
    return numbers;
}

/* The accuracy on a set, from 0 to 1; -1 if it cannot be had. */
EXPORT(page_accuracy) double page_accuracy(size_t set) {
    pynn_workspace *workspace = NULL;
    pynn_sums found = {0};
    if (!page_usable(set)) return -1.0;
    pynn_status status = pynn_workspace_create(NULL, model.network, NULL, PYNN_ROWS_AT_A_TIME, &workspace);
    const pynn_data data = data_of(&sets[set]);
    if (status == PYNN_OK) status = pynn_evaluate(workspace, &data, 0, data.rows, model.parameters, &found);
    pynn_workspace_destroy(workspace);
    return status == PYNN_OK ? (double)found.correct / (double)found.rows : -1.0;
}

/* ---------------------------------------------------------------- curves */

static float largest_loss(void) {
    float largest = 1e-6f;
    for (size_t i = 0; i < point_count; i++) largest = fmaxf(largest, points[i].loss);
    return largest;
}

/* The loss at the top of its curve. */
EXPORT(page_curve_top) double page_curve_top(void) {
    return point_count > 0 ? (double)largest_loss() : 0.0;
}

/* The points of a curve in a box, x and y for each: the loss (which 0) or the accuracy (1). The top of the
 * box is the largest loss, or an accuracy of 1. */
EXPORT(page_curve) const float *page_curve(int which, float width, float height) {
    static float places[2 * MOST_POINTS];
    const float top = which == 0 ? largest_loss() : 1.0f;
    for (size_t i = 0; i < point_count; i++) {
        const float y = (which == 0 ? points[i].loss : points[i].accuracy) / top;
        places[2 * i] = width * (float)i / fmaxf((float)point_count - 1.0f, 1.0f);
        places[2 * i + 1] = height * (1.0f - y);
    }
    return places;
}
