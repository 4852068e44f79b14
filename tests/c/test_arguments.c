/* test_arguments.c: what the functions of run.c refuse: they return the exact status and write nothing. */
#include <float.h>
#include <stdint.h>

#include "helpers.h"
#include "pynn.h"

enum { ROWS = 10, INPUTS = 3, CLASSES = 2, MAX_BATCH = 4, PARAMETERS = INPUTS * CLASSES + CLASSES };

static float parameters[PARAMETERS], gradients[PARAMETERS], out[ROWS * CLASSES];
static pynn_sums sums;
static pynn_workspace *workspace;

/* All arguments of the four functions. */
typedef struct arguments {
    pynn_workspace *workspace;
    pynn_data data;
    bool without_data;
    const uint32_t *order;
    size_t count, batch_size, first, last; /* first and last are steps or rows */
    pynn_optimizer optimizer;
    bool without_optimizer;
    bool without_state;
    pynn_state state;
    float *parameters, *gradients, *out;
    pynn_output output;
    pynn_sums *sums;
} arguments;

/* Arguments that every function accepts: three steps of at most four rows, or rows 0 to 2. */
static arguments valid(void) {
    static const uint8_t features[ROWS * INPUTS] = {10, 20, 30};
    static const int32_t labels[ROWS] = {0, 1, 1};
    static const uint32_t order[ROWS] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    return (arguments){
        .workspace = workspace,
        .data = {features, PYNN_FEATURES_UINT8, ROWS, labels, PYNN_PATH_AUTO},
        .order = order,
        .count = MAX_BATCH,
        .batch_size = MAX_BATCH,
        .first = 0,
        .last = 3,
        .optimizer = SGD(0.1f),
        .parameters = parameters,
        .gradients = gradients,
        .out = out,
        .output = PYNN_LOGITS,
        .sums = &sums,
    };
}

static pynn_status gradient(const arguments *a) {
    return pynn_gradient(a->workspace, a->without_data ? NULL : &a->data, a->order, a->count, NULL,
                         a->parameters, a->gradients, a->sums);
}

static pynn_status train(arguments *a) {
    return pynn_train(a->workspace, a->without_data ? NULL : &a->data, a->order, a->data.rows,
                      a->batch_size, a->first, a->last, a->without_optimizer ? NULL : &a->optimizer,
                      a->without_state ? NULL : &a->state, a->parameters, a->sums);
}

/* Train on five examples that the order names, however many rows the data has. */
static pynn_status train_on_five(arguments *a) {
    return pynn_train(a->workspace, &a->data, a->order, 5, a->batch_size, a->first, a->last, &a->optimizer,
                      NULL, a->parameters, a->sums);
}

static pynn_status evaluate(const arguments *a) {
    return pynn_evaluate(a->workspace, a->without_data ? NULL : &a->data, a->first, a->last, a->parameters,
                         a->sums);
}

static pynn_status predict(const arguments *a) {
    return pynn_predict(a->workspace, a->without_data ? NULL : &a->data, a->first, a->last, a->parameters,
                        a->output, a->out);
}

/* Everything that a function can write to. */
typedef struct picture {
    float parameters[PARAMETERS], gradients[PARAMETERS], out[ROWS * CLASSES];
    pynn_sums sums;
} picture;

static picture take_picture(void) {
    picture now;
    memset(&now, 0, sizeof now);
    memcpy(now.parameters, parameters, sizeof parameters);
    memcpy(now.gradients, gradients, sizeof gradients);
    memcpy(now.out, out, sizeof out);
    now.sums = sums;
    return now;
}

/* `call` with arguments that are valid except for `change` returns `status`. It writes nothing, unless the
 * status is PYNN_OK. */
