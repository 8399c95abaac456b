/* Linear algebra modulo 2**64 and modulo 2**32. */
#include "ring.h"

#include "tiles.h"

#include "narrow_avx2.h"

#define PASTED(name, bits) name##bits
#define PASTE(name, bits) PASTED(name, bits)
#define NAMED(name) PASTE(name, BITS)

#define BITS 64
#define WORD uint64_t
#define TILE_PLAIN tile64_plain
#define NR_PLAIN 4
#define TILE_AVX2 tile64_avx2
#define MR_AVX2 2
#define NR_AVX2 8
#define DOTS_AVX2 dots64_avx2
#define SWEEP_AVX2 sweep64_avx2
#define TILE_AVX512 tile64_avx512
#define NR_AVX512 16
#include "levels.h"

#include "matmul.h"

#include "convolve.h"

#undef BITS
#undef WORD
#undef TILE_PLAIN
#undef NR_PLAIN
#undef TILE_AVX2
#undef MR_AVX2
#undef NR_AVX2
#undef DOTS_AVX2
#undef SWEEP_AVX2
#undef TILE_AVX512
#undef NR_AVX512

#define BITS 32
#define WORD uint32_t
#define TILE_PLAIN tile32_plain
#define NR_PLAIN 8
#define TILE_AVX2 tile32_avx2
#define MR_AVX2 3
#define NR_AVX2 16
#define TILE_AVX512 tile32_avx512
#define NR_AVX512 32
#include "levels.h"

#include "matmul.h"

#include "convolve.h"
