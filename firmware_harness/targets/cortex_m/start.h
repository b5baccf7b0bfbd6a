/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host, by semihosting; a debugger or QEMU answers. */
#ifndef START_H
#define START_H

#include <stddef.h>
#include <stdint.h>

int host_open(const char *name); /* below zero: there is none */
int host_make(const char *name);
void host_close(int file);
size_t host_read(int file, void *data, size_t bytes); /* bytes that came */
void host_write(int file, const void *data, size_t bytes);
void host_print(const char *text);
void host_exit(int status) __attribute__((noreturn));

#endif
