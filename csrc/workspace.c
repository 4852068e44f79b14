/* workspace.c: all memory that a step needs, allocated once. */
#include <limits.h>

#include "internal.h"

enum { LINE_NBYTES = 64 }; /* a cache line; no two buffers share one */

/* What is laid out one behind the other; with a NULL arena it is only counted. */
typedef struct memory_layout {
    char *arena;
    size_t nbytes;
    bool fits; /* in size_t */
} memory_layout;

/* The next rows * columns items of item_nbytes; all start at a cache line of their own. */
static void *take(memory_layout *layout, size_t rows, size_t columns, size_t item_nbytes) {
    size_t start = layout->nbytes, size;
    layout->fits = layout->fits && pynn_multiply(rows, columns, &size) &&
                   pynn_multiply(size, item_nbytes, &size) && pynn_add(size, LINE_NBYTES - 1, &size) &&
                   pynn_add(start, size / LINE_NBYTES * LINE_NBYTES, &layout->nbytes);
    return layout->fits && layout->arena != NULL ? layout->arena + start : NULL;
}

/* Whether layer l writes its outputs over its inputs: nobody else needs them. The first layer's inputs are
 * the batch. */
static bool is_in_place(const pynn_workspace *workspace, size_t l) {
    const pynn_network *network = workspace->network;
    return !workspace->keeps && l > 0 && network->layers[l].type->may_overwrite &&
           !network->layers[l - 1].type->needs_outputs;
}

/* Whether the gradient with respect to the outputs of layer l is computed. */
static bool has_deltas(const pynn_network *network, size_t l) {
    return l >= network->stages[network->first_trained].first;
}

/* Whether the layer's dX takes the place of its dY. */
static bool is_in_place_backward(const pynn_workspace *workspace, size_t l) {
    const pynn_network *network = workspace->network;
    return !workspace->keeps && l > 0 && network->layers[l].type->may_overwrite_dy &&
           has_deltas(network, l - 1);
}

/* A gathered batch is either floats or sparse rows: they share their place. */
static void lay_out_batch(pynn_workspace *workspace, memory_layout *layout) {
    const pynn_network *network = workspace->network;
    size_t batch = workspace->max_batch, inputs = network->inputs;
    pynn_sparse_batch *sparse = &workspace->sparse;
    sparse->entries = take(layout, batch, inputs, sizeof(pynn_entry));
    workspace->inputs = (float *)sparse->entries;
    sparse->rows = take(layout, batch, PYNN_MAX_COLUMN_BLOCKS, sizeof(pynn_sparse_vector));
    sparse->packed_dy = take(layout, batch, network->layers[0].outputs, sizeof(float));
    sparse->column_entries = take(layout, inputs, PYNN_COLUMN_CAPACITY, sizeof(pynn_entry));
    sparse->columns = take(layout, inputs, 1, sizeof(pynn_sparse_vector));
    workspace->augmenting =
        take(layout, pynn_most_blocks(batch), pynn_augmentation_scratch(inputs), sizeof(float));
    workspace->labels = take(layout, batch, 1, sizeof(int32_t));
    if (!network->loss_type->has_labels)
        workspace->targets = take(layout, batch, network->outputs, sizeof(float));
    workspace->weights = take(layout, batch, 1, sizeof(float));
}

/* The deltas of a layer that works in place lie where those of the layer below it do, because they are
 * multiplied by the derivative in place, too. */
static void lay_out_layer(pynn_workspace *workspace, memory_layout *layout, size_t l) {
    const pynn_network *network = workspace->network;
    const pynn_placed_layer *layer = &network->layers[l];
    pynn_layer_buffers *buffers = &workspace->layers[l];
    size_t batch = workspace->max_batch, scratch = layer->scratch;
    if (is_in_place(workspace, l)) {
        *buffers = (pynn_layer_buffers){buffers[-1].outputs, buffers[-1].deltas, NULL, NULL};
    } else {
        buffers->outputs = take(layout, batch, layer->outputs, sizeof(float));
        if (is_in_place_backward(workspace, l))
            buffers->deltas = buffers[-1].deltas;
        else if (has_deltas(network, l))
            buffers->deltas = take(layout, batch, layer->outputs, sizeof(float));
    }
    if (scratch > 0) buffers->scratch = take(layout, batch, scratch, sizeof(float));
    if (layer->block_scratch > 0)
        buffers->block_scratch = take(layout, pynn_most_blocks(batch), layer->block_scratch, sizeof(float));
}

