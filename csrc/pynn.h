/* pynn.h: the public interface of pynn, and its manual.
 *
 * pynn trains and runs multilayer perceptrons on a CPU. A tour, in the order in which a program needs
 * things:
 *
 *   1. describe   pynn_network_create() makes a network from a list of layers. A network is a description
 *                 that never changes: it says where each parameter lies in one flat array.
 *   2. allocate   the caller owns that array: pynn_network_parameter_count() floats. Gradients, if the
 *                 caller wants to see them, are a second array of the same size and layout.
 *                 pynn_network_view() gives the layer, the name and the shape of each part.
 *   3. initialize pynn_network_initialize() draws the weights.
 *   4. workspace  pynn_workspace_create() allocates, once, everything else that a step needs. It may
 *                 borrow a pynn_team of threads.
 *   5. train      pynn_train() runs many steps of gradient descent on borrowed data.
 *   6. use        pynn_evaluate(), pynn_predict().
 *   7. look       pynn_workspace_create_keeping() and pynn_workspace_read() show every value of a step.
 *
 * The IDX parser (the format of MNIST's files) and the random numbers can be used without the rest.
 *
 * Conventions
 *
 *   - Arrays are row-major and contiguous. N is the batch, I inputs, O outputs, C classes. The weights of a
 *     dense layer are (I, O), so that a batch X (N, I) goes through it as X W + b.
 *   - Functions that can fail return a pynn_status. Results are written through pointers. On failure the
 *     results are left untouched, unless the function says otherwise. No pointer may be NULL unless the
 *     function allows it.
 *   - Memory that is passed in is borrowed for the length of the call, unless the function says longer. It
 *     must not change during that time.
 *   - There are no globals: what functions keep between calls is in the handles. Several threads may use a
 *     network at once, but only one thread at a time may use a workspace.
 *
 * The binding for Python is made from this file: if PYNN_CDEF is defined, the preprocessor turns it into
 * plain declarations. So whatever the binding should see is an enum, never a macro. */
#ifndef PYNN_H
#define PYNN_H

#ifdef PYNN_CDEF
#define PYNN_API
#else
#include <stddef.h>
#include <stdint.h>
#if defined(_WIN32) && defined(PYNN_EXPORTS) /* while the library itself is compiled, for a DLL */
#define PYNN_API __declspec(dllexport)
#elif defined(_WIN32)
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

/* The result of a call. The values are part of the interface and never change their meaning. */
typedef enum pynn_status {
    PYNN_OK = 0,

    PYNN_OUT_OF_MEMORY = 1,

    /* What the caller passed is wrong. */
    PYNN_INVALID_ARGUMENT = 10,   /* NULL, zero, or another value that the function does not allow */
    PYNN_SIZE_OVERFLOW = 11,      /* a product of sizes does not fit size_t, or BLAS's int */
    PYNN_ROW_OUT_OF_RANGE = 12,   /* a row index is not below the number of rows */
    PYNN_LABEL_OUT_OF_RANGE = 13, /* a label is negative or not below the number of classes */
    PYNN_WORKSPACE_MISMATCH = 14, /* the workspace is too small */
    PYNN_NOT_FITTED = 15, /* a scale of the parameters is still 0: see PYNN_STANDARDIZE and PYNN_COLUMNS */

    /* The list of layers is wrong. */
    PYNN_NO_DENSE_LAYER = 20, /* a network needs at least one dense or conv2d layer */
    PYNN_UNKNOWN_LAYER = 21,  /* a kind of layer, an initializer or a loss that does not exist */

    /* A number is wrong. */
    PYNN_NOT_FINITE = 30, /* a loss, an output, a feature or a parameter is infinite or not a number */

    /* An IDX file is wrong. */
    PYNN_IDX_SHORT_HEADER = 40,   /* too short for the header it claims to have */
    PYNN_IDX_BAD_MAGIC = 41,      /* the first two bytes are not zero */
    PYNN_IDX_UNKNOWN_TYPE = 42,   /* the third byte is none of the six element types */
    PYNN_IDX_OVERFLOW = 43,       /* the dimensions times the element's bytes do not fit size_t */
    PYNN_IDX_TRUNCATED = 44,      /* fewer payload bytes than the dimensions say */
    PYNN_IDX_TRAILING_BYTES = 45, /* more payload bytes than the dimensions say */
} pynn_status;

/* The message for a status: a part of an English sentence, without a full stop, such as "out of memory". A
 * value that is no status gives "unknown status". The string is static. */
PYNN_API const char *pynn_status_message(pynn_status status);

/* The version of the library, "1.2.3". The string is static. */
PYNN_API const char *pynn_version(void);

/* The BLAS that the library was compiled against: "accelerate", "openblas", "scipy-openblas", or a
 * product of its own, "portable" or "reference". The string is static. */
