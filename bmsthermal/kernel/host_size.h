/* host_size.h - one size of the observer (ROM_N modes, ROM_W walls) and its loops over steps and cells. */
#include "step.h"

#include "heat.h"

#include "observer.h"

static int ROM_(numbers)(const num_t *model)
{
    (void)model;
    return sizeof(ROM_(state_t)) / sizeof(real_t);
}

/* Rows: u, out and past [steps][cells], z [steps][cells][sensors]; out and past may be NULL. */
OBS_CLONES static void ROM_(run)(const num_t *model, num_t *state, const num_t *u, const num_t *z, num_t *out,
                                 num_t *past, int sensors, long steps, long cells)
{
    enum {
        STATE = sizeof(ROM_(state_t)) / sizeof(real_t),
        INPUT = sizeof(ROM_(input_t)) / sizeof(real_t),
        OUTPUT = sizeof(ROM_(output_t)) / sizeof(real_t)
    };
    const ROM_(model_t) *m = (const ROM_(model_t) *)model;
#if defined(ROM_LANES)
    ROM_(input_t) in;
    ROM_(output_t) result = {{0}, {{0}}, {{0}}}; /* a sensor that is not fitted stays 0 */
    real_t measured[OBS_M_MAX], *input = (real_t *)&in;
    const num_t *answer = (const num_t *)&result;
    for (long k = 0; k < steps; k++) {
        for (long block = 0; block < cells; block += ROM_LANES) {
            ROM_(state_t) *s = (ROM_(state_t) *)(state + block * STATE);
            const num_t *flat = (const num_t *)s;
            const int width = (cells - block < ROM_LANES) ? (int)(cells - block) : ROM_LANES;
            const long first = k * cells + block;
            ROM_FOR
            for (int i = 0; i < INPUT; i++) {
                input[i] = rom_beside(u + first * INPUT + i, INPUT, width);
            }
            for (int i = 0; i < sensors; i++) {
                measured[i] = rom_beside(z + first * sensors + i, sensors, width);
            }
            ROM_(observe)(m, s->x, s->P, &s->soc, &in, measured, &result);
            for (int lane = 0; lane < width; lane++) {
                const long cell = first + lane;
                for (int i = 0; out && i < OUTPUT; i++) {
                    out[cell * OUTPUT + i] = answer[i * ROM_LANES + lane];
                }
                for (int i = 0; past && i < STATE; i++) {
                    past[cell * STATE + i] = flat[i * ROM_LANES + lane];
                }
            }
        }
    }
#else
    ROM_(output_t) unwanted;
    for (long k = 0; k < steps; k++) {
        for (long cell = k * cells; cell < (k + 1) * cells; cell++) {
            num_t *mine = state + (cell - k * cells) * STATE;
            ROM_(output_t) *result = out ? (ROM_(output_t) *)(out + cell * OUTPUT) : &unwanted;
            ROM_(state_t) *s = (ROM_(state_t) *)mine;
            ROM_(observe)(m, s->x, s->P, &s->soc, (const ROM_(input_t) *)(u + cell * INPUT), z + cell * sensors,
                          result);
            for (int i = 0; past && i < STATE; i++) {
                past[cell * STATE + i] = mine[i];
            }
        }
    }
#endif
}

static const observer_t ROM_(entry) = {
    sizeof(ROM_(model_t)) / sizeof(num_t), ROM_(numbers),
    sizeof(ROM_(input_t)) / sizeof(real_t), sizeof(ROM_(output_t)) / sizeof(real_t), OBS_LANES,
    offsetof(ROM_(model_t), sensors) / sizeof(num_t), offsetof(ROM_(model_t), heat.table_last) / sizeof(num_t), ROM_(run)};
