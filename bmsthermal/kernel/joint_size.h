/* joint_size.h - one thermal size of the joint filter (ROM_N modes, ROM_W walls) and its loops over steps and cells. */
#include "step.h"

#include "heat.h"

#include "observer.h"

#include "voltage.h"

#include "faults.h"

#include "joint.h"

static int ROM_(numbers)(const num_t *model)
{
    const ROM_(joint_t) *j = (const ROM_(joint_t) *)model;
    const ROM_(model_t) *m = &j->cell;
    const int n = JNT_N;
    return n * (n + 1) / 2 + 2 * n + JNT_VOLTAGE * VLT_ROW + (JNT_WATCH ? FLT_NUMBERS(OBS_M) : 0)
           + (int)(sizeof(ROM_(tally_t)) / sizeof(real_t));
}

/* Rows: u, out and past [steps][cells], z [steps][cells][sensors]; out and past may be NULL. */
static void ROM_(run)(const num_t *model, num_t *state, const num_t *u, const num_t *z, num_t *out, num_t *past,
                      int sensors, long steps, long cells)
{
    enum { INPUT = sizeof(ROM_(input_t)) / sizeof(real_t), OUTPUT = sizeof(ROM_(output_t)) / sizeof(real_t) };
    const ROM_(joint_t) *j = (const ROM_(joint_t) *)model;
    const ROM_(model_t) *m = &j->cell;
    const int n = JNT_N, size = ROM_(numbers)(model);
    for (long k = 0; k < steps; k++) {
        for (long cell = k * cells; cell < (k + 1) * cells; cell++) {
            num_t *x = state + (cell - k * cells) * size, *ud = x + 2 * n, *volts = ud + n * (n + 1) / 2;
            num_t *watch = volts + JNT_VOLTAGE * VLT_ROW;
            ROM_(tally_t) *tally = (ROM_(tally_t) *)(watch + (JNT_WATCH ? FLT_NUMBERS(OBS_M) : 0));
            ROM_(output_t) result = {0}; /* a sensor that is not fitted stays 0 */
            ROM_(joint_observe)(j, x, x + n, ud, volts, tally, watch, (const ROM_(input_t) *)(u + cell * INPUT),
                                z + cell * sensors, &result);
            for (int i = 0; out && i < OUTPUT; i++) {
                out[cell * OUTPUT + i] = ((const num_t *)&result)[i];
            }
            for (int i = 0; past && i < size; i++) {
                past[cell * size + i] = x[i];
            }
        }
    }
}

static const observer_t ROM_(entry) = {
    sizeof(ROM_(joint_t)) / sizeof(num_t), ROM_(numbers), sizeof(ROM_(input_t)) / sizeof(real_t),
    sizeof(ROM_(output_t)) / sizeof(real_t), 1, offsetof(ROM_(joint_t), cell.sensors) / sizeof(num_t),
    offsetof(ROM_(joint_t), cell.heat.table_last) / sizeof(num_t), ROM_(run), 0, 0};
