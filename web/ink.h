/* ink.h: a drawing, and what MNIST would have made of it. */
#ifndef PYNN_PAGE_INK_H
#define PYNN_PAGE_INK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    INK_SIDE = 224,  /* pixels of the drawing, each way */
    DIGIT_SIDE = 28, /* of MNIST's images */
    INK_PIXELS = INK_SIDE * INK_SIDE,
    DIGIT_PIXELS = DIGIT_SIDE * DIGIT_SIDE,
};

/* Add a stroke of the pen from one point to another to a drawing (INK_SIDE, INK_SIDE); in pixels. */
void ink_stroke(uint8_t *ink, float x0, float y0, float x1, float y1);

/* Cut out what is drawn in a picture (height, width), at most INK_SIDE each way, scale it into 20 x 20 and
 * centre it in 28 x 28, as pynn/_pictures/digit.py does. Returns false, with a digit of zeros, if nothing
 * is drawn. */
bool ink_to_digit(const uint8_t *ink, int width, int height, uint8_t digit[DIGIT_PIXELS]);

#endif
