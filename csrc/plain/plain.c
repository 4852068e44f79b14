/* plain.c: a neural network in plain loops, the first file to read. It is a program by itself (so it may
 * print and exit), and no part of the library, which does the same much faster.
 *
 *     cc -O2 plain.c -lm && ./a.out ../../data/mnist
 *
 * trains dense layers 784-256-64-10 with ReLU, softmax and cross-entropy by stochastic gradient descent, on
 * the images of digits in that folder; it needs gzip. N rows of a batch, I inputs and O outputs of a layer;
 * row-major: X[n, i] is X[n * I + i]. dX is the gradient of the loss with respect to X, for any X. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TRAIN = 60000, TEST = 10000, PIXELS = 784, BATCH = 128, LAYERS = 3, EPOCHS = 3 };
typedef enum activation { NONE, RELU, SIGMOID } activation;

/* A dense layer and the activation behind it, with what a batch leaves in them. */
typedef struct layer {
    size_t I, O;
    activation f;
    float *W, *b;   /* (I, O), (O,): the parameters */
    float *Y, *dY;  /* (N, O): f(X W + b), and its gradient */
    float *dW, *db; /* (I, O), (O,) */
} layer;

/* Y = X W + b */
static void dense_forward(size_t N, const float *X, const layer *it) {
    size_t I = it->I, O = it->O;
    for (size_t n = 0; n < N; n++) {
        float *y = it->Y + n * O;
        for (size_t o = 0; o < O; o++) y[o] = it->b[o]; /* Y = b, then */
        for (size_t i = 0; i < I; i++)
            for (size_t o = 0; o < O; o++) y[o] += X[n * I + i] * it->W[i * O + o]; /* Y = Y + X W */
    }
}

/* y = f(y) for each value */
static void activate(size_t count, activation f, float *Y) {
    for (size_t k = 0; k < count; k++) {
        if (f == RELU) Y[k] = Y[k] > 0 ? Y[k] : 0;      /* y = max(x, 0) */
        if (f == SIGMOID) Y[k] = 1 / (1 + expf(-Y[k])); /* y = 1 / (1 + exp(-x)) */
    }
}

/* The batch X goes through all layers: the outputs of each are the inputs of the next. */
static void forward(size_t N, const float *X, layer *net) {
    for (size_t l = 0; l < LAYERS; l++) {
        dense_forward(N, l == 0 ? X : net[l - 1].Y, &net[l]);
        activate(N * net[l].O, net[l].f, net[l].Y);
    }
}

/* The mean loss of a batch of logits Z (N, C), and its gradient dZ. Adds the right answers to *right. */
static float cross_entropy(size_t N, size_t C, const float *Z, const int *y, float *dZ, size_t *right) {
    float loss = 0;
    for (size_t n = 0; n < N; n++, Z += C, dZ += C) {
        float sum = 0;
        size_t best = 0, label = (size_t)y[n];
        for (size_t c = 1; c < C; c++) best = Z[c] > Z[best] ? c : best;
        for (size_t c = 0; c < C; c++) sum += expf(Z[c] - Z[best]); /* less the largest: no overflow */
        loss += logf(sum) - (Z[label] - Z[best]);                   /* loss = -log p[label] */
        for (size_t c = 0; c < C; c++) {
            float p = expf(Z[c] - Z[best]) / sum;  /* p = exp(z) / sum of exp(z) */
            dZ[c] = (p - (c == label)) / (float)N; /* dz = (p - [c is the label]) / N */
        }
        *right += best == label;
    }
    return loss / (float)N;
}

/* dy = dy f'(x), from y = f(x) */
static void activate_backward(size_t count, activation f, const float *Y, float *dY) {
    for (size_t k = 0; k < count; k++) {
        if (f == RELU) dY[k] = Y[k] > 0 ? dY[k] : 0;  /* f' = 1 where x > 0, else 0 */
        if (f == SIGMOID) dY[k] *= Y[k] * (1 - Y[k]); /* f' = y (1 - y) */
    }
}

/* From dY: dW = X^T dY, db = sum of the rows of dY, and dX = dY W^T, unless dX is NULL. */
static void dense_backward(size_t N, const float *X, const layer *it, float *dX) {
    size_t I = it->I, O = it->O;
    for (size_t k = 0; k < I * O; k++) it->dW[k] = 0;
    for (size_t o = 0; o < O; o++) it->db[o] = 0;
    for (size_t n = 0; n < N; n++) {
        const float *dy = it->dY + n * O;
        for (size_t o = 0; o < O; o++) it->db[o] += dy[o]; /* db = sum of dY */
        for (size_t i = 0; i < I; i++) {
            for (size_t o = 0; o < O; o++) it->dW[i * O + o] += X[n * I + i] * dy[o]; /* dW = X^T dY */
            if (dX == NULL) continue;
            dX[n * I + i] = 0;
            for (size_t o = 0; o < O; o++) dX[n * I + i] += dy[o] * it->W[i * O + o]; /* dX = dY W^T */
        }
    }
}

