/* kinds.c: the register of all kinds of layers. The scalar functions have their own table, in
 * activations.c. A build with PYNN_WITHOUT_TABLES, such as that of the page, lacks the layers that prepare
 * the columns of tables. */
#include "layers/layer.h"

extern const pynn_layer_type pynn_avg_pool2d, pynn_batch_norm, pynn_columns, pynn_conv2d, pynn_flatten,
    pynn_global_avg_pool, pynn_max_pool2d, pynn_dense, pynn_dropout, pynn_layer_norm, pynn_standardize,
    pynn_activations[];
extern const size_t pynn_activation_count;

static const pynn_layer_type *const types[] = {
    &pynn_avg_pool2d,  &pynn_batch_norm, &pynn_conv2d,  &pynn_flatten,    &pynn_global_avg_pool,
    &pynn_max_pool2d,  &pynn_dense,      &pynn_dropout, &pynn_layer_norm,
#ifndef PYNN_WITHOUT_TABLES
    &pynn_standardize, &pynn_columns,
#endif
};

const pynn_layer_type *pynn_layer_type_of(pynn_layer_kind kind) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i]->kind == kind) return types[i];
    }
    for (size_t i = 0; i < pynn_activation_count; i++) {
        if (pynn_activations[i].kind == kind) return &pynn_activations[i];
    }
    return NULL;
}
