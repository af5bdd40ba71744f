"""What holds for the whole network: the [net] section and the parser's options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .cfg_reader import Section
from .option_reader import OptionReader
from .shapes import FeatureShape

NET_NAMES = ("net", "network")

TRAINING_OPTIONS = frozenset({
    "B1", "B2", "adam", "adversarial_lr", "angle", "aspect", "attention",
    "augment_speed", "badlabels_rejection_percentage", "batch", "blur", "burn_in", "center",
    "clip", "contrastive", "contrastive_color", "contrastive_jit_flip", "cutmix", "decay",
    "dynamic_minibatch", "ema_alpha", "eps", "equidistant_point", "exposure", "flip", "gamma",
    "gaussian_noise", "hue", "label_smooth_eps", "learning_rate", "learning_rate_min",
    "loss_scale", "max_batches", "max_chart_loss", "max_crop", "max_ratio", "min_crop",
    "min_ratio", "mixup", "momentum", "mosaic", "mosaic_bound", "notruth",
    "num_sigmas_reject_badlabels", "optimized_memory", "policy", "power", "random", "resize_step",
    "saturation", "scale", "scales", "seq_scales", "sequential_subdivisions", "sgdr_cycle",
    "sgdr_mult", "show_receptive_field", "step", "steps", "subdivisions", "time_steps", "track",
    "try_fix_nan", "unsupervised", "use_cuda_graph", "weights_reject_freq",
    "workspace_size_limit_MB",
})  # fmt: skip


@dataclass(frozen=True)
class TreeSettings:
    """What the parser's options say about trees of classes.

    `tree` goes before the files that sections name; `class_map` holds the classes to find, and
    `hier_thresh` is how probable the most specific one must be.
    """

    tree: Path | None = None
    class_map: Path | None = None
    hier_thresh: float = 0.5


@dataclass(frozen=True)
class NetSettings:
    """`letter_box` says that the net was trained on pictures fitted into a grey frame."""

    input: FeatureShape
    letter_box: bool = False
    batch_norm: str = "opencv"
    class_names: tuple[str, ...] = ()
    trees: TreeSettings = field(default_factory=TreeSettings)


def read_net_section(
    section: Section, batch_norm: str, class_names: tuple[str, ...]
) -> tuple[NetSettings, list[str]]:
    """The network's settings, and notes on options that are not known.

    Raises ModelError when the first section is not [net] or gives no input size.
    """
    if section.name not in NET_NAMES:
        raise section.error("stands first; a definition begins with [net]")
    options = OptionReader(section)
    channels, height, width, inputs = (
        options.integer(name, 0) for name in ("channels", "height", "width", "inputs")
    )
    if channels and height and width:
        shape = FeatureShape(channels, height, width)
        if inputs and inputs != shape.size:
            raise options.error(
                "inputs",
                f"inputs={inputs} contradicts channels x height x width = {shape}; delete one",
            )
    elif inputs and not (height or width):
        shape = FeatureShape(inputs, flat=True)
    else:
        raise section.error(
            f"channels={channels} height={height} width={width} give no input size; "
            "all three must be above 0"
        )
    settings = NetSettings(shape, options.flag("letter_box"), batch_norm, class_names)
    return settings, options.unread(TRAINING_OPTIONS)
