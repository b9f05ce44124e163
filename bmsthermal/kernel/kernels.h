/* kernels.h - what the builds of host.h offer. Sizes are in numbers, of one cell. */
#ifndef BMSTHERMAL_KERNELS_H
#define BMSTHERMAL_KERNELS_H

#define OBS_KERNEL_OF(type, name)                                                                            \
    typedef struct {                                                                                         \
        int model, state, input, output;                                                                     \
        void (*run)(const type *model, type *state, const type *u, const type *z, type *out, type *past,     \
                    int sensors, long steps, long cells);                                                    \
    } name

OBS_KERNEL_OF(double, observer_f64_t);
OBS_KERNEL_OF(float, observer_f32_t);

const observer_f64_t *observer_f64(int n, int w);
const observer_f32_t *observer_f32(int n, int w);
const observer_f64_t *observer_lanes_f64(int n, int w);
const observer_f32_t *observer_lanes_f32(int n, int w);

#endif
