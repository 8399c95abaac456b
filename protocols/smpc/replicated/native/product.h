/* Products of matrices, blocked for the caches after Goto and van de Geijn 2008 (Anatomy of high-performance matrix
   multiplication). Included once for each size of word, with WORD and NAMED(name) defined.

   A matrix on the right is seen through two lists of offsets, one for its rows and one for its columns: so strides, and
   the windows of a convolution, are all the same here, and windows are never laid out but in the panel that is worked
   on. A result is seen through offsets of its columns likewise. */

enum { NAMED(DEPTH) = 2304 / sizeof(WORD), NAMED(ROWS) = 96, NAMED(COLUMNS) = 512, NAMED(BESIDE) = 4 };
/* Of a block, at most. A panel of DEPTH rows takes 18 KiB of a first cache of 32, and ROWS by DEPTH words less than half
   of a second one of 512. DEPTH is even. */

typedef void (*NAMED(Tile))(ptrdiff_t, const WORD *const *, const WORD *, WORD *);

typedef struct {
    const WORD *words;
    ptrdiff_t row, column; /* strides */
} NAMED(Left);

typedef struct {
    const WORD *words;
    const ptrdiff_t *rows, *columns; /* offsets */
} NAMED(Right);

typedef struct {
    WORD *words;
    ptrdiff_t row;            /* stride */
    const ptrdiff_t *columns; /* offsets */
    int add;                  /* to what is there */
} NAMED(Result);

INLINE int NAMED(run)(const ptrdiff_t *offsets, int count) {
    for (int i = 1; i < count; i++)
        if (offsets[i] != offsets[0] + i) return 0;
    return 1;
}

/* NR words of a row, of which `width` are there; zeros for the others, and for a row that is not. */
INLINE void NAMED(gather)(const int NR, const WORD *from, const ptrdiff_t *columns, int width, int together, WORD *to) {
    if (from == NULL) width = 0;
    if (width == NR && together) {
        memcpy(to, from + columns[0], NR * sizeof(WORD));
        return;
    }
    for (int j = 0; j < width; j++) to[j] = from[columns[j]];
    for (int j = width; j < NR; j++) to[j] = 0;
}

/* Up to BESIDE panels of NR columns and `depth` rows: for each pair of rows NR words of the first, then NR of the second.
   Panels are made side by side because what they are made of often lies so. `squares`: for each column the sum over
   pairs of their products. */
INLINE void NAMED(pack)(const int NR, NAMED(Right) right, ptrdiff_t depth, int columns, WORD *panels, WORD *squares) {
    const int count = (columns + NR - 1) / NR;
    const ptrdiff_t size = (depth + depth % 2) * NR;
    int together[NAMED(BESIDE)];
    for (int q = 0; q < count; q++)
        together[q] = columns >= (q + 1) * NR && NAMED(run)(right.columns + q * NR, NR);
    for (int j = 0; j < count * NR; j++) squares[j] = 0;
    for (ptrdiff_t p = 0; p < depth; p += 2) {
        const WORD *first = right.words + right.rows[p];
        const WORD *second = p + 1 < depth ? right.words + right.rows[p + 1] : NULL;
        for (int q = 0; q < count; q++) {
            const int width = columns - q * NR < NR ? columns - q * NR : NR;
            WORD *to = panels + q * size + p * NR;
            NAMED(gather)(NR, first, right.columns + q * NR, width, together[q], to);
            NAMED(gather)(NR, second, right.columns + q * NR, width, together[q], to + NR);
            for (int j = 0; j < NR; j++) squares[q * NR + j] += to[j] * to[NR + j];
        }
    }
}

/* Rows of a block on the left so that neighbours in a row are neighbours in memory and their number is even. Nothing is
   copied where that is so already. Returns where row 0 is, and sets `stride`. */
INLINE const WORD *NAMED(paired)(NAMED(Left) left, ptrdiff_t rows, ptrdiff_t depth, WORD *spare, ptrdiff_t *stride) {
    if (left.column == 1 && depth % 2 == 0) {
        *stride = left.row;
        return left.words;
    }
    const ptrdiff_t even = depth + depth % 2;
    *stride = even;
    for (ptrdiff_t i = 0; i < rows; i++) {
        for (ptrdiff_t p = 0; p < depth; p++) spare[i * even + p] = left.words[i * left.row + p * left.column];
        if (depth < even) spare[i * even + depth] = 0;
    }
    return spare;
}

