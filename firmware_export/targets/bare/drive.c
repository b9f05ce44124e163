/* drive.c - a bundle over a whole run: each call steps it through a part of it and keeps every state and output.
 *
 * The bundle's header is BUNDLE_HEADER, its prefix BUNDLE, its numbers REAL. A block begins with the number of steps
 * and how many of them are a part, the temperature and the state of charge to start from; then one row per step: an
 * input, and the sensors. A record is one state and one output per step.
 */
#include BUNDLE_HEADER

#define GLUE(a, b) a##b
#define JOIN(a, b) GLUE(a, b)
#define OWN(word) JOIN(BUNDLE, word)
#define SENSORS (JOIN(BUNDLE_UPPER, _SENSORS))

typedef struct {
    OWN(_input_t) input;
    REAL surface_K[SENSORS];
} row_t;

typedef struct {
    unsigned steps, part;
    REAL surface_K, soc;
    row_t rows[1];
} block_t;

typedef struct {
    OWN(_state_t) state;
    OWN(_output_t) output;
} kept_t;

static OWN(_state_t) state;

/* The part that begins at `first`, after the one before it: bytes that were kept, 0 after the last. */
unsigned drive(const void *from, unsigned first, void *to);
unsigned drive(const void *from, unsigned first, void *to)
{
    const block_t *block = from;
    kept_t *kept = to;
    OWN(_output_t) output;
    unsigned k = 0;

    if (first == 0) {
        OWN(_init)(&OWN(_model), &state, block->surface_K, block->soc);
    }
    for (; (k < block->part) && (first + k < block->steps); k++) {
        const row_t *row = &block->rows[first + k];
        OWN(_step)(&OWN(_model), &state, &row->input, row->surface_K, &output);
        OWN(_get)(&OWN(_model), &state, &output);
        kept[k].state = state;
        kept[k].output = output;
    }
    return k * (unsigned)sizeof(kept_t);
}

#if defined(BARE)
#include "start.h"

extern unsigned char block[], record[];

int main(void)
{
    const int differs = OWN(_selftest)();
    const int file = create("record.bin", 10u);
    const unsigned part = ((const block_t *)(const void *)block)->part;
    unsigned size = 1;

    for (unsigned first = 0; size > 0; first += part) {
        size = drive(block, first, record);
        if (append(file, record, size) != 0) {
            return 2;
        }
    }
    return (differs != 0) ? 1 : 0;
}
#endif
