/* vectors.h - whether this compiler can build for vector registers that the processor may turn out to have. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define OBS_VECTORS
#endif
