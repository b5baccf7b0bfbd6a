/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M4 and M7: W x of the layout `pairs`, requantised to int16, four rows a turn.
 *
 * A word of values holds two int16, 256 * w[r+1][c] + w[r][c] for columns c and c + 1, so that
 *     H += SMLAD(word, X)          = 256 * S[r+1] + S[r]
 *     L += SMLAD(SXTB16(word), X)  = S[r]                      S[r+1] = (H - L) / 256
 * takes three instructions for four multiplications.  H may wrap: |S| < 2^23 is proven by the packer.
 *
 *     void ts_smlad_blocks(const ts_smlad_rows *rows)      tiles that the index names
 *     void ts_smlad_all(const ts_smlad_rows *rows)         every tile
 *
 * Both jump to `rows->tail` at the end of four rows and come back for the next four.  Tails turn sums
 * into int16: 2 S 2^left q / 2^32 is one SMMULR; a right shift rounds half away from zero by adding
 * the sign of the sum and half of the divisor in the same instruction (SMMLAR).  Biases are stored
 * doubled and shifted.
 */
    .syntax unified
    .thumb
    .text

    /* ts_smlad_rows of smlad.c: what registers hold, then what lies on the stack. */
    .equ F_OUT, 0
    .equ F_BIAS, 4
    .equ F_Q, 8
    .equ F_HALF, 12     /* right: half of the divisor; left: 7 - left */
    .equ F_SHIFT, 16    /* right: the shift;           left: 1 + left */
    .equ F_END, 20
    .equ F_COLUMNS, 24
    .equ F_EACH_Q, 28
    .equ F_EACH_SHIFT, 32
    .equ F_TAIL, 36
    .equ F_AGAIN, 40
    .equ FRAME, 44

/* 4 x 4 weights at r0 times the inputs r6, r7: L in r8, r10, H in r9, r11. */
    .macro MULTIPLY
    ldmia   r0!, {r2-r5}
    smlad   r9, r2, r6, r9
    sxtb16  r2, r2
    smlad   r8, r2, r6, r8
    smlad   r11, r3, r6, r11
    sxtb16  r3, r3
    smlad   r10, r3, r6, r10
    smlad   r9, r4, r7, r9
    sxtb16  r4, r4
    smlad   r8, r4, r7, r8
    smlad   r11, r5, r7, r11
    sxtb16  r5, r5
    smlad   r10, r5, r7, r10
    .endm

    .macro BLOCK
    ldrb    r6, [r1], #1
    add     r6, lr, r6, lsl #3
    ldrd    r6, r7, [r6]
    MULTIPLY
    .endm

    .macro NEXT
    ldrd    r6, r7, [lr], #8
    MULTIPLY
    .endm

/* r12 tiles, two a turn; then the sums S as r8, 256 r9, r10, 256 r11, and the tail. */
    .macro ROW tile
    mov     r8, #0
    mov     r9, #0
    mov     r10, #0
    mov     r11, #0
    lsrs    r12, r12, #1            /* carry: an odd tile; zero: no pairs of tiles */
    bcc     2f
    \tile
2:  beq     4f
3:  \tile
    \tile
    subs    r12, r12, #1
    bne     3b
