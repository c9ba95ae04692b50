"""Every field of an experiment, with what it means and its default."""

from ml_collections import ConfigDict, config_dict


def default_config() -> ConfigDict:
    """ResNet-18, the paper's recipe (arXiv 1911.08947, section 4.2) with the official code's losses.

    **Returns:** a new config that takes further fields until `lock` is called.
    """
    config = ConfigDict()
    # Initial weights, the order of the pictures and every random choice follow from it.
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
    model.max_width = config_dict.placeholder(int)  # the most channels that a stage of a ResNet has; None is no limit
    model.dcn = False  # deformable convolution in a ResNet's stages conv3 to conv5
    model.dcn_offsets = "strided"  # or "official", which the released deformable ResNet-50 weights need
    model.mobilenet = "official"  # or "torchvision", the MobileNets that there are ImageNet weights of
    model.neck = "fpn"  # or "fpe", lighter: separable convolutions from the top down and from the bottom up
    model.inner_channels = 256  # channels of the feature pyramid; a multiple of 4
    model.scale_fusion = False  # True makes a DBNet++: the levels of the pyramid are weighed at each pixel
    model.attention = "scale_channel_spatial"  # of the scale fusion; or "scale_spatial", "scale_channel"
    model.attention_channels = config_dict.placeholder(int)  # that it looks at; None is inner_channels / 4
    model.binarization = "differentiable"  # or "standard": no threshold map, the paper's ablation
    model.serial = False  # the threshold head sees the probability map too
    model.k = 50.0  # steepness of the differentiable binarisation
    model.dtype = "float32"  # or "bfloat16" for the computation; parameters and statistics stay float32
    return model


def _init() -> ConfigDict:
    """What a run starts from that has no checkpoint yet; one of `backbone` and `checkpoint` at most."""
    init = ConfigDict()
    init.backbone = ""  # a PyTorch file (.pth, .safetensors): torchvision's or timm's of ImageNet, or a detector's
    # A workdir, a file of --mode=export, shipped weights by name, or a PyTorch file of a whole detector: all weights,
    # and a fresh optimiser.
    init.checkpoint = ""
    init.widen = False  # True: the checkpoint's network may be narrower; the new channels start silent
    return init


def _data() -> ConfigDict:
    """What is read, and what training pictures and their label maps are made of it."""
    data = ConfigDict()
    data.name = ""  # a data set: input_pipeline/datasets/__init__.py lists them
    data.dir = ""  # its folder, in the layout its owner publishes
    # Training sets that are mixed in: "msra_td500=/data/td500*0.5@0.4,synthetic*2" adds to each picture of `name` half
    # a picture of the one, at 0.4 of the sizes that `scale` says, and two of the other, on average. An epoch is one
    # pass over the pictures of `name`, 3.5 pictures to each of them here, however many the others have: those of the
    # set that lasts longest all come before one comes again. In reports each set's name goes before its pictures'.
    data.mix = ""
    data.source = "files"  # or "tfds": prepared once as array_record files under tfds_dir, read from there
    data.tfds_dir = "~/tensorflow_datasets"
    # "train" and "validation" are nine and one of every ten training pictures, "trainval" is all of them.
    data.train_split = "train"
    data.eval_split = "validation"
    data.pixels = "host"  # who warps pictures and draws label maps; "device" needs no TensorFlow
    # "host" or "device": decoded pictures stay in its memory, 2.8 MB each at 1280×720; the host's takes as many as half
    # of it holds, and what is rendered only alone. "device" needs `pixels` there.
    data.cache = "none"
    data.canvas = (1280, 1280)  # (height, width) in which pictures go to the device; larger ones are shrunk to fit
    data.max_instances = 256  # room for outlines on the device; a picture with more is skipped and named
    data.max_vertices = 32
    data.normalization = "imagenet"  # or "official": BGR − mean over 255, as the official networks want it
    data.crop = (640, 640)  # (height, width) of a training picture, in pixels; multiples of 32
    data.flip = 0.5  # probability of a horizontal flip
    data.rotation = 10.0  # degrees; the angle is uniform in ± this
    data.scale = (0.5, 3.0)  # the picture's size is multiplied by a number uniform in this range …
    data.short_side = config_dict.placeholder(int)  # … after its shorter side became so many pixels; None is as it is
    data.jitter = 0.0  # brightness, contrast and saturation vary by factors in 1 ± this
    data.shrink_ratio = 0.4  # r: text shrinks and grows by D = A (1 − r²) / L
    data.threshold_min = 0.3
    data.threshold_max = 0.7
    data.threshold_distance = "true"  # to an edge; or "official", longer near corners
    data.min_text_size = 8  # pixels; text with a side under it is ignored
    data.max_bad_share = 0.1  # a larger share of unusable pictures stops training, and --mode=evaluate
    # Or "line": of HierText, of the rendered scenes, and of ICDAR2015, whose words are then joined to lines.
    data.granularity = "word"
    # Of one's own data only (docs/own_data.md):
    data.train_labels = ""  # the labels to train from, relative to `dir`; "" finds them by the names of the format
    data.eval_labels = ""  # those of the pictures to score on; "" finds them, or holds out every tenth picture
    # Of the two that are rendered only, "synthetic" (the quickstart's) and "scenes":
    data.train_pictures = 20_000
    data.eval_pictures = 200
    data.picture_size = (256, 256)  # (height, width)
    data.render_processes = 0  # that render training pictures beside this one; 0 renders in its threads
    # Of the scenes only:
    data.backgrounds = ""  # a folder of photographs without text; "" draws every ground
    data.layouts = ""  # a folder of annotation files as Total-Text's, whose outlines are filled; "" takes none
    data.fonts = ""  # a folder of fonts; "" takes the machine's, "builtin" those that OpenCV carries alone
    return data


