/* uds.h - what the builds of ud_host.h offer: numbers are double in one of them and float in the other. */
#ifndef ROM_UDS_H
#define ROM_UDS_H

/* The most states that they take, and one column of noise more. */
enum { UDS_ROOM = 48 };

typedef struct {
    void (*predict)(int n, int g, void *ud, const void *F, const void *G, const void *q);
    double (*measure)(int n, void *ud, const void *row, double variance, double weight, void *gain);
    void (*inflate)(int n, void *ud, const void *vector, double weight);
    double (*variance)(int n, const void *ud, int state);
    double (*spread)(int n, const void *ud, const void *row);
    void (*add)(int n, void *x, void *carry, const void *dx, long steps); /* dx[steps][n] */
} ud_kernel_t;

extern const ud_kernel_t ud_f64, ud_f32;

#endif