/* Lay out all buffers. */
static void lay_out(pynn_workspace *workspace, memory_layout *layout) {
    const pynn_network *network = workspace->network;
    size_t batch = workspace->max_batch, tasks = pynn_update_tasks(network);
    lay_out_batch(workspace, layout);
    workspace->parts = take(layout, batch, 1, sizeof(pynn_sums));
    if (network->loss_type->has_errors)
        workspace->errors = take(layout, pynn_most_blocks(batch), network->outputs, 2 * sizeof(double));
    workspace->squares = take(layout, tasks, 1, sizeof(double));
    workspace->sound = take(layout, tasks, 1, sizeof(bool));
    workspace->finite = take(layout, batch, 1, sizeof(bool));
    for (size_t l = 0; l < network->layer_count; l++) lay_out_layer(workspace, layout, l);
}

static pynn_status create(const pynn_allocator *allocator, const pynn_network *network, pynn_team *team,
                          size_t max_batch, bool keeps, pynn_workspace **out) {
    if (out == NULL) return PYNN_INVALID_ARGUMENT;
    *out = NULL;
    if (network == NULL || max_batch == 0) return PYNN_INVALID_ARGUMENT;

    size_t nbytes;
    if (max_batch > INT_MAX || !pynn_multiply(network->layer_count, sizeof(pynn_layer_buffers), &nbytes) ||
        !pynn_add(nbytes, sizeof(pynn_workspace), &nbytes))
        return PYNN_SIZE_OVERFLOW;
    pynn_allocator used = pynn_allocator_or_default(allocator);
    pynn_workspace *workspace = pynn_allocate(&used, nbytes);
    if (workspace == NULL) return PYNN_OUT_OF_MEMORY;
    workspace->allocator = used;
    workspace->network = network;
    workspace->team = team;
    workspace->max_batch = max_batch;
    workspace->keeps = keeps;

    memory_layout layout = {NULL, 0, true};
    lay_out(workspace, &layout);
    workspace->nbytes = nbytes + layout.nbytes;
    pynn_status status = layout.fits ? PYNN_OK : PYNN_SIZE_OVERFLOW;
    if (status == PYNN_OK) {
        /* Not filled with zeros: what is never used takes no memory. */
        workspace->arena = pynn_allocate_raw(&used, layout.nbytes);
        if (workspace->arena == NULL) status = PYNN_OUT_OF_MEMORY;
    }
    if (status != PYNN_OK) {
        pynn_workspace_destroy(workspace);
        return status;
    }
    layout.arena = workspace->arena;
    layout.nbytes = 0;
    lay_out(workspace, &layout);
    *out = workspace;
    return PYNN_OK;
}

pynn_status pynn_workspace_create(const pynn_allocator *allocator, const pynn_network *network,
                                  pynn_team *team, size_t max_batch, pynn_workspace **out) {
    return create(allocator, network, team, max_batch, false, out);
}

pynn_status pynn_workspace_create_keeping(const pynn_allocator *allocator, const pynn_network *network,
                                          pynn_team *team, size_t max_batch, pynn_workspace **out) {
    return create(allocator, network, team, max_batch, true, out);
}

void pynn_workspace_destroy(pynn_workspace *workspace) {
    if (workspace == NULL) return;
    pynn_allocator allocator = workspace->allocator;
    pynn_release(&allocator, workspace->arena);
    pynn_release(&allocator, workspace);
}

size_t pynn_workspace_nbytes(const pynn_workspace *workspace) {
    return workspace->nbytes;
}
