/* start.h - what a bare core offers to a program, and what it wants of it. */
#ifndef START_H
#define START_H

/* What runs after reset; what it returns is the exit code of the emulator. */
int main(void);

/* Ends the program, and the emulator with it. */
__attribute__((noreturn)) void finish(int code);

/* A new file on the emulator's side, or -1. `length` is that of its name. */
int create(const char *name, unsigned length);

/* Writes to the end of it: 0, or how many bytes are missing. */
int append(int file, const void *bytes, unsigned size);

#endif
