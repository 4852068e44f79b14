/* optimizer.c: what a step does with the gradient: one loop over the flat arrays of parameters, gradients
 * and moments. pynn.h has the formulas.
 *
 * Parameters are updated in tasks of TASK_PARAMETERS. The tasks do not depend on the number of threads; and
 * an update of one parameter does not depend on the others, except through `clip`, whose sum of squares is
 * added up task by task, in order. So the bits are the same on any number of threads. */
#include <float.h>
#include <math.h>

#include "base/denormals.h"
#include "base/vector.h"
#include "internal.h"

/* Parameters of a task: 64 kB of each array. */
enum { TASK_PARAMETERS = 16 * 1024 };

/* What the tasks of one update share. */
typedef struct update {
    const pynn_workspace *workspace;
    const pynn_optimizer *optimizer;
    const struct optimizer_type *type;
    pynn_state *state;
    float *parameters;
    double rate;
    float clip; /* what the gradient is multiplied by */
} update;

/* A kind of optimizer. The table of all kinds is below. */
typedef struct optimizer_type {
    pynn_optimizer_kind kind;

    /* Whether the options are in their ranges. */
    bool (*is_sound)(const pynn_optimizer *optimizer);

    /* See pynn_optimizer_needs(). */
    size_t (*needs)(const pynn_optimizer *optimizer);

    /* Update the parameters begin .. end - 1, which all have the weight decay `decay`. */
    void (*update)(const update *it, size_t begin, size_t end, double decay);
} optimizer_type;

size_t pynn_update_tasks(const pynn_network *network) {
    size_t count = network->parameter_count;
    return pynn_divide_up(count, TASK_PARAMETERS);
}

/* The sum of squares of a gradient. It is computed in double, because the square of a large float overflows
 * a float. */
PYNN_KERNEL(double, sum_squares, (size_t count, const float *g), (count, g)) {
    enum { LANES = 8 };
    double lanes[LANES] = {0}, total = 0.0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t k = 0; k < LANES; k++) lanes[k] += (double)g[i + k] * (double)g[i + k];
    }
    for (; i < count; i++) lanes[0] += (double)g[i] * (double)g[i];
    for (size_t k = 0; k < LANES; k++) total += lanes[k];
    return total;
}

/* p, g and m are (count,); m is NULL without momentum. `into` is a factor of the gradient when it is added
 * to m, and `rate` is a factor of m when it is subtracted from p. One of the two is the learning rate (see
 * keeps_speed in pynn.h), the other is 1, which changes no bit. */
PYNN_KERNEL(void, update_sgd,
            (size_t count, float rate, float into, float decay, float clip, float momentum, int nesterov,
             const float *g, float *m, float *p),
            (count, rate, into, decay, clip, momentum, nesterov, g, m, p)) {
    if (m == NULL) {
        /* p = p - r g   @sgd.plain */
        for (size_t i = 0; i < count; i++) p[i] -= rate * (clip * g[i] + decay * p[i]);
    } else if (nesterov) {
        for (size_t i = 0; i < count; i++) {
            float gradient = into * (clip * g[i] + decay * p[i]);
            /* m = momentum m + g; p = p - r (g + momentum m)   @sgd.nesterov */
            m[i] = momentum * m[i] + gradient;
            p[i] -= rate * (gradient + momentum * m[i]);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            /* m = momentum m + g; p = p - r m   @sgd.momentum */
            m[i] = momentum * m[i] + into * (clip * g[i] + decay * p[i]);
            p[i] -= rate * m[i];
        }
    }
}

/* The numbers in Adam's formulas that are the same for all parameters. */
typedef struct adam_factors {
    float shrink;  /* AdamW: r d. A factor 1 - r d would have the same rounding error in each step */
    float decay;   /* Adam: d */
    float clip;    /* what the gradient is multiplied by */
    float change1; /* 1 - beta1 */
    float beta2;   /* beta2, and */
    float change2; /* 1 - beta2 */
    float rate;    /* r / (1 - beta1^t) */
    float root2;   /* sqrt(1 - beta2^t) */
    float eps;
} adam_factors;

/* p, g, m and v are (count,). */
PYNN_KERNEL(void, update_adam,
            (size_t count, const adam_factors *factors, const float *g, float *m, float *v, float *p),
            (count, factors, g, m, v, p)) {
    const adam_factors f = *factors;
    for (size_t i = 0; i < count; i++) {
        float kept = p[i] - f.shrink * p[i];
        float gradient = f.clip * g[i] + f.decay * p[i];
        /* m = beta1 m + (1 - beta1) g   @adam.m */
        m[i] += f.change1 * (gradient - m[i]);
        /* v = beta2 v + (1 - beta2) g^2   @adam.v */
        v[i] = f.beta2 * v[i] + f.change2 * gradient * gradient;
        /* p = p - r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)   @adam.p */
        /* p = p - r d p - r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)   @adamw.p */
        p[i] = kept - f.rate * m[i] / (sqrtf(v[i]) / f.root2 + f.eps);
    }
}

