/* The part of oneDNN's C interface (version 3) that plugrt calls.
 *
 * oneDNN is opened at run time, so nothing here is linked: a table of function
 * pointers is filled by name.  Enumerations are plain ints; their values are
 * part of oneDNN's stable binary interface and are kept on the Python side.
 *
 * This header is also read by cffi: declarations only.
 */
#ifndef PLUGRT_ONEDNN_API_H
#define PLUGRT_ONEDNN_API_H

#include <stddef.h>
#include <stdint.h>

typedef struct dnnl_engine *onednn_engine;
typedef struct dnnl_stream *onednn_stream;
typedef struct dnnl_memory *onednn_memory;
typedef struct dnnl_memory_desc *onednn_memory_desc;
typedef const struct dnnl_memory_desc *onednn_const_memory_desc;
typedef struct dnnl_primitive *onednn_primitive;
typedef struct dnnl_primitive_desc *onednn_primitive_desc;
typedef struct dnnl_primitive_attr *onednn_attr;
typedef struct dnnl_post_ops *onednn_post_ops;

typedef struct {
    int argument;
    onednn_memory memory;
} onednn_argument;

typedef struct {
    int major;
    int minor;
    int patch;
    const char *hash;
    unsigned cpu_runtime;
    unsigned gpu_runtime;
} onednn_version;

