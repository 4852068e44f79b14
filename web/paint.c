/* paint.c: pictures of numbers. */
#include "page.h"

#include <math.h>
#include <stdlib.h>

/* Red, green and blue, from 0 to 255. */
typedef struct colour {
    float part[3];
} colour;

static const colour LIGHT[3] = {{{31, 92, 189}}, {{255, 255, 255}}, {{190, 38, 30}}};
static const colour DARK[3] = {{{124, 172, 255}}, {{36, 37, 44}}, {{255, 128, 112}}};
static const colour *theme = LIGHT; /* below 0, at 0 and for what is not finite, above 0 */

EXPORT(page_theme) void page_theme(int is_dark) {
    theme = is_dark ? DARK : LIGHT;
}

void paint(const float *x, size_t count, uint8_t *rgba) {
    float reach = 0.0f;
    for (size_t i = 0; i < count; i++) reach = fmaxf(reach, isfinite(x[i]) ? fabsf(x[i]) : 0.0f);
    for (size_t i = 0; i < count; i++) {
        const float share = reach > 0.0f && isfinite(x[i]) ? fabsf(x[i]) / reach : 0.0f;
        const colour *full = x[i] > 0.0f ? &theme[2] : &theme[0];
        for (size_t c = 0; c < 3; c++) {
            const float zero = theme[1].part[c];
            rgba[4 * i + c] = (uint8_t)(zero + share * (full->part[c] - zero));
        }
        rgba[4 * i + 3] = 255;
    }
}

uint8_t *room_for(size_t pixels) {
    static uint8_t *painted;
    free(painted);
    painted = calloc(pixels, 4);
    return painted;
}
