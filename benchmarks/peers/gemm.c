/* gemm.c: the products that a step of training needs, and nothing else: no gathering, no elementwise
 * work, no copies. No dense implementation on the same cblas can be faster by more than its threads gain.
 *
 * Of a network with L dense layers a step needs L products forward, L for the gradients of the weights,
 * and L - 1 for those of the values between them. The weights' gradients are added to the weights
 * (beta = 1), which spares the pass that sets the result to zero.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112, MAX_LAYERS = 8 };

typedef void sgemm_function(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                            const float *a, int lda, const float *b, int ldb, float beta, float *c,
                            int ldc);

/* One copy of the network: w[l] is (widths[l], widths[l + 1]); a[l] and d[l], (batch, widths[l]), are the
 * values that go into layer l and their gradient. */
typedef struct net {
    sgemm_function *sgemm;
    int layers;
    int widths[MAX_LAYERS + 1];
    float *w[MAX_LAYERS], *a[MAX_LAYERS + 1], *d[MAX_LAYERS + 1];
} net;

static float *filled(size_t count, float scale) {
    float *x = NULL;
    if (posix_memalign((void **)&x, 64, count * sizeof *x)) return NULL;
    unsigned state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = scale * ((float)(state >> 8) / 16777216.0f - 0.5f);
    }
    return x;
}

static void close_net(net *n) {
    for (int l = 0; l <= MAX_LAYERS; l++) {
        if (l < MAX_LAYERS) free(n->w[l]);
        free(n->a[l]);
        free(n->d[l]);
    }
}

/* The net's arrays; 0 where memory is short, and then there is nothing to close. */
static int open_net(net *n, sgemm_function *sgemm, int layers, const int *widths, int batch) {
    *n = (net){.sgemm = sgemm, .layers = layers};
    int complete = 1;
    for (int l = 0; l <= layers; l++) {
        n->widths[l] = widths[l];
        n->a[l] = filled((size_t)batch * (size_t)widths[l], 1.0f);
        n->d[l] = filled((size_t)batch * (size_t)widths[l], 1e-3f);
        complete &= n->a[l] && n->d[l];
        if (l < layers) {
            n->w[l] = filled((size_t)widths[l] * (size_t)widths[l + 1], 0.1f);
            complete &= n->w[l] != NULL;
        }
    }
    if (!complete) close_net(n);
    return complete;
}

/* A[l + 1] = A[l] W[l], rows first to last - 1 */
static void forward(net *n, int l, int first, int last) {
    const int in = n->widths[l], out = n->widths[l + 1];
    n->sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, last - first, out, in, 1.0f,
             n->a[l] + (size_t)first * (size_t)in, in, n->w[l], out, 0.0f,
             n->a[l + 1] + (size_t)first * (size_t)out, out);
}

/* D[l] = D[l + 1] W[l]^T, rows first to last - 1 */
static void backward(net *n, int l, int first, int last) {
    const int in = n->widths[l], out = n->widths[l + 1];
    n->sgemm(ROW_MAJOR, NO_TRANS, TRANS, last - first, in, out, 1.0f,
             n->d[l + 1] + (size_t)first * (size_t)out, out, n->w[l], out, 0.0f,
             n->d[l] + (size_t)first * (size_t)in, in);
}

/* W[l] -= 1e-6 A[l]^T D[l + 1], rows first to last - 1 of W[l] */
static void update(net *n, int l, int batch, int first, int last) {
    const int in = n->widths[l], out = n->widths[l + 1];
    n->sgemm(ROW_MAJOR, TRANS, NO_TRANS, last - first, out, batch, -1e-6f, n->a[l] + first, in, n->d[l + 1],
             out, 1.0f, n->w[l] + (size_t)first * (size_t)out, out);
}

/* A step on the calling thread, or on those that BLAS starts. */
static void step(net *n, int batch) {
    for (int l = 0; l < n->layers; l++) forward(n, l, 0, batch);
    for (int l = n->layers - 1; l >= 0; l--) {
        if (l > 0) backward(n, l, 0, batch);
        update(n, l, batch, 0, n->widths[l]);
    }
}

typedef struct barrier {
    atomic_int waiting, generation;
} barrier;

/* Two threads meet. On two free cores spinning is fastest; the yield is for when they are not free. */
static void meet(barrier *b) {
    const int generation = atomic_load(&b->generation);
    if (atomic_fetch_add(&b->waiting, 1) == 1) {
        atomic_store(&b->waiting, 0);
        atomic_fetch_add(&b->generation, 1);
        return;
    }
    for (long spins = 0; atomic_load_explicit(&b->generation, memory_order_acquire) == generation; spins++)
        if (spins > 20000) sched_yield();
}

/* One thread's part of a step for two: half of the batch forward and backward, for which it needs nobody;
 * then, when both are there, half of the rows of every W. */
static void half_step(net *n, int batch, int half, barrier *b) {
    const int first = half ? batch / 2 : 0, last = half ? batch : batch / 2;
    if (first < last) {
        for (int l = 0; l < n->layers; l++) forward(n, l, first, last);
        for (int l = n->layers - 1; l > 0; l--) backward(n, l, first, last);
    }
    meet(b);
    for (int l = n->layers - 1; l >= 0; l--) {
        const int middle = n->widths[l] / 2;
        update(n, l, batch, half ? middle : 0, half ? n->widths[l] : middle);
    }
    meet(b);
}

/* How an epoch is run: on the calling thread or on BLAS's; halved between two threads; or by two threads
 * that do all of it, each on a net of its own. */
typedef enum way { SERIAL = 0, HALVES = 1, INDEPENDENT = 2 } way;

typedef struct job {
    way way;
    net *n;
    int half, batch;
    long rows;
    barrier *b;
} job;

static void *run(void *context) {
    const job *j = context;
    if (j->way != SERIAL) meet(j->b);
    for (long row = 0; row < j->rows; row += j->batch) {
        const int batch = j->rows - row < j->batch ? (int)(j->rows - row) : j->batch;
        if (j->way == HALVES) {
            half_step(j->n, batch, j->half, j->b);
        } else {
            step(j->n, batch);
        }
    }
    if (j->way == INDEPENDENT) meet(j->b);
    return NULL;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of an epoch of `rows` rows; negative where memory or threads are short. */
double gemm_epoch(sgemm_function *sgemm, int layers, const int *widths, int batch, long rows, int how) {
    if (layers < 1 || layers > MAX_LAYERS) return -1;
    net nets[2];
    if (!open_net(&nets[0], sgemm, layers, widths, batch)) return -1;
    if (!open_net(&nets[1], sgemm, layers, widths, batch)) {
        close_net(&nets[0]);
        return -1;
    }
    barrier b = {0};
    job jobs[2];
    for (int half = 0; half < 2; half++) {
        jobs[half] = (job){.way = (way)how,
                           .n = &nets[how == INDEPENDENT ? half : 0],
                           .half = half,
                           .batch = batch,
                           .rows = rows,
                           .b = &b};
    }
    step(&nets[0], batch); /* BLAS's buffers, its threads, our pages */
    step(&nets[1], batch);
    pthread_t other;
    double seconds = -1;
    if (how == SERIAL || pthread_create(&other, NULL, run, &jobs[1]) == 0) {
        const double began = now();
        run(&jobs[0]);
        seconds = now() - began;
        if (how != SERIAL) pthread_join(other, NULL);
    }
    close_net(&nets[0]);
    close_net(&nets[1]);
    return seconds;
}
