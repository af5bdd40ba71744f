/* Opening oneDNN and resolving its functions by name. */
#define _GNU_SOURCE
#include "onednn_api.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct symbol {
    const char *name;
    size_t offset;
};

#define SYMBOL(function) { "dnnl_" #function, offsetof(onednn_api, function) }

static const struct symbol symbols[] = {
    SYMBOL(version),
    SYMBOL(fmt_tag2str),
    SYMBOL(set_primitive_cache_capacity),
    SYMBOL(engine_create),
    SYMBOL(stream_create),
    SYMBOL(stream_destroy),
    SYMBOL(memory_desc_create_with_strides),
    SYMBOL(memory_desc_create_with_tag),
    SYMBOL(memory_desc_create_submemory),
    SYMBOL(memory_desc_clone),
    SYMBOL(memory_desc_destroy),
    SYMBOL(memory_desc_equal),
    SYMBOL(memory_desc_get_size),
    SYMBOL(memory_desc_query),
    SYMBOL(memory_create),
    SYMBOL(memory_destroy),
    SYMBOL(memory_set_data_handle),
    SYMBOL(post_ops_create),
    SYMBOL(post_ops_destroy),
    SYMBOL(post_ops_append_sum),
    SYMBOL(post_ops_append_eltwise),
    SYMBOL(post_ops_append_binary),
    SYMBOL(primitive_attr_create),
    SYMBOL(primitive_attr_destroy),
    SYMBOL(primitive_attr_set_scratchpad_mode),
    SYMBOL(primitive_attr_set_fpmath_mode),
    SYMBOL(primitive_attr_set_post_ops),
    SYMBOL(primitive_attr_set_scales_mask),
    SYMBOL(primitive_attr_set_zero_points_mask),
    SYMBOL(primitive_desc_destroy),
    SYMBOL(primitive_desc_next_impl),
    SYMBOL(primitive_desc_query),
    SYMBOL(primitive_desc_query_md),
    SYMBOL(primitive_create),
    SYMBOL(primitive_destroy),
    SYMBOL(primitive_execute),
    SYMBOL(convolution_forward_primitive_desc_create),
    SYMBOL(deconvolution_forward_primitive_desc_create),
    SYMBOL(inner_product_forward_primitive_desc_create),
    SYMBOL(matmul_primitive_desc_create),
    SYMBOL(pooling_forward_primitive_desc_create),
    SYMBOL(lrn_forward_primitive_desc_create),
    SYMBOL(softmax_forward_primitive_desc_create),
    SYMBOL(concat_primitive_desc_create),
    SYMBOL(sum_primitive_desc_create),
    SYMBOL(binary_primitive_desc_create),
    SYMBOL(eltwise_forward_primitive_desc_create),
    SYMBOL(reorder_primitive_desc_create),
    SYMBOL(resampling_forward_primitive_desc_create),
    SYMBOL(reduction_primitive_desc_create),
};

/* A pointer the table does not resolve would be a crash later on. */
_Static_assert(sizeof symbols / sizeof symbols[0] == sizeof(onednn_api) / sizeof(void *),
    "every member of onednn_api needs its SYMBOL");

/* Gives the pages of the read-only segments of the object that holds `data` back, once it is
 * found. They are read from the file again where they are needed. */
static int drop_read_only_pages(struct dl_phdr_info *object, size_t size, void *data)
{
    (void)size;
    const uintptr_t wanted = (uintptr_t)data, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    int found = 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        const uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        found |= segment->p_type == PT_LOAD && wanted - start < segment->p_memsz;
    }
    for (int i = 0; found && i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        const uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        const uintptr_t first = (start + page - 1) / page * page;
        const uintptr_t end = (start + segment->p_filesz) / page * page;
        if (first < end)
            madvise((void *)first, end - first, MADV_DONTNEED);
    }
    return found;
}

int plugrt_onednn_load(onednn_api *api, const char *path, char *message, size_t capacity)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(message, capacity, "%s", dlerror());
        return 1;
    }
    memset(api, 0, sizeof *api);
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (address == NULL) {
            snprintf(message, capacity, "%s has no function %s", path, symbols[i].name);
            return 1;
        }
        memcpy((char *)api + symbols[i].offset, &address, sizeof address);
    }
    /* Relocating the library has read a quarter of it, 11 MB, which nothing reads again. */
    dl_iterate_phdr(drop_read_only_pages, (void *)api->version);
    return 0;
}