static void sgd(const update *it, size_t begin, size_t end, double decay) {
    const pynn_sgd_options *o = &it->optimizer->sgd;
    float *m = o->momentum != 0.0 ? it->state->first + begin : NULL;
    float rate = (float)it->rate;
    update_sgd(end - begin, o->keeps_speed ? 1.0f : rate, o->keeps_speed ? rate : 1.0f, (float)decay,
               it->clip, (float)o->momentum, o->nesterov, it->state->gradients + begin, m,
               it->parameters + begin);
}

/* Adam and AdamW, which differ in their weight decay alone: AdamW gives it as `shrink`, Adam as `decay`. */
static void adam_or_adamw(const update *it, size_t begin, size_t end, const pynn_adam_options *o,
                          double shrink, double decay) {
    double t = (double)it->state->updates;
    adam_factors factors = {
        .shrink = (float)(it->rate * shrink),
        .decay = (float)decay,
        .clip = it->clip,
        .change1 = (float)(1.0 - o->beta1),
        .beta2 = (float)o->beta2,
        .change2 = (float)(1.0 - o->beta2),
        .rate = (float)(it->rate / (1.0 - pow(o->beta1, t))),
        .root2 = (float)sqrt(1.0 - pow(o->beta2, t)),
        .eps = (float)o->eps,
    };
    update_adam(end - begin, &factors, it->state->gradients + begin, it->state->first + begin,
                it->state->second + begin, it->parameters + begin);
}

static void adam(const update *it, size_t begin, size_t end, double decay) {
    adam_or_adamw(it, begin, end, &it->optimizer->adam, 0.0, decay);
}

static void adamw(const update *it, size_t begin, size_t end, double decay) {
    adam_or_adamw(it, begin, end, &it->optimizer->adamw, decay, 0.0);
}

/* ---------------------------------------------------------------- the options, and the table */

/* Whether x is in [0, 1). This is false for NaN. */
static bool is_share(double x) {
    return x >= 0.0 && x < 1.0;
}

/* Whether x is a finite float, and is not rounded to 0 unless it is 0. Each comparison here is false for
 * NaN. */
static bool is_float(double x) {
    return fabs(x) <= (double)FLT_MAX && (x == 0.0 || (float)x != 0.0f);
}

static bool is_sound_sgd(const pynn_optimizer *optimizer) {
    const pynn_sgd_options *o = &optimizer->sgd;
    return is_share(o->momentum) && (o->momentum != 0.0 || (o->nesterov == 0 && o->keeps_speed == 0));
}

/* A smaller eps than FLT_MIN would be taken as 0, and the update of a parameter whose gradient was always 0
 * would be 0 / 0. As a double: some processors take as 0 what only its rounding would make FLT_MIN. */
static bool has_sound_options(const pynn_adam_options *o) {
    return is_share(o->beta1) && is_share(o->beta2) && is_float(o->eps) && o->eps >= (double)FLT_MIN;
}

static bool is_sound_adam(const pynn_optimizer *optimizer) {
    return has_sound_options(&optimizer->adam);
}

static bool is_sound_adamw(const pynn_optimizer *optimizer) {
    return has_sound_options(&optimizer->adamw);
}

static size_t needs_of_sgd(const pynn_optimizer *optimizer) {
    if (optimizer->sgd.momentum != 0.0) return 2;
    return optimizer->max_norm != 0.0 || optimizer->weight_decay != 0.0 ? 1 : 0;
}

static size_t needs_all(const pynn_optimizer *optimizer) {
    (void)optimizer;
    return 3;
}

static const optimizer_type types[] = {
    {PYNN_SGD, is_sound_sgd, needs_of_sgd, sgd},
    {PYNN_ADAM, is_sound_adam, needs_all, adam},
    {PYNN_ADAMW, is_sound_adamw, needs_all, adamw},
};

/* The row of the table for the kind of an optimizer, or NULL if there is no such kind. */
static const optimizer_type *type_of(const pynn_optimizer *optimizer) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].kind == optimizer->kind) return &types[i];
    }
    return NULL;
}

bool pynn_optimizer_is_sound(const pynn_optimizer *o) {
    const optimizer_type *type = type_of(o);
    return type != NULL && o->weight_decay >= 0.0 && o->max_norm >= 0.0 && is_float(o->weight_decay) &&
           is_float(o->max_norm) && type->is_sound(o);
}

size_t pynn_optimizer_needs(const pynn_optimizer *optimizer) {
    const optimizer_type *type = type_of(optimizer);
    return type == NULL ? 0 : type->needs(optimizer);
}

/* ---------------------------------------------------------------- the tasks */

