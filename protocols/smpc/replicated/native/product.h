/* Products of matrices, blocked for the caches after Goto and van de Geijn 2008 (Anatomy of high-performance matrix
   multiplication). Included once for each size of word, with WORD and NAMED(name) defined.

   A matrix on the right is seen through two lists of offsets, one for its rows and one for its columns: so strides, and
   the windows of a convolution, are all the same here, and windows are never laid out but in the panel that is worked
   on. A result is seen through offsets of its columns likewise. */

enum { NAMED(DEPTH) = 2048 / sizeof(WORD), NAMED(ROWS) = 96, NAMED(COLUMNS) = 512 }; /* of a block; DEPTH is even */

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

/* Up to NR columns of `depth` rows as a panel: for each pair of rows NR words of the first, then NR of the second;
   zeros where there is no row or column. `squares`: for each column the sum over pairs of their products. */
INLINE void NAMED(pack)(const int NR, NAMED(Right) right, ptrdiff_t depth, int width, WORD *panel, WORD *squares) {
    const int together = width == NR && NAMED(run)(right.columns, width);
    WORD sums[NR];
    for (int j = 0; j < NR; j++) sums[j] = 0;
    for (ptrdiff_t p = 0; p < depth; p += 2, panel += 2 * NR) {
        for (int half = 0; half < 2; half++) {
            WORD *to = panel + half * NR;
            if (p + half >= depth) {
                for (int j = 0; j < NR; j++) to[j] = 0;
                continue;
            }
            const WORD *from = right.words + right.rows[p + half];
            if (together) {
                memcpy(to, from + right.columns[0], NR * sizeof(WORD));
            } else {
                for (int j = 0; j < width; j++) to[j] = from[right.columns[j]];
                for (int j = width; j < NR; j++) to[j] = 0;
            }
        }
        for (int j = 0; j < NR; j++) sums[j] += panel[j] * panel[NR + j];
    }
    for (int j = 0; j < NR; j++) squares[j] = sums[j];
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
            for (int r = 0; r < MR; r++) at[r] = left + (i + r < rows ? i + r : rows - 1) * stride;
            tile(pairs, at, panels, sums);
            for (int r = 0; r < MR && i + r < rows; r++)
                NAMED(put)(NR, there, i + r, width, sums + r * NR, own[i + r], squares + j);
        }
    }
}

/* (m, k) by (k, n). Returns 0, or -1 where there is no memory for the blocks. */
INLINE int NAMED(product)(const int MR, const int NR, NAMED(Tile) tile, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                          NAMED(Left) left, NAMED(Right) right, NAMED(Result) result) {
    const ptrdiff_t deep = k < NAMED(DEPTH) ? k + k % 2 : NAMED(DEPTH);
    const ptrdiff_t wide = (n < NAMED(COLUMNS) ? n + NR - 1 : NAMED(COLUMNS)) / NR * NR; /* COLUMNS is a multiple of NR */
    WORD *spare = malloc((size_t)(deep * (wide + NAMED(ROWS)) + wide) * sizeof(WORD));
    if (spare == NULL) return -1;
    WORD *panels = spare + deep * NAMED(ROWS), *squares = panels + deep * wide;
    for (ptrdiff_t j = 0; j < n; j += wide) {
        const ptrdiff_t columns = n - j < wide ? n - j : wide;
        for (ptrdiff_t p = 0; p < k; p += NAMED(DEPTH)) {
            const ptrdiff_t depth = k - p < NAMED(DEPTH) ? k - p : NAMED(DEPTH);
            for (ptrdiff_t c = 0; c < columns; c += NR) {
                NAMED(Right) part = {right.words, right.rows + p, right.columns + j + c};
                const int width = columns - c < NR ? (int)(columns - c) : NR;
                NAMED(pack)(NR, part, depth, width, panels + (depth + depth % 2) * c, squares + c);
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
    free(spare);
    return 0;
}
