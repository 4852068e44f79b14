/* workspace.c: all memory that a step needs, allocated once. */
#include <limits.h>

#include "internal.h"

/* Floats are handed out in multiples of a cache line, so that no two buffers share one. */
enum { LINE = 64 / sizeof(float) };

/* Add `rows * width` floats, rounded up to whole cache lines, to *total. */
static bool reserve(size_t rows, size_t width, size_t *total) {
    size_t count;
    return pynn_multiply(rows, width, &count) && pynn_add(count, LINE - 1, &count) &&
           pynn_add(*total, count / LINE * LINE, total);
}

/* Take `rows * width` floats from *next; the counterpart of reserve(). */
static float *take(size_t rows, size_t width, float **next) {
    float *taken = *next;
    *next += (rows * width + LINE - 1) / LINE * LINE;
    return taken;
}

/* The floats that a workspace holds, in the order in which hand_out() takes them. */
static bool count_floats(const pynn_network *network, size_t max_batch, size_t *total) {
    *total = 0;
    if (!reserve(max_batch, network->inputs, total)) return false;
    for (size_t l = 0; l < network->layer_count; l++) {
        const network_layer *layer = &network->layers[l];
        if (layer->in_place) continue;
        if (!reserve(max_batch, layer->outputs, total)) return false;
        if (l >= network->first_dense && !reserve(max_batch, layer->outputs, total)) return false;
    }
    return true;
}

/* Give every buffer its part of the arena. The deltas of a layer that works in place lie where those
 * of the layer below it do: they are multiplied by the derivative in place, too. */
static void hand_out(pynn_workspace *workspace) {
    const pynn_network *network = workspace->network;
    float *next = workspace->arena;
    workspace->inputs = take(workspace->max_batch, network->inputs, &next);
    for (size_t l = 0; l < network->layer_count; l++) {
        const network_layer *layer = &network->layers[l];
        if (layer->in_place) {
            workspace->layers[l] = workspace->layers[l - 1];
            continue;
        }
        workspace->layers[l].outputs = take(workspace->max_batch, layer->outputs, &next);
        if (l >= network->first_dense)
            workspace->layers[l].deltas = take(workspace->max_batch, layer->outputs, &next);
    }
}

pynn_status pynn_workspace_create(const pynn_allocator *allocator, const pynn_network *network,
                                  pynn_team *team, size_t max_batch, pynn_workspace **out) {
    if (out == NULL) return PYNN_INVALID_ARGUMENT;
    *out = NULL;
    if (network == NULL || max_batch == 0) return PYNN_INVALID_ARGUMENT;

    size_t floats, arena_nbytes, labels_nbytes, parts_nbytes, struct_nbytes;
    if (max_batch > INT_MAX || !count_floats(network, max_batch, &floats) ||
        !pynn_multiply(floats, sizeof(float), &arena_nbytes) ||
        !pynn_multiply(max_batch, sizeof(int32_t), &labels_nbytes) ||
        !pynn_multiply(max_batch, sizeof(pynn_sums), &parts_nbytes) ||
        !pynn_multiply(network->layer_count, sizeof(layer_buffers), &struct_nbytes) ||
        !pynn_add(struct_nbytes, sizeof(pynn_workspace), &struct_nbytes))
        return PYNN_SIZE_OVERFLOW;

    pynn_allocator used = pynn_allocator_or_default(allocator);
    pynn_workspace *workspace = pynn_allocate(&used, struct_nbytes);
    if (workspace == NULL) return PYNN_OUT_OF_MEMORY;
    workspace->allocator = used;
    workspace->network = network;
    workspace->team = team;
    workspace->max_batch = max_batch;
    workspace->nbytes = struct_nbytes + arena_nbytes + labels_nbytes + parts_nbytes;
    workspace->arena = pynn_allocate(&used, arena_nbytes);
    workspace->labels = pynn_allocate(&used, labels_nbytes);
    workspace->parts = pynn_allocate(&used, parts_nbytes);
    if (workspace->arena == NULL || workspace->labels == NULL || workspace->parts == NULL) {
        pynn_workspace_destroy(workspace);
        return PYNN_OUT_OF_MEMORY;
    }
    hand_out(workspace);
    *out = workspace;
    return PYNN_OK;
}

void pynn_workspace_destroy(pynn_workspace *workspace) {
    if (workspace == NULL) return;
    pynn_allocator allocator = workspace->allocator;
    pynn_release(&allocator, workspace->parts);
    pynn_release(&allocator, workspace->labels);
    pynn_release(&allocator, workspace->arena);
    pynn_release(&allocator, workspace);
}

size_t pynn_workspace_nbytes(const pynn_workspace *workspace) {
    return workspace->nbytes;
}
