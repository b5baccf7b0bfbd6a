/* SPDX-License-Identifier: Apache-2.0 */
/* Damages good blobs, plain and coded, mends the checksum, and lets the library at them.
 *
 *     fuzz SECONDS BLOB..
 *
 * Checksums are computed anew, or they would stop every damaged blob at the door.  Blobs, arenas and
 * outputs lie in exact allocations, so that AddressSanitizer sees a single byte too many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../src/internal.h"

static uint64_t seed = 88172645463325252u;
static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

typedef struct {
    uint8_t *bytes;
    size_t count;
} data;

static uint8_t *exactly(size_t count)
{
    uint8_t *bytes = NULL;
    if (posix_memalign((void **)&bytes, TINYSE_ALIGNMENT, count ? count : 1) != 0) exit(2);
    return bytes;
}

static data read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) exit(2);
    const long size = ftell(file);
    data made = {exactly((size_t)size), (size_t)size};
    rewind(file);
    if (fread(made.bytes, 1, made.count, file) != made.count) exit(2);
    fclose(file);
    return made;
}

static void mend(data blob)
{
    if (blob.count < 16) return;
    if (next() % 8) {
        const uint32_t count = (uint32_t)blob.count;
        memcpy(blob.bytes + 8, &count, 4);
    }
    uint32_t said;
    memcpy(&said, blob.bytes + 8, 4);
    if (said < 16 || said > blob.count) return;
    const uint32_t crc = ts_crc32(blob.bytes + 16, said - 16);
    memcpy(blob.bytes + 12, &crc, 4);
}

static data damaged(data good)
{
    const size_t count = next() % 8 ? good.count : next() % (good.count + 1);
    data blob = {exactly(count), count};
    memcpy(blob.bytes, good.bytes, count);
    for (uint64_t edits = next() % 6; edits > 0 && count > 0; edits--) {
        /* Most of what can go wrong is decided in the records at the start. */
        const size_t near = count < 1600 ? count : 1600;
        const size_t at = next() % 4 ? next() % near : next() % count;
        switch (next() % 4) {
        case 0: blob.bytes[at] = (uint8_t)next(); break;
        case 1: blob.bytes[at] ^= (uint8_t)(1u << next() % 8); break;
        case 2: blob.bytes[at] = (uint8_t)(next() % 2 ? 255 : 0); break;
        default: blob.bytes[at] = (uint8_t)(blob.bytes[at] + (next() % 2 ? 1 : 255)); break;
        }
    }
    if (next() % 16) mend(blob);
    return blob;
}

static float sample(void)
{
    const uint32_t bits = (uint32_t)next();
    float any;
    memcpy(&any, &bits, sizeof any); /* NaN, infinity and all others */
    return next() % 3 ? (float)(int32_t)bits / 2147483648.0f : any;
}

static void process(tinyse_model *model)
{
    uint8_t *memory = exactly(tinyse_audio_bytes());
    tinyse_audio *audio;
    if (tinyse_audio_create(&audio, model, memory, tinyse_audio_bytes()) == TINYSE_OK)
        for (int turn = 0; turn < 2; turn++) {
            float sound[TINYSE_HOP];
            for (size_t i = 0; i < TINYSE_HOP; i++) sound[i] = sample();
            tinyse_process(audio, sound, sound);
        }
    free(memory);
}

/* Returns whether the blob made a model; every set of kernels takes two steps. */
static int run(const void *blob, size_t count)
{
    static const char *const names[] = {"reference", "avx2", "avx512vnni"};
    size_t bytes;
    if (tinyse_arena_bytes(blob, count, &bytes) != TINYSE_OK || bytes > 1u << 24) return 0;
    uint8_t *arena = exactly(bytes);
    tinyse_model *model;
    const int made = tinyse_create(&model, blob, count, arena, bytes) == TINYSE_OK;
    if (made) {
        int8_t *in = (int8_t *)exactly(tinyse_inputs(model));
        int8_t *out = (int8_t *)exactly(tinyse_outputs(model));
        for (size_t i = 0; i < tinyse_inputs(model); i++) in[i] = (int8_t)next();
        for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++)
            if (tinyse_choose(model, names[i / 2]) == TINYSE_OK) tinyse_step(model, in, out);
        process(model);
        free(in);
        free(out);
    }
    free(arena);
    return made;
}

static int run_coded(const void *coded, size_t count)
{
    size_t bytes;
    if (tinyse_plain_bytes(coded, count, &bytes) != TINYSE_OK || bytes > 1u << 22) return 0;
    uint8_t *plain = exactly(bytes);
    const int unpacked = tinyse_unpack(coded, count, plain, bytes) == TINYSE_OK;
    if (unpacked) {
        mend((data){plain, bytes});
        run(plain, bytes);
    }
    free(plain);
    return unpacked;
}

int main(int count, char **arguments)
{
    if (count < 3) {
        fputs("usage: fuzz SECONDS BLOB..  (of make fuzz: SECONDS=n, SEEDS=folder of .tsb files)\n",
              stderr);
        return 2;
    }
    const time_t end = time(NULL) + atol(arguments[1]);
    unsigned long turns = 0, accepted = 0, unpacked = 0;
    for (; turns % 64 || time(NULL) < end; turns++) {
        const int number = 2 + (int)(turns % (unsigned long)(count - 2));
        data good = read_file(arguments[number]);
        data blob = damaged(good);
        accepted += (unsigned long)run(blob.bytes, blob.count);
        unpacked += (unsigned long)run_coded(blob.bytes, blob.count);
        free(blob.bytes);
        free(good.bytes);
    }
    printf("%lu blobs, %lu made a model, %lu unpacked\n", turns, accepted, unpacked);
    return 0;
}
