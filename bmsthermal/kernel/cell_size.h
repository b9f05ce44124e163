/* cell_size.h - one size of the reduced cell: its loop over steps, the slopes of one, or the filter on it. */
#include "step.h"
#include "cell.h"

#if defined(CELL_FILTER)
#include "cell_filter_size.h"
#elif defined(ROM_DUAL)
static void ROM_(slopes)(const void *model, const void *use, const void *state, const void *u, const int *places,
                         int count, void *rows)
{
    enum {
        STATE = sizeof(ROM_(cell_state_t)) / sizeof(real_t),
        OUT = sizeof(ROM_(cell_out_t)) / sizeof(real_t)
    };
    const ROM_(cell_use_t) *now = use;
    const num_t *before = state, *input = u;
    num_t *row = rows;
    ROM_(walls_t) walls;
    ROM_(cell_state_t) after;
    ROM_(cell_out_t) found;
    real_t conductance[ROM_W_MAX], coolant[ROM_W_MAX];
    real_t *flat = (real_t *)&after, *said = (real_t *)&found; /* all members have that type */
    for (int w = 0; w < ROM_W_MAX; w++) {
        conductance[w] = now->conductance[w];
        coolant[w] = input[1 + w];
    }
    ROM_(open)(&((const ROM_(cell_t) *)model)->conduction, conductance, &walls);
    for (int k = 0; k <= count; k++) {
        for (int i = 0; i < STATE; i++) {
            flat[i] = rom_dual(before[i], (k < count && i == places[k]) ? ROM_TINY : ROM_NUM(0.0));
        }
        memset(&found, 0, sizeof found);
        ROM_(cell_step)(model, now, &walls, &after, rom_dual(input[0], (k < count) ? ROM_NUM(0.0) : ROM_TINY), coolant,
                        &found);
        num_t *slope = row + (k + 1) * (STATE + OUT);
        for (int i = 0; i < STATE + OUT; i++) {
            const real_t value = (i < STATE) ? flat[i] : said[i - STATE];
            slope[i] = __imag__ value / ROM_TINY;
            row[i] = __real__ value;
        }
    }
}
#else
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
#endif

#undef CELL_QN
#undef CELL_QP
#undef CELL_Q
