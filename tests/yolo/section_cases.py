"""Definitions of one or a few sections, `written` as reference_darknet.definitions does: every
option that counts at inference."""

from __future__ import annotations

from collections.abc import Mapping

from yolo_example.parsing.activations import ACTIVATIONS as KNOWN

ACTIVATIONS = (
    "linear", "logistic", "loggy", "relu", "elu", "selu", "relie", "plse", "hardtan", "lhtan",
    "ramp", "leaky", "tanh", "stair",
)  # fmt: skip
CONVOLUTION = "convolutional filters=6 size=3 pad=1 activation=linear"
POINTS = "convolutional filters=6 size=1 activation=linear"
"""Values of both signs to try others on."""


CONVOLUTIONAL = {
    "plain": "filters=6 size=3",
    "defaults": "",
    "flipped": "filters=6 size=3 flipped=1",
    "pad": "filters=6 size=5 pad=1",
    "pad of an even size": "filters=6 size=4 pad=1",
    "padding": "filters=6 size=3 padding=2",
    "pad goes before padding": "filters=6 size=3 pad=1 padding=2",
    "stride": "filters=6 size=3 stride=2 pad=1",
    "stride beyond the size": "filters=6 size=2 stride=3",
    "groups": "filters=6 size=3 groups=2 pad=1",
    "depthwise": "filters=8 size=3 groups=4 stride=2 pad=1 batch_normalize=1",
    "normalized": "filters=6 size=3 batch_normalize=1 pad=1",
    "normalized, plain activation": "filters=6 size=3 batch_normalize=1 activation=linear",
    "default activation": "filters=6 size=1",
}

MAXPOOL = {
    "defaults": "",
    "stride alone": "stride=2",
    "size alone": "size=3",
    "even": "size=2 stride=2",
    "even, stride 1": "size=2 stride=1",
    "odd": "size=3 stride=2",
    "no padding": "size=3 stride=2 padding=0",
    "more padding": "size=3 stride=2 padding=3",
    "stride beyond the size": "size=2 stride=3",
    "large": "size=9 stride=1",
}

RESHAPING = {
    "upsample": "upsample",
    "upsample by 3": "upsample stride=3",
    "upsample scaled": "upsample stride=2 scale=.5",
    "avgpool": "avgpool",
    "crop": "crop crop_height=8 crop_width=10",
    "crop, odd margins": "crop crop_height=8 crop_width=11 flip=1 angle=7 shift=.2",
    "crop without rescaling": "crop crop_height=8 crop_width=10 noadjust=1",
    "route": f"{CONVOLUTION}|maxpool|route layers=-2|maxpool",
    "route of several": f"{CONVOLUTION}|maxpool size=3|route layers=-1,0,-2,0",
    "route of vectors": "connected output=7|connected output=5|route layers=0,-1",
}

REORG = {
    "upsample reversed": "upsample stride=-2 scale=.5",
    "reorg": "reorg stride=2",
    "reorg, default stride": "reorg",
    "reorg reversed": "reorg stride=2 reverse=1",
    "reorg to a vector": "reorg stride=2 flatten=1",
    "reorg from a vector": "reorg stride=2 flatten=1 reverse=1",
    "reorg with extra": "reorg extra=3",
    "reorg of convolutions": f"{CONVOLUTION.replace('6', '8')}|reorg stride=2",
}

SHORTCUT = {
    "shortcut": f"{POINTS}|{CONVOLUTION}|shortcut from=0 activation=leaky",
    "shortcut, from here": f"{POINTS}|{CONVOLUTION}|shortcut from=-2",
    "shortcut of more channels": (
        f"{POINTS.replace('6', '9')}|{CONVOLUTION}|shortcut from=0 activation=linear"
    ),
    "shortcut of fewer channels": (
        f"{POINTS.replace('6', '3')}|{CONVOLUTION}|shortcut from=0 activation=linear"
    ),
    "shortcut of a larger layer": (
        f"{POINTS}|{CONVOLUTION} stride=2|shortcut from=0 activation=linear"
    ),
    "shortcut of a smaller layer": (
        f"{POINTS}|{CONVOLUTION} stride=2|upsample|route layers=0|shortcut from=1 activation=linear"
    ),
    "shortcut with factors": f"{POINTS}|{CONVOLUTION}|shortcut from=0 alpha=2 beta=.5",
}