/* From the gradient of the last outputs to those of all parameters, from the last layer to the first. */
static void backward(size_t N, const float *X, layer *net) {
    for (size_t l = LAYERS; l-- > 0;) {
        activate_backward(N * net[l].O, net[l].f, net[l].Y, net[l].dY);
        dense_backward(N, l == 0 ? X : net[l - 1].Y, &net[l], l == 0 ? NULL : net[l - 1].dY);
    }
}

/* A step of gradient descent on a batch. Returns its mean loss from before. */
static float step(size_t N, const float *X, const int *y, layer *net, float rate, size_t *right) {
    layer *last = &net[LAYERS - 1];
    forward(N, X, net);
    float loss = cross_entropy(N, last->O, last->Y, y, last->dY, right);
    backward(N, X, net);
    for (size_t l = 0; l < LAYERS; l++) {
        layer *it = &net[l];
        for (size_t k = 0; k < it->I * it->O; k++) it->W[k] -= rate * it->dW[k]; /* W = W - rate dW */
        for (size_t o = 0; o < it->O; o++) it->b[o] -= rate * it->db[o];         /* b = b - rate db */
    }
    return loss;
}

/* A number in [0, 1). */
static float draw(void) {
    return (float)rand() / ((float)RAND_MAX + 1);
}

static float *zeros(size_t count) {
    float *memory = calloc(count, sizeof *memory);
    if (memory == NULL) exit((perror("memory"), 1));
    return memory;
}

/* Weights have mean 0 and variance 2 / I (He et al. 2015); the sum of twelve draws is nearly normal. */
static layer make_layer(size_t I, size_t O, activation f) {
    layer it = {I,       O, f, zeros(I * O), zeros(O), zeros(BATCH * O), zeros(BATCH * O), zeros(I * O),
                zeros(O)};
    for (size_t k = 0; k < I * O; k++) {
        float sum = -6;
        for (int j = 0; j < 12; j++) sum += draw();
        it.W[k] = sum * sqrtf(2.0f / (float)I);
    }
    return it;
}

typedef struct examples {
    const uint8_t *images, *labels; /* (count, PIXELS), (count,) */
} examples;

/* The items of an IDX file: the bytes behind its header, which has `header` bytes. */
static const uint8_t *read_items(const char *folder, const char *name, size_t header, size_t count) {
    char command[1000];
    uint8_t *items = calloc(header + count, 1);
    snprintf(command, sizeof command, "gzip -dc '%s/%s.gz'", folder, name);
    FILE *file = popen(command, "r");
    if (items == NULL || file == NULL || fread(items, 1, header + count, file) < header + count)
        exit((fprintf(stderr, "%s/%s.gz cannot be read\n", folder, name), 1));
    pclose(file);
    return items + header;
}

/* Copy N images, as numbers from 0 to 1, and their labels to X and y; which ones, says `order`. */
static void gather(size_t N, const size_t *order, examples set, float *X, int *y) {
    for (size_t n = 0; n < N; n++) {
        for (size_t i = 0; i < PIXELS; i++) X[n * PIXELS + i] = set.images[order[n] * PIXELS + i] / 255.0f;
        y[n] = set.labels[order[n]];
    }
}

int main(int count, char **arguments) {
    const char *folder = count > 1 ? arguments[1] : "../../data/mnist";
    examples train = {read_items(folder, "train-images-idx3-ubyte", 16, (size_t)TRAIN * PIXELS),
                      read_items(folder, "train-labels-idx1-ubyte", 8, TRAIN)};
    examples test = {read_items(folder, "t10k-images-idx3-ubyte", 16, (size_t)TEST * PIXELS),
                     read_items(folder, "t10k-labels-idx1-ubyte", 8, TEST)};
    layer net[] = {make_layer(PIXELS, 256, RELU), make_layer(256, 64, RELU), make_layer(64, 10, NONE)};
    float *X = zeros((size_t)BATCH * PIXELS);
    int y[BATCH];
    static size_t order[TRAIN];
    for (size_t k = 0; k < TRAIN; k++) order[k] = k;
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        clock_t began = clock();
        float loss = 0;
        size_t right = 0;
        for (size_t k = TRAIN - 1; k > 0; k--) { /* shuffle: swap each with itself or one before it */
            size_t other = (size_t)(draw() * (float)(k + 1)), kept = order[k];
            order[k] = order[other], order[other] = kept;
        }
        for (size_t first = 0, N; first < TRAIN; first += N) {
            N = TRAIN - first < BATCH ? TRAIN - first : BATCH;
            gather(N, order + first, train, X, y);
            loss += (float)N * step(N, X, y, net, 0.05f, &right);
        }
        clock_t ended = clock();
        for (size_t k = right = 0; k < TEST; k++) {
            gather(1, &k, test, X, y);
            forward(1, X, net);
            cross_entropy(1, 10, net[LAYERS - 1].Y, y, net[LAYERS - 1].dY, &right);
        }
        printf("epoch %d: loss %.4f, test accuracy %.2f %%, %.1f s\n", epoch, (double)loss / TRAIN,
               100.0 * (double)right / TEST, (double)(ended - began) / CLOCKS_PER_SEC);
    }
    return 0;
}
