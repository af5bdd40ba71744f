/* The kernels of the Darknet layers.
 * This header is also read by cffi: declarations only.
 */
#ifndef YOLO_KERNELS_H
#define YOLO_KERNELS_H

#include "plugrt_kernel.h"

/* What happens to a run of planes: any sum of these. */
enum yolo_plane_rule {
    YOLO_COPY = 0,
    YOLO_LOGISTIC = 1,
    YOLO_SCALE = 2 /* times `scale` plus `shift`, after the logistic function */
};

/* Values [blocks, planes, area]; the planes of each block lie in up to 8 runs, run k ending
 * before plane ends[k].  Planes behind the last run are left alone.  In place or not. */
typedef struct yolo_activation_arguments {
    plugrt_ref input;
    plugrt_ref output;
    int64_t blocks;
    int64_t planes;
    int64_t area;
    int64_t ends[8];
    int32_t rules[8];
    int32_t runs;
    float scale;
    float shift;
} yolo_activation_arguments;

int yolo_activate_planes(const void *arguments, const plugrt_call *call);

/* Softmax over groups of planes, pixel by pixel, of values [blocks, planes, area].  Group k
 * ends before plane `first` + ends[k] of a block and begins where the one before it ends, the
 * first one at `first`.  Other planes are left alone.  In place or not. */
typedef struct yolo_softmax_arguments {
    plugrt_ref input;
    plugrt_ref output;
    plugrt_ref ends; /* int32 [groups] */
    int64_t blocks;
    int64_t planes;
    int64_t area;
    int64_t first;
    int64_t groups;
    float factor; /* multiplies the values first: 1 / temperature */
} yolo_softmax_arguments;

int yolo_softmax_planes(const void *arguments, const plugrt_call *call);

/* Elements moved between pixels and channels.  `wide` is the tensor of more channels, [count,
 * channels, height, width]; see reorg.c for the two orders. */
typedef struct yolo_reorg_arguments {
    plugrt_ref input;
    plugrt_ref output;
    int64_t images;
    int64_t channels;
    int64_t height;
    int64_t width;
    int64_t stride;
    int32_t element_size; /* bytes: 1, 2, 4 or 8 */
    int32_t gather;       /* 1: output[flat] = input[moved]; 0: the other way round */
} yolo_reorg_arguments;

int yolo_reorg(const void *arguments, const plugrt_call *call);

/* Values [images, channels, area], the channels of every pixel divided by a sum over them; in
 * place or not.  See channel_normalization.py for the kinds. */
enum yolo_channel_kind {
    YOLO_CHANNELS_POSITIVE,
    YOLO_CHANNELS_SOFTMAX,
    YOLO_CHANNELS_SHIFTED_SOFTMAX,
    YOLO_CHANNELS_EUCLIDEAN
};

typedef struct yolo_channel_arguments {
    plugrt_ref input;
    plugrt_ref output;
    int64_t images;
    int64_t channels;
    int64_t area;
    int32_t kind;
} yolo_channel_arguments;

int yolo_normalize_channels(const void *arguments, const plugrt_call *call);

/* `bytes` bytes written `count` times, one behind the other. */
typedef struct yolo_repeat_arguments {
    plugrt_ref input;
    plugrt_ref output;
    int64_t count;
    int64_t bytes;
} yolo_repeat_arguments;

int yolo_repeat(const void *arguments, const plugrt_call *call);

#endif
