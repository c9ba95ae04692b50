"""Every field of an experiment: its meaning and its default."""

from ml_collections import ConfigDict, config_dict

from dbnet_jax.images.decode import MAX_PIXELS
from dbnet_jax.images.pdf import DPI
from dbnet_jax.models.backbones import ALL_OPTIONS


def default_config() -> ConfigDict:
    """ResNet-18, the paper's recipe (arXiv 1911.08947, section 4.2) with the official code's losses.

    **Returns:** a new config that takes further fields until `lock` is called.
    """
    config = ConfigDict()
    config.task = "detection"
    # Decides the initial weights, the order of the pictures and every random choice.
    config.seed = 0
    config.model = _model()
    config.init = _init()
    config.data = _data()
    config.train = _train()
    config.loss = _loss()
    config.predict = _predict()
    config.evaluate = _evaluate()
    return config


def _model() -> ConfigDict:
    """The network."""
    model = ConfigDict()
    model.backbone = "resnet18"  # "resnet34", "resnet50", "resnet101", "mobilenet_v3_large", "mobilenet_v3_small"
    model.width = 64  # channels of a ResNet's first stage; 16 makes a narrow model, a quarter of a MobileNet too
    # The backbones' own options; dbnet_jax/models/backbones documents them. `dcn`: deformable convolution in a ResNet's
    # stages conv3 to conv5. `dcn_offsets`: "official" for the released ResNet-50 weights. `max_width`: the limit of
    # channels in a ResNet's stage. `mobilenet`: "torchvision" for the MobileNets with ImageNet weights.
    for option, default in ALL_OPTIONS.items():
        model[option] = config_dict.placeholder(int) if default is None else default
    model.neck = "fpn"  # or "fpe", lighter: separable convolutions from the top down and from the bottom up
    model.inner_channels = 256  # channels of the feature pyramid; a multiple of 4
    model.scale_fusion = False  # True makes a DBNet++: each pixel weighs the levels of the pyramid
    model.attention = "scale_channel_spatial"  # in the scale fusion; or "scale_spatial", "scale_channel"
    model.attention_channels = config_dict.placeholder(int)  # of this attention; None is inner_channels / 4
    model.binarization = "differentiable"  # or "standard": no threshold map (ablation of the paper)
    model.serial = False  # True: the probability map is an input of the threshold head
    model.k = 50.0  # steepness of the differentiable binarization
    model.dtype = "float32"  # of the computation, or "bfloat16"; parameters and statistics stay float32
    return model


def _init() -> ConfigDict:
    """The initial weights of a run that has no checkpoint yet. At most one of `backbone` and `checkpoint` is set."""
    init = ConfigDict()
    init.backbone = ""  # a PyTorch file (.pth, .safetensors): ImageNet weights of torchvision or timm, or a detector
    # All weights, with a new optimiser: a workdir, a file of --mode=export, the name of shipped weights, or a PyTorch
    # file of a detector.
    init.checkpoint = ""
    init.widen = False  # True: the network of the checkpoint may be narrower; new channels start with the output 0
    return init


