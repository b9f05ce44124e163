/* lanes.h - choosing and looking up, lane by lane. For hosts with vector extensions (gcc, clang). */
#ifndef ROM_LANES_H
#define ROM_LANES_H

#include <stdint.h>

#if defined(ROM_DOUBLE)
typedef int64_t rom_bits_t;
#else
typedef int32_t rom_bits_t;
#endif
typedef rom_bits_t rom_test_t __attribute__((vector_size(ROM_LANES * sizeof(rom_bits_t)), aligned(sizeof(num_t))));
typedef int32_t rom_index_t __attribute__((vector_size(ROM_LANES * sizeof(int32_t))));

ROM_INLINE real_t rom_select(rom_test_t test, real_t a, real_t b)
{
    return (real_t)((test & (rom_test_t)a) | (~test & (rom_test_t)b));
}

/* Each lane from its own place in a table. */
ROM_INLINE real_t rom_at(const num_t *table, rom_index_t i)
{
    real_t row = {0};
    ROM_FOR
    for (int lane = 0; lane < ROM_LANES; lane++) {
        row[lane] = table[i[lane]];
    }
    return row;
}

/* Numbers that lie `stride` apart, side by side; lanes from `width` on repeat the first one. */
ROM_INLINE real_t rom_beside(const num_t *first, long stride, int width)
{
    real_t row = {0};
    ROM_FOR
    for (int lane = 0; lane < ROM_LANES; lane++) {
        row[lane] = first[(lane < width) ? lane * stride : 0];
    }
    return row;
}

#endif
