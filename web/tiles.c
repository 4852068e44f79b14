/* tiles.c: pictures of arrays, a pixel for each value. */
#include "page.h"

#include <stdlib.h>
#include <string.h>

array array_of_rows(const float *x, size_t rows, pynn_shape shape) {
    const size_t places = shape.height * shape.width;
    array it = {.x = x,
                .rows = rows,
                .columns = shape.channels * places,
                .dims = {rows, shape.channels, shape.height, shape.width},
                .ndim = places > 1 ? 4 : 2,
                .by_row = 1,
                .together = 1};
    if (places > 1) it.height = shape.height, it.width = shape.width;
    if (places > 1 && rows > 1) it.together = shape.channels;
    return it;
}

static size_t tile_count(const array *it) {
    return it->by_row ? it->rows * it->columns / (it->height * it->width) : it->columns;
}

static size_t tiles_across(const array *it) {
    size_t across = it->together;
    while (across * across < tile_count(it)) across += it->together;
    return across;
}

void measure(const array *it, size_t size[2]) {
    size[0] = it->columns, size[1] = it->rows;
    if (it->height == 0) return;
    const size_t across = tiles_across(it), down = (tile_count(it) + across - 1) / across;
    size[0] = across * (it->width + 1) - 1, size[1] = down * (it->height + 1) - 1;
}

size_t pixel_of(const array *it, size_t index) {
    if (it->height == 0) return index;
    const size_t places = it->height * it->width;
    const size_t tile = it->by_row ? index / places : index % it->columns;
    const size_t place = it->by_row ? index % places : index / it->columns;
    const size_t across = tiles_across(it), width = across * (it->width + 1) - 1;
    const size_t top = tile / across * (it->height + 1) + place / it->width;
    return top * width + tile % across * (it->width + 1) + place % it->width;
}

int32_t pick(const array *it, size_t x, size_t y) {
    size_t size[2];
    measure(it, size);
    if (x >= size[0] || y >= size[1]) return -1;
    if (it->height == 0) return (int32_t)(y * size[0] + x);
    const size_t wide = it->width + 1, high = it->height + 1;
    const size_t tile = y / high * tiles_across(it) + x / wide;
    if (x % wide == it->width || y % high == it->height || tile >= tile_count(it)) return -1;
    const size_t place = y % high * it->width + x % wide;
    return (int32_t)(it->by_row ? tile * it->height * it->width + place : place * it->columns + tile);
}

const uint8_t *paint_array(const array *it, size_t marked) {
    static const uint8_t gold[4] = {255, 176, 0, 255};
    const size_t count = it->rows * it->columns;
    size_t size[2];
    measure(it, size);
    uint8_t *colours = malloc(4 * count), *painted = room_for(size[0] * size[1]);
    if (colours != NULL && painted != NULL) {
        paint(it->x, count, colours);
        for (size_t i = 0; i < count; i++) memcpy(painted + 4 * pixel_of(it, i), colours + 4 * i, 4);
        if (marked < count) memcpy(painted + 4 * pixel_of(it, marked), gold, sizeof gold);
    }
    free(colours);
    return painted;
}
