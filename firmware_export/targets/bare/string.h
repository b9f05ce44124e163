/* string.h - for compilers that come without a C library. */
#ifndef BARE_STRING_H
#define BARE_STRING_H

void *memcpy(void *to, const void *from, __SIZE_TYPE__ size);
void *memset(void *to, int byte, __SIZE_TYPE__ size);

#endif