#define CALL(call, change, status)                                                                         \
    do {                                                                                                   \
        arguments a = valid();                                                                             \
        const picture before = take_picture();                                                             \
        change;                                                                                            \
        if (!CHECK_EQ(call(&a), status)) printf("    with %s\n", #change);                                 \
        const picture after = take_picture();                                                              \
        if (PYNN_OK == (status)) {                                                                         \
            CHECK(memcmp(&before, &after, sizeof before) != 0);                                            \
        } else {                                                                                           \
            CHECK_BYTES(&after, &before, sizeof before);                                                   \
        }                                                                                                  \
    } while (0)

/* Labels and orders with one mistake, which is in the row or at the position of the name. */
static const int32_t label_too_large_in_7[ROWS] = {[7] = CLASSES};
static const int32_t label_negative_in_7[ROWS] = {[7] = -1};
static const int32_t label_smallest_in_7[ROWS] = {[7] = INT32_MIN};
static const uint32_t order_wrong_at_7[ROWS] = {0, 1, 2, 3, 4, 5, 6, ROWS, 8, 9};
static const uint32_t order_largest_at_7[ROWS] = {0, 1, 2, 3, 4, 5, 6, UINT32_MAX, 8, 9};
static const uint32_t order_ends_with_7[ROWS] = {0, 1, 2, 3, 4, 5, 6, 8, 9, 7};

static void test_gradient(void) {
    CALL(gradient, (void)a, PYNN_OK);
    CALL(gradient, a.workspace = NULL, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.without_data = true, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.parameters = NULL, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.gradients = NULL, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.sums = NULL, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.data.features = NULL, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.data.labels = NULL, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.data.feature_type = 0, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.data.feature_type = 3, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.data.path = 3, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.count = 0, PYNN_INVALID_ARGUMENT);
    CALL(gradient, a.count = MAX_BATCH + 1, PYNN_WORKSPACE_MISMATCH);
    CALL(gradient, a.count = SIZE_MAX, PYNN_WORKSPACE_MISMATCH);
    CALL(gradient, a.data.rows = 0, PYNN_ROW_OUT_OF_RANGE);
    CALL(gradient, (a.order = NULL, a.data.rows = 3), PYNN_ROW_OUT_OF_RANGE);
    CALL(gradient, (a.order = NULL, a.data.rows = 4), PYNN_OK);
    CALL(gradient, a.order = order_wrong_at_7 + 4, PYNN_ROW_OUT_OF_RANGE);
    CALL(gradient, a.order = order_wrong_at_7 + 3, PYNN_OK);
    CALL(gradient, a.order = order_largest_at_7 + 6, PYNN_ROW_OUT_OF_RANGE);
    CALL(gradient, a.data.labels = label_too_large_in_7, PYNN_LABEL_OUT_OF_RANGE);
    CALL(gradient, a.data.labels = label_negative_in_7, PYNN_LABEL_OUT_OF_RANGE);
    CALL(gradient, a.data.labels = label_smallest_in_7, PYNN_LABEL_OUT_OF_RANGE);
    CALL(gradient, (a.data.labels = label_negative_in_7, a.count = 2), PYNN_OK);
}

static void test_train(void) {
    CALL(train, (void)a, PYNN_OK);
    CALL(train, a.workspace = NULL, PYNN_INVALID_ARGUMENT);
    CALL(train, a.without_data = true, PYNN_INVALID_ARGUMENT);
    CALL(train, a.without_optimizer = true, PYNN_INVALID_ARGUMENT);
    CALL(train, a.parameters = NULL, PYNN_INVALID_ARGUMENT);
    CALL(train, a.sums = NULL, PYNN_INVALID_ARGUMENT);
    CALL(train, a.data.features = NULL, PYNN_INVALID_ARGUMENT);
    CALL(train, a.data.labels = NULL, PYNN_INVALID_ARGUMENT);
    CALL(train, a.data.feature_type = 3, PYNN_INVALID_ARGUMENT);
    CALL(train, a.data.path = 3, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.learning_rate = NAN, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.learning_rate = INFINITY, PYNN_INVALID_ARGUMENT);
    CALL(train, a.batch_size = 0, PYNN_INVALID_ARGUMENT);
    CALL(train, a.batch_size = MAX_BATCH + 1, PYNN_WORKSPACE_MISMATCH);
    CALL(train, a.batch_size = SIZE_MAX, PYNN_WORKSPACE_MISMATCH);
    /* Ten rows are three steps of four; of five rows, two steps. */
    CALL(train, a.last = 4, PYNN_INVALID_ARGUMENT);
    CALL(train, a.last = SIZE_MAX, PYNN_INVALID_ARGUMENT);
    CALL(train, (a.first = 2, a.last = 1), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.first = SIZE_MAX, a.last = 3), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.first = a.last = 4), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.order = NULL, a.data.rows = 5), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.order = NULL, a.data.rows = 5, a.last = 2), PYNN_OK);
    CALL(train, a.data.rows = 0, PYNN_INVALID_ARGUMENT);
    /* The mistake is in the second step. With the order, row 7 is in the first or the last step. */
    CALL(train, a.order = order_wrong_at_7, PYNN_ROW_OUT_OF_RANGE);
    CALL(train, a.order = order_largest_at_7, PYNN_ROW_OUT_OF_RANGE);
    CALL(train, (a.order = order_wrong_at_7, a.first = 1), PYNN_ROW_OUT_OF_RANGE);
    CALL(train, (a.order = order_wrong_at_7, a.last = 1), PYNN_OK);
    CALL(train, (a.order = order_wrong_at_7, a.first = 2), PYNN_OK);
    CALL(train, a.data.labels = label_too_large_in_7, PYNN_LABEL_OUT_OF_RANGE);
    CALL(train, a.data.labels = label_negative_in_7, PYNN_LABEL_OUT_OF_RANGE);
    CALL(train, (a.data.labels = label_negative_in_7, a.first = 1), PYNN_OK);
    CALL(train, (a.data.labels = label_negative_in_7, a.order = order_ends_with_7),
         PYNN_LABEL_OUT_OF_RANGE);
    CALL(train, (a.data.labels = label_negative_in_7, a.order = order_ends_with_7, a.last = 2), PYNN_OK);
}

