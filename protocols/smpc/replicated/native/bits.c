/* Bits of many words side by side: transposition, carries in trees, and choices by a bit.

   The numpy twins, bit by bit the same, are in `slicing`, `gates` and `choices`; there the mathematics is explained. */
#include "everywhere.h"

#define CHUNK 16  /* columns that a group's tables are worked out for at a time: they stay in registers and first cache */
#define MOST 64   /* subsets of the wires of a group but the first: groups have at most 7 */
#define ALL (~(u64)0)


/* --- transposition (Warren, Hacker's Delight, 7-3), eight columns of 64 words at a time --- */

typedef u64 eight __attribute__((vector_size(64), may_alias));

INLINE void butterflies(eight *row, int rows, int step, u64 mask, int both) {
    for (int base = 0; base < rows; base += 2 * step)
        for (int l = base; l < base + step; l++) {
            eight low = row[l], high = row[l + step], mixed = ((low >> step) ^ high) & mask;
            if (both) row[l + step] = high ^ mixed;
            row[l] = low ^ (mixed << step);
        }
}

/* Columns are fetched 32 at a time: the words of one lie far apart, and a few bytes from each of 64 pages are slow. */
#define FETCHED 64

INLINE void planes_of(eight *row, i64 bits, i64 w, i64 width, u64 *out) {
    int rows = 64;
#define STEP(step, mask)                                                                                               \
    if (bits <= step && rows == 2 * step) { butterflies(row, rows, step, mask, 0); rows = step; }                      \
    else butterflies(row, rows, step, mask, 1);
    STEP(32, 0x00000000FFFFFFFFull)
    STEP(16, 0x0000FFFF0000FFFFull)
    STEP(8, 0x00FF00FF00FF00FFull)
    STEP(4, 0x0F0F0F0F0F0F0F0Full)
    STEP(2, 0x3333333333333333ull)
    STEP(1, 0x5555555555555555ull)
#undef STEP
    for (i64 b = 0; b < bits; b++) memcpy(out + b * width, row + b, 8 * w);
}

INLINE void planes_work(int level, const u64 *values, i64 n, i64 columns, i64 start, i64 width, i64 bits, u64 *out) {
    (void)level;
    u64 block[FETCHED / 8][64][8] __attribute__((aligned(64)));
    for (i64 j = 0; j < width; j += FETCHED) {
        i64 wide = width - j < FETCHED ? width - j : FETCHED;
        if (wide < FETCHED) memset(block, 0, sizeof block);
        for (i64 i = 0; i < 64; i++) {
            i64 at = i * columns + start + j, left = n - at < wide ? n - at : wide;
            for (i64 q = 0; q < wide; q += 8) {
                i64 have = left - q < 0 ? 0 : left - q < 8 ? left - q : 8;
                if (have == 8) memcpy(block[q / 8][i], values + at + q, 64);
                else for (i64 k = 0; k < 8; k++) block[q / 8][i][k] = k < have ? values[at + q + k] : 0;
            }
        }
        for (i64 q = 0; q < wide; q += 8)
            planes_of((eight *)block[q / 8], bits, wide - q < 8 ? wide - q : 8, width, out + j + q);
    }
}
EVERYWHERE(planes, (int level, const u64 *values, i64 n, i64 columns, i64 start, i64 width, i64 bits, u64 *out),
           (level, values, n, columns, start, width, bits, out))

/* --- groups of wires --- */

/* All products of all wires but the first; wire i is bit i - 1 of the subset's number. */
INLINE void products(const u64 *const *wire, i64 size, i64 w, u64 (*prod)[CHUNK]) {
    for (i64 k = 0; k < w; k++) prod[0][k] = ALL;
    for (i64 i = 1; i < size; i++)
        for (i64 s = 0, half = (i64)1 << (i - 1); s < half; s++)
            for (i64 k = 0; k < w; k++) prod[half + s][k] = prod[s][k] & wire[i][k];
}

INLINE void blend(u64 *into, const u64 *prod, const u64 *wire, i64 w) {
    if (wire) for (i64 k = 0; k < w; k++) into[k] ^= prod[k] & wire[k];
    else for (i64 k = 0; k < w; k++) into[k] ^= prod[k];
}

