/* kernels.h - what the builds of host.h offer to a desk. */
#ifndef BMSTHERMAL_KERNELS_H
#define BMSTHERMAL_KERNELS_H

/* Sizes count numbers of one cell. States lie in blocks of `lanes` cells: state[block][number][lane]. */
#define OBS_KERNEL_OF(type, name)                                                                            \
    typedef struct name {                                                                                    \
        int model;                         /* numbers of a model, and of the state that goes with it */      \
        int (*state)(const type *model);                                                                     \
        int input, output, lanes;                                                                            \
        int sensors_at, table_last_at; /* places in a model of what bounds a loop or a table */              \
        void (*run)(const type *model, type *state, const type *u, const type *z, type *out, type *past,     \
                    int sensors, long steps, long cells);                                                    \
        const struct name *fixed, *shared; /* the same with fixed gains, and with one covariance of all cells */ \
    } name

OBS_KERNEL_OF(double, observer_f64_t);
OBS_KERNEL_OF(float, observer_f32_t);

/* The filter of observer.h, for n states and w walls, or NULL: not built for that size, or not for this processor. */
const observer_f64_t *observer_f64(int n, int w);
const observer_f32_t *observer_f32(int n, int w);
const observer_f64_t *observer_avx2_f64(int n, int w);
const observer_f32_t *observer_avx2_f32(int n, int w);
const observer_f64_t *observer_avx512_f64(int n, int w);
const observer_f32_t *observer_avx512_f32(int n, int w);

/* That of joint.h, for n temperatures: the model says what is beside them. */
const observer_f64_t *joint_f64(int n, int w);
const observer_f32_t *joint_f32(int n, int w);

#endif
