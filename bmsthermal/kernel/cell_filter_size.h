/* cell_filter_size.h - one size of the filter on the reduced cell, and its loop over steps. */
#include "cell_filter.h"

static int ROM_(filter_numbers)(const void *model)
{
    const ROM_(filter_t) *m = model;
    return CFL_N * (CFL_N + 3) / 2 + 2;
}

/* A state is a row of numbers: x, carry, ud. Rows: u, z, out and past [steps]; past may be NULL. */
static void ROM_(filter_run)(const void *model, void *state, const void *u, const void *z, void *out, void *past,
                             long steps)
{
    const ROM_(filter_t) *m = model;
    const int n = CFL_N, size = ROM_(filter_numbers)(model);
    real_t *x = state;
    num_t *states = past;
    for (long k = 0; k < steps; k++) {
        ROM_(filter_output_t) *found = (ROM_(filter_output_t) *)out + k;
        *found = (ROM_(filter_output_t)){0}; /* a sensor that is not fitted stays 0 */
        ROM_(filter)(m, x, x + n, x + n + 2, (const ROM_(filter_input_t) *)u + k, (const num_t *)z + k * CFL_M, found);
        for (int i = 0; past && i < size; i++) {
            states[k * size + i] = x[i];
        }
    }
}

/* Slopes at a state without a carry, as rows: of the states after the step with each state ([n][n]), of voltage and
 * heat [n], of the states with the current [n], and of the voltage with it. */
static void ROM_(filter_slopes)(const void *model, const void *state, double current, const void *coolant, void *rows)
{
    const ROM_(filter_t) *m = model;
    const int n = CFL_N;
    ROM_(walls_t) walls;
    ROM_(ahead_t) here;
    ROM_(linear_t) slopes;
    num_t *row = rows;
    ROM_(open)(&m->cell.conduction, m->use.conductance, &walls);
    ROM_(look)(m, &walls, state, ROM_NUM(0.0), (num_t)current, coolant, &here);
    ROM_(differ)(m, &walls, state, (num_t)current, coolant, &here, &slopes);
    memcpy(row, slopes.F, sizeof(num_t) * (size_t)(n * n));
    memcpy(row + n * n, slopes.voltage, sizeof(num_t) * (size_t)n);
    memcpy(row + n * (n + 1), slopes.heat, sizeof(num_t) * (size_t)n);
    memcpy(row + n * (n + 2), slopes.by_A, sizeof(num_t) * (size_t)n);
    row[n * (n + 3)] = slopes.voltage_by_A;
}

static const cell_filter_t ROM_(entry) = {
    sizeof(ROM_(filter_t)) / sizeof(num_t), sizeof(ROM_(filter_input_t)) / sizeof(num_t),
    sizeof(ROM_(filter_output_t)) / sizeof(num_t), ROM_W_MAX, ROM_(filter_numbers), ROM_(filter_run),
    ROM_(filter_slopes)};

#undef CFL_T
#undef CFL_R
#undef CFL_E
#undef CFL_N
#undef CFL_G
