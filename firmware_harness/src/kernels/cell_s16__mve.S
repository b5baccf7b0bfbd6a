/* Cortex-M55: the cells of an LSTM, four units a turn.
 *
 *     void ts_mve_cells(const ts_mve_cell *constants, int16_t *c, int8_t *h, uint32_t turns)
 *
 * Table entries put sigmoid and tanh into the upper half of a word.  A product times 2^-(right + 1)
 * takes two roundings, a half up and then a half away from zero: VRSHR #1, off with one where the
 * result is below zero, VRSHL.
 */
    .syntax unified
    .thumb
    .text

    /* ts_mve_cell of mve.c */
    .equ GATES, 0           /* i, f, g, o */
    .equ SIGMOID, 16        /* the entry of 0 */
    .equ TANH, 20
    .equ LOW, 24            /* least and largest c */
    .equ HIGH, 28
    .equ FACTOR, 32         /* 3 times cell scale over 2^-12 */
    .equ ENTER, 36          /* minus the second shifts */
    .equ LEAVE, 40
    .equ ZERO, 44           /* of h */

/* \x = table(v = \x) >> 16, q5 the byte offsets of the entries, \base and \slope of entry 0. */
    .macro INTERPOLATE x, base, slope
    vldrw.u32 q3, [\base, q5]
    vldrw.u32 q4, [\slope, q5]
    vmul.i32 \x, \x, q4
    vadd.i32 \x, \x, q3
    vshr.s32 \x, \x, #16
    .endm

    .macro SIGMOID_OF x
    vmul.i32 \x, \x, r10
    vshr.s32 q5, \x, #9
    vshl.i32 q5, q5, #3
    INTERPOLATE \x, r6, r7
    .endm

/* v >> 8 saturated to 9 bits. */
    .macro TANH_OF x
    vqshl.s32 q5, \x, #15
    vshr.s32 q5, q5, #23
    vshl.i32 q5, q5, #3
    INTERPOLATE \x, r8, r9
    .endm

/* Before the second shift. */
    .macro FIRST_ROUNDING x
    vrshr.s32 \x, \x, #1
    vshr.s32 q5, \x, #31
    vadd.i32 \x, \x, q5
    .endm

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
    .p2align 2
    .global ts_mve_cells
    .type   ts_mve_cells, %function
    .thumb_func
ts_mve_cells:
    push    {r4-r11, lr}
    sub     sp, sp, #4
    vpush   {d8-d15}
    mov     r12, r0
    mov     r4, r1
    mov     r5, r2
    mov     lr, r3
    ldr     r6, [r12, #LOW]
    vdup.32 q6, r6
    ldr     r6, [r12, #HIGH]
    vdup.32 q7, r6
    ldrd    r6, r8, [r12, #SIGMOID]
    add     r7, r6, #4
    add     r9, r8, #4
    mov     r10, #3
    ldrd    r0, r1, [r12, #GATES]
    ldrd    r2, r3, [r12, #GATES + 8]
    dls     lr, lr
1:  vldrh.s32 q0, [r0], #8              /* i */
    SIGMOID_OF q0
    vldrh.s32 q1, [r2], #8              /* g */
    vmul.i32 q1, q1, r10
    TANH_OF q1
    vmul.i32 q0, q0, q1
    FIRST_ROUNDING q0
    ldr     r11, [r12, #ENTER]
    vrshl.s32 q0, r11
    vldrh.s32 q1, [r1], #8              /* f */
    SIGMOID_OF q1
    vldrh.s32 q2, [r4]
    vmul.i32 q1, q1, q2
    FIRST_ROUNDING q1
    vrshr.s32 q1, q1, #14
    vadd.i32 q0, q0, q1
    vmax.s32 q0, q0, q6
    vmin.s32 q0, q0, q7
    vstrh.32 q0, [r4], #8
    ldr     r11, [r12, #FACTOR]
    vmul.i32 q0, q0, r11
    TANH_OF q0
    vldrh.s32 q1, [r3], #8              /* o */
    SIGMOID_OF q1
    vmul.i32 q0, q0, q1
    FIRST_ROUNDING q0
    ldrd    r11, r10, [r12, #LEAVE]
    vrshl.s32 q0, r11
    vadd.i32 q0, q0, r10
    mov     r10, #3
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vstrb.32 q0, [r5], #4
    le      lr, 1b
    vpop    {d8-d15}
    add     sp, sp, #4
    pop     {r4-r11, pc}
    .size   ts_mve_cells, . - ts_mve_cells
#endif
