/* test_two_models.c: models that are trained and used at the same time, each by a thread of its own, give
 * the same bytes as one after the other, whatever they share: a team, the examples, the network.
 * ThreadSanitizer also checks here that nobody writes to what is shared. */
#include "team_tasks.h"

/* A W of (260, 130) is large enough to be cut into tiles; with the others the batch is cut into blocks of
 * rows. */
enum { ROWS = 100, INPUTS = 260, CLASSES = 5, BATCH = 64, EPOCHS = 2, ROUNDS = 2, CALLERS = 8 };
enum { MOST_PARAMETERS = INPUTS * 130 + 130 + 130 * 65 + 65 + 65 * CLASSES + CLASSES };

static const pynn_layer wide[] = {HE(130), RELU, HE(65), TANH, HE(CLASSES)};
static const pynn_layer narrow[] = {HE(30), SIGMOID, HE(CLASSES)};

static uint8_t features[ROWS * INPUTS];
static int32_t labels[ROWS];

/* Examples: each class has features of its own that are large. Every third feature is zero. */
static void fill_examples(void) {
    for (size_t n = 0; n < ROWS; n++) {
        labels[n] = (int32_t)(n % CLASSES);
        for (size_t i = 0; i < INPUTS; i++) {
            const size_t noise = (n * 31 + i * 17) % 120, bright = i % CLASSES == n % CLASSES ? 130 : 0;
            features[n * INPUTS + i] = (uint8_t)(i % 3 == 0 ? 0 : noise + bright);
        }
    }
}

static pynn_data examples(pynn_path path) {
    return (pynn_data){features, PYNN_FEATURES_UINT8, ROWS, labels, path};
}

/* The result of training: everything that must be equal to the bit. */
typedef struct outcome {
    float parameters[MOST_PARAMETERS];
    float probabilities[ROWS * CLASSES];
    pynn_sums trained;
    pynn_sums evaluated;
} outcome;

typedef struct job {
    const pynn_network *network;
    pynn_team *team;
    pynn_path path;
    uint64_t seed;
    rendezvous *line; /* where jobs wait for each other before they start, or NULL */
    pynn_status status;
    outcome result;
} job;

/* Keep the first failure of a job. CHECK() may be used by one thread only, so jobs store their failures. */
static void note(job *it, pynn_status status) {
    if (it->status == PYNN_OK) it->status = status;
}

/* Train a model, then evaluate and predict. */
static void *run_job(void *context) {
    job *it = context;
    outcome *result = &it->result;
    const pynn_data data = examples(it->path);
    const pynn_optimizer optimizer = SGD(0.1f);
    uint32_t order[ROWS];
    pynn_workspace *workspace = NULL;
    memset(result, 0, sizeof *result);
    if (it->line != NULL) meet(it->line, 0);
    note(it, pynn_network_initialize(it->network, it->seed, result->parameters));
    note(it, pynn_workspace_create(NULL, it->network, it->team, BATCH, &workspace));
    for (size_t step = 0; step < 2 * EPOCHS && it->status == PYNN_OK; step++) {
        pynn_random_permutation(it->seed, 100 + step / 2, ROWS, order);
        note(it, pynn_train(workspace, &data, order, data.rows, BATCH, step % 2, step % 2 + 1, &optimizer,
                            NULL, result->parameters, &result->trained));
    }
    if (it->status == PYNN_OK) {
        note(it, pynn_evaluate(workspace, &data, 0, ROWS, result->parameters, &result->evaluated));
        note(it, pynn_predict(workspace, &data, 0, ROWS, result->parameters, PYNN_PROBABILITIES,
                              result->probabilities));
    }
    pynn_workspace_destroy(workspace);
    return NULL;
}

/* Run jobs, each in a thread of its own, all starting together. */
static void run_together(size_t count, job *jobs) {
    pynn_thread threads[CALLERS];
    rendezvous line = {.expected = count};
    for (size_t j = 0; j < count; j++) {
        jobs[j].line = &line;
        CHECK(pynn_thread_start(&threads[j], run_job, &jobs[j]));
    }
    for (size_t j = 0; j < count; j++) {
        pynn_thread_join(&threads[j]);
        CHECK_EQ(jobs[j].status, PYNN_OK);
    }
}