static void test_order(void) {
    CALL(train_on_five, a.last = 2, PYNN_OK);
    CALL(train_on_five, a.last = 3, PYNN_INVALID_ARGUMENT);
    CALL(train_on_five, (a.order = order_wrong_at_7, a.last = 2), PYNN_OK);
    CALL(train_on_five, (a.order = order_wrong_at_7 + 3, a.last = 2), PYNN_ROW_OUT_OF_RANGE);
    CALL(train_on_five, (a.order = NULL, a.data.rows = 4, a.last = 2), PYNN_ROW_OUT_OF_RANGE);
}

static float first[PARAMETERS], second[PARAMETERS];
static const pynn_state all = {.gradients = gradients, .first = first, .second = second};

/* Adam or AdamW with sound options. */
static pynn_optimizer adam_of(pynn_optimizer_kind kind) {
    const pynn_adam_options options = {0.9, 0.99, 1e-8};
    pynn_optimizer optimizer = {.kind = kind, .learning_rate = 0.1};
    *(kind == PYNN_ADAM ? &optimizer.adam : &optimizer.adamw) = options;
    return optimizer;
}

/* The options of an optimizer that adam_of() made. */
static pynn_adam_options *options_of(pynn_optimizer *optimizer) {
    return optimizer->kind == PYNN_ADAM ? &optimizer->adam : &optimizer->adamw;
}

/* As at the start of a training. After many steps gradients are so small that their squares are 0 as
 * floats, and divided by the least eps such a step is as large as a float can be. */
static void begin_anew(void) {
    pynn_random_uniform(1, 0, 0, PARAMETERS, -0.5f, 0.5f, parameters);
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
}

/* Training with Adam or AdamW whose one option is set to `value` gives `status`. */
#define CALL_ADAM(kind, option, value, status)                                                             \
    do {                                                                                                   \
        begin_anew();                                                                                      \
        CALL(train,                                                                                        \
             (a.state = all, a.optimizer = adam_of(kind), options_of(&a.optimizer)->option = (value)),     \
             status);                                                                                      \
    } while (0)

/* All options of Adam and AdamW are checked, and their state. */
static void test_adam(pynn_optimizer_kind kind) {
    const pynn_optimizer sound = adam_of(kind);
    CHECK_EQ(pynn_optimizer_needs(&sound), 3);
    begin_anew();
    CALL(train, (a.optimizer = sound, a.state = all), PYNN_OK);
    CALL(train, (a.optimizer = sound, a.without_state = true), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer = sound, a.state = all, a.state.gradients = NULL), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer = sound, a.state = all, a.state.first = NULL), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer = sound, a.state = all, a.state.second = NULL), PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, beta1, 0, PYNN_OK);
    CALL_ADAM(kind, beta1, 1, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, beta1, -0.1, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, beta1, NAN, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, beta2, 0, PYNN_OK);
    CALL_ADAM(kind, beta2, 1, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, beta2, -1, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, beta2, NAN, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, eps, (double)FLT_MIN, PYNN_OK);
    CALL_ADAM(kind, eps, 1.17549435e-38, PYNN_INVALID_ARGUMENT); /* a little less than FLT_MIN */
    CALL_ADAM(kind, eps, (double)FLT_MIN / 2, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, eps, 1e-50, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, eps, 0, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, eps, -1e-8, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, eps, NAN, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, eps, INFINITY, PYNN_INVALID_ARGUMENT);
    CALL_ADAM(kind, eps, 2 * (double)FLT_MAX, PYNN_INVALID_ARGUMENT);
}

