/* start.h - what a bare core offers to a program, and what it wants of it. */
#ifndef START_H
#define START_H

/* What runs after reset; what it returns is the exit code of the emulator. */
int main(void);

/* Ends the program, and the emulator with it. */
__attribute__((noreturn)) void finish(int code);

/* Writes a file on the emulator's side: 0, or how many bytes are missing. `length` is that of the name. */
int keep(const char *name, unsigned length, const void *bytes, unsigned size);

#endif
