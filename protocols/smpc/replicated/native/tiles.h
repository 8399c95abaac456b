/* The innermost loops: a tile of MR x NR sums of products, for each processor and each size of word.

   They compute sums of (a1 + b2) (a2 + b1), where a1 and a2 are neighbours in a row on the left and b1 and b2 in a column
   on the right. That is a1 b1 + a2 b2 + a1 a2 + b1 b2, and the last two belong to a row and to a column alone, so they
   are worked out once for all tiles: half as many multiplications for the price of additions (Winograd 1968, A new
   algorithm for inner product; exact in any commutative ring). AVX2 has no product of 64-bit words. The lower halves'
   product counts whole (vpmuludq) and the two mixed ones count modulo 2**32 (vpmulld of one factor with the other's
   halves swapped), so the mixed ones are added up as 32-bit lanes, and shifted to their place at the very end. That is
   seven instructions for eight products; a core of 3 GHz that starts four a cycle was measured at 13 thousand million
   products a second, and at 10 without Winograd's pairs.

   rows: MR pointers to rows on the left. panel: for each pair, NR values b1 and then NR values b2. tile: (MR, NR), set. */
#ifndef TILES_H
#define TILES_H

#include "ring.h"

#ifdef RING_X86
#include <immintrin.h>
#endif

#define UNROLLED _Pragma("GCC unroll 16")
/* GCC 12's -O3 moves each sum to another register and back; -O2 leaves the loop as it is written. */
#if defined(__GNUC__) && !defined(__clang__)
#define AS_WRITTEN __attribute__((optimize("O2"), noinline))
#else
#define AS_WRITTEN __attribute__((noinline))
#endif

/* Where the processor multiplies whole words. MR rows by COUNT vectors of LANES words. */
#define DEFINE_TILE(NAME, FOR, WORD, LANES, MR, COUNT)                                                                 \
    FOR AS_WRITTEN static void NAME(ptrdiff_t pairs, const WORD *const *rows, const WORD *panel, WORD *tile) {         \
        typedef WORD Vector __attribute__((vector_size(LANES * sizeof(WORD)), aligned(sizeof(WORD)), may_alias));      \
        Vector sums[MR][COUNT];                                                                                        \
        UNROLLED for (int row = 0; row < MR; row++)                                                                    \
            UNROLLED for (int place = 0; place < COUNT; place++) sums[row][place] = (Vector){0};                       \
        for (ptrdiff_t pair = 0; pair < pairs; pair++, panel += 2 * LANES * COUNT) {                                   \
            UNROLLED for (int row = 0; row < MR; row++) {                                                              \
                WORD first = rows[row][2 * pair], second = rows[row][2 * pair + 1];                                    \
                UNROLLED for (int place = 0; place < COUNT; place++) {                                                 \
                    Vector one = *(const Vector *)(panel + LANES * place);                                             \
                    Vector two = *(const Vector *)(panel + LANES * (COUNT + place));                                   \
                    sums[row][place] += (first + two) * (second + one);                                                \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        for (int row = 0; row < MR; row++)                                                                             \
            for (int place = 0; place < COUNT; place++)                                                                \
                *(Vector *)(tile + LANES * (COUNT * row + place)) = sums[row][place];                                  \
    }

DEFINE_TILE(tile64_plain, , uint64_t, 2, 2, 2)
DEFINE_TILE(tile32_plain, , uint32_t, 4, 2, 2)

#ifdef RING_X86
DEFINE_TILE(tile32_avx2, FOR_AVX2, uint32_t, 8, 3, 2)
DEFINE_TILE(tile64_avx512, FOR_AVX512, uint64_t, 8, 4, 2)
DEFINE_TILE(tile32_avx512, FOR_AVX512, uint32_t, 16, 4, 2)

FOR_AVX2 AS_WRITTEN static void tile64_avx2(ptrdiff_t pairs, const uint64_t *const *rows, const uint64_t *panel,
                                            uint64_t *tile) {
    enum { MR = 2, COUNT = 2, LANES = 4 };
    __m256i low[MR][COUNT], mixed[MR][COUNT];
    UNROLLED for (int row = 0; row < MR; row++)
        UNROLLED for (int place = 0; place < COUNT; place++) low[row][place] = mixed[row][place] = _mm256_setzero_si256();
    for (ptrdiff_t pair = 0; pair < pairs; pair++, panel += 2 * LANES * COUNT) {
        UNROLLED for (int row = 0; row < MR; row++) {
            __m256i first = _mm256_set1_epi64x((long long)rows[row][2 * pair]);
            __m256i second = _mm256_set1_epi64x((long long)rows[row][2 * pair + 1]);
            UNROLLED for (int place = 0; place < COUNT; place++) {
                const __m256i *one = (const __m256i *)(panel + LANES * place), *two = one + COUNT;
                __m256i x = _mm256_add_epi64(first, _mm256_loadu_si256(two));
                __m256i y = _mm256_add_epi64(second, _mm256_loadu_si256(one));
                low[row][place] = _mm256_add_epi64(low[row][place], _mm256_mul_epu32(x, y));
                y = _mm256_shuffle_epi32(y, 0xB1); /* upper and lower halves change places */
                mixed[row][place] = _mm256_add_epi32(mixed[row][place], _mm256_mullo_epi32(x, y));
            }
        }
    }
    for (int row = 0; row < MR; row++)
        for (int place = 0; place < COUNT; place++) {
            __m256i both = mixed[row][place];
            both = _mm256_slli_epi64(_mm256_add_epi32(both, _mm256_srli_epi64(both, 32)), 32);
            _mm256_storeu_si256((__m256i *)(tile + LANES * (COUNT * row + place)), _mm256_add_epi64(low[row][place], both));
        }
}
#endif

#endif
