/* layer.h: what a kind of layer is to the library.
 *
 * Each kind has its room in this folder: a file that ends in its table entry, a pynn_layer_type, which is
 * all that the rest of the library asks of it. Scalar functions share one file, activations.c. kinds.c is
 * the register of all entries. A layer's functions get pointers and a tile; they know of no workspace, no
 * threads and no other layer. */
#ifndef PYNN_LAYER_H
#define PYNN_LAYER_H

#include "base/base.h"
#include "base/cut.h"
#include "layers/sparse.h"

/* How far back an output value looks, which says how a pass may cut the work. */
typedef enum pynn_reach {
    PYNN_REACH_VALUE,   /* at the input in its place: done behind the layer before, on the same tile */
    PYNN_REACH_ROW,     /* at its row of inputs: done on blocks of whole rows */
    PYNN_REACH_PRODUCT, /* at its row of inputs and, for a dense layer, at its column of W: done on any
                         * tile of outputs */
    PYNN_REACH_BATCH, /* at all rows of the batch, in training: done on blocks of whole rows, when observe()
                       * or sum() is done for all blocks */
} pynn_reach;

enum { PYNN_MAX_LAYER_VIEWS = 4 };

/* What a layer says of itself where it is placed in a network. */
typedef struct pynn_layer_place {
    pynn_shape outputs;   /* the shape of a row of its outputs */
    size_t scratch;       /* floats for each row that forward() keeps for backward() and accumulate() */
    size_t block_scratch; /* floats for each block of rows; see pynn_layer_call */
    bool takes_missing;   /* its inputs may be NaN, which stands for a missing value */
    size_t view_count;
    pynn_parameter_view
        views[PYNN_MAX_LAYER_VIEWS]; /* but for `layer` and `offset`: the network's to say */
} pynn_layer_place;

typedef struct pynn_layer_type pynn_layer_type;

/* A layer in its place in a network. */
typedef struct pynn_placed_layer {
    const pynn_layer_type *type;
    pynn_layer layer; /* its kind and options */
    size_t index;     /* its number among all layers, from 0 */
    size_t inputs;    /* I: values in a row of its inputs */
    size_t outputs;   /* O */
    pynn_shape input_shape;
    pynn_shape output_shape;
    size_t parameter_offset;
    size_t parameter_count;
    size_t scratch; /* floats for each row, and for each block of rows */
    size_t block_scratch;
} pynn_placed_layer;

/* What a layer's functions work on: pointers to the first value of each array of the batch. */
typedef struct pynn_layer_call {
    const pynn_placed_layer *layer;
    size_t rows;               /* N */
    const float *parameters;   /* (parameter_count,): the layer's own */
    const float *x;            /* (N, I): its inputs */
    float *y;                  /* (N, O): its outputs; x, where the layer works in place */
    const float *dy;           /* (N, O): gradient of the loss with respect to y */
    float *dx;                 /* (N, I): to x; dy, where the layer works in place; NULL where nobody asks.
                                * What forward() writes here is kept until backward() of the same batch:
                                * dropout keeps its factors here */
    pynn_sparse_batch *sparse; /* the inputs, where their rows are sparse: x is not there then; else NULL */
    float *scratch;            /* (N, the layer's scratch): what forward() has kept; else NULL */
    float *block_scratch; /* (blocks, the layer's block_scratch): what each block of rows has; else NULL */
    size_t block;         /* the number of the block of rows that a tile of whole rows is */
    size_t blocks;        /* how many blocks of rows the batch has */
    const pynn_state *state; /* what training draws from, or NULL: nothing is drawn */
    bool has_backward;       /* whether forward() is followed by backward() */
} pynn_layer_call;

/* T = alpha dP + beta T, where dP is the gradient with respect to a layer's parameters. */
typedef struct pynn_target {
    float alpha;
    float beta;
    float *parameters; /* T, (parameter_count,): the layer's own */
} pynn_target;

/* A kind of layer. A function that a kind has no use for is NULL.
 *
 * What a kind must have depends on its reach. A layer that looks back further than a value begins a stage
 * of a pass (see network_stage in internal.h), and the gradient of the parameters is asked for stage by
 * stage: so each such kind that has parameters has cut() and accumulate(). A kind of PYNN_REACH_VALUE may
 * lie behind another layer in a stage, and is asked for neither: so it has no parameters, unless it reads
 * the features, and so begins a stage. */
