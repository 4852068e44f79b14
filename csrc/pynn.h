/* pynn.h: the public interface of pynn, and its manual.
 *
 * pynn trains and runs multilayer perceptrons on a CPU. A tour, in the order in which a program
 * needs things:
 *
 *   1. describe   pynn_network_create() turns a list of layers into a network: a description that
 *                 never changes, with the place of every weight in one flat array of parameters.
 *   2. allocate   the caller owns that array: pynn_network_parameter_count() floats. Gradients, where
 *                 one wants to see them, are a parallel array of the same size and layout.
 *   3. initialize pynn_network_initialize() draws the weights.
 *   4. workspace  pynn_workspace_create() allocates, once, all that a step needs besides. It may
 *                 borrow a pynn_team of threads.
 *   5. train      pynn_train() runs many steps of gradient descent on borrowed data.
 *   6. use        pynn_evaluate(), pynn_predict().
 *
 * Beside it stand the IDX parser (the format of MNIST's files) and the random numbers.
 *
 * Conventions
 *   - Arrays are row-major and contiguous. N is the batch, I inputs, O outputs, C classes. The weights
 *     of a dense layer are (I, O), so that a batch X (N, I) goes through it as X W + b.
 *   - Functions that can fail return a pynn_status; results go through pointers, which are left
 *     untouched on failure unless the function says otherwise. Pointers may not be NULL unless said.
 *   - Memory passed in is borrowed for the length of the call, unless said, and must not change during it.
 *   - No function keeps state between calls outside the handles: there are no globals. A network may
 *     be used by several threads at once; a workspace by one at a time.
 *
 * The binding for Python is made from this very file: with PYNN_CDEF defined the preprocessor turns
 * it into plain declarations. So it uses enums, never macros, for what the binding should see.
 */
#ifndef PYNN_H
#define PYNN_H