/* Run a job by itself, without a team. */
static void run_alone(job *it) {
    it->team = NULL;
    it->line = NULL;
    run_job(it);
    CHECK_EQ(it->status, PYNN_OK);
    CHECK_EQ(it->result.trained.rows, EPOCHS * ROWS);
    CHECK_EQ(it->result.evaluated.rows, ROWS);
    CHECK(it->result.evaluated.loss < it->result.trained.loss / EPOCHS); /* it has learned */
}

static void check_same(const outcome *actual, const outcome *expected) {
    CHECK_BYTES(actual->parameters, expected->parameters, sizeof actual->parameters);
    CHECK_BYTES(actual->probabilities, expected->probabilities, sizeof actual->probabilities);
    CHECK_BYTES(&actual->trained, &expected->trained, sizeof actual->trained);
    CHECK_BYTES(&actual->evaluated, &expected->evaluated, sizeof actual->evaluated);
}

/* Two models, of one network or of two, on one team, which works for one of them at a time. */
static void test_two_models(const pynn_network *one, const pynn_network *other, size_t threads) {
    static job alone[2], together[2];
    const job first = {.network = one, .path = PYNN_PATH_DENSE, .seed = 1};
    const job second = {.network = other, .path = PYNN_PATH_SPARSE, .seed = 2};
    alone[0] = first;
    alone[1] = second;
    for (size_t j = 0; j < 2; j++) run_alone(&alone[j]);
    pynn_team *team = create_team(threads);
    for (int round = 0; round < ROUNDS; round++) {
        together[0] = first;
        together[1] = second;
        for (size_t j = 0; j < 2; j++) together[j].team = team;
        run_together(2, together);
        for (size_t j = 0; j < 2; j++) check_same(&together[j].result, &alone[j].result);
    }
    pynn_team_destroy(team);
}

/* ---------------------------------------------------------------- one model, used by many threads */

typedef struct prediction {
    const pynn_network *network;
    pynn_team *team;
    const float *parameters;
    rendezvous *line;
    pynn_status status;
    float logits[ROWS * CLASSES];
} prediction;

static void *predict_often(void *context) {
    prediction *it = context;
    const pynn_data data = examples(PYNN_PATH_AUTO);
    pynn_workspace *workspace = NULL;
    if (it->line != NULL) meet(it->line, 0);
    it->status = pynn_workspace_create(NULL, it->network, it->team, BATCH, &workspace);
    for (int times = 0; times < ROUNDS && it->status == PYNN_OK; times++)
        it->status = pynn_predict(workspace, &data, 0, ROWS, it->parameters, PYNN_LOGITS, it->logits);
    pynn_workspace_destroy(workspace);
    return NULL;
}

/* Eight threads read the parameters of one model and share its network and a team. */
static void test_many_callers(const pynn_network *network, size_t team_threads) {
    static prediction alone, together[CALLERS];
    static float parameters[MOST_PARAMETERS];
    pynn_thread threads[CALLERS];
    rendezvous line = {.expected = CALLERS};
    pynn_team *team = create_team(team_threads);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    alone = (prediction){.network = network, .parameters = parameters};
    predict_often(&alone);
    CHECK_EQ(alone.status, PYNN_OK);
    for (size_t c = 0; c < CALLERS; c++) {
        together[c] = alone;
        memset(together[c].logits, 0, sizeof together[c].logits);
        together[c].team = team;
        together[c].line = &line;
        CHECK(pynn_thread_start(&threads[c], predict_often, &together[c]));
    }
    for (size_t c = 0; c < CALLERS; c++) {
        pynn_thread_join(&threads[c]);
        CHECK_EQ(together[c].status, PYNN_OK);
        CHECK_BYTES(together[c].logits, alone.logits, sizeof alone.logits);
    }
    pynn_team_destroy(team);
}

int main(void) {
    end_if_it_hangs();
    fill_examples();
    pynn_network *one = create_network(INPUTS, wide, COUNT_OF(wide), SOFTMAX_CROSS_ENTROPY);
    pynn_network *other = create_network(INPUTS, narrow, COUNT_OF(narrow), SOFTMAX_CROSS_ENTROPY);
    CHECK(pynn_network_parameter_count(one) <= MOST_PARAMETERS);
    CHECK(pynn_network_parameter_count(other) <= MOST_PARAMETERS);
    test_two_models(one, other, 3);
    for (size_t threads = 1; threads <= 3; threads++) {
        test_two_models(other, other, threads);
        test_many_callers(other, threads);
    }
    pynn_network_destroy(other);
    pynn_network_destroy(one);
    return check_failures();
}