INLINE void NAMED(put)(const int NR, NAMED(Result) result, ptrdiff_t i, int width, const WORD *tile, WORD square,
                       const WORD *squares) {
    WORD *to = result.words + i * result.row;
    const ptrdiff_t *columns = result.columns;
    if (width == NR && NAMED(run)(columns, width)) {
        to += columns[0];
        if (result.add)
            for (int j = 0; j < NR; j++) to[j] += tile[j] - square - squares[j];
        else
            for (int j = 0; j < NR; j++) to[j] = tile[j] - square - squares[j];
        return;
    }
    for (int j = 0; j < width; j++) {
        WORD word = tile[j] - square - squares[j];
        to[columns[j]] = result.add ? to[columns[j]] + word : word;
    }
}

/* One block on the left, all of whose rows are at hand, by one block of panels. */
INLINE void NAMED(block)(const int MR, const int NR, NAMED(Tile) tile, const WORD *left, ptrdiff_t stride, ptrdiff_t rows,
                         ptrdiff_t depth, const WORD *panels, const WORD *squares, ptrdiff_t columns, NAMED(Result) result) {
    const ptrdiff_t pairs = (depth + 1) / 2;
    WORD own[NAMED(ROWS)];
    for (ptrdiff_t i = 0; i < rows; i++) {
        WORD sum = 0;
        for (ptrdiff_t p = 0; p < pairs; p++) sum += left[i * stride + 2 * p] * left[i * stride + 2 * p + 1];
        own[i] = sum;
    }
    for (ptrdiff_t j = 0; j < columns; j += NR, panels += 2 * pairs * NR) {
        const int width = columns - j < NR ? (int)(columns - j) : NR;
        NAMED(Result) there = result;
        there.columns += j;
        for (ptrdiff_t i = 0; i < rows; i += MR) {
            const WORD *at[MR];
            WORD sums[MR * NR];
            for (int r = 0; r < MR; r++) {
                const ptrdiff_t row = i + r < rows ? i + r : rows - 1;
                at[r] = left + row * stride;
                __builtin_prefetch(result.words + row * result.row + there.columns[0], 1); /* needed after the tile */
            }
            tile(pairs, at, panels, sums);
            for (int r = 0; r < MR && i + r < rows; r++)
                NAMED(put)(NR, there, i + r, width, sums + r * NR, own[i + r], squares + j);
        }
    }
}

/* (m, k) by (k, n). Returns 0, or -1 where there is no memory for the blocks. */
INLINE int NAMED(product)(const int MR, const int NR, NAMED(Tile) tile, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                          NAMED(Left) left, NAMED(Right) right, NAMED(Result) result) {
    const ptrdiff_t parts = (k + NAMED(DEPTH) - 1) / NAMED(DEPTH), deep = (k + 2 * parts - 1) / (2 * parts) * 2;
    const ptrdiff_t wide = (n < NAMED(COLUMNS) ? n + NR - 1 : NAMED(COLUMNS)) / NR * NR; /* COLUMNS is a multiple of NR */
    const size_t bytes = (size_t)(deep * (wide + NAMED(ROWS)) + wide) * sizeof(WORD);
    WORD *panels = aligned_alloc(64, (bytes + 63) / 64 * 64); /* a load that crosses cache lines costs two */
    if (panels == NULL) return -1;
    WORD *squares = panels + deep * wide, *spare = squares + wide;
    for (ptrdiff_t j = 0; j < n; j += wide) {
        const ptrdiff_t columns = n - j < wide ? n - j : wide;
        for (ptrdiff_t p = 0; p < k; p += deep) {
            const ptrdiff_t depth = k - p < deep ? k - p : deep;
            for (ptrdiff_t c = 0; c < columns; c += NAMED(BESIDE) * NR) {
                NAMED(Right) part = {right.words, right.rows + p, right.columns + j + c};
                const int some = columns - c < NAMED(BESIDE) * NR ? (int)(columns - c) : NAMED(BESIDE) * NR;
                NAMED(pack)(NR, part, depth, some, panels + (depth + depth % 2) * c, squares + c);
            }
            for (ptrdiff_t i = 0; i < m; i += NAMED(ROWS)) {
                const ptrdiff_t rows = m - i < NAMED(ROWS) ? m - i : NAMED(ROWS);
                NAMED(Left) from = {left.words + i * left.row + p * left.column, left.row, left.column};
                NAMED(Result) to = {result.words + i * result.row, result.row, result.columns + j, result.add || p > 0};
                ptrdiff_t stride;
                const WORD *at = NAMED(paired)(from, rows, depth, spare, &stride);
                NAMED(block)(MR, NR, tile, at, stride, rows, depth, panels, squares, columns, to);
            }
        }
    }
    free(panels);
    return 0;
}
