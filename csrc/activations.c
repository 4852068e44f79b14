/* activations.c: the functions between dense layers, value by value, and their derivatives. */
#include <math.h>

#include "internal.h"

/* y = 1 / (1 + exp(-x)). exp(-x) may overflow to infinity for x < -88, which gives the right 0. */
static void sigmoid_forward(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = 1.0f / (1.0f + expf(-x[i]));
}

/* f' = y (1 - y) */
static void sigmoid_backward(size_t count, const float *y, float *d) {
    for (size_t i = 0; i < count; i++) d[i] *= y[i] * (1.0f - y[i]);
}

static void relu_forward(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

/* f' = 1 where x > 0, else 0: at the kink x = 0 the left derivative, as everybody takes it. */
static void relu_backward(size_t count, const float *y, float *d) {
    for (size_t i = 0; i < count; i++) d[i] = y[i] > 0.0f ? d[i] : 0.0f;
}

static void tanh_forward(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = tanhf(x[i]);
}

/* f' = 1 - y^2 */
static void tanh_backward(size_t count, const float *y, float *d) {
    for (size_t i = 0; i < count; i++) d[i] *= 1.0f - y[i] * y[i];
}

void pynn_activation_forward(pynn_layer_kind kind, size_t count, const float *x, float *y) {
    switch (kind) {
    case PYNN_DENSE: break; /* no activation; pass.c sees to it */
    case PYNN_RELU: relu_forward(count, x, y); break;
    case PYNN_SIGMOID: sigmoid_forward(count, x, y); break;
    case PYNN_TANH: tanh_forward(count, x, y); break;
    }
}

void pynn_activation_backward(pynn_layer_kind kind, size_t count, const float *y, float *d) {
    switch (kind) {
    case PYNN_DENSE: break;
    case PYNN_RELU: relu_backward(count, y, d); break;
    case PYNN_SIGMOID: sigmoid_backward(count, y, d); break;
    case PYNN_TANH: tanh_backward(count, y, d); break;
    }
}
