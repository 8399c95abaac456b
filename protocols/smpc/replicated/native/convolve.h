/* Convolutions for one size of word: as products, without laying out their windows. Included by linear.c, twice. */

typedef struct {
    ptrdiff_t batch, channels, height, width; /* of the padded planes */
    ptrdiff_t outputs, depth, kernel_height, kernel_width;
    ptrdiff_t rows, columns; /* of the result */
    ptrdiff_t down, across, apart, aside; /* strides and dilations */
} NAMED(Layout);

/* Offset of every term of a window from the window's corner: depth, then kernel rows, then kernel columns. */
static void NAMED(terms)(const NAMED(Layout) *of, ptrdiff_t *offsets) {
    for (ptrdiff_t d = 0; d < of->depth; d++)
        for (ptrdiff_t i = 0; i < of->kernel_height; i++)
            for (ptrdiff_t j = 0; j < of->kernel_width; j++)
                *offsets++ = (d * of->height + i * of->apart) * of->width + j * of->aside;
}

/* For results number `first` and on, batch, then rows, then columns: the window's corner, and the place of the result. */
static void NAMED(windows)(const NAMED(Layout) *of, ptrdiff_t first, ptrdiff_t count, ptrdiff_t *corners, ptrdiff_t *places) {
    const ptrdiff_t plane = of->rows * of->columns;
    ptrdiff_t b = first / plane, y = first % plane / of->columns, x = first % of->columns;
    for (ptrdiff_t n = 0; n < count; n++) {
        corners[n] = b * of->channels * of->height * of->width + y * of->down * of->width + x * of->across;
        places[n] = b * of->outputs * plane + y * of->columns + x;
        if (++x == of->columns) {
            x = 0;
            if (++y == of->rows) y = 0, b++;
        }
    }
}

/* Many outputs on many places: blocks of windows are packed as they are needed. */
static int NAMED(convolve_blocks)(int level, const NAMED(Layout) *of, ptrdiff_t each, ptrdiff_t k, const ptrdiff_t *terms,
                                  const WORD *planes, const WORD *weights, WORD *out, int add) {
    const ptrdiff_t plane = of->rows * of->columns, all = of->batch * plane;
    ptrdiff_t corners[NAMED(COLUMNS)], places[NAMED(COLUMNS)];
    NAMED(Left) left = {weights, k, 1};
    for (ptrdiff_t n = 0; n < all; n += NAMED(COLUMNS)) {
        const ptrdiff_t count = all - n < NAMED(COLUMNS) ? all - n : NAMED(COLUMNS);
        NAMED(windows)(of, n, count, corners, places);
        NAMED(Right) right = {planes, terms, corners};
        NAMED(Result) result = {out, plane, places, add};
        if (NAMED(product_at)(level, each, count, k, left, right, result)) return -1;
    }
    return 0;
}

/* A few places: weights are read where they are, and once. */
static int NAMED(convolve_few_places)(int level, const NAMED(Layout) *of, ptrdiff_t each, ptrdiff_t k,
                                      const ptrdiff_t *terms, const WORD *planes, const WORD *weights, WORD *out, int add) {
    const ptrdiff_t plane = of->rows * of->columns, all = of->batch * plane;
    ptrdiff_t corners[NAMED(FEW)], places[NAMED(FEW)];
    WORD *laid = malloc((size_t)(all * k) * sizeof(WORD));
    if (laid == NULL) return -1;
    NAMED(windows)(of, 0, all, corners, places);
    for (ptrdiff_t n = 0; n < all; n++)
        for (ptrdiff_t p = 0; p < k; p++) laid[n * k + p] = planes[corners[n] + terms[p]];
    NAMED(Result) result = {out, plane, places, add};
    NAMED(rows_by_few)(NAMED(dots_at)(level), each, (int)all, k, weights, k, laid, result);
    free(laid);
    return 0;
}

/* A few outputs: rows of the planes are read where they are, or, where strides leave gaps, closed up first. */
static int NAMED(convolve_few_outputs)(int level, const NAMED(Layout) *of, ptrdiff_t each, ptrdiff_t k,
                                       const ptrdiff_t *terms, const WORD *planes, const WORD *weights, WORD *out) {
    const int whole = of->down == 1 && of->across == 1 && of->width == of->columns; /* rows follow each other */
    const ptrdiff_t rows = whole ? 1 : of->rows, columns = whole ? of->rows * of->columns : of->columns;
    const WORD **from = malloc((size_t)k * sizeof(*from));
    WORD *closed = malloc((size_t)(of->across == 1 ? 1 : k * columns) * sizeof(WORD));
    const int failed = from == NULL || closed == NULL;
    NAMED(Left) left = {weights, k, 1};
    for (ptrdiff_t n = 0; !failed && n < of->batch * rows; n++) {
        const ptrdiff_t b = n / rows, y = n % rows;
        const WORD *corner = planes + (b * of->channels * of->height + y * of->down) * of->width;
        for (ptrdiff_t p = 0; p < k; p++) {
            from[p] = corner + terms[p];
            if (of->across == 1) continue;
            for (ptrdiff_t x = 0; x < columns; x++) closed[p * columns + x] = from[p][x * of->across];
            from[p] = closed + p * columns;
        }
        WORD *to = out + b * of->outputs * of->rows * of->columns + y * columns;
        NAMED(few_by_rows)(NAMED(sweep_at)(level), (int)each, columns, k, left, from, to, of->rows * of->columns);
    }
    free(from);
    free(closed);
    return failed ? -1 : 0;
}

/* (batch, channels, height, width), padded, with (outputs, depth, kernel height, kernel width) into, or onto, (batch,
   outputs, rows, columns), all without gaps. `layout` is a Layout's fourteen words and a fifteenth, the number of
   groups. Returns 0, or -1 where there is no memory. */
EXPORT int NAMED(ring_convolve)(int level, const ptrdiff_t *layout, const WORD *planes, const WORD *weights, WORD *out,
                                int add) {
    NAMED(Layout) of;
    memcpy(&of, layout, sizeof(of));
    const ptrdiff_t groups = layout[sizeof(of) / sizeof(*layout)], each = of.outputs / groups, plane = of.rows * of.columns;
    const ptrdiff_t k = of.depth * of.kernel_height * of.kernel_width;
    const int few_places = of.batch * plane <= NAMED(FEW), few_outputs = each <= NAMED(AT_ONCE);
    if (!add && (k == 0 || (few_outputs && !few_places))) NAMED(clear)(1, of.batch * of.outputs * plane, out, 0);
    if (k == 0 || of.outputs == 0 || of.batch * plane == 0) return 0;
    ptrdiff_t *terms = malloc((size_t)k * sizeof(*terms));
    int failed = terms == NULL;
    if (!failed) NAMED(terms)(&of, terms);
    for (ptrdiff_t g = 0; g < groups && !failed; g++) {
        const WORD *from = planes + g * of.depth * of.height * of.width, *by = weights + g * each * k;
        WORD *to = out + g * each * plane;
        if (few_places)
            failed = NAMED(convolve_few_places)(level, &of, each, k, terms, from, by, to, add);
        else if (few_outputs)
            failed = NAMED(convolve_few_outputs)(level, &of, each, k, terms, from, by, to);
        else
            failed = NAMED(convolve_blocks)(level, &of, each, k, terms, from, by, to, add);
    }
    free(terms);
    return failed ? -1 : 0;
}
