"""Where a bundle runs beside this machine: cores, the compilers for them, their emulators, and equality to the bit."""
