/* step_size.h - one size of the step (ROM_N modes) and its loop over steps and cells. */
#include "step.h"

static void ROM_(open_walls)(const void *model, const void *g, void *walls)
{
    ROM_(open)(model, g, walls);
}

static void ROM_(run)(const void *model, const void *walls, void *x, const void *u, void *past, long steps, long cells)
{
    const num_t *input = u;
    num_t *states = past;
    for (long k = 0; k < steps; k++) {
        num_t *mine = x;
        for (long cell = 0; cell < cells; cell++) {
            ROM_(drive)(model, mine, input);
            ROM_(exchange)(model, walls, mine, input + ROM_U);
            if (states) {
                for (int i = 0; i < ROM_N; i++) {
                    states[i] = mine[i];
                }
                states += ROM_N;
            }
            input += ROM_U + ROM_W;
            mine += ROM_N;
        }
    }
}

static const step_kernel_t ROM_(kernel) = {ROM_(open_walls), ROM_(run)};

#undef ROM_N
