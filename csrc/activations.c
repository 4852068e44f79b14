/* activations.c: the functions between dense layers, value by value, and their derivatives. */
#include "internal.h"
#include "mathematics.h"
#include "vector.h"

PYNN_KERNEL(void, add_bias, (size_t rows, size_t columns, size_t stride, const float *bias, float *y),
            (rows, columns, stride, bias, y)) {
    for (size_t n = 0; n < rows; n++, y += stride) {
        for (size_t o = 0; o < columns; o++) y[o] += bias[o];
    }
}

void pynn_add_bias(size_t rows, size_t columns, size_t stride, const float *bias, float *y) {
    add_bias(rows, columns, stride, bias, y);
}

/* y = max(x, 0); NaN stays NaN */
PYNN_KERNEL(void, relu_forward, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

/* f' = 1 where x > 0, else 0: at the kink x = 0 the left derivative, as everybody takes it. */
PYNN_KERNEL(void, relu_backward, (size_t count, const float *y, float *d), (count, y, d)) {
    for (size_t i = 0; i < count; i++) d[i] = y[i] > 0.0f ? d[i] : 0.0f;
}

/* y = 1 / (1 + exp(-x)) */
PYNN_KERNEL(void, sigmoid_forward, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_sigmoid(x[i]);
}

/* f' = y (1 - y) */
PYNN_KERNEL(void, sigmoid_backward, (size_t count, const float *y, float *d), (count, y, d)) {
    for (size_t i = 0; i < count; i++) d[i] *= y[i] * (1.0f - y[i]);
}

PYNN_KERNEL(void, tanh_forward, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_tanh(x[i]);
}

/* f' = 1 - y^2 */
PYNN_KERNEL(void, tanh_backward, (size_t count, const float *y, float *d), (count, y, d)) {
    for (size_t i = 0; i < count; i++) d[i] *= 1.0f - y[i] * y[i];
}

/* y = x where x > 0, else slope x */
PYNN_KERNEL(void, leaky_relu_forward, (size_t count, float slope, const float *x, float *y),
            (count, slope, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] > 0.0f ? x[i] : slope * x[i];
}

/* f' = 1 where x > 0, else slope; y has the sign of x, or is 0 where that is not positive. */
PYNN_KERNEL(void, leaky_relu_backward, (size_t count, float slope, const float *y, float *d),
            (count, slope, y, d)) {
    for (size_t i = 0; i < count; i++) d[i] = y[i] > 0.0f ? d[i] : slope * d[i];
}

PYNN_KERNEL(void, gelu_forward, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_gelu(x[i]);
}

PYNN_KERNEL(void, gelu_backward, (size_t count, const float *x, float *d), (count, x, d)) {
    for (size_t i = 0; i < count; i++) d[i] *= pynn_gelu_slope(x[i]);
}

void pynn_activation_forward(const network_layer *layer, size_t count, const float *x, float *y) {
    switch (layer->kind) {
    case PYNN_DENSE:
    case PYNN_DROPOUT: break; /* no activation; pass.c sees to it */
    case PYNN_RELU: relu_forward(count, x, y); break;
    case PYNN_SIGMOID: sigmoid_forward(count, x, y); break;
    case PYNN_TANH: tanh_forward(count, x, y); break;
    case PYNN_LEAKY_RELU: leaky_relu_forward(count, layer->slope, x, y); break;
    case PYNN_GELU: gelu_forward(count, x, y); break;
    }
}

void pynn_activation_backward(const network_layer *layer, size_t count, const float *x, const float *y,
                              float *d) {
    switch (layer->kind) {
    case PYNN_DENSE:
    case PYNN_DROPOUT: break;
    case PYNN_RELU: relu_backward(count, y, d); break;
    case PYNN_SIGMOID: sigmoid_backward(count, y, d); break;
    case PYNN_TANH: tanh_backward(count, y, d); break;
    case PYNN_LEAKY_RELU: leaky_relu_backward(count, layer->slope, y, d); break;
    case PYNN_GELU: gelu_backward(count, x, d); break;
    }
}