PYNN_API const char *pynn_blas_name(void);

/* What that BLAS reports about itself and this machine: version, kernel, threading. May be empty. */
PYNN_API const char *pynn_blas_config(void);

/* The processor whose kernels that BLAS has chosen to run here, by its own name for it: "SkylakeX", "Zen".
 * Empty if the BLAS does not say, like Accelerate and the reference. */
PYNN_API const char *pynn_blas_kernel(void);

/* The instruction set that the library's own loops use: "x86-64-v4" (AVX-512), "x86-64-v3" (AVX2 and FMA),
 * "x86-64-v2" (SSE4.2) or "x86-64" (SSE2), each a level of the x86-64 ABI; "aarch64"; or "portable". It is
 * the best that the processor has, or a lower one that the environment variable PYNN_INSTRUCTION_SET names.
 * The variable is read once, at the first call that needs to know. BLAS makes its own choice. The string is
 * static. */
PYNN_API const char *pynn_instruction_set(void);

/* Where handles take their memory from. allocate() may return NULL; release() is never called with NULL.
 * Both must be callable from any thread. A NULL allocator means malloc() and free(). The struct is copied;
 * the context must exist as long as the handle. */
typedef struct pynn_allocator {
    void *(*allocate)(void *context, size_t nbytes);
    void (*release)(void *context, void *memory);
    void *context;
} pynn_allocator;

/* ---------------------------------------------------------------- network */

/* The kinds of layers. X and Y are the inputs and outputs of a batch, x and y are one value of each. */
typedef enum pynn_layer_kind {
    PYNN_DENSE = 1,            /* Y = X W + b */
    PYNN_RELU = 2,             /* y = max(x, 0) */
    PYNN_SIGMOID = 3,          /* y = 1 / (1 + exp(-x)) */
    PYNN_TANH = 4,             /* y = tanh(x) */
    PYNN_LEAKY_RELU = 5,       /* y = x where x > 0, else slope x (Maas et al. 2013) */
    PYNN_GELU = 6,             /* y = x Phi(x), Phi the normal distribution (Hendrycks and Gimpel 2016) */
    PYNN_SILU = 8,             /* y = x / (1 + exp(-x)) (Hendrycks and Gimpel 2016, Elfwing et al. 2018) */
    PYNN_ELU = 9,              /* y = x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016) */
    PYNN_SOFTPLUS = 10,        /* y = log(1 + exp(x)) (Dugas et al. 2001) */
    PYNN_LAYER_NORM = 11,      /* y = weight (x - mean) / sqrt(variance + eps) + bias, with the mean and the
                                * variance of the row (Ba, Kiros and Hinton 2016) */
    PYNN_CONV2D = 12,          /* convolution of images with filters; see csrc/layers/conv2d.c */
    PYNN_MAX_POOL2D = 13,      /* the largest value of each window; see csrc/layers/pool2d.c */
    PYNN_AVG_POOL2D = 14,      /* the mean of each window */
    PYNN_GLOBAL_AVG_POOL = 15, /* the mean of each channel */
    PYNN_BATCH_NORM = 17,      /* y = weight (x - mean) / sqrt(variance + eps) + bias, with the mean and the
                                  variance of the channel over the batch; see csrc/layers/batch_norm.c */
    PYNN_FLATTEN = 16,         /* the same values, as a plain row */
    PYNN_STANDARDIZE = 18, /* y = (x - mean) / scale, for each feature; only as the first layer. Mean and
                            * scale are parameters that training does not change: the caller writes
                            * them. The scale begins as 0, with which calls return PYNN_NOT_FITTED */
    PYNN_COLUMNS = 19,     /* the columns of a table: numbers are scaled, codes of categories become rows of
                            * values; only as the first layer. See csrc/layers/columns.c */
    PYNN_DROPOUT = 7,      /* in training y = m x, see pynn_dropout_mask(); in use y = x */
} pynn_layer_kind;

/* How the weights of a dense layer are drawn; biases start at zero. */
typedef enum pynn_init {
    PYNN_INIT_HE = 1,     /* normal, mean 0, variance 2 / I (He et al. 2015, eq. 10) */
    PYNN_INIT_XAVIER = 2, /* uniform in +-sqrt(6 / (I + O)) (Glorot and Bengio 2010, eq. 16) */
} pynn_init;

typedef struct pynn_dense_options {
    size_t outputs; /* O, at least 1 */
    pynn_init init;
} pynn_dense_options;

typedef struct pynn_conv2d_options {
    size_t filters;   /* F, at least 1 */
    size_t size[2];   /* height and width of a filter, at least 1 */
    size_t stride;    /* at least 1 */
    size_t before[2]; /* padding: rows of zeros above an image, and columns to its left */
    size_t after[2];  /* rows below it, and columns to its right */
    size_t groups;    /* at least 1; divides the channels and the filters */
    pynn_init init;   /* with C / groups * size inputs, and F / groups * size outputs */
} pynn_conv2d_options;