4:  sub     r9, r9, r8
    sub     r11, r11, r10
    ldr     pc, [sp, #F_TAIL]
    .endm

    .macro BEGIN name
    .p2align 2
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    ldmia   r0!, {r1, r2, lr}       /* values; index, or x again; x */
    ldmia   r0!, {r3-r12}
    stmia   sp, {r3-r12}
    adr     r0, 1f
    orr     r0, r0, #1              /* Thumb */
    str     r0, [sp, #F_AGAIN]
    mov     r0, r1
    mov     r1, r2
    .p2align 2
    .endm

#if defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M' && !defined(__ARM_FEATURE_MVE)
    BEGIN   ts_smlad_blocks
1:  ldrb    r12, [r1], #1
    ROW     BLOCK

    BEGIN   ts_smlad_all
1:  ldr     r12, [sp, #F_COLUMNS]
    mov     lr, r1
    ROW     NEXT

/* \row = \row q / 2^(32 + right) with q in r8, half in r9, the shift in r12. */
    .macro RIGHT row
    add     r10, r9, \row, asr #31
    smmlar  \row, \row, r8, r10
    asr     \row, \row, r12
    ssat    \row, #16, \row
    .endm

    .macro RIGHT_FOUR
    ldrd    r8, r9, [sp, #F_Q]
    ldr     r12, [sp, #F_SHIFT]
    RIGHT   r2
    RIGHT   r3
    RIGHT   r4
    RIGHT   r5
    .endm

    .macro LEFT row
    smmulr  \row, \row, r8
    ssat    \row, #16, \row
    .endm

    .macro LEFT_FOUR
    ldr     r8, [sp, #F_Q]
    LEFT    r2
    LEFT    r3
    LEFT    r4
    LEFT    r5
    .endm

/* The same with multiplier and shift of each row, read at r7 and r11. */
    .macro EACH row
    ldr     r8, [r7], #4
    ldrsb   r12, [r11], #1
    mvn     r12, r12                /* right - 1 */
    mov     r9, #1
    lsl     r9, r9, r12
    add     r12, r12, #1
    RIGHT   \row
    .endm

/* r2-r5 = biases, r6 = out. */
    .macro BIASES
    ldrd    r6, r7, [sp, #F_OUT]
    ldmia   r7!, {r2-r5}
    str     r7, [sp, #F_BIAS]
    .endm

    .macro ADD_DOUBLED
    add     r2, r2, r8, lsl #1
    add     r3, r3, r9, asr #7
    add     r4, r4, r10, lsl #1
    add     r5, r5, r11, asr #7
    .endm

/* Saturating sum with what `out` holds. */
    .macro ADD_TO_OUT
    pkhbt   r2, r2, r3, lsl #16
    pkhbt   r4, r4, r5, lsl #16
    ldrd    r8, r9, [r6]
    qadd16  r2, r8, r2
    qadd16  r4, r9, r4
    .endm

    .macro TAIL name
    .p2align 2
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    .endm

    .macro AGAIN
    strd    r2, r4, [r6], #8
    str     r6, [sp, #F_OUT]
    ldr     r7, [sp, #F_END]
    cmp     r6, r7
    beq     ts_smlad_end
    ldr     pc, [sp, #F_AGAIN]
    .endm

    TAIL    ts_smlad_set_right
    BIASES
    ADD_DOUBLED
    RIGHT_FOUR
    pkhbt   r2, r2, r3, lsl #16
    pkhbt   r4, r4, r5, lsl #16
    AGAIN

    TAIL    ts_smlad_add_right
    ldr     r6, [sp, #F_OUT]
    lsl     r2, r8, #1
    asr     r3, r9, #7
    lsl     r4, r10, #1
    asr     r5, r11, #7
    RIGHT_FOUR
    ADD_TO_OUT
    AGAIN

    TAIL    ts_smlad_set_left
    ldrd    r7, r12, [sp, #F_HALF]
    lsl     r8, r8, r12
    asr     r9, r9, r7
    lsl     r10, r10, r12
    asr     r11, r11, r7
    BIASES
    add     r2, r2, r8
    add     r3, r3, r9
    add     r4, r4, r10
    add     r5, r5, r11
    LEFT_FOUR
    pkhbt   r2, r2, r3, lsl #16
    pkhbt   r4, r4, r5, lsl #16
    AGAIN

    TAIL    ts_smlad_add_left
    ldrd    r7, r12, [sp, #F_HALF]
    ldr     r6, [sp, #F_OUT]
    lsl     r2, r8, r12
    asr     r3, r9, r7
    lsl     r4, r10, r12
    asr     r5, r11, r7
    LEFT_FOUR
    ADD_TO_OUT
    AGAIN

    TAIL    ts_smlad_set_each
    BIASES
    ADD_DOUBLED
    ldrd    r7, r11, [sp, #F_EACH_Q]
    EACH    r2
    EACH    r3
    EACH    r4
    EACH    r5
    strd    r7, r11, [sp, #F_EACH_Q]
    pkhbt   r2, r2, r3, lsl #16
    pkhbt   r4, r4, r5, lsl #16
    AGAIN

ts_smlad_end:
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
#endif
