/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M4 and M7: the cells of an LSTM, 60 instructions a unit.
 *
 *     void ts_smlad_cells(const ts_smlad_cell *constants, const int16_t *gates, int16_t *c,
 *                         int8_t *h)
 *
 * The tables put sigmoid and tanh into the upper half of a word, where SMULxy takes them from.
 * A product times 2^-(right + 1) is rounded as two roundings do it, a half up and then a half away
 * from zero: (a + 2^right + 1 - 2 [a < 0]) >> (right + 1).  The sign is taken from a + 2^right - 1,
 * which differs only where both give 0.
 */
    .syntax unified
    .thumb
    .text

    /* ts_smlad_cell of smlad.c */
    .equ STRIDE, 0          /* bytes between gates */
    .equ SIGMOID, 4
    .equ TANH, 8
    .equ SLOPE, 12
    .equ KEEP, 16           /* 2^14 - 1 */
    .equ ENTER, 20          /* 2^right - 1, right + 1 */
    .equ LEAVE, 28
    .equ CLIP, 36           /* 32767 - clip, 65535 - 2 clip; 32768 - clip, 4 factors */
    .equ ZERO, 52           /* of h; the end of c */

/* \x = sigmoid of Q3.12 in the upper half. */
    .macro SIGMOID_OF x
    add     \x, \x, \x, lsl #1
    asr     r8, \x, #9
    ldr     r9, [r3, r8, lsl #2]
    ldrh    r8, [r12, r8, lsl #1]
    mla     \x, \x, r8, r9
    .endm

/* \x = tanh of \x / 12 in Q3.12, in the upper half. */
    .macro TANH_OF x
    ssat    r8, #9, \x, asr #10
    ldr     r9, [r4, r8, lsl #2]
    ldrh    r8, [r12, r8, lsl #1]
    mla     \x, \x, r8, r9
    .endm

/* The second rounding's half: 2 unless \x is below zero. */
    .macro ROUND x
    mvn     r8, \x, asr #31
    sub     \x, \x, r8, lsl #1
    .endm

#if defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M' && !defined(__ARM_FEATURE_MVE)
    .p2align 2
    .global ts_smlad_cells
    .type   ts_smlad_cells, %function
    .thumb_func
ts_smlad_cells:
    push    {r4-r11, lr}
    mov     lr, r0
    mov     r0, r1
    mov     r5, r2
    mov     r6, r3
    ldr     r1, [lr, #STRIDE]
    add     r2, r1, r1, lsl #1
    ldrd    r3, r4, [lr, #SIGMOID]
    ldr     r12, [lr, #SLOPE]
1:  ldrsh   r10, [r0, r1, lsl #1]       /* g = tanh */
    add     r10, r10, r10, lsl #1
    lsl     r10, r10, #2
    TANH_OF r10
    ldrsh   r11, [r0, r1]               /* f */
    SIGMOID_OF r11
    ldrsh   r8, [r5]
    ldr     r9, [lr, #KEEP]
    smlatb  r11, r11, r8, r9            /* f c */
    ROUND   r11
    asr     r11, r11, #15
    ldrsh   r7, [r0]                    /* i */
    SIGMOID_OF r7
    ldrd    r8, r9, [lr, #ENTER]
    smlatt  r10, r7, r10, r8            /* i g */
    ROUND   r10
    asr     r10, r10, r9
    qadd16  r10, r10, r11
    ldrd    r8, r9, [lr, #CLIP]
    qadd16  r10, r10, r8
    qsub16  r10, r10, r9
    ldrd    r8, r9, [lr, #CLIP + 8]
    sadd16  r10, r10, r8
    strh    r10, [r5], #2
    smulbb  r10, r10, r9                /* 12 c in Q3.12 */
    TANH_OF r10
    ldrsh   r7, [r0, r2]                /* o */
    SIGMOID_OF r7
    add     r0, r0, #2
    ldrd    r8, r9, [lr, #LEAVE]
    smlatt  r10, r7, r10, r8            /* o tanh(c) */
    ROUND   r10
    asr     r10, r10, r9
    ldrd    r8, r9, [lr, #ZERO]
    add     r10, r10, r8
    ssat    r10, #8, r10
    strb    r10, [r6], #1
    cmp     r5, r9
    bne     1b
    pop     {r4-r11, pc}
    .size   ts_smlad_cells, . - ts_smlad_cells
#endif
