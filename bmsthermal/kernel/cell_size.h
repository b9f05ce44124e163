/* cell_size.h - one size of the reduced cell and its loop over steps. */
#include "step.h"
#include "cell.h"

static void ROM_(begin)(const void *model, void *state, double filling, double temperature_K)
{
    ROM_(rest)(model, state, (num_t)filling, (num_t)temperature_K);
}

CELL_CLONES static void ROM_(run)(const void *model, const void *use, void *state, const void *u, void *out, void *past, long steps)
{
    const ROM_(cell_use_t) *now = use;
    ROM_(walls_t) walls;
    ROM_(open)(&((const ROM_(cell_t) *)model)->conduction, now->conductance, &walls);
    const num_t *input = u;
    ROM_(cell_out_t) *found = out;
    ROM_(cell_state_t) *states = past;
    for (long k = 0; k < steps; k++) {
        if (states) {
            memcpy(states, state, sizeof *states);
            states++;
        }
        ROM_(cell_step)(model, now, &walls, state, input[0], input + 1, found);
        found++;
        input += 1 + ROM_W_MAX;
    }
}

static const cell_kernel_t ROM_(kernel) = {
    sizeof(ROM_(cell_t)) / sizeof(num_t), sizeof(ROM_(cell_state_t)) / sizeof(num_t),
    sizeof(ROM_(cell_use_t)) / sizeof(num_t), 1 + ROM_W_MAX, sizeof(ROM_(cell_out_t)) / sizeof(num_t), ROM_(begin), ROM_(run)};

#undef CELL_QN
#undef CELL_QP
#undef CELL_Q
