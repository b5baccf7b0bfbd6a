/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M55: W x of the layout `rows`, requantised to int16, four rows a turn.
 *
 * VMLADAV sums over all 16 bytes of a register, so a register holds 16 inputs of one row.  Blocks go
 * four at a time: their column numbers, a gather of their 16 inputs, and VLD4, which takes 64 bytes
 * of weights apart into the rows of four blocks: 11 instructions for 64 multiplications.  The first
 * group of a row of blocks holds what does not fill a vector; its missing inputs are read as zero,
 * so weights behind the row do no harm.  The sums go from the core registers into one vector that is
 * requantised there: VQRDMLAH adds the doubling high product to the sum's sign, minus one or nothing,
 * VRSHL is the rounding shift.
 *
 *     void ts_mve_FORM_TAIL(const ts_matrix *matrix, const int8_t *x, int16_t *out)
 *     FORM  blocks, all          TAIL  set_right, set_left, set_each, add_right, add_left
 */
    .syntax unified
    .thumb
    .text

    /* ts_matrix of internal.h */
    .equ VALUES, 0
    .equ INDEX, 4
    .equ BIAS, 8
    .equ ROW_Q, 12
    .equ ROW_SHIFT, 16
    .equ Q, 24
    .equ SHIFT, 28
    .equ TILE_ROWS, 32
    .equ TILE_COLUMNS, 34

/* Four rows' weights of four blocks at r9 in q2-q5. */
    .macro FOUR_BLOCKS last
    vld40.32 {q2, q3, q4, q5}, [r9]
    vld41.32 {q2, q3, q4, q5}, [r9]
    vld42.32 {q2, q3, q4, q5}, [r9]
    vld43.32 {q2, q3, q4, q5}, [r9]\last
    .endm

/* Sums of the four rows into r2, r4, r6, r8. */
    .macro BLOCKS
    ldrb    r3, [r1], #1
    and     r5, r3, #7              /* blocks of the first group, and groups behind it */
    lsr     r3, r3, #3
    vctp.32 r5
    vpstt
    vldrbt.u32 q1, [r1]
    vldrwt.u32 q0, [r7, q1, uxtw #2]
    FOUR_BLOCKS
    vmladav.s8 r2, q0, q2
    vmladav.s8 r4, q0, q3
    vmladav.s8 r6, q0, q4
    vmladav.s8 r8, q0, q5
    add     r1, r1, r5
    add     r9, r9, r5, lsl #4
    wls     lr, r3, 3f
2:  vldrb.u32 q1, [r1], #4
    vldrw.u32 q0, [r7, q1, uxtw #2]
    FOUR_BLOCKS !
    vmladava.s8 r2, q0, q2
    vmladava.s8 r4, q0, q3
    vmladava.s8 r6, q0, q4
    vmladava.s8 r8, q0, q5
    le      lr, 2b
3:
    .endm

    .macro ALL
    mov     r5, r7
    mov     r2, #0
    mov     r4, #0
    mov     r6, #0
    mov     r8, #0
    dls     lr, r1
2:  vldrw.u32 q0, [r5], #16
    vldrw.u32 q2, [r9], #16
    vldrw.u32 q3, [r9], #16
    vmladava.s8 r2, q0, q2
    vldrw.u32 q4, [r9], #16
    vmladava.s8 r4, q0, q3
    vldrw.u32 q5, [r9], #16
    vmladava.s8 r6, q0, q4
    vmladava.s8 r8, q0, q5
    le      lr, 2b
    .endm

/* q0 times r12 / 2^31 and 2^q7, q7 below zero.  Where a sum below zero has a product of 0, its sign
   alone is rounded back to 0. */
    .macro RIGHT
    vshr.s32 q1, q0, #31
    vqrdmlah.s32 q1, q0, r12
    vrshl.s32 q0, q1, q7
    .endm

    .macro LEFT
    vshl.s32 q0, q0, q7
    vqrdmulh.s32 q0, q0, r12
    .endm

/* The same with a multiplier for each row, q6. */
    .macro RIGHT_EACH
    vqrdmulh.s32 q0, q0, q6
    vshr.s32 q1, q0, #31
    vadd.i32 q0, q0, q1
    vrshl.s32 q0, q0, q7
    .endm

/* Sums into q0. */
    .macro SUMS
    vmov    q0[2], q0[0], r2, r6
    vmov    q0[3], q0[1], r4, r8
    .endm

    .macro ADD_BIAS
    vldrw.u32 q1, [r10], #16
    vadd.i32 q0, q0, q1
    .endm

    .macro STORE
    vqmovnb.s32 q0, q0
    vstrh.32 q0, [r0], #8
    .endm

    .macro ADD_AND_STORE
    vldrh.s32 q1, [r0]
    vqmovnb.s32 q0, q0
    vqadd.s16 q0, q0, q1
    vstrh.32 q0, [r0], #8
    .endm

    .macro TAIL_set_right
    ADD_BIAS
    RIGHT
    STORE
    .endm
    .macro TAIL_set_left
    ADD_BIAS
    LEFT
    STORE
    .endm
    .macro TAIL_set_each
    ldr     r5, [sp]                /* shifts of the rows */
    vldrw.u32 q6, [r12], #16
    vldrb.s32 q7, [r5], #4
    str     r5, [sp]
    ADD_BIAS
    RIGHT_EACH
    STORE
    .endm
    .macro TAIL_add_right
    RIGHT
    ADD_AND_STORE
    .endm
    .macro TAIL_add_left
    LEFT
    ADD_AND_STORE
    .endm

    .macro KERNEL form, tail
    .p2align 2
    .global ts_mve_\form\()_\tail
    .type   ts_mve_\form\()_\tail, %function
    .thumb_func
ts_mve_\form\()_\tail:
    push    {r3-r11, lr}
    vpush   {d8-d15}
    sub     sp, sp, #8
    mov     r7, r1
    .ifc \tail, set_each
    ldrd    r12, r5, [r0, #ROW_Q]
    str     r5, [sp]
    .else
    ldrd    r12, r5, [r0, #Q]
    vdup.32 q7, r5
    .endif
    ldr     r10, [r0, #BIAS]
    ldrh    r3, [r0, #TILE_ROWS]
    add     r11, r2, r3, lsl #3
    ldr     r9, [r0, #VALUES]
    .ifc \form, blocks
    ldr     r1, [r0, #INDEX]
    .else
    ldrh    r1, [r0, #TILE_COLUMNS]
    .endif
    mov     r0, r2
    .ifc \form, blocks
    lsls    r3, r3, #31             /* two rows of blocks a turn; of an odd number first one */
    bne     4f
1:
    BLOCKS
    SUMS
    TAIL_\tail
4:
    BLOCKS
    .else
1:
    ALL
    .endif
    SUMS
    TAIL_\tail
    cmp     r0, r11
    bne     1b
    add     sp, sp, #8
    vpop    {d8-d15}
    pop     {r3-r11, pc}
    .size   ts_mve_\form\()_\tail, . - ts_mve_\form\()_\tail
    .endm

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
    KERNEL  blocks, set_right
    KERNEL  blocks, set_left
    KERNEL  blocks, set_each
    KERNEL  blocks, add_right
    KERNEL  blocks, add_left
    KERNEL  all, set_right
    KERNEL  all, set_left
    KERNEL  all, set_each
    KERNEL  all, add_right
    KERNEL  all, add_left
#endif
