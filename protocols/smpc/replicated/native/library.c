/* Which library this is, and for which processor it runs. */
#include "ring.h"

EXPORT int ring_abi(void) { return RING_ABI; }

EXPORT int ring_level(void) {
#ifdef RING_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return RING_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return RING_AVX2;
#endif
    return RING_PLAIN;
}