def _data() -> ConfigDict:
    """The data set, and how training pictures and label maps are made."""
    data = ConfigDict()
    data.name = ""  # a data set: input_pipeline/datasets/__init__.py lists them
    data.dir = ""  # its folder, in the layout its owner publishes
    # More training sets: NAME=DIR*WEIGHT@ZOOM, separated by commas. "msra_td500=/data/td500*0.5@0.4,synthetic*2" draws
    # 0.5 pictures of MSRA-TD500 and 2 synthetic pictures for each picture of `name`, on average. ZOOM multiplies
    # `scale` for this set. An epoch is one pass over the pictures of `name`. A set repeats a picture only after all of
    # its pictures were drawn. Reports write the name of the set before the name of a picture. NAME+lines joins a set's
    # words to lines, as `granularity` does for ICDAR2015.
    data.mix = ""
    data.source = "files"  # or "tfds": array_record files in `tfds_dir`, which are prepared once (docs/tfds.md)
    data.tfds_dir = "~/tensorflow_datasets"
    # "train": nine of every ten training pictures; "validation": every tenth one; "trainval": all; "test".
    data.train_split = "train"
    data.eval_split = "validation"
    data.pixels = "host"  # who warps pictures and draws label maps: "host", or "device" (without TensorFlow)
    # "host" or "device": its memory keeps decoded pictures, 2.8 MB each at 1280×720. The host uses at most half of its
    # memory, and keeps no rendered pictures of a mix. "device" needs `pixels` = "device".
    data.cache = "none"
    data.canvas = (1280, 1280)  # (height, width) of pictures on their way to the device; larger pictures are shrunk
    data.max_instances = 256  # polygons of a picture on the device; pictures with more are skipped and listed
    data.max_vertices = 32  # of a polygon on the device
    data.normalization = "imagenet"  # or "official": (BGR − mean) / 255, which the official networks need
    data.crop = (640, 640)  # (height, width) of a training picture, in pixels; multiples of 32
    data.flip = 0.5  # probability of a horizontal flip
    data.rotation = 10.0  # degrees; the angle is uniform in ± this
    data.scale = (0.5, 3.0)  # the size is multiplied by a factor, uniform in this range
    data.short_side = config_dict.placeholder(int)  # pixels, before `scale`; None keeps the size of the picture
    data.jitter = 0.0  # brightness, contrast and saturation are multiplied by factors in 1 ± this
    data.shrink_ratio = 0.4  # r: polygons shrink and grow by D = A (1 − r²) / L pixels
    data.threshold_min = 0.3
    data.threshold_max = 0.7
    data.threshold_distance = "true"  # true distance to an edge; or "official": longer near corners
    data.min_text_size = 8  # pixels; text with a shorter side is ignored
    data.max_bad_share = 0.1  # a larger share of unusable pictures stops training and --mode=evaluate
    data.granularity = "word"  # or "line": for HierText, scenes, and ICDAR2015 (its words are joined to lines)
    # Only for your own data (docs/own_data.md):
    data.train_labels = ""  # training labels, relative to `dir`; "" looks for the usual names of the format
    data.eval_labels = ""  # evaluation labels; "" looks for them, or holds out every tenth picture
    # Only for the rendered sets, "synthetic" (the quickstart) and "scenes":
    data.train_pictures = 20_000
    data.eval_pictures = 200
    data.picture_size = (256, 256)  # (height, width)
    data.render_processes = 0  # processes that render training pictures; 0: the threads of this process do
    # Only for the scenes:
    data.backgrounds = ""  # a folder of photos without text; "": all backgrounds are drawn
    data.layouts = ""  # a folder of annotation files in Total-Text's format, whose polygons are filled; "": none
    data.vocabulary = ""  # for "words": a UTF-8 file of words, one a line, that half of the crops show
    data.fonts = ""  # a folder of fonts; "": the fonts of the machine; "builtin": only the fonts in OpenCV
    return data


def _train() -> ConfigDict:
    """The length of a run, its optimiser, and how often it logs, saves and evaluates."""
    train = ConfigDict()
    train.epochs = 1200.0  # passes over the training pictures of `data.name`
    train.steps = 0  # batches; 0: `epochs` decides
    train.batch_size = 16  # pictures on all devices of all hosts together
    train.optimizer = "sgd"  # as in the paper; "adamw" learns much faster from random weights; or "muon"
    train.learning_rate = 0.007
    train.schedule = "step"  # when the learning rate falls; or "epoch", as in the official code
    train.power = 0.9  # exponent of the poly schedule
    train.warmup = 0  # optimiser steps
    train.momentum = 0.9
    train.weight_decay = 1e-4
    train.accumulate = 1  # batches of one optimiser step
    train.ema_decay = 0.0  # decay of the averaged weights, which are evaluated and exported; 0: no average
    train.log_every = 20  # steps
    train.checkpoint_every = 500  # batches; here and below 0 means never
    train.evaluate_every = 5000  # batches; the end of the run is always evaluated
    train.picture_every = 1000  # batches; pictures for TensorBoard
    # "10:15" writes a profile of five steps, for TensorBoard, when this process has taken 10 steps. "": none.
    train.profile_steps = ""
    train.keep_checkpoints = 2  # the latest checkpoints; the checkpoint of best hmean is always kept
    return train


