/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses in words: the text of status -n stands behind n zeros.  One array, because texts that a
 * table of pointers names share a section with other texts, which a linker keeps or drops whole. */
#include "tinyse.h"

static const char texts[] =
    "no error\0"
    "a null pointer or an index that is not there\0"
    "not on 16 bytes\0"
    "the arena, or other memory, is too small\0"
    "is no tinyse blob\0"
    "is a blob of another version\0"
    "is cut short\0"
    "is damaged: its checksum does not hold\0"
    "is damaged: an offset, count or index leads outside\0"
    "has layers that do not fit together or that no kernel takes\0"
    "has a weight of -128\0"
    "has no audio front end, or another one\0"
    "is entropy-coded where plain is needed, or the reverse";

const char *tinyse_error(tinyse_status status)
{
    if (status > 0 || status < TINYSE_ERR_CODED) return "unknown";
    const char *text = texts;
    for (int before = -(int)status; before > 0; text++) before -= *text == '\0';
    return text;
}
