/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy-coded form: bits in, the plain blob out.  tinyse/pack/coded.py writes it.
 *
 * Nothing is trusted: every read and write is bounded, and what comes out is checked by
 * tinyse_create like any other blob.
 */
#include <string.h>

#include "internal.h"

#define TS_LONGEST_CODE 15
#define TS_FIRST_LENGTH 8 /* what the first code length is a difference to */
#define TS_ESCAPE 24u /* ones in a row: the gap follows in TS_ESCAPED bits */
#define TS_ESCAPED 32u
#define TS_MAGNITUDES 128u

enum ts_segment_kind { TS_RAW = 0, TS_BYTES = 1, TS_GAPS = 2, TS_INDEX = 3 };

typedef struct {
    uint32_t magic;
    uint16_t version;
    uint8_t layout;
    uint8_t coded;
    uint32_t bytes;
    uint32_t crc;
    uint32_t plain_bytes;
    uint32_t segments;
    uint32_t tables;
    uint32_t reserved;
} ts_coded_header;

typedef struct {
    uint8_t kind;
    uint8_t divisor; /* of gaps */
    uint8_t choice; /* values: which table; index: columns of tiles */
    uint8_t reserved;
    uint32_t bytes; /* of the plain blob */
} ts_segment;

/* Bits from the highest of each byte down; behind the end come zeros, and `over` says so. */
typedef struct {
    const uint8_t *at, *end;
    unsigned bit;
    int over;
} ts_bits;

typedef struct {
    uint8_t counts[TS_LONGEST_CODE + 1];
    uint8_t magnitudes[TS_MAGNITUDES]; /* by length, then by value */
} ts_table;

static unsigned next_bit(ts_bits *bits)
{
    if (bits->at == bits->end) {
        bits->over = 1;
        return 0;
    }
    const unsigned bit = (unsigned)*bits->at >> (7 - bits->bit) & 1u;
    if (++bits->bit == 8) bits->bit = 0, bits->at++;
    return bit;
}

static uint32_t next_bits(ts_bits *bits, unsigned count)
{
    uint32_t value = 0;
    while (count-- > 0) value = value << 1 | next_bit(bits);
    return value;
}

/* Golomb: the quotient in ones and a zero, then the rest, of which the lower ones have a bit less. */
static uint32_t next_gap(ts_bits *bits, unsigned divisor)
{
    uint32_t ones = 0, width = 0;
    while (ones < TS_ESCAPE && next_bit(bits)) ones++;
    if (ones == TS_ESCAPE) return next_bits(bits, TS_ESCAPED);
    while (1u << width < divisor) width++;
    if (width == 0) return ones;
    const uint32_t shorter = (1u << width) - divisor;
    uint32_t rest = next_bits(bits, width - 1);
    if (rest >= shorter) rest = (rest << 1 | next_bit(bits)) - shorter;
    return ones * divisor + rest;
}

static void align(ts_bits *bits)
{
    if (bits->bit) bits->bit = 0, bits->at++;
}

/* Lengths of the magnitudes 0..127, each by its difference to the one before. */
static void read_table(ts_bits *bits, ts_table *table)
{
    uint8_t lengths[TS_MAGNITUDES];
    int length = TS_FIRST_LENGTH;
    for (unsigned value = 0; value < TS_MAGNITUDES; value++) {
        int step = 0;
        while (step <= TS_LONGEST_CODE && next_bit(bits)) step++;
        if (step > 0 && next_bit(bits)) step = -step;
        length += step;
        if (length < 0 || length > TS_LONGEST_CODE) bits->over = 1, length = 0;
        lengths[value] = (uint8_t)length;
    }
    memset(table, 0, sizeof *table);
    unsigned placed = 0;
    for (length = 1; length <= TS_LONGEST_CODE; length++)
        for (unsigned value = 0; value < TS_MAGNITUDES; value++)
            if (lengths[value] == length) {
                table->magnitudes[placed++] = (uint8_t)value;
                table->counts[length]++;
            }
}

/* Canonical codes of a length are consecutive numbers, so counts are all it takes to find one. */
static int next_magnitude(ts_bits *bits, const ts_table *table)
{
    uint32_t code = 0, first = 0, before = 0;
    for (unsigned length = 1; length <= TS_LONGEST_CODE; length++) {
        code = code << 1 | next_bit(bits);
        const uint32_t count = table->counts[length];
        if (code - first < count) return table->magnitudes[before + (code - first)];
        before += count;
        first = (first + count) << 1;
    }
    bits->over = 1;
    return 0;
}

static uint8_t next_weight(ts_bits *bits, const ts_table *table)
{
    const int magnitude = next_magnitude(bits, table);
    return (uint8_t)(magnitude && next_bit(bits) ? -magnitude : magnitude);
}

static void read_every(ts_bits *bits, const ts_table *table, uint8_t *out, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes && !bits->over; i++) out[i] = next_weight(bits, table);
}

/* The gap behind the last weight leads to the end. */
static void read_gaps(ts_bits *bits, unsigned divisor, const ts_table *table, uint8_t *out,
                      uint32_t bytes)
{
    memset(out, 0, bytes);
    for (uint32_t at = 0; !bits->over; at++) {
        const uint32_t gap = next_gap(bits, divisor);
        if (gap >= bytes - at) {
            bits->over |= gap > bytes - at;
            return;
        }
        at += gap;
        out[at] = next_weight(bits, table);
    }
}

static uint8_t stored_count(unsigned layout, uint32_t count)
{
    if (layout != TS_ROWS || count == 0) return (uint8_t)count;
    const uint32_t first = (count - 1) % 4 + 1;
    return (uint8_t)((count - first) / 4 << 3 | first);
}

