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

/* One vector of one row: four products of pairs, split as above. In assembly because compilers copy registers here, and
   six instructions a cycle are as tight a limit as the four vector units. */
#define WORDS_AVX2(place, low, mixed)                                                                                  \
    "vpaddq 32*" #place "(%[panel],%[at],8), %[second], %[y]\n\t"                                                      \
    "vpaddq 64+32*" #place "(%[panel],%[at],8), %[first], %[x]\n\t"                                                    \
    "vpshufd $0xB1, %[y], %[turned]\n\t" /* upper and lower halves change places */                                    \
    "vpmuludq %[x], %[y], %[y]\n\t"                                                                                    \
    "vpmulld %[x], %[turned], %[turned]\n\t"                                                                           \
    "vpaddq %[y], %[" #low "], %[" #low "]\n\t"                                                                        \
    "vpaddd %[turned], %[" #mixed "], %[" #mixed "]\n\t"

#define ROW_AVX2(row, low0, mixed0, low1, mixed1)                                                                      \
    "vpbroadcastq (%[" #row "],%[at]), %[first]\n\t"                                                                   \
    "vpbroadcastq 8(%[" #row "],%[at]), %[second]\n\t"                                                                 \
    WORDS_AVX2(0, low0, mixed0) WORDS_AVX2(1, low1, mixed1)

FOR_AVX2 INLINE __m256i folded_avx2(__m256i low, __m256i mixed) {
    mixed = _mm256_add_epi32(mixed, _mm256_srli_epi64(mixed, 32));
    return _mm256_add_epi64(low, _mm256_slli_epi64(mixed, 32));
}

FOR_AVX2 static void tile64_avx2(ptrdiff_t pairs, const uint64_t *const *rows, const uint64_t *panel, uint64_t *tile) {
    __m256i low[4], mixed[4], first, second, x, y, turned;
    for (int i = 0; i < 4; i++) low[i] = mixed[i] = _mm256_setzero_si256();
    ptrdiff_t at = -16 * pairs; /* bytes of a row that are left, negative */
    __asm__("test %[at], %[at]\n\t"
            "jz 2f\n\t"
            ".p2align 5\n"
            "1:\n\t"
            ROW_AVX2(above, low0, mixed0, low1, mixed1)
            ROW_AVX2(below, low2, mixed2, low3, mixed3)
            "add $16, %[at]\n\t"
            "jnz 1b\n"
            "2:"
            : [at] "+r"(at), [low0] "+x"(low[0]), [low1] "+x"(low[1]), [low2] "+x"(low[2]), [low3] "+x"(low[3]),
              [mixed0] "+x"(mixed[0]), [mixed1] "+x"(mixed[1]), [mixed2] "+x"(mixed[2]), [mixed3] "+x"(mixed[3]),
              [first] "=&x"(first), [second] "=&x"(second), [x] "=&x"(x), [y] "=&x"(y), [turned] "=&x"(turned)
            : [above] "r"(rows[0] + 2 * pairs), [below] "r"(rows[1] + 2 * pairs), [panel] "r"(panel + 16 * pairs)
            : "cc", "memory");
    for (int i = 0; i < 4; i++) _mm256_storeu_si256((__m256i *)(tile + 4 * i), folded_avx2(low[i], mixed[i]));
}
#endif

#endif
