/* real.h - what a number is.
 *
 * num_t   a constant of the model
 * real_t  a value of one cell; with ROM_LANES, of that many cells side by side; with ROM_DUAL, a value and its slope
 *
 * The kernel text is written in + - * / and the macros below, so that the same
 * text steps one cell on a target and several at once on a desk, with the same
 * rounding in every lane. Build with -ffp-contract=off: fused multiply-adds
 * round differently on different machines.
 */
#ifndef ROM_REAL_H
#define ROM_REAL_H

#include <stdbool.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && (__FINITE_MATH_ONLY__ > 0))
#error "bmsthermal: -ffast-math breaks NaN handling and equality between machines; build without it"
#endif

#if defined(ROM_DOUBLE)
typedef double num_t;
#define ROM_NUM(x) (x)
#else
typedef float num_t;
#define ROM_NUM(x) (x##f)
#endif

#if defined(ROM_LANES)
typedef num_t real_t __attribute__((vector_size(ROM_LANES * sizeof(num_t)), aligned(sizeof(num_t))));
#define ROM_EACH(x) ((x) - (real_t){0})
#define ROM_SELECT(test, a, b) rom_select((test), (a), (b))
#define ROM_INDEX(x) __builtin_convertvector((x), rom_index_t)
#define ROM_REAL(i) __builtin_convertvector((i), real_t)
#define ROM_AT(table, i) rom_at((table), (i))
#elif defined(ROM_DUAL)
typedef double _Complex real_t; /* the slope is the imaginary part, so small that its square is nothing */
typedef bool rom_test_t;
typedef int rom_index_t;
#define ROM_EACH(x) (x)
#define ROM_SELECT(test, a, b) ((test) ? (a) : (b))
#define ROM_PART(x) (__real__(x))
#define ROM_OVER(a, b) rom_over((a), (b))
#define ROM_INDEX(x) ((rom_index_t)ROM_PART(x))
#define ROM_REAL(i) ((num_t)(i))
#define ROM_AT(table, i) ((table)[i])
#else
typedef num_t real_t;
typedef bool rom_test_t; /* of a comparison */
typedef int rom_index_t; /* into a table */
#define ROM_EACH(x) (x)
#define ROM_SELECT(test, a, b) ((test) ? (a) : (b))
#define ROM_INDEX(x) ((rom_index_t)(x))
#define ROM_REAL(i) ((real_t)(i))
#define ROM_AT(table, i) ((table)[i])
#endif

/* Of two comparisons. Both are made, and none is branched on: unordered or not, a step is the same instructions. */
#if defined(ROM_LANES)
#define ROM_BOTH(a, b) ((a) & (b))
#define ROM_EITHER(a, b) ((a) | (b))
#else
#define ROM_BOTH(a, b) (((unsigned)(a) & (unsigned)(b)) != 0u)
#define ROM_EITHER(a, b) (((unsigned)(a) | (unsigned)(b)) != 0u)
#endif

/* What a comparison sees of a value, and a quotient of values. */
#if !defined(ROM_DUAL)
#define ROM_PART(x) (x)
#define ROM_OVER(a, b) ((a) / (b))
#endif

/* Neither NaN nor infinite nor absurd: a comparison with NaN fails, and of the square one does for both signs. */
#define ROM_HUGE ROM_NUM(1.0e6)
#define ROM_PRESENT(x) ((x) * (x) < ROM_HUGE * ROM_HUGE)

/* A host may insist that everything ends up in one function. */
#if !defined(ROM_INLINE)
#define ROM_INLINE static inline
#endif

/* Loops have constant bounds on a target; unrolled there, the step has no way back. */
#if defined(ROM_UNROLL)
#define ROM_FOR _Pragma("GCC unroll 16")
#else
#define ROM_FOR
#endif

#endif