typedef struct pynn_pool2d_options {
    size_t size[2]; /* height and width of a window, at least 1 */
    size_t stride;  /* at least 1 */
    size_t padding; /* on each side; at most half of the size */
} pynn_pool2d_options;

typedef struct pynn_leaky_relu_options {
    float slope; /* finite, at least 0 */
} pynn_leaky_relu_options;

typedef struct pynn_elu_options {
    float alpha; /* finite, at least 0 */
} pynn_elu_options;

typedef struct pynn_layer_norm_options {
    float eps; /* finite, at least FLT_MIN (1.2e-38) */
} pynn_layer_norm_options;

typedef struct pynn_batch_norm_options {
    float momentum; /* of the running means: above 0 and at most 1 */
    float eps;      /* finite, at least FLT_MIN (1.2e-38) */
} pynn_batch_norm_options;

typedef struct pynn_standardize_options {
    float clip;  /* the largest magnitude of y: finite and above 0; 0 for none */
    int missing; /* 1: a feature may be NaN, which gives y = 0; else 0 */
} pynn_standardize_options;

/* What a column of a table holds. */
typedef enum pynn_column_kind {
    PYNN_COLUMN_NUMBER = 1,    /* a number, or NaN where it is missing: y = (x - mean) / scale, or 0. The
                                * caller finds mean and scale in the examples and writes them: they are
                                * parameters that training does not change. The scale begins as 0, with
                                * which calls return PYNN_NOT_FITTED */
    PYNN_COLUMN_EMBEDDING = 2, /* a code: Y is the row of that number in a table of parameters */
    PYNN_COLUMN_ONE_HOT = 3,   /* a code: Y is 1 at the place of the code less 1, and else 0 */
} pynn_column_kind;

/* A column of a table. Codes are whole numbers below `size`. 0 stands for a value that is unknown or
 * missing; so do NaN and a code that is out of range. A fraction is cut off. */
typedef struct pynn_column {
    pynn_column_kind kind;
    size_t size;  /* of codes: 2 to 2^24, above which a float cannot hold each whole number; else 0 */
    size_t width; /* how many values Y has for the column: 1 of a number, size - 1 of a one-hot code */
} pynn_column;

typedef struct pynn_columns_options {
    const pynn_column *columns; /* one for each feature; the network copies them */
} pynn_columns_options;

typedef struct pynn_dropout_options {
    float rate; /* the probability that a value is dropped: at least 0 and below 1 */
} pynn_dropout_options;

/* A layer: its kind and the options of that kind. The options are in the union member with the name of the
 * kind; a kind without a member has no options.
 *
 * If `frozen` is not 0, training leaves the parameters of the layer as they are: no update and no weight
 * decay, and the moments of an optimizer stay, too. Its gradient is not computed, and does not count for
 * max_norm. In training a frozen PYNN_BATCH_NORM normalizes by its running means, as in use. Below the
 * first layer that is trained nothing goes backward at all. The gradients of the other layers are the same,
 * bit for bit, as without frozen layers. Layers without parameters work as always. If all layers are
 * frozen, training only computes the loss.
 *
 * A list of layers:
 *
 *     pynn_layer layers[] = {
 *         {.kind = PYNN_DENSE, .dense = {.outputs = 256, .init = PYNN_INIT_HE}},
 *         {.kind = PYNN_RELU},
 *         {.kind = PYNN_DENSE, .dense = {.outputs = 10, .init = PYNN_INIT_HE}},
 *     };
 *
 * In the sources, csrc/layers has one file for each kind, with its equations; the scalar functions share
 * one. */
typedef struct pynn_layer {
    pynn_layer_kind kind;
    int frozen; /* whether training leaves its parameters as they are; see below */
    union {
        pynn_dense_options dense;
        pynn_conv2d_options conv2d;
        pynn_pool2d_options max_pool2d;
        pynn_pool2d_options avg_pool2d;
        pynn_leaky_relu_options leaky_relu;
        pynn_elu_options elu;
        pynn_layer_norm_options layer_norm;
        pynn_batch_norm_options batch_norm;
        pynn_standardize_options standardize;
        pynn_columns_options columns;
        pynn_dropout_options dropout;
    };
} pynn_layer;

/* The kinds of loss. Training makes the mean over the batch small. z are the outputs of the last layer as
 * logits, y are its outputs as values, t are the targets. */
