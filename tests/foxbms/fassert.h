/* Stand-in of foxBMS 2's header. */
#ifndef FASSERT_H_
#define FASSERT_H_

extern void fas_failed(void);

#define FAS_ASSERT(x)     \
    do {                  \
        if (!(x)) {       \
            fas_failed(); \
        }                 \
    } while (0)
#define FAS_STATIC_ASSERT(cond, msg) _Static_assert(cond, msg)

#endif
