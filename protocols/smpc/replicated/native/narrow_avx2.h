/* The inner loops of narrow.h for 64-bit words on AVX2: the split products of tiles.h, without pairs. */
#ifndef NARROW_AVX2_H
#define NARROW_AVX2_H
#ifdef RING_X86

FOR_AVX2 INLINE void dots_fixed_avx2(const int vectors, ptrdiff_t count, const uint64_t *row, const uint64_t *x,
                                     ptrdiff_t stride, uint64_t *sums) {
    __m256i low[4], mixed[4];
    ptrdiff_t p = 0;
    UNROLLED for (int f = 0; f < vectors; f++) low[f] = mixed[f] = _mm256_setzero_si256();
    for (; p + 4 <= count; p += 4) {
        __m256i word = _mm256_loadu_si256((const __m256i *)(row + p)), turned = _mm256_shuffle_epi32(word, 0xB1);
        UNROLLED for (int f = 0; f < vectors; f++) {
            __m256i other = _mm256_loadu_si256((const __m256i *)(x + f * stride + p));
            low[f] = _mm256_add_epi64(low[f], _mm256_mul_epu32(word, other));
            mixed[f] = _mm256_add_epi32(mixed[f], _mm256_mullo_epi32(turned, other));
        }
    }
    for (int f = 0; f < vectors; f++) {
        uint64_t lanes[4];
        _mm256_storeu_si256((__m256i *)lanes, folded_avx2(low[f], mixed[f]));
        sums[f] = lanes[0] + lanes[1] + lanes[2] + lanes[3];
        for (ptrdiff_t rest = p; rest < count; rest++) sums[f] += row[rest] * x[f * stride + rest];
    }
}

FOR_AVX2 AS_WRITTEN static void dots64_avx2(int vectors, ptrdiff_t count, const uint64_t *row, const uint64_t *x,
                                            ptrdiff_t stride, uint64_t *sums) {
    switch (vectors) {
    case 1: dots_fixed_avx2(1, count, row, x, stride, sums); break;
    case 2: dots_fixed_avx2(2, count, row, x, stride, sums); break;
    case 3: dots_fixed_avx2(3, count, row, x, stride, sums); break;
    default: dots_fixed_avx2(4, count, row, x, stride, sums);
    }
}

FOR_AVX2 INLINE void sweep_fixed_avx2(const int rows, ptrdiff_t count, const uint64_t *factors,
                                      const uint64_t *const *from, uint64_t *out) {
    __m256i factor[4], turned[4];
    ptrdiff_t j = 0;
    UNROLLED for (int r = 0; r < rows; r++) {
        factor[r] = _mm256_set1_epi64x((long long)factors[r]);
        turned[r] = _mm256_shuffle_epi32(factor[r], 0xB1);
    }
    for (; j + 4 <= count; j += 4) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(out + j)), mixed = _mm256_setzero_si256();
        UNROLLED for (int r = 0; r < rows; r++) {
            __m256i word = _mm256_loadu_si256((const __m256i *)(from[r] + j));
            low = _mm256_add_epi64(low, _mm256_mul_epu32(word, factor[r]));
            mixed = _mm256_add_epi32(mixed, _mm256_mullo_epi32(word, turned[r]));
        }
        _mm256_storeu_si256((__m256i *)(out + j), folded_avx2(low, mixed));
    }
    for (; j < count; j++)
        for (int r = 0; r < rows; r++) out[j] += factors[r] * from[r][j];
}

FOR_AVX2 AS_WRITTEN static void sweep64_avx2(int rows, ptrdiff_t count, const uint64_t *factors,
                                             const uint64_t *const *from, uint64_t *out) {
    switch (rows) {
    case 1: sweep_fixed_avx2(1, count, factors, from, out); break;
    case 2: sweep_fixed_avx2(2, count, factors, from, out); break;
    case 3: sweep_fixed_avx2(3, count, factors, from, out); break;
    default: sweep_fixed_avx2(4, count, factors, from, out);
    }
}

#endif
#endif