typedef enum pynn_loss_kind {
    PYNN_SOFTMAX_CROSS_ENTROPY = 1, /* -log softmax(z)[label] */
    PYNN_MEAN_SQUARED_ERROR = 2,    /* mean over the outputs of (y - t)^2 */
    PYNN_BINARY_CROSS_ENTROPY = 3,  /* mean over the outputs of -t log s(z) - (1 - t) log(1 - s(z)), where s
                                     * is the sigmoid */
    PYNN_POISSON = 4, /* mean over the outputs of exp(z) - t + t (log t - z), half the deviance of a Poisson
                       * distribution. z are the logarithms of its rates; t are counts, or other numbers
                       * of at least 0 */
} pynn_loss_kind;

typedef struct pynn_softmax_cross_entropy_options {
    /* e, at least 0 and below 1 (Szegedy et al. 2016). The loss is then (1 - e) times -log
     * softmax(z)[label], plus e times the mean of -log softmax(z) over all classes. */
    float label_smoothing;
} pynn_softmax_cross_entropy_options;

typedef struct pynn_mean_squared_error_options {
    /* 1: the targets are standardized, t' = (t - mean) / scale for each output, and the loss is that of the
     * last layer's outputs z and t'. Mean and scale, (O,) each, are the last parameters of the network,
     * behind those of the layers; training does not change them, and the scale begins as 0: see
     * PYNN_STANDARDIZE. Predictions are y = z scale + mean, in the units of t. Else 0 */
    int standardize;
} pynn_mean_squared_error_options;

/* A loss: its kind and the options of that kind, in the same form as a layer. */
typedef struct pynn_loss {
    pynn_loss_kind kind;
    union {
        pynn_softmax_cross_entropy_options softmax_cross_entropy;
        pynn_mean_squared_error_options mean_squared_error;
    };
} pynn_loss;

/* An array of parameters of one layer, and where it lies in the flat array of all parameters. */
typedef struct pynn_parameter_view {
    size_t layer;     /* the number of the layer, from 0; that of layers for a parameter of the loss */
    const char *name; /* "weight", "bias"; static */
    size_t dims[4];   /* the shape, outermost first, row-major: (I, O) for the weight of a dense layer */
    size_t ndim;      /* how many of dims are used */
    size_t offset;    /* where the array begins, in floats */
    int decays;       /* whether weight decay applies to it */
    int trained;      /* whether an optimizer changes it; not if the layer is frozen. The running means of
                       * batch normalization are not trained: they follow the data */
} pynn_parameter_view;

/* The shape of a row that is an image: its values lie channel by channel, and each channel row by row. A
 * plain row of n values is n channels of one value. */
typedef struct pynn_shape {
    size_t channels;
    size_t height;
    size_t width;
} pynn_shape;

/* A handle of a network. */
typedef struct pynn_network pynn_network;

/* Describe a network: rows of `inputs` features go through the layers, in order, and then into the loss. At
 * least one layer must be dense or conv2d. The layers, layer_count of them, and the loss are copied.
 * Returns PYNN_NO_DENSE_LAYER, PYNN_UNKNOWN_LAYER (also for a dense layer without an initializer),
 * PYNN_INVALID_ARGUMENT (NULL, a width of zero, an option that is out of range), PYNN_SIZE_OVERFLOW (a
 * width does not fit int, or the number of parameters does not fit size_t) or PYNN_OUT_OF_MEMORY. On
 * failure *out is NULL. */
PYNN_API pynn_status pynn_network_create(const pynn_allocator *allocator, size_t inputs,
                                         const pynn_layer *layers, size_t layer_count,
                                         const pynn_loss *loss, pynn_network **out);

/* The same for rows of a shape, which layers such as conv2d need. */
PYNN_API pynn_status pynn_network_create_shaped(const pynn_allocator *allocator, const pynn_shape *inputs,
                                                const pynn_layer *layers, size_t layer_count,
                                                const pynn_loss *loss, pynn_network **out);

/* Free a network; NULL is a no-op. Destroy its workspaces first. */
PYNN_API void pynn_network_destroy(pynn_network *network);

/* The number of features in a row. */
PYNN_API size_t pynn_network_inputs(const pynn_network *network);

/* The number of outputs of the last layer: C, if they are logits of classes. */
PYNN_API size_t pynn_network_outputs(const pynn_network *network);

/* The number of floats in the flat array of parameters. It has, without gaps, the weight and then the bias
 * of every layer that has parameters, in the order of the layers. */
PYNN_API size_t pynn_network_parameter_count(const pynn_network *network);

/* The number of arrays that lie in the flat array: a weight and a bias for each layer that has
 * parameters. */
PYNN_API size_t pynn_network_view_count(const pynn_network *network);

/* Set *out to the array number `index`, from 0, in the order in which the arrays lie. Returns
 * PYNN_INVALID_ARGUMENT if there is no such array. */
PYNN_API pynn_status pynn_network_view(const pynn_network *network, size_t index, pynn_parameter_view *out);

