/* as_they_are.c: in place of csrc/augment.c, because the page takes images as they are. */
#include "internal.h"

/* So data that ask for it are refused. */
bool pynn_augmentation_is_sound(const pynn_augmentation *augmentation, size_t inputs) {
    (void)augmentation;
    (void)inputs;
    return false;
}

size_t pynn_augmentation_scratch(size_t inputs) {
    (void)inputs;
    return 0;
}

void pynn_augment(const pynn_augmentation *augmentation, size_t row, float *x, float *scratch) {
    (void)augmentation;
    (void)row;
    (void)x;
    (void)scratch;
}