/* The range [begin, end) of the parameters of task number `index`. */
static void find_range(const pynn_network *network, size_t index, size_t *begin, size_t *end) {
    *begin = index * TASK_PARAMETERS;
    size_t left = network->parameter_count - *begin;
    *end = *begin + pynn_least(left, TASK_PARAMETERS);
}

/* The part [begin, end) of a task's parameters that lies in view number `v`; begin is not below end if
 * there is none. */
static void find_overlap(const pynn_network *network, size_t v, size_t *begin, size_t *end) {
    size_t first = network->views[v].offset;
    size_t last = v + 1 < network->view_count ? network->views[v + 1].offset : network->parameter_count;
    if (*begin < first) *begin = first;
    if (*end > last) *end = last;
}

/* Whether the parameters of view number `v` belong to a frozen layer. */
static bool is_frozen(const pynn_network *network, size_t v) {
    size_t l = network->views[v].layer;
    return l < network->layer_count && network->layers[l].layer.frozen != 0;
}

static void sum_task(void *context, size_t index) {
    const update *it = context;
    const pynn_network *network = it->workspace->network;
    size_t begin, end;
    double squares = 0.0;
    find_range(network, index, &begin, &end);
    if (!network->has_frozen) squares = sum_squares(end - begin, it->state->gradients + begin);
    for (size_t v = 0; v < network->view_count && network->has_frozen; v++) {
        size_t from = begin, to = end;
        find_overlap(network, v, &from, &to);
        if (from < to && !is_frozen(network, v))
            squares += sum_squares(to - from, it->state->gradients + from);
    }
    it->workspace->squares[index] = squares;
}

/* What is checked when the steps of a call are done. */
typedef struct state_view {
    const pynn_workspace *workspace;
    const float *parameters;
    const float *second; /* NULL if the optimizer has none */
} state_view;

static void check_task(void *context, size_t index) {
    const state_view *it = context;
    size_t begin, end;
    find_range(it->workspace->network, index, &begin, &end);
    bool finite = pynn_all_finite(end - begin, it->parameters + begin);
    if (it->second != NULL) finite = pynn_all_finite(end - begin, it->second + begin) && finite;
    it->workspace->sound[index] = finite;
}

/* The first moment is not checked, because it needs no check: if it is not finite, neither is the parameter
 * that it has updated. The second moment is checked: an update is divided by it, so an infinite one leaves
 * the parameter finite and stops its training. */
bool pynn_state_is_finite(const pynn_workspace *workspace, const pynn_optimizer *optimizer,
                          const pynn_state *state, const float *parameters) {
    size_t tasks = pynn_update_tasks(workspace->network);
    state_view it = {workspace, parameters, pynn_optimizer_needs(optimizer) >= 3 ? state->second : NULL};
    pynn_team_run(workspace->team, tasks, check_task, &it);
    bool finite = true;
    for (size_t i = 0; i < tasks; i++) finite = finite && workspace->sound[i];
    return finite;
}

/* One task of an update: the views of its range one by one, because some of them decay or are frozen and
 * others are not. */
static void update_task(void *context, size_t index) {
    const update *it = context;
    const pynn_network *network = it->workspace->network;
    size_t begin, end;
    find_range(network, index, &begin, &end);
    if (it->optimizer->weight_decay == 0.0 && !network->has_frozen) {
        it->type->update(it, begin, end, 0.0);
        return;
    }
    for (size_t v = 0; v < network->view_count; v++) {
        size_t from = begin, to = end;
        find_overlap(network, v, &from, &to);
        double decay = network->views[v].decays ? it->optimizer->weight_decay : 0.0;
        if (from < to && !is_frozen(network, v)) it->type->update(it, from, to, decay);
    }
}

/* The factor that brings the norm of the gradient down to max_norm. The sums of the tasks are added in the
 * order of the tasks, so that the result does not depend on which thread was first. */
static float find_clip(const update *it, size_t tasks) {
    double squares = 0.0, max_norm = it->optimizer->max_norm;
    for (size_t i = 0; i < tasks; i++) squares += it->workspace->squares[i];
    double clip = max_norm / (sqrt(squares) + 1e-6);
    return clip < 1.0 ? (float)clip : 1.0f;
}

void pynn_update(const pynn_workspace *workspace, const pynn_optimizer *optimizer, double learning_rate,
                 pynn_state *state, float *parameters) {
    size_t tasks = pynn_update_tasks(workspace->network);
    update it = {workspace, optimizer, type_of(optimizer), state, parameters, learning_rate, 1.0f};
    uint64_t mode = pynn_flush_denormals();
    state->updates++;
    if (optimizer->max_norm != 0.0) {
        pynn_team_run(workspace->team, tasks, sum_task, &it);
        it.clip = find_clip(&it, tasks);
    }
    pynn_team_run(workspace->team, tasks, update_task, &it);
    pynn_restore_denormals(mode);
}
