/* dual.h - quotients, log and 1/sqrt of a value with its slope (ROM_DUAL). For hosts with complex numbers (gcc, clang).
 *
 * The slope is an imaginary part of some 1e-30 (Squire & Trapp 1998): products carry it by themselves, built with
 * -fcx-limited-range. Values are those of the plain build to the last bit, but that an exact 0 may be a 1e-60.
 */
#ifndef ROM_DUAL_H
#define ROM_DUAL_H

#include "elementary.h"

#if !defined(ROM_DOUBLE)
#error "bmsthermal: ROM_DUAL goes with ROM_DOUBLE, for a float holds no slope so small"
#endif

/* Length of the slope's unit. */
#define ROM_TINY ROM_NUM(0x1p-100)

ROM_INLINE real_t rom_dual(num_t value, num_t slope)
{
    real_t made;
    __real__ made = value;
    __imag__ made = slope;
    return made;
}

ROM_INLINE real_t rom_over(real_t a, real_t b)
{
    const num_t value = __real__ a / __real__ b;
    return rom_dual(value, (__imag__ a - value * __imag__ b) / __real__ b);
}

ROM_INLINE real_t rom_dual_log(real_t x)
{
    return rom_dual(rom_log(__real__ x), __imag__ x / __real__ x);
}

ROM_INLINE real_t rom_dual_root(real_t x)
{
    const num_t root = rom_root(__real__ x);
    return rom_dual(root, ROM_NUM(-0.5) * root * root * root * __imag__ x);
}

/* the text calls these by their plain names */
#define rom_log rom_dual_log
#define rom_root rom_dual_root

#endif