/* See `gates._fold`. */
INLINE void fold(u64 (*g)[CHUNK], u64 (*p)[CHUNK], u64 (*rest)[MOST / 2][CHUNK], const u64 *const *seen, i64 size, i64 w) {
    for (i64 i = 1; i < size; i++)
        for (i64 t = 0, left = (i64)1 << (size - 1 - i); t < left; t++) {
            if (g) for (i64 k = 0; k < w; k++)
                g[t][k] = g[2 * t + 1][k] ^ (seen[i][k] & g[2 * t][k]) ^ rest[i - 1][t][k];
            if (p) for (i64 k = 0; k < w; k++)
                p[t][k] = p[2 * t + 1][k] ^ (seen[i][k] & p[2 * t][k]);
        }
}

static const u64 NONE[CHUNK] = {0};
static const u64 FULL[CHUNK] = {ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL};

/* The rows of one group, of `rows` in all; those below the lowest are `none`. */
INLINE void rows_of(const u64 *planes, i64 first, i64 size, i64 width, i64 j, const u64 *none, const u64 **row) {
    for (i64 i = 0; i < size; i++) row[i] = first + i < 0 ? none : planes + (first + i) * width + j;
}

INLINE void leaf_deal_block(const u64 *bits, i64 first, i64 leaf, i64 width, i64 j, i64 w, i64 apart, u64 *out) {
    const u64 *row[7];
    u64 prod[MOST][CHUNK];
    i64 size = (i64)1 << (leaf - 1);
    rows_of(bits, first, leaf, width, j, NONE, row);
    products(row, leaf, w, prod);
    for (i64 s = 1; s < size; s++) blend(out + (s - 1) * apart, prod[s], 0, w);
    out += (size - 1) * apart;
    for (i64 s = 0; s < size; s++) blend(out + s * apart, prod[s], row[0], w);
}

INLINE void leaf_deal_all(const u64 *bits, i64 count, i64 leaf, i64 width, u64 *out) {
    i64 groups = (count + leaf - 1) / leaf, low = groups * leaf - count, apart = groups * width;
    for (i64 g = 0; g < groups; g++) {
        i64 j = 0;
        for (; j + CHUNK <= width; j += CHUNK)
            leaf_deal_block(bits, g * leaf - low, leaf, width, j, CHUNK, apart, out + g * width + j);
        if (j < width) leaf_deal_block(bits, g * leaf - low, leaf, width, j, width - j, apart, out + g * width + j);
    }
}

INLINE void leaf_deal_work(int level, const u64 *bits, i64 count, i64 leaf, i64 width, u64 *out) {
    (void)level;
    if (leaf == 3) leaf_deal_all(bits, count, 3, width, out);
    else if (leaf == 4) leaf_deal_all(bits, count, 4, width, out);
    else leaf_deal_all(bits, count, leaf, width, out);
}
EVERYWHERE(leaf_deal, (int level, const u64 *bits, i64 count, i64 leaf, i64 width, u64 *out),
           (level, bits, count, leaf, width, out))

INLINE void leaf_block(const u64 *bits, i64 first, i64 leaf, i64 width, i64 j, i64 w, i64 apart, int generate,
                       int propagate, u64 ones, const u64 *dealt, u64 *out) {
    const u64 *seen[7], *heads = dealt + (((i64)1 << (leaf - 1)) - 1) * apart;
    u64 g[MOST][CHUNK], p[MOST][CHUNK], rest[6][MOST / 2][CHUNK];
    i64 size = (i64)1 << (leaf - 1);
    rows_of(bits, first, leaf, width, j, generate ? NONE : FULL, seen);
    for (i64 s = 0; s < size; s++)
        for (i64 k = 0; k < w; k++) {
            u64 head = heads[s * apart + k], table = s ? dealt[(s - 1) * apart + k] : ones;
            if (generate) g[s][k] = seen[0][k] & head;
            if (propagate) p[s][k] = head ^ (seen[0][k] & table);
        }
    if (generate)
        for (i64 i = 1; i < leaf; i++)
            for (i64 t = 0; t < (i64)1 << (leaf - 1 - i); t++)
                for (i64 k = 0; k < w; k++)
                    rest[i - 1][t][k] = seen[i][k] & dealt[(((i64)1 << (i - 1)) + (t << i) - 1) * apart + k];
    fold(generate ? g : 0, propagate ? p : 0, rest, seen, leaf, w);
    if (generate) memcpy(out, g[0], 8 * w);
    if (propagate) memcpy(out + (generate ? apart : 0), p[0], 8 * w);
}

