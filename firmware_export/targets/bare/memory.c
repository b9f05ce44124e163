/* memory.c - what compilers call by themselves, for those that come without a C library. */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ size);
void *memset(void *to, int byte, __SIZE_TYPE__ size);

void *memcpy(void *to, const void *from, __SIZE_TYPE__ size)
{
    volatile unsigned char *left = to; /* volatile: no compiler makes a call of memcpy of it */
    const unsigned char *right = from;
    for (__SIZE_TYPE__ i = 0; i < size; i++) {
        left[i] = right[i];
    }
    return to;
}

void *memset(void *to, int byte, __SIZE_TYPE__ size)
{
    volatile unsigned char *left = to;
    for (__SIZE_TYPE__ i = 0; i < size; i++) {
        left[i] = (unsigned char)byte;
    }
    return to;
}

#if defined(__clang__) && defined(__ARM_EABI__)
/* The names that the Arm EABI has for them, by alignment. */
void __aeabi_memcpy(void *to, const void *from, __SIZE_TYPE__ size) { (void)memcpy(to, from, size); }
void __aeabi_memcpy4(void *to, const void *from, __SIZE_TYPE__ size) { (void)memcpy(to, from, size); }
void __aeabi_memcpy8(void *to, const void *from, __SIZE_TYPE__ size) { (void)memcpy(to, from, size); }
void __aeabi_memclr(void *to, __SIZE_TYPE__ size) { (void)memset(to, 0, size); }
void __aeabi_memclr4(void *to, __SIZE_TYPE__ size) { (void)memset(to, 0, size); }
void __aeabi_memclr8(void *to, __SIZE_TYPE__ size) { (void)memset(to, 0, size); }
#endif