/* Set all parameters, (parameter_count,), to the values that training starts from. The same seed gives the
 * same weights: the k-th layer that draws its weights at random takes them from random stream k. So they
 * depend only on the seed, on the place of the layer among these layers, and on its shape. */
PYNN_API pynn_status pynn_network_initialize(const pynn_network *network, uint64_t seed, float *parameters);

/* ---------------------------------------------------------------- data */

typedef enum pynn_feature_type {
    PYNN_FEATURES_UINT8 = 1,   /* read as value / 255 */
    PYNN_FEATURES_FLOAT32 = 2, /* taken as they are */
} pynn_feature_type;

/* How the first layer multiplies the features, if it is dense. If the parameters are finite, the results
 * are the same except for rounding. */
typedef enum pynn_path {
    PYNN_PATH_AUTO = 0,   /* chosen in each call: by the density of a sample of the data, and by what each
                           * path costs for the layer's sizes, the batch size and the instruction set */
    PYNN_PATH_DENSE = 1,  /* all features, by gemm */
    PYNN_PATH_SPARSE = 2, /* the features that are not zero, as sparse rows */
} pynn_path;

/* How images are changed each time that they are read; csrc/augment.c has the formulas. Each number is the
 * most that a random number can be, drawn anew for each image in each epoch. */
typedef struct pynn_augmentation {
    pynn_shape shape; /* of an image; height and width are at most 512 */
    float shift;      /* moved by up to so many pixels, down or up, and right or left */
    float rotate;     /* turned by up to so many degrees; at most 180 */
    float scale;      /* height and width multiplied, each by 1 / (1 + scale) to 1 + scale */
    float shear;      /* slanted by up to so many degrees; below 90 */
    float elastic;    /* bent: points in a grid are moved by up to so many pixels */
    float fill;       /* the value outside of the image; after bytes were divided by 255 */
    uint64_t seed;
    uint64_t epoch; /* the random numbers of a row depend on seed, epoch and row */
} pynn_augmentation;

/* A set of examples, borrowed from the caller. An array that a call does not read may be NULL: prediction
 * reads neither labels nor targets, the other calls read only what the loss needs. */
typedef struct pynn_data {
    const void *features; /* (rows, I) */
    pynn_feature_type feature_type;
    size_t rows;
    const int32_t *labels; /* for softmax cross-entropy: (rows,), each in [0, C) */
    pynn_path path;
    const float *targets; /* for the other losses: (rows, O) */
    const float *weights; /* (rows,): each example's loss is multiplied by its weight; NULL for 1 */
    const pynn_augmentation *augmentation; /* NULL: the features are taken as they are. With it the first
                                            * layer reads them as PYNN_PATH_DENSE, whatever path says */
} pynn_data;

/* ---------------------------------------------------------------- threads */

enum { PYNN_MAX_THREADS = 1024 };

/* Threads that share the tasks of a step. How work is cut into tasks depends on its shape alone, so results
 * are the same, bit for bit, for any number of threads. A team works for one caller at a time; a second
 * caller meanwhile does its work on its own thread. The threads are started when they are first needed, and
 * sleep when idle. After fork() the child starts threads of its own. */
typedef struct pynn_team pynn_team;

/* Create a team of `threads` threads, the calling one included: 1 to PYNN_MAX_THREADS. If the system gives
 * fewer threads, the team works with fewer. Returns PYNN_INVALID_ARGUMENT or PYNN_OUT_OF_MEMORY. On failure
 * *out is NULL. */
PYNN_API pynn_status pynn_team_create(const pynn_allocator *allocator, size_t threads, pynn_team **out);

/* Change the number of threads. Waits until the team has finished its current work. */
PYNN_API pynn_status pynn_team_resize(pynn_team *team, size_t threads);

/* The number of threads, the calling one included. */
PYNN_API size_t pynn_team_threads(const pynn_team *team);

/* End the threads and free the team; NULL is a no-op. Nobody may use the team any more: destroy the
 * workspaces that borrowed it first. */
PYNN_API void pynn_team_destroy(pynn_team *team);

/* ---------------------------------------------------------------- workspace */

/* A handle of a workspace. */
typedef struct pynn_workspace pynn_workspace;

/* Allocate the memory for steps with batches of at most max_batch rows: activations, their gradients,
 * scratch. Evaluation and prediction accept any number of rows and take at most max_batch at a time. The
 * network and the team are borrowed until the workspace is destroyed. Without a team (NULL) all work is
 * done on the calling thread.
 * Returns PYNN_INVALID_ARGUMENT (max_batch is 0), PYNN_SIZE_OVERFLOW or PYNN_OUT_OF_MEMORY. On failure *out
 * is NULL. */