#ifdef PYNN_CDEF
#define PYNN_API
#else
#include <stddef.h>
#include <stdint.h>
#if defined(_WIN32)
#define PYNN_API
#elif defined(__GNUC__)
#define PYNN_API __attribute__((visibility("default")))
#else
#define PYNN_API
#endif
#ifdef __cplusplus
extern "C" {
#endif
#endif

/* ---------------------------------------------------------------- status and build */

/* What became of a call. The values are part of the interface and never change their meaning. */
typedef enum pynn_status {
    PYNN_OK = 0,

    PYNN_OUT_OF_MEMORY = 1,

    /* What the caller passed. */
    PYNN_INVALID_ARGUMENT = 10,   /* NULL, zero or otherwise outside what the function documents */
    PYNN_SIZE_OVERFLOW = 11,      /* a product of sizes does not fit size_t, or BLAS's int */
    PYNN_ROW_OUT_OF_RANGE = 12,   /* a row index is not below the number of rows */
    PYNN_LABEL_OUT_OF_RANGE = 13, /* a label is negative or not below the number of classes */
    PYNN_WORKSPACE_MISMATCH = 14, /* the workspace is too small */

    /* The list of layers. */
    PYNN_NO_DENSE_LAYER = 20, /* a network needs at least one dense layer */
    PYNN_UNKNOWN_LAYER = 21,  /* a layer kind, an initializer or a loss that does not exist */

    /* The numbers. */
    PYNN_NOT_FINITE = 30, /* a loss, an output, a feature or a parameter is infinite or not a number */

    /* The IDX parser. */
    PYNN_IDX_SHORT_HEADER = 40,   /* too short for the header it claims to have */
    PYNN_IDX_BAD_MAGIC = 41,      /* the first two bytes are not zero */
    PYNN_IDX_UNKNOWN_TYPE = 42,   /* the third byte is none of the six element types */
    PYNN_IDX_OVERFLOW = 43,       /* the dimensions times the element's bytes do not fit size_t */
    PYNN_IDX_TRUNCATED = 44,      /* fewer payload bytes than the dimensions say */
    PYNN_IDX_TRAILING_BYTES = 45, /* more payload bytes than the dimensions say */
} pynn_status;

/* One English sentence fragment for a status, without a full stop: "out of memory". A value that is
 * no status gives "unknown status". The string is static. */
PYNN_API const char *pynn_status_message(pynn_status status);

/* The version of the library, "1.2.3". The string is static. */
PYNN_API const char *pynn_version(void);

/* The BLAS that the library was compiled against: "accelerate", "openblas", "scipy-openblas" or
 * "reference". The string is static. */
PYNN_API const char *pynn_blas_name(void);

/* What that BLAS says of itself and of this machine: version, kernel, threading. May be empty. */
PYNN_API const char *pynn_blas_config(void);

/* The processor whose kernels that BLAS has chosen to run here, in its own word: "SkylakeX", "Zen". Empty
 * where it does not say, as Accelerate and the reference. */
PYNN_API const char *pynn_blas_kernel(void);

/* The instruction set that the library's own loops use: "x86-64-v4" (AVX-512), "x86-64-v3" (AVX2 and FMA),
 * "x86-64-v2" (SSE4.2) or "x86-64" (SSE2), each a level of the x86-64 ABI; "aarch64"; or "portable". It is
 * the best that the processor has, or a lower one that the environment variable PYNN_INSTRUCTION_SET names;
 * that is read once, at the first call that needs to know. BLAS chooses for itself. The string is static.
 */
PYNN_API const char *pynn_instruction_set(void);

/* Where handles take their memory from. allocate() may return NULL; release() is never called with
 * NULL. Both must be callable from any thread. A NULL allocator means malloc() and free(). The
 * struct is copied; the context must outlive the handle. */
typedef struct pynn_allocator {
    void *(*allocate)(void *context, size_t nbytes);
    void (*release)(void *context, void *memory);
    void *context;
} pynn_allocator;

/* ---------------------------------------------------------------- network */

typedef enum pynn_layer_kind {
    PYNN_DENSE = 1,       /* Y = X W + b */
    PYNN_RELU = 2,        /* y = max(x, 0) */
    PYNN_SIGMOID = 3,     /* y = 1 / (1 + exp(-x)) */
    PYNN_TANH = 4,        /* y = tanh(x) */
    PYNN_LEAKY_RELU = 5,  /* y = x where x > 0, else slope x (Maas et al. 2013) */
    PYNN_GELU = 6,        /* y = x Phi(x), Phi the normal distribution (Hendrycks and Gimpel 2016) */
    PYNN_SILU = 8,        /* y = x / (1 + exp(-x)) (Hendrycks and Gimpel 2016, Elfwing et al. 2018) */
    PYNN_ELU = 9,         /* y = x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016) */
    PYNN_SOFTPLUS = 10,   /* y = log(1 + exp(x)) (Dugas et al. 2001) */
    PYNN_LAYER_NORM = 11, /* y = weight (x - mean) / sqrt(variance + eps) + bias, with the mean and the
                           * variance of the row (Ba, Kiros and Hinton 2016) */
    PYNN_DROPOUT = 7,     /* in training y = m x, see pynn_dropout_mask(); in use y = x */
} pynn_layer_kind;

/* How a dense layer's weights are drawn; biases start at zero. */
typedef enum pynn_init {
    PYNN_INIT_HE = 1,     /* normal, mean 0, variance 2 / I (He et al. 2015, eq. 10) */
    PYNN_INIT_XAVIER = 2, /* uniform in +-sqrt(6 / (I + O)) (Glorot and Bengio 2010, eq. 16) */
} pynn_init;

typedef struct pynn_dense_options {
    size_t outputs; /* O, at least 1 */
    pynn_init init;
} pynn_dense_options;

typedef struct pynn_leaky_relu_options {
    float slope; /* finite, at least 0 */
} pynn_leaky_relu_options;

typedef struct pynn_elu_options {
    float alpha; /* finite, at least 0 */
} pynn_elu_options;

typedef struct pynn_layer_norm_options {
    float eps; /* finite, greater than 0 */
} pynn_layer_norm_options;

typedef struct pynn_dropout_options {
    float rate; /* the share of values that are dropped, at least 0 and below 1 */
} pynn_dropout_options;

/* A layer: its kind, and the options of that kind, in the member that is named like it. A kind without a
 * member has no options. */
typedef struct pynn_layer {
    pynn_layer_kind kind;
    union {
        pynn_dense_options dense;
        pynn_leaky_relu_options leaky_relu;
        pynn_elu_options elu;
        pynn_layer_norm_options layer_norm;
        pynn_dropout_options dropout;
    };
} pynn_layer;

/* What training makes small: a mean over the batch. Logits z and values y are the last layer's outputs, t
 * targets. */
typedef enum pynn_loss_kind {
    PYNN_SOFTMAX_CROSS_ENTROPY = 1, /* -log softmax(z)[label] */
    PYNN_MEAN_SQUARED_ERROR = 2,    /* mean over the outputs of (y - t)^2 */
    PYNN_BINARY_CROSS_ENTROPY = 3,  /* mean over the outputs of -t log s(z) - (1 - t) log(1 - s(z)), where s
                                     * is the sigmoid */
} pynn_loss_kind;

typedef struct pynn_softmax_cross_entropy_options {
    /* e, at least 0 and below 1. The loss is then the mean of -log softmax(z) over the classes, e of it
     * equally for all, and 1 - e for the label alone (Szegedy et al. 2016). */
    float label_smoothing;
} pynn_softmax_cross_entropy_options;

/* A loss: its kind, and the options of that kind, as those of a layer. */
typedef struct pynn_loss {
    pynn_loss_kind kind;
    union {
        pynn_softmax_cross_entropy_options softmax_cross_entropy;
    };
} pynn_loss;

/* An array of parameters of a layer, and where it lies in the flat array of all parameters. */
typedef struct pynn_parameter_view {
    size_t layer;     /* the number of its layer, from 0 */
    const char *name; /* "weight", "bias"; static */
    size_t dims[4];   /* its shape, outermost first, row-major: a dense weight's is (I, O) */
    size_t ndim;      /* how many dims it has */
    size_t offset;    /* in floats */
    int decays;       /* whether weight decay makes it smaller */
    int trained;      /* whether training changes it */
} pynn_parameter_view;

typedef struct pynn_network pynn_network;

/* Describe a network: `inputs` features go through the layers, in order, into the loss.
 * Needs at least one dense layer; layer_count layers, copied, as the loss is.
 * Returns PYNN_NO_DENSE_LAYER, PYNN_UNKNOWN_LAYER (also for a dense layer without an initializer),
 * PYNN_INVALID_ARGUMENT (NULL, a width of zero, an option that is out of range),
 * PYNN_SIZE_OVERFLOW (a width does not fit int, or the parameters size_t) or PYNN_OUT_OF_MEMORY.
 * On failure *out is NULL. */
PYNN_API pynn_status pynn_network_create(const pynn_allocator *allocator, size_t inputs,
                                         const pynn_layer *layers, size_t layer_count,
                                         const pynn_loss *loss, pynn_network **out);

/* Free a network; NULL is a no-op. Its workspaces must be destroyed before it. */
PYNN_API void pynn_network_destroy(pynn_network *network);

PYNN_API size_t pynn_network_inputs(const pynn_network *network);
PYNN_API size_t pynn_network_outputs(const pynn_network *network);

/* The number of floats in the flat array of parameters: for every layer that has some, in order, its
 * weight and then its bias, without gaps. */
PYNN_API size_t pynn_network_parameter_count(const pynn_network *network);

/* The number of arrays that these floats are: two for each dense layer. */
PYNN_API size_t pynn_network_view_count(const pynn_network *network);

/* The index-th of these arrays, from 0, in the order in which they lie. Returns PYNN_INVALID_ARGUMENT where
 * there is none. */
PYNN_API pynn_status pynn_network_view(const pynn_network *network, size_t index, pynn_parameter_view *out);

/* Set all parameters, (parameter_count,), to what training starts from. The same seed gives the same
 * weights, layer by layer: the k-th layer that draws weights at random does so from random stream k, so
 * they depend on the seed, its place and its shape only. */
PYNN_API pynn_status pynn_network_initialize(const pynn_network *network, uint64_t seed, float *parameters);

/* ---------------------------------------------------------------- data */

typedef enum pynn_feature_type {
    PYNN_FEATURES_UINT8 = 1,   /* read as value / 255 */
    PYNN_FEATURES_FLOAT32 = 2, /* taken as they are */
} pynn_feature_type;

/* How the first layer, if it is dense, goes through the features. With finite parameters the results are
 * the same but for rounding. */
typedef enum pynn_path {
    PYNN_PATH_AUTO = 0,   /* by the density of a sample of the data, looked at in each call, and by what
                           * either way costs for the layer's sizes, the batch's and the instruction set */
    PYNN_PATH_DENSE = 1,  /* all features, by gemm */
    PYNN_PATH_SPARSE = 2, /* those that are not zero */
} pynn_path;

/* A set of examples, borrowed from the caller. What is not needed may be NULL: labels and targets for
 * predictions, and otherwise those of the two that the loss does not read. */
typedef struct pynn_data {
    const void *features; /* (rows, I) */
    pynn_feature_type feature_type;
    size_t rows;
    const int32_t *labels; /* for softmax cross-entropy: (rows,), each in [0, C) */
    pynn_path path;
    const float *targets; /* for the other losses: (rows, O) */
    const float *weights; /* (rows,): each example's loss is multiplied by its weight; NULL for 1 */
} pynn_data;

/* ---------------------------------------------------------------- threads */

enum { PYNN_MAX_THREADS = 1024 };

/* Threads that share out the tasks of a step. How work is cut into tasks depends on its shape alone, so
 * results are the same, bit for bit, for any number of threads. A team works for one caller at a time;
 * a second one does its work on its own thread. The threads are started when they are first needed and
 * sleep when idle. A child after fork() starts its own. */
typedef struct pynn_team pynn_team;

/* A team of `threads` threads, the calling one included: 1 to PYNN_MAX_THREADS. Where the system gives
 * fewer, fewer work. Returns PYNN_INVALID_ARGUMENT or PYNN_OUT_OF_MEMORY. On failure *out is NULL. */
PYNN_API pynn_status pynn_team_create(const pynn_allocator *allocator, size_t threads, pynn_team **out);

/* Change the number of threads; waits for work that is under way. */
PYNN_API pynn_status pynn_team_resize(pynn_team *team, size_t threads);

/* The number of threads, the calling one included. */
PYNN_API size_t pynn_team_threads(const pynn_team *team);

/* End the threads and free the team; NULL is a no-op. Nobody may use it any more: workspaces that
 * borrowed it must be destroyed before. */
PYNN_API void pynn_team_destroy(pynn_team *team);

/* ---------------------------------------------------------------- workspace */

typedef struct pynn_workspace pynn_workspace;

/* Allocate what steps with batches of at most max_batch rows need: activations, their gradients,
 * scratch. Evaluation and prediction take data of any length through it, max_batch rows at a time.
 * The network and the team are borrowed until the workspace is destroyed. Without a team (NULL) all
 * work is done on the calling thread.
 * Returns PYNN_INVALID_ARGUMENT (max_batch is 0), PYNN_SIZE_OVERFLOW or PYNN_OUT_OF_MEMORY.
 * On failure *out is NULL. */
PYNN_API pynn_status pynn_workspace_create(const pynn_allocator *allocator, const pynn_network *network,
                                           pynn_team *team, size_t max_batch, pynn_workspace **out);

/* Free a workspace; NULL is a no-op. */
PYNN_API void pynn_workspace_destroy(pynn_workspace *workspace);

/* The bytes that a workspace holds. */
PYNN_API size_t pynn_workspace_nbytes(const pynn_workspace *workspace);

/* ---------------------------------------------------------------- training and use */

/* Sums over examples. Calls add to what is there, so that a run of many calls is summed in the same
 * order wherever it is cut; set them to zero before the first. */
typedef struct pynn_sums {
    double loss; /* sum of the losses, one an example, times their weights */
    size_t
        correct; /* softmax cross-entropy: examples whose largest logit is the label's (the first of
                  * equals counts); binary cross-entropy: outputs with z > 0 just where t > 1/2; else 0 */
    size_t rows; /* examples seen */
} pynn_sums;

typedef enum pynn_optimizer_kind {
    PYNN_SGD = 1,
    PYNN_ADAM = 2,  /* Kingma and Ba 2015, algorithm 1 */
    PYNN_ADAMW = 3, /* Loshchilov and Hutter 2019, algorithm 2 */
} pynn_optimizer_kind;

/* What a step does with a parameter p, of which g is the gradient. With r the learning rate of the step, d
 * the weight decay, 0 for what does not decay (pynn_parameter_view), and t = 1, 2, ... the number of the
 * update:
 *
 *   SGD    g = g + d p
 *          m = momentum m + g
 *          p = p - r m, or with Nesterov's momentum p - r (g + momentum m)
 *          or, so that what moves keeps its speed where r changes, with r g in the place of g, and p - m
 *
 *   Adam   g = g + d p, and for AdamW p = p - r d p instead
 *          m = beta1 m + (1 - beta1) g
 *          v = beta2 v + (1 - beta2) g^2
 *          p = p - r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * Before that all of the gradient is multiplied by min(1, max_norm / (norm + 1e-6)), where max_norm is not
 * 0 and norm is the gradient's Euclidean norm (Pascanu et al. 2013; the small number is PyTorch's). */
typedef struct pynn_sgd_options {
    double momentum; /* in [0, 1) */
    int nesterov;    /* with momentum: whether it is Nesterov's */
    int keeps_speed; /* with momentum: whether m has r g in it, not g */
} pynn_sgd_options;

typedef struct pynn_adam_options {
    double beta1; /* in [0, 1) */
    double beta2; /* likewise */
    double eps;   /* greater than 0 */
} pynn_adam_options;

/* An optimizer: its kind, what all kinds have, and the options of its kind, as those of a layer. */
typedef struct pynn_optimizer {
    pynn_optimizer_kind kind;
    double learning_rate;
    const double *learning_rates; /* NULL, or (last_step - first_step,): one for each step of the call */
    double weight_decay;          /* at least 0 */
    double max_norm;              /* at least 0 */
    union {
        pynn_sgd_options sgd;
        pynn_adam_options adam;
        pynn_adam_options adamw;
    };
} pynn_optimizer;

/* What goes from step to step beside the parameters. The arrays are (parameter_count,) and the caller's;
 * the moments start as zeros. Each may be NULL where it is not needed: see pynn_optimizer_needs(). */
typedef struct pynn_state {
    uint64_t seed;    /* of dropout */
    uint64_t step;    /* number of the next step, counted up: dropout draws by it */
    uint64_t updates; /* t of the last update, counted up */
    float *gradients; /* of the step, overwritten */
    float *first;     /* m */
    float *second;    /* v */
} pynn_state;

/* How many arrays of the state an optimizer needs: 0; 1: gradients; 2: first, too; 3: all. Plain SGD, which
 * has nothing but a learning rate, adds the gradient to the parameters as it is made, and needs none. 0 for
 * a kind that does not exist. */
PYNN_API size_t pynn_optimizer_needs(const pynn_optimizer *optimizer);

/* The factors m of dropout: draw n is 0 with probability `rate`, else 1 / (1 - rate) (Srivastava et al.
 * 2014). For the layer number `layer` of a network, counted from 0 over all kinds, value (n, o) of a batch
 * takes draw n * O + o. The draws of a step are words from 2^44 * layer on of stream 2^62 + step.
 *   first, count  which draws
 *   mask          (count,), overwritten */
PYNN_API void pynn_dropout_mask(uint64_t seed, uint64_t step, size_t layer, float rate, uint64_t first,
                                size_t count, float *mask);

/* The gradient of the mean loss over `count` rows of the data: forward, loss, backward. Nothing is dropped.
 *   rows        (count,) indices into the data; NULL means the first `count` rows
 *   count       1 to the workspace's max_batch
 *   parameters  (parameter_count,)
 *   gradients   (parameter_count,), overwritten
 *   sums        added to
 * Returns PYNN_INVALID_ARGUMENT, PYNN_WORKSPACE_MISMATCH, PYNN_ROW_OUT_OF_RANGE or
 * PYNN_LABEL_OUT_OF_RANGE, before anything is written; PYNN_NOT_FINITE where the loss or a feature is not,
 * with the gradients as they were and the rows counted in *sums. */
PYNN_API pynn_status pynn_gradient(pynn_workspace *workspace, const pynn_data *data, const uint32_t *rows,
                                   size_t count, const float *parameters, float *gradients,
                                   pynn_sums *sums);

/* Run the steps first_step <= s < last_step of an epoch of `count` examples. Step s trains on rows
 * order[s * batch_size] to order[min((s + 1) * batch_size, count) - 1]; the last step of an epoch may
 * therefore see fewer rows than the others, and its gradient is the mean over those.
 *   order       (count,) indices into the data, normally a permutation; NULL means 0, 1, 2, ...
 *   batch_size  1 to the workspace's max_batch
 *   last_step   at most ceil(count / batch_size)
 *   state       may be NULL for plain SGD without dropout
 *   parameters  (parameter_count,), updated in place
 *   sums        added to: loss and correct answers of each batch as they were before its update
 * Nothing is allocated, but for the team's threads when they are first needed. All arguments, row indices
 * and labels of the steps are checked before the first step; returns PYNN_INVALID_ARGUMENT,
 * PYNN_WORKSPACE_MISMATCH, PYNN_ROW_OUT_OF_RANGE or PYNN_LABEL_OUT_OF_RANGE with the parameters as they
 * were. Returns PYNN_NOT_FINITE in the first step that has a loss or a feature that is not: the parameters
 * are as the step before left them, the rows are counted, and so the growth of sums->rows tells the step.
 * And it returns that after the last step where a parameter or a moment is not finite any more. */
PYNN_API pynn_status pynn_train(pynn_workspace *workspace, const pynn_data *data, const uint32_t *order,
                                size_t count, size_t batch_size, size_t first_step, size_t last_step,
                                const pynn_optimizer *optimizer, pynn_state *state, float *parameters,
                                pynn_sums *sums);

/* Evaluation and prediction take this many rows at a time, or max_batch if that is less: eight blocks of
 * rows, for as many threads. Calls that begin at multiples of it give the same bits as one call. */
enum { PYNN_ROWS_AT_A_TIME = 256 };

/* Loss and correct answers over rows first_row <= r < last_row of the data, added to sums.
 * Returns PYNN_INVALID_ARGUMENT (also first_row > last_row), PYNN_ROW_OUT_OF_RANGE (last_row > data->rows)
 * or PYNN_LABEL_OUT_OF_RANGE, with *sums as it was; PYNN_NOT_FINITE, after all is done, where the loss or a
 * feature is not. */
PYNN_API pynn_status pynn_evaluate(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                                   size_t last_row, const float *parameters, pynn_sums *sums);

typedef enum pynn_output {
    PYNN_LOGITS = 1,        /* what the last layer gives */
    PYNN_PROBABILITIES = 2, /* their softmax, or for binary cross-entropy their sigmoid */
} pynn_output;

/* The network's outputs for rows first_row <= r < last_row of the data.
 *   out  (last_row - first_row, C), overwritten
 * Returns PYNN_INVALID_ARGUMENT (also for probabilities of values, which mean squared error's are) or
 * PYNN_ROW_OUT_OF_RANGE, with out as it was; PYNN_NOT_FINITE, after all is written, where an output or a
 * feature is not. Labels are not looked at. */
PYNN_API pynn_status pynn_predict(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                                  size_t last_row, const float *parameters, pynn_output output, float *out);

/* ---------------------------------------------------------------- random numbers */

/* Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011):
 * a function from a counter and a key to 128 random bits. There is no state: the n-th draw of a
 * stream can be had without the draws before it. Draws use key = seed (low word first) and
 * counter = (block low, block high, stream low, stream high); the n-th 32-bit word of a stream is
 * word n % 4 of block n / 4. Draws of different kinds from one (seed, stream) share their words: give
 * each purpose a stream of its own.
 *
 * Words, uniform draws and permutations are bit for bit the same on every platform. Normal draws
 * depend on libm's log in double: the last bit of some may differ. */
PYNN_API void pynn_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Draws number `first` to first + count - 1 of a stream, uniform in [low, high); low < high, finite.
 * Draw n has the upper 24 bits of word n, so a run may be cut anywhere. out is (count,). */
PYNN_API void pynn_random_uniform(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float low,
                                  float high, float *out);

/* Draws number `first` to first + count - 1 of a stream, normal (Box and Muller 1958). Draws 2k and
 * 2k + 1 come from words 2k and 2k + 1, so a run may be cut anywhere. They lie within
 * mean +- 6.67 deviation, hence are finite if those two are. out is (count,). */
PYNN_API void pynn_random_normal(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float mean,
                                 float deviation, float *out);

/* Write a permutation of 0 .. count - 1 (Fisher and Yates, as in Knuth's algorithm P; indices without
 * bias by Lemire's method), made from the words of the stream one after the other, one a swap but for
 * rare rejections. out is (count,). */
PYNN_API void pynn_random_permutation(uint64_t seed, uint64_t stream, uint32_t count, uint32_t *out);

/* ---------------------------------------------------------------- IDX */

/* The element types of IDX, by the byte that stands for them in a file. */
typedef enum pynn_idx_type {
    PYNN_IDX_UINT8 = 0x08,
    PYNN_IDX_INT8 = 0x09,
    PYNN_IDX_INT16 = 0x0B,
    PYNN_IDX_INT32 = 0x0C,
    PYNN_IDX_FLOAT32 = 0x0D,
    PYNN_IDX_FLOAT64 = 0x0E,
} pynn_idx_type;

enum { PYNN_IDX_MAX_DIMS = 255 }; /* the format has one byte for the number of dimensions */

typedef struct pynn_idx {
    pynn_idx_type type;
    size_t item_nbytes;    /* bytes of one element */
    size_t item_count;     /* product of the dimensions; 1 for none */
    size_t payload_offset; /* where the elements start, from the file's first byte */
    size_t ndim;           /* number of dimensions, 0 to PYNN_IDX_MAX_DIMS */
    size_t dims[255];      /* the dimensions, outermost first */
} pynn_idx;

/* Read the header of an IDX file that lies in memory, and check it against the file's length.
 *   data  (nbytes,) the whole file; may be NULL if nbytes is 0
 * Costs time for the header alone, whatever it claims. Returns one of the PYNN_IDX_ statuses; the
 * first defect in reading order is the one reported. On PYNN_IDX_TRUNCATED and
 * PYNN_IDX_TRAILING_BYTES the header itself is sound, and *out says what it claims; on the others *out
 * is untouched. PYNN_INVALID_ARGUMENT if data is NULL and nbytes is not 0. A dimension of zero makes
 * item_count zero, whatever the other dimensions are. */
PYNN_API pynn_status pynn_idx_parse(const uint8_t *data, size_t nbytes, pynn_idx *out);

/* Copy the elements of a parsed file into an array of item_count elements in the machine's own byte
 * order (in files they are big-endian).
 *   data  the file that idx was parsed from
 *   out   item_count * item_nbytes bytes, aligned for the type */
PYNN_API void pynn_idx_decode(const uint8_t *data, const pynn_idx *idx, void *out);

#if !defined(PYNN_CDEF) && defined(__cplusplus)
}
#endif

#endif