typedef struct {
    const onednn_version *(*version)(void);
    const char *(*fmt_tag2str)(int tag);
    int (*set_primitive_cache_capacity)(int capacity);

    int (*engine_create)(onednn_engine *engine, int kind, size_t index);
    int (*stream_create)(onednn_stream *stream, onednn_engine engine, unsigned flags);
    int (*stream_destroy)(onednn_stream stream);

    int (*memory_desc_create_with_strides)(onednn_memory_desc *desc, int rank,
        const int64_t *dims, int data_type, const int64_t *strides);
    int (*memory_desc_create_with_tag)(onednn_memory_desc *desc, int rank,
        const int64_t *dims, int data_type, int tag);
    int (*memory_desc_create_submemory)(onednn_memory_desc *desc,
        onednn_const_memory_desc parent, const int64_t *dims, const int64_t *offsets);
    int (*memory_desc_clone)(onednn_memory_desc *desc, onednn_const_memory_desc source);
    int (*memory_desc_destroy)(onednn_memory_desc desc);
    int (*memory_desc_equal)(onednn_const_memory_desc left, onednn_const_memory_desc right);
    size_t (*memory_desc_get_size)(onednn_const_memory_desc desc);
    int (*memory_desc_query)(onednn_const_memory_desc desc, int what, void *result);

    int (*memory_create)(onednn_memory *memory, onednn_const_memory_desc desc,
        onednn_engine engine, void *handle);
    int (*memory_destroy)(onednn_memory memory);
    int (*memory_set_data_handle)(onednn_memory memory, void *handle);

    int (*post_ops_create)(onednn_post_ops *post_ops);
    int (*post_ops_destroy)(onednn_post_ops post_ops);
    int (*post_ops_append_sum)(onednn_post_ops post_ops, float scale, int32_t zero_point,
        int data_type);
    int (*post_ops_append_eltwise)(onednn_post_ops post_ops, int algorithm, float alpha,
        float beta);
    int (*post_ops_append_binary)(onednn_post_ops post_ops, int algorithm,
        onednn_const_memory_desc operand);

    int (*primitive_attr_create)(onednn_attr *attr);
    int (*primitive_attr_destroy)(onednn_attr attr);
    int (*primitive_attr_set_scratchpad_mode)(onednn_attr attr, int mode);
    int (*primitive_attr_set_fpmath_mode)(onednn_attr attr, int mode);
    int (*primitive_attr_set_post_ops)(onednn_attr attr, onednn_post_ops post_ops);
    int (*primitive_attr_set_scales_mask)(onednn_attr attr, int argument, int mask);
    int (*primitive_attr_set_zero_points_mask)(onednn_attr attr, int argument, int mask);

    int (*primitive_desc_destroy)(onednn_primitive_desc desc);
    int (*primitive_desc_next_impl)(onednn_primitive_desc desc);
    int (*primitive_desc_query)(onednn_primitive_desc desc, int what, int index, void *result);
    onednn_const_memory_desc (*primitive_desc_query_md)(onednn_primitive_desc desc, int what,
        int index);
    int (*primitive_create)(onednn_primitive *primitive, onednn_primitive_desc desc);
    int (*primitive_destroy)(onednn_primitive primitive);
    int (*primitive_execute)(onednn_primitive primitive, onednn_stream stream, int count,
        const onednn_argument *arguments);

    int (*convolution_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, int algorithm, onednn_const_memory_desc source,
        onednn_const_memory_desc weights, onednn_const_memory_desc bias,
        onednn_const_memory_desc destination, const int64_t *strides,
        const int64_t *dilations, const int64_t *padding_before, const int64_t *padding_after,
        onednn_attr attr);
    int (*deconvolution_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, int algorithm, onednn_const_memory_desc source,
        onednn_const_memory_desc weights, onednn_const_memory_desc bias,
        onednn_const_memory_desc destination, const int64_t *strides,
        const int64_t *dilations, const int64_t *padding_before, const int64_t *padding_after,
        onednn_attr attr);
    int (*inner_product_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, onednn_const_memory_desc source,
        onednn_const_memory_desc weights, onednn_const_memory_desc bias,
        onednn_const_memory_desc destination, onednn_attr attr);
    int (*matmul_primitive_desc_create)(onednn_primitive_desc *desc, onednn_engine engine,
        onednn_const_memory_desc source, onednn_const_memory_desc weights,
        onednn_const_memory_desc bias, onednn_const_memory_desc destination,
        onednn_attr attr);
    int (*pooling_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, int algorithm, onednn_const_memory_desc source,
        onednn_const_memory_desc destination, const int64_t *strides, const int64_t *kernel,
        const int64_t *dilations, const int64_t *padding_before, const int64_t *padding_after,
        onednn_attr attr);
    int (*lrn_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, int algorithm, onednn_const_memory_desc source,
        onednn_const_memory_desc destination, int64_t local_size, float alpha, float beta,
        float k, onednn_attr attr);
    int (*softmax_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, int algorithm, onednn_const_memory_desc source,
        onednn_const_memory_desc destination, int axis, onednn_attr attr);
    int (*concat_primitive_desc_create)(onednn_primitive_desc *desc, onednn_engine engine,
        onednn_const_memory_desc destination, int count, int axis,
        const onednn_const_memory_desc *sources, onednn_attr attr);
    int (*sum_primitive_desc_create)(onednn_primitive_desc *desc, onednn_engine engine,
        onednn_const_memory_desc destination, int count, const float *scales,
        const onednn_const_memory_desc *sources, onednn_attr attr);
    int (*binary_primitive_desc_create)(onednn_primitive_desc *desc, onednn_engine engine,
        int algorithm, onednn_const_memory_desc left, onednn_const_memory_desc right,
        onednn_const_memory_desc destination, onednn_attr attr);
    int (*eltwise_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, int algorithm, onednn_const_memory_desc source,
        onednn_const_memory_desc destination, float alpha, float beta, onednn_attr attr);
    int (*reorder_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_const_memory_desc source, onednn_engine source_engine,
        onednn_const_memory_desc destination, onednn_engine destination_engine,
        onednn_attr attr);
    int (*resampling_forward_primitive_desc_create)(onednn_primitive_desc *desc,
        onednn_engine engine, int prop_kind, int algorithm, const float *factors,
        onednn_const_memory_desc source, onednn_const_memory_desc destination,
        onednn_attr attr);
    int (*reduction_primitive_desc_create)(onednn_primitive_desc *desc, onednn_engine engine,
        int algorithm, onednn_const_memory_desc source, onednn_const_memory_desc destination,
        float p, float epsilon, onednn_attr attr);
} onednn_api;

/* Opens the library at `path` and fills `api`.  Returns 0, or non-zero with a
 * one-line reason in `message`.  The library stays open for the life of the
 * process: its threads and generated code outlive any handle of ours. */
int plugrt_onednn_load(onednn_api *api, const char *path, char *message, size_t capacity);

#endif