/* With the largest eps the steps are too small to change a parameter. */
static void test_largest_eps(pynn_optimizer_kind kind) {
    arguments a = valid();
    begin_anew();
    a.state = all;
    a.optimizer = adam_of(kind);
    options_of(&a.optimizer)->eps = (double)FLT_MAX;
    CHECK_EQ(train(&a), PYNN_OK);
}

/* Every field of an optimizer is checked, and every array of the state that it needs. */
static void test_optimizer(void) {
    const double rates[] = {0.1, 0.2, 0.3}, with_nan[] = {0.1, 0.2, NAN};
    CALL(train, a.optimizer.kind = 0, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.kind = 4, PYNN_INVALID_ARGUMENT);
    CALL(train, a.without_state = true, PYNN_OK);
    CALL(train, a.optimizer.weight_decay = 0.1, PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer.weight_decay = 0.1, a.state.gradients = gradients), PYNN_OK);
    CALL(train, a.optimizer.weight_decay = -0.1, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.weight_decay = NAN, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.weight_decay = INFINITY, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.max_norm = -1, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.max_norm = NAN, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.max_norm = INFINITY, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.sgd.nesterov = 1, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.sgd.keeps_speed = 1, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.sgd.momentum = 1, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.sgd.momentum = -0.1, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.sgd.momentum = NAN, PYNN_INVALID_ARGUMENT);
    CALL(train, a.optimizer.learning_rates = rates, PYNN_OK);
    CALL(train, a.optimizer.learning_rates = with_nan, PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer.learning_rates = with_nan, a.last = 2), PYNN_OK);

    /* Optimizers that need one array, then two, then three. */
    CALL(train, a.optimizer.max_norm = 1, PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer.max_norm = 1, a.without_state = true), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer.max_norm = 1, a.state.gradients = gradients), PYNN_OK);
    CALL(train, (a.optimizer.sgd.momentum = 0.5, a.state.gradients = gradients), PYNN_INVALID_ARGUMENT);
    CALL(train, (a.optimizer.sgd.momentum = 0.5, a.state.first = first), PYNN_INVALID_ARGUMENT);
    CALL(train,
         (a.optimizer.sgd.momentum = 0.5, a.state = (pynn_state){.gradients = gradients, .first = first}),
         PYNN_OK);
    CALL(train, a.optimizer.learning_rate = 1e39, PYNN_INVALID_ARGUMENT);
    const pynn_optimizer plain = {.kind = PYNN_SGD},
                         momentum = {.kind = PYNN_SGD, .sgd = {.momentum = 0.5}};
    const pynn_optimizer clipped = {.kind = PYNN_SGD, .max_norm = 1};
    CHECK_EQ(pynn_optimizer_needs(&plain), 0);
    CHECK_EQ(pynn_optimizer_needs(&clipped), 1);
    CHECK_EQ(pynn_optimizer_needs(&momentum), 2);
}

/* The other losses need targets, not labels; only binary cross-entropy has probabilities; dropout needs a
 * state. */
