/* The loops of product.h and narrow.h for one size of word, compiled for each processor, and the choice between them.
   Included by linear.c, twice. */

#include "product.h"

#include "narrow.h"

static void NAMED(dots_plain)(int vectors, ptrdiff_t count, const WORD *row, const WORD *x, ptrdiff_t stride, WORD *sums) {
    NAMED(dots)(vectors, count, row, x, stride, sums);
}
static void NAMED(sweep_plain)(int rows, ptrdiff_t count, const WORD *factors, const WORD *const *from, WORD *out) {
    NAMED(sweep)(rows, count, factors, from, out);
}
static int NAMED(product_plain)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, NAMED(Left) left, NAMED(Right) right,
                                NAMED(Result) result) {
    return NAMED(product)(2, NR_PLAIN, TILE_PLAIN, m, n, k, left, right, result);
}

#ifdef RING_X86
#ifndef DOTS_AVX2
#define DOTS_AVX2 NAMED(dots_avx2)
#define SWEEP_AVX2 NAMED(sweep_avx2)
FOR_AVX2 static void DOTS_AVX2(int vectors, ptrdiff_t count, const WORD *row, const WORD *x, ptrdiff_t stride, WORD *sums) {
    NAMED(dots)(vectors, count, row, x, stride, sums);
}
FOR_AVX2 static void SWEEP_AVX2(int rows, ptrdiff_t count, const WORD *factors, const WORD *const *from, WORD *out) {
    NAMED(sweep)(rows, count, factors, from, out);
}
#endif
FOR_AVX2 static int NAMED(product_avx2)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, NAMED(Left) left, NAMED(Right) right,
                                        NAMED(Result) result) {
    return NAMED(product)(MR_AVX2, NR_AVX2, TILE_AVX2, m, n, k, left, right, result);
}
FOR_AVX512 static void NAMED(dots_avx512)(int vectors, ptrdiff_t count, const WORD *row, const WORD *x, ptrdiff_t stride,
                                          WORD *sums) {
    NAMED(dots)(vectors, count, row, x, stride, sums);
}
FOR_AVX512 static void NAMED(sweep_avx512)(int rows, ptrdiff_t count, const WORD *factors, const WORD *const *from,
                                           WORD *out) {
    NAMED(sweep)(rows, count, factors, from, out);
}
FOR_AVX512 static int NAMED(product_avx512)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, NAMED(Left) left, NAMED(Right) right,
                                            NAMED(Result) result) {
    return NAMED(product)(4, NR_AVX512, TILE_AVX512, m, n, k, left, right, result);
}
#endif

static NAMED(Dots) NAMED(dots_at)(int level) {
#ifdef RING_X86
    if (level >= RING_AVX512) return NAMED(dots_avx512);
    if (level >= RING_AVX2) return DOTS_AVX2;
#endif
    return (void)level, NAMED(dots_plain);
}

static NAMED(Sweep) NAMED(sweep_at)(int level) {
#ifdef RING_X86
    if (level >= RING_AVX512) return NAMED(sweep_avx512);
    if (level >= RING_AVX2) return SWEEP_AVX2;
#endif
    return (void)level, NAMED(sweep_plain);
}

static int NAMED(product_at)(int level, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, NAMED(Left) left, NAMED(Right) right,
                             NAMED(Result) result) {
#ifdef RING_X86
    if (level >= RING_AVX512) return NAMED(product_avx512)(m, n, k, left, right, result);
    if (level >= RING_AVX2) return NAMED(product_avx2)(m, n, k, left, right, result);
#endif
    return (void)level, NAMED(product_plain)(m, n, k, left, right, result);
}

static void NAMED(clear)(ptrdiff_t rows, ptrdiff_t columns, WORD *words, ptrdiff_t stride) {
    for (ptrdiff_t i = 0; i < rows; i++) memset(words + i * stride, 0, (size_t)columns * sizeof(WORD));
}