def _train() -> ConfigDict:
    """How long a run trains and by which optimiser, and what it leaves on its way."""
    train = ConfigDict()
    train.epochs = 1200.0  # passes over the training pictures of `data.name` …
    train.steps = 0  # … or batches, where positive
    train.batch_size = 16  # over all devices of all hosts
    train.optimizer = "sgd"  # the paper's; "adamw" leaves random weights much faster; or "muon"
    train.learning_rate = 0.007
    train.schedule = "step"  # the rate falls at each, or at each "epoch" as in the official code
    train.power = 0.9  # of the poly schedule
    train.warmup = 0  # optimiser steps
    train.momentum = 0.9
    train.weight_decay = 1e-4
    train.accumulate = 1  # batches to one optimiser step
    train.ema_decay = 0.0  # of the moving average of the weights that is evaluated and shipped; 0 is none
    train.log_every = 20  # steps
    train.checkpoint_every = 500  # here and below: steps are batches, and 0 is never
    train.evaluate_every = 5000  # the end of the run is always evaluated
    train.picture_every = 1000  # pictures to TensorBoard
    train.keep_checkpoints = 2  # the latest ones; the best by hmean is kept beside them
    return train


def _loss() -> ConfigDict:
    """The parts of the loss and their weights."""
    loss = ConfigDict()
    loss.probability_weight = 5.0
    loss.binary_weight = 1.0
    loss.threshold_weight = 10.0  # 0 leaves the threshold map without supervision, the paper's ablation
    loss.binary_loss = "dice"  # or "cross_entropy", the paper's
    loss.negative_ratio = 3.0  # hard negatives to a positive pixel
    # The official code's 0 gives a batch without text no gradient; at least this many pixels push its map down.
    loss.min_negatives = 1000
    return loss


def _predict() -> ConfigDict:
    """How pictures are seen and detections made of their maps."""
    predict = ConfigDict()
    predict.checkpoint = "best"  # by hmean, or "latest"
    predict.map = "probability"  # or "binary"
    predict.shape = "quad"  # or "polygon"
    predict.threshold = 0.3  # binarisation; the paper writes 0.2
    predict.box_threshold = 0.7  # least mean probability inside a region
    predict.unclip_ratio = config_dict.placeholder(float)  # None is 1.5 for quads, 2.0 for polygons
    predict.max_candidates = 1000
    predict.min_size = 3  # pixels of the map
    # Which side becomes `size`: "short", "long" or "height", the other in proportion and padded; "none" keeps the
    # picture's size; "official" makes the height `size` and stretches the width to `stretch_width`.
    predict.resize = "short"
    # Pixels. None looks at a picture twice: at `first_size`, and at the one of `sizes` that brings half of what was
    # found nearest to `text_height`.
    predict.size = config_dict.FieldReference(736, field_type=int)
    predict.first_size = 736  # pixels
    predict.sizes = (512, 736, 1152, 1536)  # pixels
    predict.text_height = 48.0  # pixels
    # Pixels, of "official"; None is in proportion, up to a multiple of 32.
    predict.stretch_width = config_dict.placeholder(int)
    predict.max_side = 4096  # pixels; longer sides shrink to it
    predict.batch_size = 1
    predict.follow_exif = True  # turn picture files upright as viewers do; the benchmarks' labels want False
    return predict


def _evaluate() -> ConfigDict:
    """How detections are scored."""
    evaluate = ConfigDict()
    evaluate.protocol = "iou"  # or "deteval", "pascal", "icdar2013", "td500"
    evaluate.page_pictures = 40  # how many pictures the results page shows, those with the most errors first
    return evaluate