def _loss() -> ConfigDict:
    """The parts of the loss and their weights."""
    loss = ConfigDict()
    loss.probability_weight = 5.0
    loss.binary_weight = 1.0
    loss.threshold_weight = 10.0  # 0: the threshold map is not supervised (ablation of the paper)
    loss.binary_loss = "dice"  # or "cross_entropy", as in the paper
    loss.negative_ratio = 3.0  # hard negatives for each positive pixel
    loss.min_negatives = 1000  # least hard negatives; with the official 0, a batch without text has no gradient
    return loss


def _predict() -> ConfigDict:
    """The size of pictures in the network, and how polygons are made of the maps."""
    predict = ConfigDict()
    predict.checkpoint = "best"  # by hmean, or "latest"
    # The program that runs the network: "xla"; on a CPU also "onnxruntime", "openvino" (in bfloat16 where the processor
    # has it) or "openvino_float32"; or "auto", the fastest one that is installed.
    predict.backend = "xla"
    predict.network = ""  # an ONNX file that the back end runs in the place of the weights, such as one in int8
    predict.map = "probability"  # or "binary"
    predict.shape = "quad"  # or "polygon"
    predict.threshold = 0.3  # of the binarization; the paper has 0.2
    predict.box_threshold = 0.7  # least mean probability inside a polygon
    predict.unclip_ratio = config_dict.placeholder(float)  # None: 1.5 for quads, 2.0 for polygons
    predict.max_candidates = 10_000  # the most regions of a map that grow: the largest, and a warning counts the others
    predict.min_size = 3  # pixels of the map
    predict.rings = False  # finds text all around a ring, as in seals; needs shape = "polygon"
    # The side that becomes `size`: "short", "long" or "height"; the other side keeps the proportion, and is padded.
    # "none" keeps the size of the picture. "official": the height becomes `size`, the width `stretch_width`.
    predict.resize = "short"
    # Pixels. None: the network looks at a picture several times, as `looks` states.
    predict.size = config_dict.FieldReference(736, field_type=int)
    # With `size` None. "fitting": a look at `first_size`, then at those of `sizes` that the text needs. "all": a look
    # at each of `sizes`. The polygons of all looks are merged. A look counts for text whose height in it is between
    # 0.7 and 2.5 × `text_height`.
    predict.looks = "fitting"
    predict.first_size = 736  # pixels
    predict.sizes = (416, 736, 1536)  # pixels
    predict.text_height = 48.0  # pixels of the network's input
    predict.stretch_width = config_dict.placeholder(int)  # pixels; None: in proportion, a multiple of 32
    predict.max_side = 4096  # pixels; a longer side is shrunk to it, but with `tiles`
    # For large pictures: 1024 or (height, width), multiples of 32 from 64 on. The network sees a look through
    # overlapping windows of this size, and their maps become one map. None: it sees a look as a whole.
    predict.tiles = config_dict.placeholder(object)
    # The most pixels of a picture file, also in training and evaluation on own data; None: as many as OpenCV reads.
    predict.max_pixels = config_dict.FieldReference(MAX_PIXELS, field_type=int)
    predict.frames = "first"  # of an animation, pages of a PDF or a TIFF; or "all", each as a picture of its own
    predict.dpi = DPI  # pixels an inch of the pages of a PDF
    predict.password = config_dict.placeholder(str)  # of encrypted PDF files
    predict.batch_size = 1
    predict.follow_exif = True  # turns pictures as viewers do; the labels of the benchmarks need False
    return predict


def _evaluate() -> ConfigDict:
    """How detections are scored."""
    evaluate = ConfigDict()
    evaluate.protocol = "iou"  # or "deteval", "pascal", "icdar2013", "td500"
    evaluate.page_pictures = 40  # pictures on the results page, those with the most errors first
    return evaluate
