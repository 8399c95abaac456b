/* What is done with one bit for each of many words: lifting it into the ring, choosing by it, and the wrap of a sum.

   The numpy twins, bit by bit the same, are in `choices`; there the mathematics is explained. Bit number i of word j of
   a plane belongs to value number i * columns + j. */
#include "everywhere.h"

#define EACH_ROW                                                                                                       \
    for (i64 i = 0, at = 0, w; at < n; i++, at += columns)                                                             \
        if ((w = n - at < columns ? n - at : columns) > 0)

/* flag: one rank's half of the bit, turned into the other's. */
INLINE void choose_deal_work(int level, const u64 *plane, i64 n, i64 columns, u64 *flag) {
    (void)level;
    EACH_ROW
        for (i64 j = 0; j < w; j++) flag[at + j] = ((plane[j] >> i) & 1) - flag[at + j];
}
EVERYWHERE(choose_deal, (int level, const u64 *plane, i64 n, i64 columns, u64 *flag), (level, plane, n, columns, flag))

/* value: one rank's half of the bit times total, turned into the other's. */
INLINE void keep_work(int level, const u64 *plane, i64 n, i64 columns, i64 stacks, const u64 *total, u64 *value) {
    (void)level;
    EACH_ROW
        for (i64 m = 0; m < stacks; m++) {
            const u64 *from = total + m * n + at;
            u64 *into = value + m * n + at;
            for (i64 j = 0; j < w; j++) into[j] = (from[j] & -((plane[j] >> i) & 1)) - into[j];
        }
}
EVERYWHERE(keep, (int level, const u64 *plane, i64 n, i64 columns, i64 stacks, const u64 *total, u64 *value),
           (level, plane, n, columns, stacks, total, value))

/* dealt: in: the half that was dealt; out: this rank's part. */
INLINE void choose_work(int level, const u64 *plane, i64 n, i64 columns, i64 stacks, const u64 *flag, const u64 *value,
                        const u64 *known, u64 *dealt) {
    (void)level;
    EACH_ROW
        for (i64 m = 0; m < stacks; m++) {
            i64 base = m * n + at;
            for (i64 j = 0; j < w; j++) {
                u64 turn = -((plane[j] >> i) & 1), term = dealt[base + j] + flag[at + j] * value[base + j];
                dealt[base + j] = (term ^ turn) - turn + (known[base + j] & turn);
            }
        }
}
EVERYWHERE(choose, (int level, const u64 *plane, i64 n, i64 columns, i64 stacks, const u64 *flag, const u64 *value,
                    const u64 *known, u64 *dealt),
           (level, plane, n, columns, stacks, flag, value, known, dealt))

INLINE void lift_work(int level, const u64 *plane, i64 n, i64 columns, u64 one, u64 *half) {
    (void)level;
    EACH_ROW
        for (i64 j = 0; j < w; j++) {
            u64 bit = (plane[j] >> i) & 1;
            half[at + j] = (half[at + j] ^ -bit) + bit + (bit & one);
        }
}
EVERYWHERE(lift, (int level, const u64 *plane, i64 n, i64 columns, u64 one, u64 *half),
           (level, plane, n, columns, one, half))

/* whole += more (where there is more) + lift; packed: for each word, whether its top bit is 0. */
INLINE void settle_begin_work(int level, i64 n, u64 lift, const u64 *more, u64 *whole, uint8_t *packed) {
    (void)level;
    for (i64 i = 0; i < n; i += 8) {
        i64 w = n - i < 8 ? n - i : 8;
        unsigned bits = 0;
        for (i64 k = 0; k < w; k++) {
            u64 word = whole[i + k] + (more ? more[i + k] : 0) + lift;
            whole[i + k] = word;
            bits |= (unsigned)(1 - (word >> 63)) << k;
        }
        packed[i / 8] = (uint8_t)bits;
    }
}
EVERYWHERE(settle_begin, (int level, i64 n, u64 lift, const u64 *more, u64 *whole, uint8_t *packed),
           (level, n, lift, more, whole, packed))

INLINE u64 half_at(const void *half, i64 bytes, i64 i) {
    if (bytes == 2) return ((const uint16_t *)half)[i];
    if (bytes == 4) return ((const uint32_t *)half)[i];
    return ((const u64 *)half)[i];
}

/* See `choices.settle_end`. The product of both top bits counts modulo 2**(8 * bytes), and more than `bits` of it. */
INLINE void settle_end_each(i64 n, i64 bits, i64 bytes, int rank, const uint8_t *own, const uint8_t *mine,
                            const uint8_t *theirs, const void *half, u64 *whole) {
    u64 back = ((u64)1 << (64 - bits)) + ((u64)1 << (62 - bits)) - 1;
    for (i64 i = 0; i < n; i++) {
        i64 byte = i / 8, place = i % 8;
        u64 m = (mine[byte] >> place) & 1, t = (theirs[byte] >> place) & 1, o = (own[byte] >> place) & 1;
        u64 turn = -(m ^ t), both = (half_at(half, bytes, i) ^ turn) - turn;
        if (rank == 1) {
            both += o & t;
            whole[i] = (whole[i] >> bits) + (both << (64 - bits)) - back;
        } else {
            both += ((t & o) ^ -m) + m;
            whole[i] = ((whole[i] - 1) >> bits) + (both << (64 - bits));
        }
    }
}

INLINE void settle_end_work(int level, i64 n, i64 bits, i64 bytes, int rank, const uint8_t *own, const uint8_t *mine,
                            const uint8_t *theirs, const void *half, u64 *whole) {
    (void)level;
    if (bytes == 4 && rank == 1) settle_end_each(n, bits, 4, 1, own, mine, theirs, half, whole);
    else if (bytes == 4) settle_end_each(n, bits, 4, 2, own, mine, theirs, half, whole);
    else settle_end_each(n, bits, bytes, rank, own, mine, theirs, half, whole);
}
EVERYWHERE(settle_end, (int level, i64 n, i64 bits, i64 bytes, int rank, const uint8_t *own, const uint8_t *mine,
                        const uint8_t *theirs, const void *half, u64 *whole),
           (level, n, bits, bytes, rank, own, mine, theirs, half, whole))