struct pynn_layer_type {
    pynn_layer_kind kind;
    pynn_reach reach;
    bool may_overwrite;     /* y may take the place of x, and dx that of dy, where nobody else needs them */
    bool may_overwrite_dy;  /* only dx may do so */
    bool needs_outputs;     /* backward() reads y: the next layer may not overwrite it */
    bool takes_sparse;      /* its inputs may be a pynn_sparse_batch */
    bool draws_weights;     /* initialize() draws from a random stream */
    bool draws_in_training; /* forward() draws from the state */
    bool reads_features;    /* only the first layer can be of this kind: it has no backward() */

    /* Of a kind whose options point to an array: the bytes of the array; and copy it to this memory of the
     * network's, and let the options point to the copy. Only for a kind that reads the features. */
    bool (*options_nbytes)(size_t inputs, size_t *nbytes);
    void (*keep_options)(pynn_layer *layer, size_t inputs, void *memory);

    /* Check the options, and say what the layer is behind rows of that shape. */
    pynn_status (*place)(const pynn_layer *layer, pynn_shape inputs, pynn_layer_place *place);

    /* Set the layer's parameters to what training starts from. */
    void (*initialize)(const pynn_placed_layer *layer, uint64_t seed, uint64_t stream, float *parameters);

    /* Whether the parameters are set that the caller has to find in the examples. */
    bool (*is_fitted)(const pynn_placed_layer *layer, const float *parameters);

    /* Y for a tile of Y; dX from dY for a tile of dX. */
    void (*forward)(const pynn_layer_call *call, pynn_tile tile);
    void (*backward)(const pynn_layer_call *call, pynn_tile tile);

    /* For a block of whole rows, number call->block: write into its block_scratch what forward() in
     * training must know of the whole batch; and what backward() or accumulate() must know, from dY. */
    void (*observe)(const pynn_layer_call *call, pynn_tile tile);
    void (*sum)(const pynn_layer_call *call, pynn_tile tile);

    /* After a step of training: change the parameters that are not trained, but follow the data. */
    void (*follow)(const pynn_layer_call *call, float *parameters);

    /* T = alpha dP + beta T, in as many tasks as cut() says tiles; task number `index`. */
    pynn_grid (*cut)(const pynn_layer_call *call);
    void (*accumulate)(const pynn_layer_call *call, size_t index, const pynn_target *target);

    /* Of a scalar function, whose forward() and backward() are those of activations.c: y = f(x), and d = d
     * f'(x), where f'(x) may be computed from x or from y. Arrays of `count` values. */
    void (*value)(const pynn_layer *layer, size_t count, const float *x, float *y);
    void (*slope)(const pynn_layer *layer, size_t count, const float *x, const float *y, float *d);
};

/* kinds.c: the type of a kind; NULL where there is none. */
const pynn_layer_type *pynn_layer_type_of(pynn_layer_kind kind);

/* cut() of a kind whose parameters are so few that one task does them all. */
static inline pynn_grid pynn_cut_nothing(const pynn_layer_call *call) {
    (void)call;
    return (pynn_grid){1, 1, 1, 1};
}

/* alpha dp + beta t of one parameter. With beta 0 t is not read: it may be uninitialized. */
static inline float pynn_blend(const pynn_target *target, double gradient, const float *t) {
    return target->alpha * (float)gradient + (target->beta == 0.0f ? 0.0f : target->beta * *t);
}

/* The number of values of a shape. No product overflows: the network has checked it. */
static inline size_t pynn_shape_size(pynn_shape shape) {
    return shape.channels * shape.height * shape.width;
}

/* For a kind without parameters that keeps the shape. */
static inline pynn_status pynn_place_plain(const pynn_layer *layer, pynn_shape inputs,
                                           pynn_layer_place *place) {
    (void)layer;
    place->outputs = inputs;
    return PYNN_OK;
}

/* The values of a tile of a matrix with rows of `width` values, as stretches of memory: one that holds all
 * where the tile has all columns, else one for each row. */
typedef struct pynn_stretches {
    size_t count;
    size_t length; /* values in each */
    size_t first;  /* number of the first value of the first, in the matrix */
    size_t apart;  /* values from the beginning of one to that of the next */
} pynn_stretches;

static inline pynn_stretches pynn_stretches_of(pynn_tile tile, size_t width) {
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    size_t first = tile.row_begin * width + tile.column_begin;
    if (columns == width) return (pynn_stretches){1, rows * columns, first, 0};
    return (pynn_stretches){rows, columns, first, width};
}

#endif
