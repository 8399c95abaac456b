/* Products of a few vectors with a large matrix, which is read once, where it is, and never copied: every word of it is
   used so few times that the memory is the limit. Included once for each size of word. */

enum { NAMED(FEW) = 12, NAMED(AT_ONCE) = 4, NAMED(STRETCH) = 512 };

typedef void (*NAMED(Dots))(int, ptrdiff_t, const WORD *, const WORD *, ptrdiff_t, WORD *);
typedef void (*NAMED(Sweep))(int, ptrdiff_t, const WORD *, const WORD *const *, WORD *);

/* sums[f] = vector f, of `count` words, times one row. */
INLINE void NAMED(dots)(const int vectors, ptrdiff_t count, const WORD *row, const WORD *x, ptrdiff_t stride, WORD *sums) {
    for (int f = 0; f < vectors; f++) {
        WORD sum = 0;
        for (ptrdiff_t p = 0; p < count; p++) sum += row[p] * x[f * stride + p];
        sums[f] = sum;
    }
}

/* out[j] += factors[0] * rows[0][j] + ... over as many rows as said, at most AT_ONCE. */
INLINE void NAMED(sweep)(const int rows, ptrdiff_t count, const WORD *factors, const WORD *const *from, WORD *out) {
    if (rows == NAMED(AT_ONCE)) {
        const WORD a = factors[0], b = factors[1], c = factors[2], d = factors[3];
        const WORD *p = from[0], *q = from[1], *r = from[2], *s = from[3];
        for (ptrdiff_t j = 0; j < count; j++) out[j] += a * p[j] + b * q[j] + c * r[j] + d * s[j];
        return;
    }
    for (int i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < count; j++) out[j] += factors[i] * from[i][j];
}

/* Rows whose words are neighbours, (count, k) with a stride, times `few` vectors, (few, k): result.columns are the
   vectors', result.row goes from row to row. */
INLINE void NAMED(rows_by_few)(NAMED(Dots) dots, ptrdiff_t count, int few, ptrdiff_t k, const WORD *rows, ptrdiff_t stride,
                               const WORD *x, NAMED(Result) result) {
    for (ptrdiff_t p = 0; p < k; p += NAMED(STRETCH)) {
        const ptrdiff_t length = k - p < NAMED(STRETCH) ? k - p : NAMED(STRETCH);
        for (ptrdiff_t i = 0; i < count; i++)
            for (int f = 0; f < few; f += NAMED(AT_ONCE)) {
                const int vectors = few - f < NAMED(AT_ONCE) ? few - f : NAMED(AT_ONCE);
                WORD sums[NAMED(AT_ONCE)];
                dots(vectors, length, rows + i * stride + p, x + f * k + p, k, sums);
                for (int v = 0; v < vectors; v++) {
                    WORD *to = result.words + i * result.row + result.columns[f + v];
                    *to = result.add || p > 0 ? *to + sums[v] : sums[v];
                }
            }
    }
}

/* `few` rows on the left by a matrix on the right whose rows begin at `from[p]` and have n neighbours each. Adds. */
INLINE void NAMED(few_by_rows)(NAMED(Sweep) sweep, int few, ptrdiff_t n, ptrdiff_t k, NAMED(Left) left,
                               const WORD *const *from, WORD *out, ptrdiff_t out_row) {
    enum { LENGTH = 128 };
    for (ptrdiff_t p = 0; p < k; p += NAMED(AT_ONCE)) {
        const int rows = k - p < NAMED(AT_ONCE) ? (int)(k - p) : NAMED(AT_ONCE);
        for (ptrdiff_t j = 0; j < n; j += LENGTH) {
            const ptrdiff_t length = n - j < LENGTH ? n - j : LENGTH;
            const WORD *at[NAMED(AT_ONCE)];
            for (int r = 0; r < rows; r++) at[r] = from[p + r] + j;
            for (int f = 0; f < few; f++) {
                WORD factors[NAMED(AT_ONCE)];
                for (int r = 0; r < rows; r++) factors[r] = left.words[f * left.row + (p + r) * left.column];
                sweep(rows, length, factors, at, out + f * out_row + j);
            }
        }
    }
}
