/* SPDX-License-Identifier: Apache-2.0 */
/* What a call costs: SysTick ticks, and the stack below its caller.
 *
 * QEMU's `-icount` makes ticks a fixed multiple of the instructions.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010; /* CTRL LOAD VAL */
enum { STACK_PATTERN = 0xa5, STACK_PROBE = 8192 };

static inline void start_counting(void)
{
    systick[1] = 0xffffff;
    systick[2] = 0;
    systick[0] = 5;
}
static inline uint32_t now(void) { return systick[2]; }
static inline uint32_t since(uint32_t before) { return (before - now()) & 0xffffffu; }

/* The counter has 24 bits: from its top, it reaches zero (COUNTFLAG) where it was too few. */
static inline void to_the_top(void)
{
    systick[2] = 0;
    while (now() == 0) {}
    (void)systick[0];
}
static inline int ran_out(void) { return systick[0] >> 16 & 1; }

/* How deep `call` goes: what it overwrote of a painted stretch below this frame. */
__attribute__((noinline)) static uint32_t stack_of(void (*call)(void))
{
    uint8_t *const top = __builtin_frame_address(0);
    volatile uint8_t *const bottom = top - STACK_PROBE;
    for (volatile uint8_t *at = bottom; at < top - 128; at++) *at = STACK_PATTERN;
    call();
    volatile uint8_t *deepest = bottom;
    while (*deepest == STACK_PATTERN) deepest++;
    return (uint32_t)(top - deepest);
}

#endif
