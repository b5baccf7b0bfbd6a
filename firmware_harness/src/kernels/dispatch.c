/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"

#ifdef __x86_64__
/* GCC's test includes that the system saves the wide registers. */
static int avx512vnni_is_there(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
static int avx2_is_there(void) { return __builtin_cpu_supports("avx2"); }
#endif
#if defined(__arm__)
/* Chosen when compiling: the processor is known. */
static int mve_is_there(void) __attribute__((unused));
static int smlad_is_there(void) __attribute__((unused));
static int mve_is_there(void) { return 1; }
static int smlad_is_there(void) { return 1; }
#endif
static int reference_is_there(void) { return 1; }

#define TS_KERNELS(isa, layout, prepare, gemv, cell) \
    {#isa, layout, isa##_is_there, prepare, gemv, cell},
const ts_kernels ts_kernel_table[] = {
#include "kernels.inc"
};
#undef TS_KERNELS
const size_t ts_kernel_count = sizeof ts_kernel_table / sizeof *ts_kernel_table;

static int usable(const ts_kernels *kernels, unsigned layout)
{
    return (kernels->layout == TS_LAYOUTS || kernels->layout == (int)layout) && kernels->there();
}

const ts_kernels *ts_best_kernels(unsigned layout)
{
    const ts_kernels *kernels = ts_kernel_table;
    while (!usable(kernels, layout)) kernels++; /* the last, the reference, always is */
    return kernels;
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

const char *tinyse_kernels(const tinyse_model *model) { return model->kernels->name; }

tinyse_status tinyse_choose(tinyse_model *model, const char *name)
{
    if (model == NULL || name == NULL) return TINYSE_ERR_ARGUMENT;
    for (size_t i = 0; i < ts_kernel_count; i++)
        if (same(ts_kernel_table[i].name, name) &&
            usable(&ts_kernel_table[i], model->header->layout)) {
            model->kernels = &ts_kernel_table[i];
            return TINYSE_OK;
        }
    return TINYSE_ERR_ARGUMENT;
}
