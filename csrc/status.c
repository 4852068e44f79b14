/* status.c: the version of the library, and the message for each status. */
#include "pynn.h"

const char *pynn_version(void) {
    return PYNN_VERSION;
}

const char *pynn_status_message(pynn_status status) {
    /* No default, so that the compiler warns of a status without a message. */
    switch (status) {
    case PYNN_OK: return "no error";
    case PYNN_OUT_OF_MEMORY: return "out of memory";
    case PYNN_INVALID_ARGUMENT: return "invalid argument";
    case PYNN_SIZE_OVERFLOW: return "a size is too large";
    case PYNN_ROW_OUT_OF_RANGE: return "a row index is not below the number of rows";
    case PYNN_LABEL_OUT_OF_RANGE: return "a label is not in 0 to the number of classes - 1";
    case PYNN_WORKSPACE_MISMATCH: return "the workspace is for smaller batches";
    case PYNN_NOT_FITTED: return "a scale is 0: the network has not been fitted to examples";
    case PYNN_NO_DENSE_LAYER: return "a network needs at least one dense or conv2d layer";
    case PYNN_UNKNOWN_LAYER: return "unknown kind of layer, initializer or loss";
    case PYNN_NOT_FINITE: return "a loss or an output is not finite";
    case PYNN_IDX_SHORT_HEADER: return "the file is too short for its header";
    case PYNN_IDX_BAD_MAGIC: return "the first two bytes are not zero";
    case PYNN_IDX_UNKNOWN_TYPE: return "the third byte is no element type of IDX";
    case PYNN_IDX_OVERFLOW: return "the product of the dimensions is too large for this machine";
    case PYNN_IDX_TRUNCATED: return "the file is shorter than its dimensions say";
    case PYNN_IDX_TRAILING_BYTES: return "the file is longer than its dimensions say";
    }
    return "unknown status";
}