PYNN_API pynn_status pynn_workspace_create(const pynn_allocator *allocator, const pynn_network *network,
                                           pynn_team *team, size_t max_batch, pynn_workspace **out);

/* Like pynn_workspace_create(), but the workspace keeps every value of a batch, for pynn_workspace_read():
 * each layer has outputs and gradients of its own, and none writes over those of another. The results are
 * the same, bit for bit. It takes more memory, and a step more time. */
PYNN_API pynn_status pynn_workspace_create_keeping(const pynn_allocator *allocator,
                                                   const pynn_network *network, pynn_team *team,
                                                   size_t max_batch, pynn_workspace **out);

/* Free a workspace; NULL is a no-op. */
PYNN_API void pynn_workspace_destroy(pynn_workspace *workspace);

/* How many bytes a workspace holds. */
PYNN_API size_t pynn_workspace_nbytes(const pynn_workspace *workspace);

/* ---------------------------------------------------------------- training and use */

/* The functions of this section return PYNN_NOT_FITTED, before anything is written, while a scale among the
 * parameters is 0: see PYNN_STANDARDIZE. */

/* Sums over examples. Calls add to these numbers: set them to zero before the first call. The losses are
 * added in the same order, whether a run is made in one call or in several. */
typedef struct pynn_sums {
    double loss;    /* the losses of the examples, each times the example's weight */
    size_t correct; /* for softmax cross-entropy: examples whose largest logit is that of the label (of
                     * equal logits the first counts); for binary cross-entropy: outputs with z > 0 exactly
                     * where t > 1/2; else 0 */
    size_t rows;    /* how many examples */
    double *errors; /* for mean squared error and Poisson: (2, outputs), the sum of |y - t| over the
                     * examples for each output, then the sum of (y - t)^2, both without the examples'
                     * weights, where y is predicted: z, or exp(z). NULL if they are not wanted. Other
                     * losses do not touch them */
} pynn_sums;

typedef enum pynn_optimizer_kind {
    PYNN_SGD = 1,
    PYNN_ADAM = 2,  /* Kingma and Ba 2015, algorithm 1 */
    PYNN_ADAMW = 3, /* Loshchilov and Hutter 2019, algorithm 2 */
} pynn_optimizer_kind;

/* What a step does with a parameter p and its gradient g. r is the learning rate of the step. d is the
 * weight decay, or 0 for a parameter that does not decay (see pynn_parameter_view). t = 1, 2, ... is the
 * number of the update.
 *
 *   SGD    g = g + d p
 *          m = momentum m + g
 *          p = p - r m, or with Nesterov's momentum p = p - r (g + momentum m)
 *
 *          With keeps_speed r is a factor of g instead: m = momentum m + r g, and p = p - m or
 *          p = p - (r g + momentum m). So a change of r does not change the speed m that p already has.
 *
 *   Adam   g = g + d p, and for AdamW p = p - r d p instead
 *          m = beta1 m + (1 - beta1) g
 *          v = beta2 v + (1 - beta2) g^2
 *          p = p - r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * If max_norm is not 0, the whole gradient is first multiplied by min(1, max_norm / (norm + 1e-6)), where
 * norm is its Euclidean norm (Pascanu et al. 2013; the small number is PyTorch's). */
typedef struct pynn_sgd_options {
    double momentum; /* in [0, 1) */
    int nesterov;    /* whether the momentum is Nesterov's; needs a momentum */
    int keeps_speed; /* whether m has r g in it, not g; needs a momentum */
} pynn_sgd_options;

typedef struct pynn_adam_options {
    double beta1; /* in [0, 1) */
    double beta2; /* likewise */
    double eps;   /* finite, at least FLT_MIN (1.2e-38) */
} pynn_adam_options;

/* An optimizer: its kind, the options that all kinds have, and the options of its kind, in the same form as
 * a layer. */
typedef struct pynn_optimizer {
    pynn_optimizer_kind kind;
    double learning_rate;
    const double *learning_rates; /* NULL, or (last_step - first_step,): a rate for each step of the call */
    double weight_decay;          /* at least 0 */
    double max_norm;              /* at least 0 */
    union {
        pynn_sgd_options sgd;
        pynn_adam_options adam;
        pynn_adam_options adamw;
    };
} pynn_optimizer;

/* What training carries from step to step, beside the parameters. The arrays are (parameter_count,) and
 * belong to the caller; the moments m and v start as zeros. An array that is not needed may be NULL: see
 * pynn_optimizer_needs(). */
typedef struct pynn_state {
    uint64_t seed;    /* of the random numbers of dropout */
    uint64_t step;    /* number of the next step, which dropout draws by; each step adds 1 */
    uint64_t updates; /* t of the last update; each update adds 1 */
    float *gradients; /* the gradient of the step, overwritten but for frozen layers */
    float *first;     /* m */
    float *second;    /* v */
} pynn_state;