FUNCTIONS = {
    "batchnorm": f"{POINTS}|batchnorm",
    "batchnorm of the input": f"batchnorm|{POINTS}",
    "default activation": f"{POINTS}|activation",
    "dropout": f"{POINTS}|dropout probability=.7|{CONVOLUTION}",
    "logistic": f"{POINTS}|logistic",
    "l2norm": f"{POINTS}|l2norm",
    "normalization": f"{POINTS}|normalization",
    "normalization, all options": f"{POINTS}|lrn size=3 alpha=.1 beta=.6 kappa=2",
    "batchnorm of a vector": "connected output=7|batchnorm",
    "activation of a vector": "connected output=7|activation activation=tanh",
    "softmax": f"{POINTS}|softmax",
    "softmax in groups": f"{POINTS}|softmax groups=3 temperature=2",
    "softmax of a tree": "connected output=7 activation=linear|softmax tree=small.tree",
    "softmax of a tree, temperature": (
        "connected output=7 activation=linear|softmax tree=small.tree temperature=3"
    ),
    "softmax of a vector in groups": "connected output=12 activation=linear|softmax groups=4",
    "cost": f"{POINTS}|softmax|cost type=sse",
    "masked cost": f"{POINTS}|cost type=masked",
    "smooth cost": f"{POINTS}|dropout|cost type=smooth",
    "connected": f"{POINTS}|connected output=7 activation=relu|connected output=5",
    "connected, normalized": f"{POINTS}|connected output=7 batch_normalize=1 activation=leaky",
    "connected, then pixels": "connected output=7|avgpool|softmax",
}

DETECTION = {
    "yolo": (f"{POINTS.replace('6', '14')}|yolo classes=2 num=4 mask=1,3 anchors=1,2,3,4,5,6,7,8"),
    "yolo without mask": f"{POINTS.replace('6', '7')}|yolo classes=2 anchors=1,2",
    "region": f"{POINTS.replace('6', '16')}|region classes=3 num=2 anchors=1,2,3,4",
    "region with softmax": (
        f"{POINTS.replace('6', '16')}|region classes=3 num=2 softmax=1 anchors=1,2,3,4"
    ),
    "region with a background": (
        f"{POINTS.replace('6', '16')}|region classes=3 num=2 background=1 anchors=1,2,3,4"
    ),
    "region of a tree": (
        f"{POINTS.replace('6', '24')}|region classes=7 num=2 tree=small.tree anchors=1,2,3,4"
    ),
    "region with more coordinates": (
        f"{POINTS.replace('6', '18')}|region classes=3 num=2 softmax=1 coords=5 anchors=1,2,3,4"
    ),
    "detection": (
        "connected output=90 activation=linear|"
        "detection classes=5 coords=4 side=3 num=1 softmax=0 sqrt=1"
    ),
    "detection with softmax": (
        "connected output=126 activation=linear|"
        "detection classes=4 coords=4 side=3 num=2 softmax=1 sqrt=1"
    ),
}

EVEN = {"net": "channels=8 height=12 width=18"}
FIRST: Mapping[str, tuple[str, Mapping[str, str]]] = {
    **{
        f"convolution, {name}": (f"convolutional {options}", {})
        for name, options in CONVOLUTIONAL.items()
    },
    **{f"maxpool, {name}": (f"{POINTS}|maxpool {o}", {}) for name, o in MAXPOOL.items()},
    **{
        f"activation {name}": (f"{POINTS}|activation activation={name}", {}) for name in ACTIVATIONS
    },
    **{
        name: (sections, {})
        for group in (RESHAPING, FUNCTIONS, DETECTION)
        for name, sections in group.items()
    },
    **{name: (sections, EVEN) for group in (REORG, SHORTCUT) for name, sections in group.items()},
    "vectors": (
        "connected output=8 activation=relu|dropout|connected output=5 activation=tanh|softmax",
        {"net": "inputs=11"},
    ),
    "one channel": (CONVOLUTION, {"net": "channels=1 height=5 width=5"}),
}
"""What the first Darknet knows: sections, and settings of `written`."""

FORK_NET = "channels=4 height=12 width=18"
KEEPING = "convolutional filters=6 size=3 pad=1"
LINEAR = f"{KEEPING} activation=linear"
SQUEEZE = "avgpool|convolutional filters=6 size=1 activation=logistic"

