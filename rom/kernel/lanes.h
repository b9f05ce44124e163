/* lanes.h - choosing and looking up, lane by lane. For hosts with vector extensions (gcc, clang). */
#ifndef ROM_LANES_H
#define ROM_LANES_H

#include <stdint.h>

#if defined(ROM_DOUBLE)
typedef int64_t rom_bits_t;
#else
typedef int32_t rom_bits_t;
#endif
typedef rom_bits_t rom_mask_t __attribute__((vector_size(ROM_LANES * sizeof(rom_bits_t)), aligned(sizeof(num_t))));

ROM_INLINE real_t rom_select(rom_mask_t test, real_t a, real_t b)
{
    return (real_t)((test & (rom_mask_t)a) | (~test & (rom_mask_t)b));
}

#endif