static void test_other_losses(void) {
    const pynn_layer layers[] = {HE(CLASSES), DROPOUT(0.5f)};
    static const float targets[ROWS * CLASSES] = {0};
    pynn_workspace *usual = workspace;
    for (int kind = PYNN_MEAN_SQUARED_ERROR; kind <= PYNN_POISSON; kind++) {
        const pynn_loss loss = LOSS((pynn_loss_kind)kind);
        pynn_network *network = create_network(INPUTS, layers, 2, loss);
        workspace = create_workspace(network, NULL, MAX_BATCH);
        CALL(train, (void)a, PYNN_INVALID_ARGUMENT);
        CALL(train, a.data.targets = targets, PYNN_OK);
        CALL(train, (a.data.targets = targets, a.data.labels = NULL), PYNN_OK);
        CALL(train, (a.data.targets = targets, a.data.labels = label_negative_in_7), PYNN_OK);
        CALL(train, (a.data.targets = targets, a.order = order_wrong_at_7), PYNN_ROW_OUT_OF_RANGE);
        CALL(train, (a.data.targets = targets, a.without_state = true), PYNN_INVALID_ARGUMENT);
        CALL(gradient, (void)a, PYNN_INVALID_ARGUMENT);
        CALL(gradient, a.data.targets = targets, PYNN_OK);
        CALL(evaluate, (void)a, PYNN_INVALID_ARGUMENT);
        CALL(evaluate, a.data.targets = targets, PYNN_OK);
        CALL(predict, (void)a, PYNN_OK);
        const pynn_status status = kind == PYNN_BINARY_CROSS_ENTROPY ? PYNN_OK : PYNN_INVALID_ARGUMENT;
        memset(out, 0, sizeof out);
        CALL(predict, a.output = PYNN_PROBABILITIES, status);
        destroy(workspace, network);
    }
    workspace = usual;
}

static void test_evaluate(void) {
    CALL(evaluate, (void)a, PYNN_OK);
    CALL(evaluate, a.workspace = NULL, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.without_data = true, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.parameters = NULL, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.sums = NULL, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.data.features = NULL, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.data.labels = NULL, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.data.feature_type = 3, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.data.path = 3, PYNN_INVALID_ARGUMENT);
    CALL(evaluate, (a.first = 3, a.last = 2), PYNN_INVALID_ARGUMENT);
    CALL(evaluate, a.last = ROWS, PYNN_OK);
    CALL(evaluate, a.last = ROWS + 1, PYNN_ROW_OUT_OF_RANGE);
    CALL(evaluate, a.last = SIZE_MAX, PYNN_ROW_OUT_OF_RANGE);
    CALL(evaluate, (a.data.labels = label_negative_in_7, a.last = ROWS), PYNN_LABEL_OUT_OF_RANGE);
    CALL(evaluate, (a.data.labels = label_too_large_in_7, a.last = 8), PYNN_LABEL_OUT_OF_RANGE);
    CALL(evaluate, (a.data.labels = label_negative_in_7, a.last = 7), PYNN_OK);
    CALL(evaluate, (a.data.labels = label_negative_in_7, a.first = 8, a.last = ROWS), PYNN_OK);
}

static void test_predict(void) {
    CALL(predict, (void)a, PYNN_OK);
    CALL(predict, a.workspace = NULL, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.without_data = true, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.parameters = NULL, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.out = NULL, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.data.features = NULL, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.data.feature_type = 3, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.data.path = 3, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.output = 0, PYNN_INVALID_ARGUMENT);
    CALL(predict, a.output = 3, PYNN_INVALID_ARGUMENT);
    CALL(predict, (a.first = 3, a.last = 2), PYNN_INVALID_ARGUMENT);
    CALL(predict, a.last = ROWS + 1, PYNN_ROW_OUT_OF_RANGE);
    CALL(predict, a.last = SIZE_MAX, PYNN_ROW_OUT_OF_RANGE);
    /* Prediction does not read labels. */
    CALL(predict, (a.data.labels = NULL, a.output = PYNN_PROBABILITIES), PYNN_OK);
    CALL(predict, (a.data.labels = label_negative_in_7, a.last = ROWS), PYNN_OK);
}

int main(void) {
    const pynn_layer layer = HE(CLASSES);
    pynn_network *network = create_network(INPUTS, &layer, 1, SOFTMAX_CROSS_ENTROPY);
    workspace = create_workspace(network, NULL, MAX_BATCH);
    CHECK_EQ(pynn_network_parameter_count(network), PARAMETERS);
    CHECK_EQ(pynn_network_initialize(network, 1, parameters), PYNN_OK);
    test_gradient();
    test_train();
    test_order();
    test_optimizer();
    test_adam(PYNN_ADAM);
    test_adam(PYNN_ADAMW);
    test_largest_eps(PYNN_ADAM);
    test_largest_eps(PYNN_ADAMW);
    begin_anew();
    test_other_losses();
    test_evaluate();
    test_predict();
    destroy(workspace, network);
    return check_failures();
}