/* How many arrays of the state an optimizer needs: 0 means none; 1 means gradients; 2 means gradients and
 * first; 3 means all. SGD with no option but a learning rate needs none, because it adds the gradient to
 * the parameters as it computes it. A kind that does not exist needs none. */
PYNN_API size_t pynn_optimizer_needs(const pynn_optimizer *optimizer);

/* The factors m of dropout: factor number n is 0 with probability `rate`, else 1 / (1 - rate) (Srivastava
 * et al. 2014). In the layer number `layer` of a network, counted from 0 over all kinds, value (n, o) of a
 * batch is multiplied by factor n * O + o. The factors of a step are drawn from the words from 2^44 * layer
 * on of stream 2^62 + step.
 *   first  the number of the first factor
 *   count  how many factors
 *   mask   (count,), overwritten */
PYNN_API void pynn_dropout_mask(uint64_t seed, uint64_t step, size_t layer, float rate, uint64_t first,
                                size_t count, float *mask);

/* The gradient of the mean loss over `count` rows of the data: forward, loss, backward.
 *   rows        (count,) indices into the data; NULL means the first `count` rows
 *   count       1 to the workspace's max_batch
 *   state       its seed and step say what dropout drops, as in pynn_train(); NULL: nothing is dropped
 *   parameters  (parameter_count,)
 *   gradients   (parameter_count,), overwritten; with zeros for the parameters of frozen layers
 *   sums        added to
 * Returns PYNN_INVALID_ARGUMENT, PYNN_WORKSPACE_MISMATCH, PYNN_ROW_OUT_OF_RANGE or PYNN_LABEL_OUT_OF_RANGE
 * before anything is written. Returns PYNN_NOT_FINITE if the loss or a feature is not finite: the gradients
 * are then as they were, but the rows are counted in *sums. */
PYNN_API pynn_status pynn_gradient(pynn_workspace *workspace, const pynn_data *data, const uint32_t *rows,
                                   size_t count, const pynn_state *state, const float *parameters,
                                   float *gradients, pynn_sums *sums);

/* Run the steps first_step <= s < last_step of an epoch of `count` examples. Step s trains on the rows
 * order[s * batch_size] to order[min((s + 1) * batch_size, count) - 1]. So the last step of an epoch may
 * have fewer rows than the others; its gradient is the mean over those rows.
 *   order       (count,) indices into the data, normally a permutation; NULL means 0, 1, 2, ...
 *   batch_size  1 to the workspace's max_batch
 *   last_step   at most ceil(count / batch_size)
 *   state       may be NULL for plain SGD without dropout
 *   parameters  (parameter_count,), updated in place
 *   sums        added to: loss and correct predictions of each batch, with the parameters before its update
 * Nothing is allocated, except the team's threads when they are first needed. All arguments, and the row
 * indices and labels of the steps, are checked before the first step: PYNN_INVALID_ARGUMENT,
 * PYNN_WORKSPACE_MISMATCH, PYNN_ROW_OUT_OF_RANGE and PYNN_LABEL_OUT_OF_RANGE leave the parameters as they
 * were.
 *
 * PYNN_NOT_FINITE has two causes. If the loss or a feature of a step is not finite, the call ends in that
 * step: the parameters are as the step before left them, and the rows of the step are counted, so that the
 * growth of sums->rows tells which step it was. If all steps are done, but a parameter or a moment is no
 * longer finite, the call returns it at the end. */
PYNN_API pynn_status pynn_train(pynn_workspace *workspace, const pynn_data *data, const uint32_t *order,
                                size_t count, size_t batch_size, size_t first_step, size_t last_step,
                                const pynn_optimizer *optimizer, pynn_state *state, float *parameters,
                                pynn_sums *sums);

/* How many rows evaluation and prediction take at a time, or max_batch if that is less: eight blocks of
 * rows, for as many threads. Calls that begin at a multiple of it give the same bits as one call. */
enum { PYNN_ROWS_AT_A_TIME = 256 };

/* Add the loss and the correct predictions of the rows first_row <= r < last_row of the data to *sums.
 * Returns PYNN_INVALID_ARGUMENT (also for first_row > last_row), PYNN_ROW_OUT_OF_RANGE (last_row >
 * data->rows) or PYNN_LABEL_OUT_OF_RANGE, with *sums as it was. Returns PYNN_NOT_FINITE, after all rows are
 * done, if the loss or a feature is not finite. */
PYNN_API pynn_status pynn_evaluate(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                                   size_t last_row, const float *parameters, pynn_sums *sums);

typedef enum pynn_output {
    PYNN_LOGITS = 1,        /* the outputs of the last layer; of standardized targets, in their units */
    PYNN_PROBABILITIES = 2, /* their softmax, or for binary cross-entropy their sigmoid */
} pynn_output;

