/* drive.c - a bundle over a whole run: one call steps it through every row and keeps each state and output.
 *
 * The bundle's header is BUNDLE_HEADER, its prefix BUNDLE, its numbers REAL. A block begins with the number of steps
 * (in a word, the next one unused), the temperature and the state of charge to start from; then one row per step:
 * an input, and the sensors. A record is one state and one output per step.
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
    unsigned steps, unused;
    REAL surface_K, soc;
    row_t rows[1];
} block_t;

typedef struct {
    OWN(_state_t) state;
    OWN(_output_t) output;
} kept_t;

unsigned drive(const void *from, void *to);
unsigned drive(const void *from, void *to)
{
    const block_t *block = from;
    kept_t *kept = to;
    OWN(_state_t) state;
    OWN(_output_t) output;

    OWN(_init)(&OWN(_model), &state, block->surface_K, block->soc);
    for (unsigned k = 0; k < block->steps; k++) {
        const row_t *row = &block->rows[k];
        OWN(_step)(&OWN(_model), &state, &row->input, row->surface_K, &output);
        OWN(_get)(&OWN(_model), &state, &output);
        kept[k].state = state;
        kept[k].output = output;
    }
    return block->steps * (unsigned)sizeof(kept_t);
}

#if defined(BARE)
#include "start.h"

extern unsigned char block[], record[];

int main(void)
{
    const int differs = OWN(_selftest)();
    const int missing = keep("record.bin", 10u, record, drive(block, record));
    return (differs != 0) ? differs : missing;
}
#endif
