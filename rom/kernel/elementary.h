/* elementary.h - log, exp and 1/sqrt in + - * / alone, so that they round alike on every machine.
 *
 * No libm: its last digit differs from one library to the next. Arguments are
 * finite and normal, of log and root positive, of exp at most 80 either way.
 * Errors are a few units of the last place.
 */
#ifndef ROM_ELEMENTARY_H
#define ROM_ELEMENTARY_H

#include <stdint.h>

#include "real.h"

#if defined(ROM_DOUBLE)
typedef uint64_t rom_word_t;
#define ROM_MANTISSA 52u
#define ROM_BIAS 1023
#define ROM_TERMS 14       /* of exp */
#define ROM_ROUNDS 4      /* of Newton's, from 3.5 % */
#define ROM_ROOT_SEED 0x5fe6eb50c7b537a9u
#else
typedef uint32_t rom_word_t;
#define ROM_MANTISSA 23u
#define ROM_BIAS 127
#define ROM_TERMS 8
#define ROM_ROUNDS 3
#define ROM_ROOT_SEED 0x5f375a86u
#endif

/* A number and its bits. */
typedef union {
    num_t number;
    rom_word_t word;
} rom_both_t;

/* Bits of a number. */
ROM_INLINE rom_word_t rom_word(num_t x)
{
    const rom_both_t both = {.number = x};
    return both.word;
}

/* Number of bits. */
ROM_INLINE num_t rom_number(rom_word_t word)
{
    const rom_both_t both = {.word = word};
    return both.number;
}

/* log(x) = k ln 2 + 2 atanh(s), s = (m - 1)/(m + 1), m in [0.75, 1.5). */
ROM_INLINE num_t rom_log(num_t x)
{
    const rom_word_t word = rom_word(x), exponent = word >> ROM_MANTISSA;
    const rom_word_t up = (word >> (ROM_MANTISSA - 1u)) & 1u; /* m >= 1.5 counts as 0.75 and up */
    const int k = (int)exponent - ROM_BIAS + (int)up;
    const rom_word_t digits = word & (((rom_word_t)1 << ROM_MANTISSA) - 1u);
    const num_t m = rom_number(digits | (((rom_word_t)ROM_BIAS - up) << ROM_MANTISSA));
    const num_t s = (m - ROM_NUM(1.0)) / (m + ROM_NUM(1.0));
    const num_t square = s * s;
    /* 2/1 + 2/3 s^2 + 2/5 s^4 ..., by pairs: short chains, for one step waits for each */
    const num_t fourth = square * square;
    num_t sum = (ROM_NUM(2.0) + ROM_NUM(6.6666666666666667e-1) * square)
                + fourth * (ROM_NUM(4.0e-1) + ROM_NUM(2.8571428571428571e-1) * square);
    const num_t eighth = fourth * fourth;
#if defined(ROM_DOUBLE)
    sum = sum + eighth * ((ROM_NUM(2.2222222222222222e-1) + ROM_NUM(1.8181818181818182e-1) * square)
                          + fourth * (ROM_NUM(1.5384615384615385e-1) + ROM_NUM(1.3333333333333333e-1) * square)
                          + eighth * ((ROM_NUM(1.1764705882352941e-1) + ROM_NUM(1.0526315789473684e-1) * square)
                                      + fourth * ROM_NUM(9.5238095238095238e-2)));
#else
    sum = sum + eighth * (ROM_NUM(2.2222222222222222e-1) + ROM_NUM(1.8181818181818182e-1) * square);
#endif
    return (num_t)k * ROM_NUM(6.931471805599453e-1) + s * sum;
}

/* exp(x) = 2^k exp(r), |r| <= ln 2 / 2, by Taylor's series. */
ROM_INLINE num_t rom_exp(num_t x)
{
    const num_t turns = x * ROM_NUM(1.4426950408889634);
    const int k = (int)(turns + ((turns < ROM_NUM(0.0)) ? ROM_NUM(-0.5) : ROM_NUM(0.5)));
#if defined(ROM_DOUBLE)
    static const num_t terms[ROM_TERMS] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
                                  1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0,
                                  1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0};
    const num_t r = (x - (num_t)k * 6.93147180369123816490e-01) - (num_t)k * 1.90821492927058770002e-10;
#else
    static const num_t terms[ROM_TERMS] = {1.0f / 5040.0f, 1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f,
                                  1.0f, 1.0f};
    const num_t r = (x - (num_t)k * 0.693359375f) - (num_t)k * -2.12194440e-4f;
#endif
    num_t sum = terms[0];
    ROM_FOR
    for (int i = 1; i < ROM_TERMS; i++) {
        sum = sum * r + terms[i];
    }
    const int exponent = k + ROM_BIAS;
    return sum * rom_number((rom_word_t)exponent << ROM_MANTISSA);
}

/* 1/sqrt(x): Newton's iteration from a guess on the bits. */
ROM_INLINE num_t rom_root(num_t x)
{
    num_t y = rom_number((rom_word_t)ROM_ROOT_SEED - (rom_word(x) >> 1));
    ROM_FOR
    for (int i = 0; i < ROM_ROUNDS; i++) {
        y = y * (ROM_NUM(1.5) - ROM_NUM(0.5) * x * y * y);
    }
    return y;
}

#endif