/* The network's outputs for the rows first_row <= r < last_row of the data.
 *   out  (last_row - first_row, O), overwritten
 * Returns PYNN_INVALID_ARGUMENT (also for probabilities with mean squared error, whose outputs are values)
 * or PYNN_ROW_OUT_OF_RANGE, with out as it was. Returns PYNN_NOT_FINITE, after all outputs are written, if
 * an output or a feature is not finite. Labels are not read. */
PYNN_API pynn_status pynn_predict(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                                  size_t last_row, const float *parameters, pynn_output output, float *out);

/* ---------------------------------------------------------------- the values of a step */

/* The values of a layer, or of the loss, for each row of a batch. */
typedef enum pynn_value {
    PYNN_VALUE_INPUTS = 1,           /* X, (rows, I) */
    PYNN_VALUE_OUTPUTS = 2,          /* Y, (rows, O) */
    PYNN_VALUE_OUTPUT_GRADIENTS = 3, /* dY, (rows, O): gradient of the mean loss with respect to Y */
    PYNN_VALUE_INPUT_GRADIENTS = 4,  /* dX, (rows, I): likewise, to X */
    PYNN_VALUE_PROBABILITIES = 5,    /* (rows, C): those of the last layer's outputs */
    PYNN_VALUE_LOSSES = 6,           /* (rows,): each times the example's weight */
} pynn_value;

/* The number of rows of the last batch that went through a workspace; 0 before the first. */
PYNN_API size_t pynn_workspace_rows(const pynn_workspace *workspace);

/* Whether the first layer read the last batch as sparse rows (see pynn_path). */
PYNN_API int pynn_workspace_is_sparse(const pynn_workspace *workspace);

/* Copy values of the last batch out of a workspace made by pynn_workspace_create_keeping(). Calls that take
 * many rows leave the values of the last rows that they took at a time.
 *   layer  the number of the layer, from 0; probabilities and losses do not depend on it
 *   out    overwritten
 * Gradients and losses are there after pynn_gradient() and pynn_train(), if the loss was finite. Gradients
 * with respect to the inputs of the first layer that is trained, or of a layer below, are never computed:
 * no parameter needs them. Returns PYNN_INVALID_ARGUMENT for a value that is not there, with out as it was.
 */
PYNN_API pynn_status pynn_workspace_read(const pynn_workspace *workspace, size_t layer, pynn_value value,
                                         float *out);

/* ---------------------------------------------------------------- random numbers */

/* Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011): a
 * function from a counter and a key to 128 random bits. It has no state, so the n-th draw of a stream does
 * not need the draws before it. Draws use key = seed (low word first) and counter = (block low, block high,
 * stream low, stream high). The n-th 32-bit word of a stream is word n % 4 of block n / 4. Draws of
 * different kinds from one (seed, stream) use the same words, so use a stream of its own for each purpose.
 *
 * Words, uniform draws and permutations are bit for bit the same on every platform. Normal draws depend on
 * libm's log in double: the last bit of some may differ. */
PYNN_API void pynn_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Draws number `first` to first + count - 1 of a stream, uniform in [low, high); low < high, both finite.
 * Draw n is made from the upper 24 bits of word n, so the draws can be split between calls anywhere. out is
 * (count,). */
PYNN_API void pynn_random_uniform(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float low,
                                  float high, float *out);

/* Draws number `first` to first + count - 1 of a stream, normal (Box and Muller 1958). Draws 2k and 2k + 1
 * are made from words 2k and 2k + 1, so the draws can be split between calls anywhere. They lie within mean
 * +- 6.67 deviation, so they are finite if those two are. out is (count,). */
PYNN_API void pynn_random_normal(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float mean,
                                 float deviation, float *out);

/* Write a permutation of 0 .. count - 1 (Fisher and Yates, as in Knuth's algorithm P; the indices are drawn
 * without bias by Lemire's method). It uses the words of the stream one after the other: one for each swap,
 * and another one after each of the rare rejections. out is (count,). */
PYNN_API void pynn_random_permutation(uint64_t seed, uint64_t stream, uint32_t count, uint32_t *out);

/* ---------------------------------------------------------------- IDX */

/* The element types of IDX, with the byte that stands for each in a file. */
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
 * Takes time for the header alone, whatever sizes it claims. Returns PYNN_OK or one of the PYNN_IDX_
 * statuses, for the first defect in reading order. With PYNN_IDX_TRUNCATED and PYNN_IDX_TRAILING_BYTES the
 * header itself is valid, and *out says what it claims; with the other errors *out is untouched. Returns
 * PYNN_INVALID_ARGUMENT if data is NULL and nbytes is not 0. A dimension of zero makes item_count zero,
 * whatever the other dimensions are. */
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