INLINE void leaf_all(const u64 *bits, i64 count, i64 leaf, i64 width, int generate, int propagate, u64 ones,
                     const u64 *dealt, u64 *out) {
    i64 groups = (count + leaf - 1) / leaf, low = groups * leaf - count, apart = groups * width;
    for (i64 g = 0; g < groups; g++) {
        i64 j = 0, at = g * width;
        for (; j + CHUNK <= width; j += CHUNK)
            leaf_block(bits, g * leaf - low, leaf, width, j, CHUNK, apart, generate, propagate, ones, dealt + at + j,
                       out + at + j);
        if (j < width)
            leaf_block(bits, g * leaf - low, leaf, width, j, width - j, apart, generate, propagate, ones,
                       dealt + at + j, out + at + j);
    }
}

INLINE void leaf_work(int level, const u64 *bits, i64 count, i64 leaf, i64 width, int generate, int propagate, u64 ones,
                      const u64 *dealt, u64 *out) {
    (void)level;
    if (leaf == 3 && generate && propagate) leaf_all(bits, count, 3, width, 1, 1, ones, dealt, out);
    else if (leaf == 4 && generate && propagate) leaf_all(bits, count, 4, width, 1, 1, ones, dealt, out);
    else leaf_all(bits, count, leaf, width, generate, propagate, ones, dealt, out);
}
EVERYWHERE(leaf, (int level, const u64 *bits, i64 count, i64 leaf, i64 width, int generate, int propagate, u64 ones,
                  const u64 *dealt, u64 *out),
           (level, bits, count, leaf, width, generate, propagate, ones, dealt, out))

INLINE void join_deal_block(const u64 *wires, i64 groups, i64 first, i64 join, i64 width, i64 j, i64 w, i64 apart,
                            int carry, int wanted, u64 *out) {
    const u64 *top[7], *prop[7];
    u64 prod[MOST][CHUNK];
    i64 size = (i64)1 << (join - 1);
    rows_of(wires, first, join, width, j, NONE, top);
    rows_of(wires + (carry ? groups * width : 0), first, join, width, j, NONE, prop);
    products(prop, join, w, prod);
    for (i64 s = 1; s < size; s++)
        if (s & (s - 1)) { blend(out, prod[s], 0, w); out += apart; }
    for (int k = 0; k < wanted; k++)
        for (i64 s = 1; s < size; s++, out += apart) blend(out, prod[s], k ? prop[0] : top[0], w);
    for (i64 i = 1; carry && i < join; i++)
        for (i64 t = 1; t < (i64)1 << (join - 1 - i); t++, out += apart) blend(out, prod[t << i], top[i], w);
}

INLINE void join_deal_all(const u64 *wires, i64 groups, i64 join, i64 width, int carry, int wanted, u64 *out) {
    i64 nodes = (groups + join - 1) / join, low = nodes * join - groups, apart = nodes * width;
    for (i64 v = 0; v < nodes; v++) {
        i64 j = 0;
        for (; j + CHUNK <= width; j += CHUNK)
            join_deal_block(wires, groups, v * join - low, join, width, j, CHUNK, apart, carry, wanted,
                            out + v * width + j);
        if (j < width)
            join_deal_block(wires, groups, v * join - low, join, width, j, width - j, apart, carry, wanted,
                            out + v * width + j);
    }
}

INLINE void join_deal_work(int level, const u64 *wires, i64 groups, i64 join, i64 width, int carry, int wanted,
                           u64 *out) {
    (void)level;
    if (join == 2) join_deal_all(wires, groups, 2, width, carry, wanted, out);
    else if (join == 3) join_deal_all(wires, groups, 3, width, carry, wanted, out);
    else join_deal_all(wires, groups, join, width, carry, wanted, out);
}
EVERYWHERE(join_deal, (int level, const u64 *wires, i64 groups, i64 join, i64 width, int carry, int wanted, u64 *out),
           (level, wires, groups, join, width, carry, wanted, out))