/* Places of the stored tiles to rows of (count, columns): the count is written behind its row.
 * The gap behind the last tile leads to the end of the last row. */
static void read_index(ts_bits *bits, const ts_segment *segment, unsigned layout, uint8_t *out)
{
    const uint32_t columns = segment->choice;
    uint32_t row_at = 0, count = 0, at = 1;
    bits->over |= columns == 0 || segment->bytes == 0;
    for (uint64_t column = 0; !bits->over; column++) {
        for (column += next_gap(bits, segment->divisor); column >= columns; column -= columns) {
            out[row_at] = stored_count(layout, count);
            count = 0;
            row_at = at++;
            if (row_at == segment->bytes) {
                bits->over |= column != columns;
                return;
            }
        }
        if (at == segment->bytes || bits->over) break;
        out[at++] = (uint8_t)column;
        count++;
    }
    bits->over = 1;
}

/* Two weights to the word that the kernels of Cortex-M4 read: 256 * upper + lower. */
static void pair_up(uint8_t *values, uint32_t bytes)
{
    for (uint32_t i = 0; i + 1 < bytes; i += 2)
        values[i + 1] = (uint8_t)(values[i + 1] - (values[i] >> 7));
}

static void read_values(ts_bits *bits, const ts_segment *segment, unsigned layout,
                        const ts_table *table, uint8_t *out)
{
    if (segment->kind == TS_GAPS)
        read_gaps(bits, segment->divisor, table, out, segment->bytes);
    else
        read_every(bits, table, out, segment->bytes);
    if (layout == TS_PAIRS) pair_up(out, segment->bytes);
}

static void read_raw(ts_bits *bits, uint8_t *out, uint32_t bytes)
{
    bits->over |= (size_t)(bits->end - bits->at) < bytes;
    if (bits->over) return;
    memcpy(out, bits->at, bytes);
    bits->at += bytes;
}

/* The tables stand behind the header; each segment reads them up to its own. */
static int read_segment(ts_bits *bits, ts_bits tables, const ts_segment *segment,
                        const ts_coded_header *header, uint8_t *out)
{
    ts_table table;
    switch (segment->kind) {
    case TS_RAW: read_raw(bits, out, segment->bytes); break;
    case TS_BYTES:
    case TS_GAPS:
        if (segment->choice >= header->tables) return 0;
        for (unsigned i = 0; i <= segment->choice; i++) read_table(&tables, &table);
        read_values(bits, segment, header->layout, &table, out);
        break;
    case TS_INDEX: read_index(bits, segment, header->layout, out); break;
    default: return 0;
    }
    align(bits);
    return !bits->over;
}

static tinyse_status check_coded(const ts_coded_header *header, const void *coded, size_t bytes)
{
    if (coded == NULL) return TINYSE_ERR_ARGUMENT;
    if ((uintptr_t)coded % TINYSE_ALIGNMENT != 0) return TINYSE_ERR_ALIGNMENT;
    if (bytes < sizeof *header) return TINYSE_ERR_TRUNCATED;
    if (header->magic != TS_MAGIC) return TINYSE_ERR_MAGIC;
    if (header->version != TINYSE_VERSION) return TINYSE_ERR_VERSION;
    if (header->coded != 1) return TINYSE_ERR_CODED;
    if (header->bytes < sizeof *header) return TINYSE_ERR_RANGE;
    if (header->bytes > bytes) return TINYSE_ERR_TRUNCATED;
    const size_t checked = offsetof(ts_coded_header, crc) + sizeof header->crc;
    if (ts_crc32((const uint8_t *)coded + checked, header->bytes - checked) != header->crc)
        return TINYSE_ERR_CHECKSUM;
    return TINYSE_OK;
}

tinyse_status tinyse_plain_bytes(const void *coded, size_t coded_bytes, size_t *plain_bytes)
{
    const ts_coded_header *header = coded;
    if (plain_bytes == NULL) return TINYSE_ERR_ARGUMENT;
    const tinyse_status status = check_coded(header, coded, coded_bytes);
    if (status == TINYSE_OK) *plain_bytes = header->plain_bytes;
    return status;
}

tinyse_status tinyse_unpack(const void *coded, size_t coded_bytes, void *plain, size_t plain_bytes)
{
    size_t needed;
    tinyse_status status = tinyse_plain_bytes(coded, coded_bytes, &needed);
    if (status != TINYSE_OK) return status;
    if (plain == NULL) return TINYSE_ERR_ARGUMENT;
    if ((uintptr_t)plain % TINYSE_ALIGNMENT != 0) return TINYSE_ERR_ALIGNMENT;
    if (plain_bytes < needed) return TINYSE_ERR_ARENA;
    const ts_coded_header *header = coded;
    const uint8_t *const start = coded;
    const ts_bits tables = {start + sizeof *header, start + header->bytes, 0, 0};
    ts_bits bits = tables;
    ts_table passed;
    for (uint32_t i = 0; i < header->tables && !bits.over; i++) read_table(&bits, &passed);
    if (bits.over) return TINYSE_ERR_RANGE;
    align(&bits);
    uint8_t *out = plain;
    for (uint32_t i = 0; i < header->segments; i++) {
        ts_segment segment;
        if ((size_t)(bits.end - bits.at) < sizeof segment) return TINYSE_ERR_RANGE;
        memcpy(&segment, bits.at, sizeof segment);
        bits.at += sizeof segment;
        if (segment.bytes > needed) return TINYSE_ERR_RANGE;
        if (!read_segment(&bits, tables, &segment, header, out)) return TINYSE_ERR_RANGE;
        out += segment.bytes;
        needed -= segment.bytes;
    }
    return needed == 0 ? TINYSE_OK : TINYSE_ERR_RANGE;
}
