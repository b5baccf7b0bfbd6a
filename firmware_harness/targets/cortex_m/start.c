/* SPDX-License-Identifier: Apache-2.0 */
/* Bare metal: vectors, memory at reset, and semihosting for files and the exit status. */
#include "start.h"

#include <string.h>

extern uint32_t _sdata, _edata, _ldata, _sbss, _ebss, _stack;
int main(void);
void reset_handler(void);
void fault_handler(void);

static int host(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE0 = 4, SYS_WRITE = 5, SYS_READ = 6 };
enum { SYS_EXIT_EXTENDED = 0x20, BINARY_READ = 1, BINARY_WRITE = 5 };

static int open_file(const char *name, int mode)
{
    const uintptr_t arguments[3] = {(uintptr_t)name, (uintptr_t)mode, strlen(name)};
    return host(SYS_OPEN, arguments);
}

static void close_file(int file)
{
    const uintptr_t arguments[1] = {(uintptr_t)file};
    host(SYS_CLOSE, arguments);
}

int host_open(const char *name) { return open_file(name, BINARY_READ); }
int host_make(const char *name) { return open_file(name, BINARY_WRITE); }
void host_close(int file) { close_file(file); }

size_t host_read(int file, void *data, size_t bytes)
{
    const uintptr_t arguments[3] = {(uintptr_t)file, (uintptr_t)data, bytes};
    return bytes - (size_t)host(SYS_READ, arguments);
}

void host_write(int file, const void *data, size_t bytes)
{
    const uintptr_t arguments[3] = {(uintptr_t)file, (uintptr_t)data, bytes};
    if (host(SYS_WRITE, arguments) != 0) host_exit(97);
}

void host_print(const char *text) { host(SYS_WRITE0, text); }

void host_exit(int status)
{
    const uintptr_t arguments[2] = {0x20026, (uintptr_t)status};
    for (;;) host(SYS_EXIT_EXTENDED, arguments);
}

void fault_handler(void) { host_exit(99); }

void reset_handler(void)
{
    volatile uint32_t *const access = (volatile uint32_t *)0xe000ed88; /* CPACR: FPU and MVE on */
    *access |= 0xfu << 20;
    __asm__ volatile("dsb\n isb");
    memcpy(&_sdata, &_ldata, (size_t)((char *)&_edata - (char *)&_sdata));
    memset(&_sbss, 0, (size_t)((char *)&_ebss - (char *)&_sbss));
    host_exit(main());
}

typedef void (*vector)(void);
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    (vector)(uintptr_t)&_stack, reset_handler, fault_handler, fault_handler, fault_handler,
    fault_handler, fault_handler, fault_handler, NULL, NULL, NULL, fault_handler,
    fault_handler, NULL, fault_handler, fault_handler};

/* What the library asks of libc, and memcmp and strlen for tests. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    uint8_t *a = to;
    const uint8_t *b = from;
    if ((((uintptr_t)a | (uintptr_t)b) & 3u) == 0)
        for (; bytes >= 4; bytes -= 4, a += 4, b += 4)
            *(uint32_t *)(void *)a = *(const uint32_t *)(const void *)b;
    while (bytes-- > 0) *a++ = *b++;
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    uint8_t *a = to;
    while (bytes-- > 0) *a++ = (uint8_t)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = a, *right = b;
    for (; bytes > 0; bytes--, left++, right++)
        if (*left != *right) return *left - *right;
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length]) length++;
    return length;
}
