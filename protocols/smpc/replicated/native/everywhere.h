/* One exported function from one piece of work that is compiled for every sort of processor there is code for. */
#ifndef RING_EVERYWHERE_H
#define RING_EVERYWHERE_H

#include "ring.h"

typedef uint64_t u64;
typedef int64_t i64;

/* name_work is an INLINE function whose first parameter is `int level`. */
#ifdef RING_X86
#define EVERYWHERE(name, params, args)                                                                                 \
    static void name##_plain params { name##_work args; }                                                              \
    FOR_AVX2 static void name##_avx2 params { name##_work args; }                                                      \
    FOR_AVX512 static void name##_avx512 params { name##_work args; }                                                  \
    EXPORT void ring_##name params {                                                                                   \
        if (level >= RING_AVX512) name##_avx512 args;                                                                  \
        else if (level >= RING_AVX2) name##_avx2 args;                                                                 \
        else name##_plain args;                                                                                        \
    }
#else
#define EVERYWHERE(name, params, args)                                                                                 \
    EXPORT void ring_##name params { name##_work args; }
#endif

#endif