INLINE void join_block(const u64 *seen, const u64 *mask, i64 groups, i64 first, i64 join, i64 width, i64 j, i64 w,
                       i64 apart, int carry, int wanted, u64 ones, const u64 *dealt, u64 *out) {
    const u64 *top[7], *prop[7], *top_mask[7], *prop_mask[7], *none = carry ? NONE : FULL;
    u64 table[MOST][CHUNK], g[MOST][CHUNK], p[MOST][CHUNK], rest[6][MOST / 2][CHUNK];
    i64 size = (i64)1 << (join - 1), second = carry ? groups * width : 0;
    rows_of(seen, first, join, width, j, none, top);
    rows_of(seen + second, first, join, width, j, none, prop);
    rows_of(mask, first, join, width, j, NONE, top_mask);
    rows_of(mask + second, first, join, width, j, NONE, prop_mask);
    for (i64 k = 0; k < w; k++) table[0][k] = ones;
    for (i64 i = 1; i < join; i++) memcpy(table[(i64)1 << (i - 1)], prop_mask[i], 8 * w);
    for (i64 s = 1; s < size; s++)
        if (s & (s - 1)) { memcpy(table[s], dealt, 8 * w); dealt += apart; }
    for (int n = 0; n < wanted; n++) {
        u64 (*into)[CHUNK] = n || !carry ? p : g;
        const u64 *first_seen = n ? prop[0] : top[0], *first_mask = n ? prop_mask[0] : top_mask[0];
        for (i64 s = 0; s < size; s++) {
            const u64 *head = s ? dealt : first_mask;
            for (i64 k = 0; k < w; k++) into[s][k] = (first_seen[k] & table[s][k]) ^ head[k];
            if (s) dealt += apart;
        }
    }
    for (i64 i = 1; carry && i < join; i++)
        for (i64 t = 0; t < (i64)1 << (join - 1 - i); t++) {
            const u64 *more = t ? dealt : top_mask[i];
            for (i64 k = 0; k < w; k++) rest[i - 1][t][k] = (top[i][k] & table[t << i][k]) ^ more[k];
            if (t) dealt += apart;
        }
    int propagate = wanted > 1 || !carry;
    fold(carry ? g : 0, propagate ? p : 0, rest, prop, join, w);
    if (carry) memcpy(out, g[0], 8 * w);
    if (propagate) memcpy(out + (carry ? apart : 0), p[0], 8 * w);
}

INLINE void join_all(const u64 *seen, const u64 *mask, i64 groups, i64 join, i64 width, int carry, int wanted, u64 ones,
                     const u64 *dealt, u64 *out) {
    i64 nodes = (groups + join - 1) / join, low = nodes * join - groups, apart = nodes * width;
    for (i64 v = 0; v < nodes; v++) {
        i64 j = 0, at = v * width;
        for (; j + CHUNK <= width; j += CHUNK)
            join_block(seen, mask, groups, v * join - low, join, width, j, CHUNK, apart, carry, wanted, ones,
                       dealt + at + j, out + at + j);
        if (j < width)
            join_block(seen, mask, groups, v * join - low, join, width, j, width - j, apart, carry, wanted, ones,
                       dealt + at + j, out + at + j);
    }
}

INLINE void join_work(int level, const u64 *seen, const u64 *mask, i64 groups, i64 join, i64 width, int carry,
                      int wanted, u64 ones, const u64 *dealt, u64 *out) {
    (void)level;
    if (join == 2 && carry) join_all(seen, mask, groups, 2, width, 1, wanted, ones, dealt, out);
    else if (join == 3 && carry) join_all(seen, mask, groups, 3, width, 1, wanted, ones, dealt, out);
    else join_all(seen, mask, groups, join, width, carry, wanted, ones, dealt, out);
}
EVERYWHERE(join, (int level, const u64 *seen, const u64 *mask, i64 groups, i64 join, i64 width, int carry, int wanted,
                  u64 ones, const u64 *dealt, u64 *out),
           (level, seen, mask, groups, join, width, carry, wanted, ones, dealt, out))
