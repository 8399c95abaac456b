/* Products of matrices for one size of word. Included by linear.c, twice. */

/* A few rows, (few, k), laid side by side, so that they can be met by rows that are. */
static void NAMED(lay)(int few, ptrdiff_t k, NAMED(Left) from, WORD *to) {
    for (int f = 0; f < few; f++)
        for (ptrdiff_t p = 0; p < k; p++) to[f * k + p] = from.words[f * from.row + p * from.column];
}

/* Many rows on one side whose words are neighbours, a few rows or columns on the other. */
static int NAMED(matmul_dots)(int level, ptrdiff_t count, int few, ptrdiff_t k, NAMED(Left) many, NAMED(Left) vectors,
                              NAMED(Result) result) {
    WORD *laid = malloc((size_t)(few * k + 1) * sizeof(WORD));
    if (laid == NULL) return -1;
    NAMED(lay)(few, k, vectors, laid);
    NAMED(rows_by_few)(NAMED(dots_at)(level), count, few, k, many.words, many.row, laid, result);
    free(laid);
    return 0;
}

static int NAMED(matmul_sweep)(int level, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, NAMED(Left) a, NAMED(Left) b, WORD *c,
                               ptrdiff_t c_row) {
    const WORD **from = malloc((size_t)(k + 1) * sizeof(*from));
    if (from == NULL) return -1;
    for (ptrdiff_t p = 0; p < k; p++) from[p] = b.words + p * b.row;
    NAMED(few_by_rows)(NAMED(sweep_at)(level), (int)m, n, k, a, from, c, c_row);
    free(from);
    return 0;
}

static int NAMED(matmul_blocks)(int level, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, NAMED(Left) a, NAMED(Left) b, WORD *c,
                                ptrdiff_t c_row, int add) {
    ptrdiff_t *rows = malloc((size_t)(k + 2 * n) * sizeof(*rows)), *columns = rows + k, *plain = columns + n;
    if (rows == NULL) return -1;
    for (ptrdiff_t p = 0; p < k; p++) rows[p] = p * b.row;
    for (ptrdiff_t j = 0; j < n; j++) columns[j] = j * b.column, plain[j] = j;
    NAMED(Right) right = {b.words, rows, columns};
    NAMED(Result) result = {c, c_row, plain, add};
    const int failed = NAMED(product_at)(level, m, n, k, a, right, result);
    free(rows);
    return failed;
}

static int NAMED(matmul)(int level, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, NAMED(Left) a, NAMED(Left) b, WORD *c,
                         ptrdiff_t c_row, int add) {
    ptrdiff_t places[NAMED(FEW)];
    const int few_rows = m <= NAMED(FEW), few_columns = n <= NAMED(FEW);
    if (!add && (k == 0 || (few_rows && b.column == 1))) NAMED(clear)(m, n, c, c_row);
    if (m == 0 || n == 0 || k == 0) return 0;
    if (few_rows && b.column == 1) return NAMED(matmul_sweep)(level, m, n, k, a, b, c, c_row);
    if (few_rows && b.row == 1) {
        for (int f = 0; f < m; f++) places[f] = f * c_row;
        NAMED(Left) columns = {b.words, b.column, b.row};
        NAMED(Result) result = {c, 1, places, add};
        return NAMED(matmul_dots)(level, n, (int)m, k, columns, a, result);
    }
    if (few_columns && a.column == 1) {
        for (int f = 0; f < n; f++) places[f] = f;
        NAMED(Left) columns = {b.words, b.column, b.row};
        NAMED(Result) result = {c, c_row, places, add};
        return NAMED(matmul_dots)(level, m, (int)n, k, a, columns, result);
    }
    return NAMED(matmul_blocks)(level, m, n, k, a, b, c, c_row, add);
}

/* (batch, m, k) by (batch, k, n) into, or onto, (batch, m, n) with neighbours in its rows; strides in words, 0 repeats.
   Returns 0, or -1 where there is no memory. */
EXPORT int NAMED(ring_matmul)(int level, ptrdiff_t batch, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const WORD *a,
                              ptrdiff_t a_batch, ptrdiff_t a_row, ptrdiff_t a_column, const WORD *b, ptrdiff_t b_batch,
                              ptrdiff_t b_row, ptrdiff_t b_column, WORD *c, ptrdiff_t c_batch, ptrdiff_t c_row, int add) {
    int failed = 0;
    for (ptrdiff_t i = 0; i < batch && !failed; i++) {
        NAMED(Left) left = {a + i * a_batch, a_row, a_column}, right = {b + i * b_batch, b_row, b_column};
        failed = NAMED(matmul)(level, m, n, k, left, right, c + i * c_batch, c_row, add);
    }
    return failed;
}
