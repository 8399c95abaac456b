/* What every file of the library shares: what is exported, and for which processors there is code. */
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RING_ABI 3 /* raised with every change of an exported signature, here and in library.py */

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#define RING_X86 1
#define FOR_AVX2 __attribute__((target("avx2,bmi2")))
#define FOR_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,bmi2")))
#endif

/* What this processor can do. Python asks once and hands the answer to every function that has a choice, so that a test
   can ask for less. */
enum { RING_PLAIN = 0, RING_AVX2 = 1, RING_AVX512 = 2 };

#endif