FORK: Mapping[str, str] = {
    **{
        f"convolution, {name}": f"{KEEPING} batch_normalize={normalized} activation={name}"
        for name in ("linear", "leaky", "relu", "mish", "swish", "logistic", "tanh")
        for normalized in (0, 1)
    },
    "depthwise": "convolutional filters=8 size=5 pad=1 stride=2 groups=4 activation=mish",
    "route of a group": f"{KEEPING} activation=mish|route layers=-1 groups=3 group_id=1",
    "route of several": f"{LINEAR}|{LINEAR}|route layers=-1,0|{LINEAR}|route layers=-1,-3,1",
    "shortcut": f"{LINEAR}|{KEEPING} activation=mish|shortcut from=-2 activation=linear",
    "shortcut, activated": f"{LINEAR}|{LINEAR}|shortcut from=-2 activation=leaky",
    "scale_channels": f"{LINEAR}|{SQUEEZE}|scale_channels from=0",
    "sam": f"{LINEAR}|{KEEPING} activation=logistic|sam from=-2",
    "maxpool": f"{LINEAR}|maxpool size=2 stride=2",
    "maxpool that keeps the size": f"{LINEAR}|maxpool size=5 stride=1",
    "maxpool at the edges": f"{LINEAR}|maxpool size=3 stride=2",
    "spatial pyramid": (
        f"{LINEAR}|maxpool size=5 stride=1|route layers=0|maxpool size=9 stride=1|"
        "route layers=-1,1,0"
    ),
    "upsample": f"{LINEAR}|upsample stride=3",
    "reorg": "convolutional filters=8 size=1 activation=linear|reorg stride=2",
    "classes": f"{LINEAR}|avgpool|softmax groups=1",
}
"""What its fork adds, behind a [net] of FORK_NET."""

OVER_CHANNELS = tuple(name for name, found in KNOWN.items() if found.joins_channels)

RARE: Mapping[str, str] = {
    "dilation": f"{POINTS}|{CONVOLUTION} dilation=2",
    "dilation and stride": "convolutional filters=6 size=5 pad=1 dilation=2 stride=2",
    "strides of their own": f"{CONVOLUTION} stride_x=3 stride_y=2|maxpool stride_x=1 stride_y=2",
    "blurred": f"{CONVOLUTION} stride=2 antialiasing=1|maxpool size=2 stride=2 antialiasing=2",
    "blurred and thinned": f"{CONVOLUTION} stride=2 antialiasing=2",
    "average of windows": f"{POINTS}|local_avgpool size=3 stride=2",
    "the largest of some channels": f"{POINTS}|maxpool maxpool_depth=1 out_channels=2",
    "reorg3d": "convolutional filters=8 size=1|reorg3d stride=2|reorg3d stride=2 reverse=1",
    "implicit": f"{POINTS}|implicit filters=6 mean=1|scale_channels from=0",
    "weighted shortcut": (
        f"{POINTS}|{CONVOLUTION}|{POINTS}|shortcut from=0,-2 weights_type=per_channel "
        "weights_normalization=softmax activation=linear"
    ),
    "shortcut of several": f"{POINTS}|{CONVOLUTION}|{POINTS}|shortcut from=0,-2 activation=mish",
    "activated shortcut of a wide group": (
        "convolutional filters=24 size=3 pad=1 groups=4 batch_normalize=1 activation=relu6|"
        "convolutional filters=24 size=3 pad=1 groups=24 batch_normalize=1 activation=swish|"
        "shortcut from=0 activation=relu"
    ),
    "gaussian yolo": (
        "convolutional filters=24 size=1 activation=linear|"
        "Gaussian_yolo classes=3 num=2 mask=0,1 anchors=1,2,3,4 scale_x_y=1.1"
    ),
    "yolo of new coordinates": (
        "convolutional filters=14 size=1 activation=logistic|"
        "yolo classes=2 num=2 mask=0,1 anchors=1,2,3,4 new_coords=1 scale_x_y=2"
    ),
    **{
        f"{name} in the convolution": f"convolutional filters=9 size=3 activation={name}"
        for name in KNOWN
    },
    **{
        f"{name} behind a sum": f"{POINTS}|{CONVOLUTION}|shortcut from=0 activation={name}"
        for name in KNOWN
        if name not in OVER_CHANNELS
    },
}
"""What neither judge runs, and every activation where it may become a part of something."""
