/* start.c - a core from reset to main, and what it needs of a debugger or an emulator: files and an end.
 *
 * Armv6-M to Armv8.1-M, and RV32. Elsewhere there is no start: a test calls the functions that it wants.
 */
#include "start.h"

extern unsigned char stack_top[];
extern unsigned data_start[], data_end[], data_image[], bss_start[], bss_end[];

#if defined(__ARM_ARCH_PROFILE) && (__ARM_ARCH_PROFILE == 'M')
void _start(void);

/* What the core reads at reset: its stack, and where to begin; then its faults, which end the program. */
static void fault(void)
{
    finish(3);
}

typedef struct {
    void *stack;
    void (*handlers[15])(void);
} vectors_t;

__attribute__((section(".vectors"), used)) const vectors_t vectors = {
    stack_top, {_start, fault, fault, fault, fault, fault}
};

static int trap(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void prepare(void)
{
#if defined(__ARM_FP)
    *(volatile unsigned *)0xe000ed88u |= 0xfu << 20; /* the floating point unit, for everyone */
    __asm__ volatile("dsb\n\tisb");
#endif
}
#elif defined(__riscv)
static int trap(int operation, const void *argument)
{
    register int a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".balign 16\n\t.option push\n\t.option norvc\n\t"
                     "slli zero, zero, 0x1f\n\tebreak\n\tsrai zero, zero, 7\n\t.option pop"
                     : "+r"(a0) : "r"(a1) : "memory");
    return a0;
}

static void prepare(void)
{
    __asm__ volatile("csrs mstatus, %0" : : "r"(1u << 13)); /* the floating point unit */
}

__attribute__((naked, section(".vectors"), used)) void _start(void);
void _start(void)
{
    __asm__ volatile("la sp, stack_top\n\tj begin");
}
#else
static int trap(int operation, const void *argument)
{
    (void)operation;
    (void)argument;
    return -1;
}

static void prepare(void)
{
}
#endif

__attribute__((used, noreturn)) void begin(void);
void begin(void)
{
    prepare();
    for (unsigned *to = data_start, *from = data_image; to < data_end; to++, from++) {
        *to = *from;
    }
    for (unsigned *to = bss_start; to < bss_end; to++) {
        *to = 0u;
    }
    finish(main());
}

#if !defined(__riscv)
void _start(void)
{
    begin();
}
#endif

void finish(int code)
{
    const unsigned why[2] = {0x20026u, (unsigned)code}; /* the application ended */
    for (;;) {
        (void)trap(0x20, why);
    }
}

int create(const char *name, unsigned length)
{
    const struct { const char *name; unsigned mode, length; } file = {name, 5u, length}; /* "wb" */
    return trap(0x01, &file);
}

int append(int file, const void *bytes, unsigned size)
{
    const struct { int file; const void *bytes; unsigned size; } text = {file, bytes, size};
    return trap(0x05, &text);
}
