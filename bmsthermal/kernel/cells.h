/* cells.h - what the builds of cell_host.h offer to a desk. */
#ifndef BMSTHERMAL_CELLS_H
#define BMSTHERMAL_CELLS_H

typedef struct {
    int model, state, use, input, out; /* sizes in numbers */
    void (*rest)(const void *model, void *state, double filling, double temperature_K);
    void (*run)(const void *model, const void *use, void *state, const void *u, void *out, void *past, long steps);
} cell_kernel_t;

/* The kernel for so many points of the electrodes and modes of each, or NULL where it was not built. */
const cell_kernel_t *cell_f64(int negative, int positive, int modes);
const cell_kernel_t *cell_f32(int negative, int positive, int modes);

/* Slopes of a step with the states at so many `places` of their row, and with the current, in double precision.
 * `rows` has 2 + count rows of the state after the step and what was found: their values, a slope each, that with the
 * current. */
typedef void (*cell_slopes_t)(const void *model, const void *use, const void *state, const void *u, const int *places,
                              int count, void *rows);

/* As above; NULL also where the compiler had no complex numbers. */
cell_slopes_t cell_slopes(int negative, int positive, int modes);

/* The filter on the cell (cell_filter.h), called with rows of its precision. */
typedef struct {
    int model, input, output, walls; /* sizes in numbers */
    int (*state)(const void *model);
    void (*run)(const void *model, void *state, const void *u, const void *z, void *out, void *past, long steps);
    void (*slopes)(const void *model, const void *state, double current, const void *coolant, void *rows);
} cell_filter_t;

const cell_filter_t *cell_filter_f64(int negative, int positive, int modes);
const cell_filter_t *cell_filter_f32(int negative, int positive, int modes);

#endif
