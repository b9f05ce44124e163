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

#if defined(ROM_LANES)
#define OBS_FIXED 0
#define OBS_SHARED 0
#else
#include "fixed.h"

#include "shared.h"

/* The same with fixed gains: P stays what it is. */
static void ROM_(run_fixed)(const num_t *model, num_t *state, const num_t *u, const num_t *z, num_t *out, num_t *past,
                            int sensors, long steps, long cells)
{
    ROM_(state_t) *s = (ROM_(state_t) *)state, *kept = (ROM_(state_t) *)past;
    const ROM_(input_t) *in = (const ROM_(input_t) *)u;
    ROM_(output_t) *result = (ROM_(output_t) *)out, unwanted;
    for (long k = 0; k < steps * cells; k++) {
        ROM_(state_t) *mine = s + k % cells;
        ROM_(fixed_observe)((const ROM_(fixed_t) *)model, mine->x, &mine->soc, in + k, z + k * sensors,
                            result ? result + k : &unwanted);
        if (kept) {
            kept[k] = *mine;
        }
    }
}

/* The same with one covariance of all cells: each state holds a copy. */
static void ROM_(run_shared)(const num_t *model, num_t *state, const num_t *u, const num_t *z, num_t *out, num_t *past,
                             int sensors, long steps, long cells)
{
    const ROM_(model_t) *m = (const ROM_(model_t) *)model;
    ROM_(state_t) *s = (ROM_(state_t) *)state, *kept = (ROM_(state_t) *)past;
    const ROM_(input_t) *in = (const ROM_(input_t) *)u;
    ROM_(output_t) *result = (ROM_(output_t) *)out, unwanted;
    ROM_(gains_t) gains;
    for (long k = 0; k < steps * cells; k++) {
        const long cell = k % cells;
        if (cell == 0) {
            ROM_(observe_first)(m, s->x, s->P, &s->soc, in + k, z + k * sensors, (int)cells, &gains,
                                result ? result + k : &unwanted);
        } else {
            ROM_(observe_other)(m, s[cell].x, &s[cell].soc, in + k, z + k * sensors, &gains,
                                result ? result + k : &unwanted);
            ROM_(take)(s[cell].P, s->P);
        }
        if (kept) {
            kept[k] = s[cell];
        }
    }
}

#define OBS_ENTRY(type, run)                                                                                        \
    {sizeof(type) / sizeof(num_t), ROM_(numbers), sizeof(ROM_(input_t)) / sizeof(real_t),                           \
     sizeof(ROM_(output_t)) / sizeof(real_t), 1, offsetof(type, sensors) / sizeof(num_t),                           \
     offsetof(type, heat.table_last) / sizeof(num_t), run, 0, 0}
static const observer_t ROM_(fixed_entry) = OBS_ENTRY(ROM_(fixed_t), ROM_(run_fixed));
static const observer_t ROM_(shared_entry) = OBS_ENTRY(ROM_(model_t), ROM_(run_shared));
#undef OBS_ENTRY
#define OBS_FIXED &ROM_(fixed_entry)
#define OBS_SHARED &ROM_(shared_entry)
#endif

static const observer_t ROM_(entry) = {
    sizeof(ROM_(model_t)) / sizeof(num_t), ROM_(numbers),
    sizeof(ROM_(input_t)) / sizeof(real_t), sizeof(ROM_(output_t)) / sizeof(real_t), OBS_LANES,
    offsetof(ROM_(model_t), sensors) / sizeof(num_t), offsetof(ROM_(model_t), heat.table_last) / sizeof(num_t), ROM_(run),
    OBS_FIXED, OBS_SHARED};
#undef OBS_FIXED
#undef OBS_SHARED
