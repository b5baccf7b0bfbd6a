/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M55: the cells of an LSTM, eight units a turn.
 *
 *     void ts_mve_cells(const ts_mve_cell *constants, int16_t *c, int8_t *h, uint32_t turns)
 *
 * sigmoid and tanh of tables.h in 16-bit lanes.  VQDMULH is 2 a b >> 16, so 192 |x| gives the index
 * 3|x| >> 9 by it and, modulo 2^15, the rest r times 2^6; r * slope >> 9 is VQDMULH again, and VRHADD
 * halves its sum with the sample.  tanh takes 384 |x|, r * slope >> 8 rounded, and their plain sum.
 * |-32768| counts as 32767, which gives the same.
 *
 * A product times 2^-(right + 1) takes two roundings, a half up and then a half away from zero:
 * VRSHR #1, off with one where the result is below zero, VRSHL.
 */
    .syntax unified
    .thumb
    .text

    /* ts_mve_cell of mve.c */
    .equ GATES, 0           /* i, f, g, o */
    .equ CURVE, 16
    .equ LOW, 20            /* least and largest c */
    .equ HIGH, 24
    .equ UP, 28             /* from c to Q3.12, a shift */
    .equ ENTER, 32          /* minus the second shifts */
    .equ LEAVE, 36
    .equ ZERO, 40           /* of h */

/* Samples q3 and the slopes behind them: q4, q5. */
    .macro SAMPLES
    vldrh.u16 q4, [r6, q3, uxtw #1]
    vldrh.u16 q5, [r7, q3, uxtw #1]
    vsub.i16 q5, q5, q4
    .endm

    .macro SIGMOID y, x
    vqabs.s16 \y, \x
    vqdmulh.s16 q3, \y, r8
    vmul.i16 \y, \y, r8
    SAMPLES
    vbic.i16 \y, #0x8000
    vqdmulh.s16 \y, \y, q5
    vrhadd.s16 \y, \y, q4
    vpt.s16 lt, \x, zr
    vnegt.s16 \y, \y
    vadd.i16 \y, \y, r10
    .endm

/* Of \y = |\x|. */
    .macro TANH y, x
    vqdmulh.s16 q3, \y, r9
    vmul.i16 \y, \y, r9
    SAMPLES
    vbic.i16 \y, #0x8000
    vqrdmulh.s16 \y, \y, q5
    vadd.i16 \y, \y, q4
    vpt.s16 lt, \x, zr
    vnegt.s16 \y, \y
    .endm

/* \x times q2, even and odd lanes, before the second shift. */
    .macro PRODUCTS x
    vmullb.s16 q3, \x, q2
    vmullt.s16 q4, \x, q2
    vrshr.s32 q3, q3, #1
    vshr.s32 q5, q3, #31
    vadd.i32 q3, q3, q5
    vrshr.s32 q4, q4, #1
    vshr.s32 q5, q4, #31
    vadd.i32 q4, q4, q5
    .endm

/* q0 = \x times q2, shifted by the constant \by. */
    .macro PRODUCT x, by
    PRODUCTS \x
    ldr     r11, [r12, #\by]
    vrshl.s32 q3, r11
    vrshl.s32 q4, r11
    vqmovnb.s32 q0, q3
    vqmovnt.s32 q0, q4
    .endm

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
    .p2align 2
    .global ts_mve_cells
    .type   ts_mve_cells, %function
    .thumb_func
ts_mve_cells:
    push    {r3-r11, lr}
    vpush   {d8-d15}
    mov     r12, r0
    mov     r4, r1
    mov     r5, r2
    mov     lr, r3
    ldrd    r6, r7, [r12, #LOW]
    vdup.16 q6, r6
    vdup.16 q7, r7
    ldr     r6, [r12, #CURVE]
    add     r7, r6, #2
    mov     r8, #192
    mov     r9, #384
    mov     r10, #16384
    ldrd    r0, r1, [r12, #GATES]
    ldrd    r2, r3, [r12, #GATES + 8]
    dls     lr, lr
1:  vldrh.u16 q1, [r2], #16             /* g */
    vqabs.s16 q0, q1
    TANH    q0, q1
    vldrh.u16 q1, [r0], #16             /* i */
    SIGMOID q2, q1
    PRODUCT q0, ENTER
    vldrh.u16 q1, [r1], #16             /* f */
    SIGMOID q2, q1
    vldrh.u16 q1, [r4]
    PRODUCTS q1
    vrshrnb.i32 q1, q3, #14
    vrshrnt.i32 q1, q4, #14
    vqadd.s16 q0, q0, q1
    vmax.s16 q0, q0, q6
    vmin.s16 q0, q0, q7
    vstrh.16 q0, [r4], #16
    ldr     r11, [r12, #UP]
    vqabs.s16 q1, q0
    vqshl.s16 q1, r11
    TANH    q1, q0
    vldrh.u16 q0, [r3], #16             /* o */
    SIGMOID q2, q0
    PRODUCT q1, LEAVE
    ldr     r11, [r12, #ZERO]
    vqadd.s16 q0, q0, r11
    vqmovnb.s16 q0, q0
    vstrb.16 q0, [r5], #8
    le      lr, 1b
    vpop    {d8-d15}
    pop     {r3-r11, pc}
    .size   ts_mve_cells, . - ts_mve_cells
#endif
