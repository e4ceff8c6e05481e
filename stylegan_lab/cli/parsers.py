"""The arguments of the commands. They are parsed without importing torch, so that help and usage errors appear at once."""

import re
from argparse import Namespace
from pathlib import Path

from stylegan_lab.cli.arguments import CommandParser
from stylegan_lab.config.paths import BASELINES, config_choices
from stylegan_lab.errors import UserError, check_at_least

HALVES = ("left", "right")  # of an image that shows a pair side by side
EXPORT_FORMATS = ("safetensors", "onnx", "pt2", "hub")
COMPARISON_FORMATS = ("csv", "json", "markdown")
DEFAULT_PORT, LARGEST_PORT = 6007, 65535  # TensorBoard takes 6006
SERVE_PORT = 6008
MIN_TOKEN_LENGTH = 16
DEFAULT_IMAGES = 64
DEFAULT_VIDEO_IMAGES = 8  # between which a video interpolates
DEFAULT_FRAMES = 30  # from one image to the next
DEFAULT_STEADY = 0.8


def evaluate(arguments: list[str]) -> Namespace:
    parser = _run_parser(
        "evaluate",
        "Compare the images of a run with real images. Writes scores.json and an image grid into the run's folder.",
        "runs/demo/20260101-120000-ab12 --checkpoint best",
    )
    add = parser.add_argument
    help_split = "train: compare a generative model with its training images, as papers do"
    add("--split", choices=("test", "val", "train"), default="test", help=help_split)
    extra = ", ".join(name for name in config_choices("metrics") if name != "default")
    add("--metrics", metavar="A,B", help=f"compute these in addition to the metrics of the run: {extra}")
    add("--weights", metavar="FILE", help="weights of the feature network of --metrics, instead of a download")
    add("--n", type=int, help="number of images that a generative model generates; default: as many as the split has")
    options = _checked(parser.parse_args(arguments), n=2)
    if options.weights is not None and options.metrics is None:
        raise UserError(
            "evaluation.weights_not_used",
            f"--weights {options.weights} needs --metrics; name the metrics that use these weights, such as --metrics squeezenet",
        )
    return options


def score(arguments: list[str]) -> Namespace:
    parser = _parser(
        "score",
        "Compute metrics between two folders of images. The names of feature metrics end with their feature network; compare "
        "them only with scores of the same feature network, image counts and image size.",
        "photos/ translations/ --features squeezenet --metrics fid,kid",
    )
    add = parser.add_argument
    add("real", metavar="REAL", type=Path, help="a folder of real images")
    add("fake", metavar="FAKE", type=Path, help="a folder of generated images")
    add(
        "--features",
        default="untrained",
        help="feature network: untrained, inception, inception_64, inception_192, inception_768, squeezenet, vgg16, vgg19, "
        "alexnet, clip, dinov2; untrained (the default) needs no download",
    )
    add("--weights", metavar="FILE", help="weights of the feature network, instead of a download")
    add(
        "--metrics",
        metavar="A,B",
        help="metrics to compute, of fid, kid, precision, recall, density, coverage, is, l1, psnr, ssim, ms_ssim, "
        "sliced_wasserstein, palette_distance, diversity, lpips_alex, lpips_vgg, lpips_squeeze, "
        "style_vgg19, style_vgg16, style_squeezenet; default: "
        "the first six. Metrics that compare pairs (l1, psnr, ssim, ms_ssim, lpips_...) need images of the same names "
        "in both folders",
    )
    add("--size", metavar="N", type=int, help="resize every image to NxN first")
    add("--half", choices=HALVES, help="the half to read of REAL's images, where they show a pair side by side")
    add("--fake-half", choices=HALVES, help="the same of FAKE's images")
    resize = "clean: bicubic, antialiased; legacy: bilinear, as pytorch-fid; tensorflow: bilinear, as torch-fidelity"
    add("--resize", default="clean", help=f"how images are resized for the feature network: {resize}")
    add("--batch-size", metavar="N", type=int, default=32, help="images per batch (default 32)")
    add("--json", metavar="OUT", type=Path, help="write scores, protocol and hashes of the folders to this file")
    return _checked(parser.parse_args(arguments), batch_size=1, size=8)


def compare(arguments: list[str]) -> Namespace:
    parser = _parser(
        "compare",
        "Compare runs: settings that differ, scores (mean and standard deviation over seeds) and cost.",
        "runs/demo runs/sweeps/20260101-120000 --html page.html",
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUNS", help="run folders, folders that contain runs, sweeps, or patterns")
    help_scores = "scores to show, such as test/ssim,val/psnr; rows are sorted by the first"
    add("--scores", default="", metavar="NAMES", help=help_scores)
    for name in COMPARISON_FORMATS:
        add(f"--{name}", nargs="?", const="-", metavar="FILE", help=f"write {name} to FILE, or print it")
    add("--html", metavar="FILE", help="write one HTML page with curves and samples, which works offline")
    help_study = "write an HTML page that asks people which of two unlabeled images is better"
    add("--preference-study", metavar="FILE", help=help_study)
    add("--questions", type=int, default=60, metavar="N", help="maximum number of questions on that page (60)")
    add("--votes", nargs="+", default=[], metavar="FILES", help="files of answers that people saved on such pages")
    return parser.parse_args(arguments)


def watch(arguments: list[str]) -> Namespace:
    parser = _parser(
        "watch",
        "Show the progress of a training: curves, scores, log and samples. It only reads the run's folder, and does not affect "
        "the training. It ends when the training ends, with exit code 0 if the run has finished and 1 if it was interrupted or "
        "has failed.",
        "runs/demo",
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="a run folder, or a folder of runs, of which the most recently written is shown")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--once", action="store_true", help="print the current state and exit with exit code 0")
    help_web = "serve a page that refreshes itself, for browsers on this machine, until Ctrl-C"
    choice.add_argument("--web", action="store_true", help=help_web)
    add("--port", type=int, metavar="N", help=f"port of the page (default {DEFAULT_PORT}); 0 takes a free one")
    options = _checked(parser.parse_args(arguments), port=0)
    if options.port is not None and not options.web:
        raise UserError(
            "watch.port_without_page", "--port has an effect only with --web; add --web, or leave out --port"
        )
    if options.port is None:
        options.port = DEFAULT_PORT
    _check_port(options.port)
    return options


def translate(arguments: list[str]) -> Namespace:
    parser = _run_parser(
        "translate",
        "Translate images and videos with a trained run, at their original size. Alpha, 16 bits (PNG), ICC profiles, and the "
        "sound and times of videos are kept. Large images are translated in strips, with the same result.",
        "runs/demo/20260101-120000-ab12 photos/ prints/ --size 256",
    )
    add = parser.add_argument
    help_inputs = (
        "images, videos, folders (with their subfolders), patterns such as 'photos/**/*.jpg', or - for standard input"
    )
    add("inputs", metavar="IN", nargs="+", help=help_inputs)
    add("target", metavar="OUT", help="a folder, the image or video to write, or - for a PNG on standard output")
    add("--direction", help="a2b (source to target, the default) or b2a")
    add("--to", metavar="DOMAIN", help="for runs with several domains: the target domain")
    help_reference = "for runs of stargan2 and adain: take the style from this image"
    add("--reference", metavar="IMAGE", type=Path, help=help_reference)
    add("--seed", type=int, help="for runs of stargan2 (without --reference) and unsb: draw other styles or noise")
    add("--half", choices=HALVES, help="translate one half of images that show a pair side by side")
    add("--size", metavar="PIXELS", type=int, help="scale the shorter side to this size first")
    help_batch = (
        "images of one size that are translated at once (default 8; on a CPU fewer, as many as fit into 256x256 pixels)"
    )
    add("--batch-size", metavar="N", type=int, help=help_batch)
    help_precision = (
        "32 (default), or bf16: about twice as fast where the hardware has it, colors differ by a few levels"
    )
    add("--precision", choices=("32", "bf16"), default="32", help=help_precision)
    help_steady = f"reduce the flicker of videos; STRENGTH is from 0, which changes nothing, to below 1 (default {DEFAULT_STEADY})"
    add("--steady", metavar="STRENGTH", nargs="?", type=float, const=DEFAULT_STEADY, help=help_steady)
    options = _checked(parser.parse_intermixed_args(arguments), size=1, batch_size=1)
    if options.steady is not None and not 0 <= options.steady < 1:
        raise UserError("cli.out_of_range", f"--steady={options.steady:g}: give a number of at least 0 and below 1")
    return options


def export(arguments: list[str]) -> Namespace:
    parser = _run_parser(
        "export",
        "Write a trained model for use without this package. The command reads the file again and prints the maximum difference "
        "between its outputs and those of the model.",
        "runs/demo/20260101-120000-ab12 ukiyoe.onnx",
    )
    add = parser.add_argument
    add("target", metavar="OUT", type=Path, help="the file to write, or a folder for --to hub")
    help_format = (
        "safetensors: weights and config; onnx, pt2 (torch.export): the network; hub: a folder with a model card; "
    )
    add(
        "--to",
        choices=EXPORT_FORMATS,
        help=f"{help_format}default: the format of OUT's suffix, or hub without a suffix",
    )
    add("--direction", help="a2b (source to target, the default), b2a, or a domain, for runs with several")
    add(
        "--seed",
        type=int,
        default=0,
        help="for runs of stargan2: the style that becomes part of the network (default 0)",
    )
    add(
        "--license",
        metavar="ID",
        default="unknown",
        help="the license of the model, such as cc-by-4.0 (default unknown)",
    )
    add("--push", metavar="REPO", help="with --to hub: upload the folder to this repository, such as me/ukiyoe")
    return parser.parse_args(arguments)


def generate(arguments: list[str]) -> Namespace:
    parser = _run_parser(
        "generate",
        "Generate images with a trained run. The suffix of OUT chooses the form: .png writes a grid, .gif, .mp4 or .webm a video "
        "that interpolates between images, no suffix a folder of images.",
        "runs/dcgan/20260101-120000-ab12 digits.png --n 64",
    )
    add = parser.add_argument
    add("target", metavar="OUT", type=Path, help="an image file for a grid, a video file, or a folder")
    add("--n", type=int, help=f"number of images (default {DEFAULT_IMAGES}; for a video {DEFAULT_VIDEO_IMAGES})")
    add("--class", dest="label", metavar="CLASS", help="name or index of a class, for runs with classes")
    add("--seed", type=int, default=0, help="random seed (default 0); image i depends on seed and i only")
    help_truncation = "for runs of stylegan2: below 1 gives cleaner and less diverse images, 0 the average image"
    add("--truncation", metavar="PSI", type=float, help=help_truncation)
    help_mixing = "for runs of stylegan2: combine the coarse styles of each image with the fine styles of the next"
    add("--style-mixing", action="store_true", help=help_mixing)
    help_frames = f"write this many frames from each image to the next (default for a video: {DEFAULT_FRAMES})"
    add("--interpolate", metavar="FRAMES", type=int, help=help_frames)
    options = _checked(parser.parse_args(arguments), n=1, seed=0, interpolate=1)
    if options.interpolate is not None and options.n == 1:
        raise UserError("cli.too_small", "--n=1: --interpolate needs at least 2 images; give a larger --n")
    return options


def serve(arguments: list[str]) -> Namespace:
    parser = _parser(
        "serve",
        "Serve a web page on which trained runs translate and generate images: choose or drop an image, compare before and after, "
        "download. It ends with Ctrl-C. Images are kept in the browser only.",
        "runs/demo exports/ukiyoe.safetensors --open",
    )
    add = parser.add_argument
    add("runs", metavar="RUN", nargs="+", help="run folders, checkpoint files, or exported .safetensors files")
    _add_checkpoint_arguments(parser)
    _add_ema_argument(parser)
    add("--port", type=int, metavar="N", default=SERVE_PORT, help=f"port (default {SERVE_PORT}); 0 takes a free one")
    help_host = "address to listen at (default 127.0.0.1: only this machine); others need a token"
    add("--host", default="127.0.0.1", help=help_host)
    help_token = "what browsers have to know; with another --host a new one is printed by default"
    add("--token", help=help_token)
    add("--open", action="store_true", help="open the page in a browser")
    add("--max-megabytes", type=float, metavar="MB", default=32, help="largest upload (default 32)")
    help_pixels = "largest image that is read or made (default 24; at most 100)"
    add("--max-megapixels", type=float, metavar="MP", default=24, help=help_pixels)
    help_queue = "requests at a time, the one in work included (default 8); others are asked to come again"
    add("--queue", type=int, metavar="N", default=8, help=help_queue)
    help_time = "time that the model may work on one request (default 600)"
    add("--time-limit", type=float, metavar="SECONDS", default=600, help=help_time)
    options = _checked(parser.parse_args(arguments), port=0, max_megabytes=0.01, max_megapixels=0.01, queue=1)
    _check_port(options.port)
    if options.max_megapixels > 100:
        raise UserError("cli.too_large", f"--max-megapixels={options.max_megapixels:g}: give at most 100")
    if not options.time_limit > 0:
        raise UserError("cli.too_small", f"--time-limit={options.time_limit:g}: give a number above 0")
    if options.token is not None and not re.fullmatch(rf"[A-Za-z0-9_-]{{{MIN_TOKEN_LENGTH},}}", options.token):
        advice = "leave it out to have one generated"
        raise UserError(
            "serve.invalid_token",
            f"--token must have at least {MIN_TOKEN_LENGTH} characters, all of them letters, digits, - or _; {advice}",
        )
    return options


def stylize(arguments: list[str]) -> Namespace:
    parser = _parser(
        "stylize",
        "Apply the style of one image to another by optimizing the image (Gatys et al., 2016), or in one pass with a trained run "
        "of adain.",
        "photo.jpg painting.jpg out.png --size 512 --preserve-color",
    )
    add = parser.add_argument
    add("content", metavar="CONTENT", type=Path, help="the content image")
    add("style", metavar="STYLE", help="the style image; with --run also several, separated by commas")
    add("out", metavar="OUT", type=Path, help="the image to write")
    add("--size", metavar="PIXELS", type=int, default=512, help="length of the longer side (default 512)")
    add("--preserve-color", action="store_true", help="keep the colors of the content image")
    add("--run", metavar="RUN", help="use this run of adain instead of optimizing the image")
    help_alpha = "with --run: content-style trade-off, from 0 (content) to 1 (style, default)"
    add("--alpha", type=float, default=1.0, help=help_alpha)
    add("--interpolation-weights", metavar="A,B", help="with --run: weights of several styles")
    _add_checkpoint_arguments(parser, "with --run: ")
    add("--iterations", type=int, default=300, help="optimizer steps (default 300)")
    add("--optimizer", choices=("lbfgs", "adam"), default="lbfgs", help="default: lbfgs")
    add("--lr-mult", type=float, default=1.0, help="multiplies the optimizer's learning rate (default 1)")
    add("--init", choices=("content", "noise"), default="content", help="initial image (default: content)")
    add("--seed", type=int, default=0, help="random seed of the noise (default 0)")
    add("--content-weight", type=float, default=1.0, help="weight of the content loss (default 1)")
    add("--style-weight", type=float, default=3e3, help="weight of the style loss (default 3e3)")
    add("--tv-weight", type=float, default=0.0, help="weight of the total variation loss (default 0)")
    add("--features", default="vgg19", help="feature network: a choice of the config group features (default vgg19)")
    add("--weights", help="imagenet, random, or a file; default: the weights that the choice of --features sets")
    help_layers = "layers of the {} loss and their weights (1 if not given), such as {}; default: those of --features"
    add("--content-layers", metavar="A=X,B", help=help_layers.format("content", "relu4_2"))
    add("--style-layers", metavar="A=X,B", help=help_layers.format("style", "relu1_1=0.5,relu2_1"))
    add("--runs-dir", default="runs", help="folder in which the run of the optimization is recorded (default runs)")
    options = _checked(
        parser.parse_args(arguments), size=16, iterations=1, alpha=0, content_weight=0, style_weight=0, tv_weight=0
    )
    if options.lr_mult <= 0:
        raise UserError("cli.too_small", f"--lr-mult={options.lr_mult}: give a number above 0")
    if options.run is None:
        for name in ("interpolation_weights", "alpha"):
            if getattr(options, name) != parser.get_default(name):
                raise UserError(
                    "stylize.run_needed",
                    f"--{name.replace('_', '-')} needs a trained network; give --run RUN (a run of model=adain)",
                )
    return options


def reproduce(arguments: list[str]) -> Namespace:
    parser = _parser(
        "reproduce",
        "Train a baseline and compare its scores with those of its paper or of this project. Without a name, print a table of "
        "all baselines from recorded results. Recorded seeds are not trained again; interrupted ones are resumed. The exit code "
        "is 0 only if every named baseline is reproduced.",
        "pix2pix_facades_64 data.root=datasets/facades/train",
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="names of baselines, and settings such as data.root=FOLDER")
    add("--run", metavar="RUN", help="evaluate this run of the baseline instead of training one")
    add("--results", type=Path, default=BASELINES / "results", metavar="FOLDER", help="folder of recorded results")
    add(
        "--runs",
        type=Path,
        default=Path("runs/reproduce"),
        metavar="FOLDER",
        help="folder of the trainings (default runs/reproduce)",
    )
    return parser.parse_intermixed_args(arguments)


def sync(arguments: list[str]) -> Namespace:
    parser = _parser(
        "sync",
        "Upload the W&B records of offline trainings. Records that were uploaded are marked and not uploaded again.",
        "runs/demo runs/sweeps/20260101-120000 --dry-run",
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUNS", help="run folders, folders that contain runs, sweeps, or patterns")
    add("--dry-run", action="store_true", help="only list the records that would be uploaded")
    return parser.parse_args(arguments)


def import_(arguments: list[str]) -> Namespace:
    parser = _parser(
        "import",
        "Create a run from a generator that was trained with other code: ResNet and U-Net generators of CycleGAN, pix2pix and "
        "CUT, fast style transfer networks, StyleGAN2 (stylegan2-ada) and R3GAN. The file is .safetensors or written by "
        "torch.save. Code in it is never run.",
        "latest_net_G_A.pth --output runs/horse2zebra",
    )
    add = parser.add_argument
    add(
        "file",
        metavar="FILE",
        type=Path,
        help="the generator's weights (a state dict), or a checkpoint that contains them",
    )
    add(
        "settings",
        nargs="*",
        metavar="SETTING=VALUE",
        help="settings of the run, such as data=unpaired data.root=FOLDER",
    )
    add("--output", metavar="RUN_FOLDER", type=Path, help="the run's folder; default: a new one below runs/imported")
    add(
        "--network",
        metavar="NAME",
        help="the generator to import if the file has several; the command prints its choice",
    )
    add("--reverse", metavar="FILE", type=Path, help="the generator of the other direction, for a run of cyclegan")
    help_norm = "the norms of the network, if its weights do not determine them"
    add("--norm", choices=("instance", "instance_affine", "batch", "none"), help=help_norm)
    help_train_mode = "translate with dropout and the batch statistics of the image, as the pix2pix code does"
    add("--train-mode", action="store_true", help=help_train_mode)
    options = parser.parse_intermixed_args(arguments)
    if wrong := [each for each in options.settings if "=" not in each]:
        raise UserError(
            "config.override_syntax",
            f"{wrong[0]} is not a setting; write settings as SETTING=VALUE, and import one FILE at a time",
        )
    return options


COMMANDS_WITH_PARSER = (
    evaluate,
    score,
    compare,
    watch,
    translate,
    export,
    generate,
    serve,
    stylize,
    reproduce,
    import_,
    sync,
)
PARSERS = {each.__name__.rstrip("_"): each for each in COMMANDS_WITH_PARSER}


def _parser(command: str, description: str, example: str) -> CommandParser:
    prog = f"stylegan-lab {command}"
    return CommandParser(prog=prog, description=description, epilog=f"example: {prog} {example}")


def _run_parser(command: str, description: str, example: str) -> CommandParser:
    """A parser with the arguments that all commands that use a run have: run, checkpoint, weights and trusted packages."""
    parser = _parser(command, description, example)
    parser.add_argument(
        "run", metavar="RUN", help="a run folder, a checkpoint file, or latest: the newest run in runs/"
    )
    _add_checkpoint_arguments(parser)
    _add_ema_argument(parser)
    return parser


def _add_checkpoint_arguments(parser: CommandParser, prefix: str = "") -> None:
    parser.add_argument("--checkpoint", help=f"{prefix}last (default), best, or a path")
    help_trust = f"{prefix}allow the checkpoint to load classes from PACKAGE (repeatable)"
    parser.add_argument("--trust", action="append", default=[], metavar="PACKAGE", help=help_trust)


def _add_ema_argument(parser: CommandParser) -> None:
    help_ema = "use the trained weights instead of their moving average (EMA)"
    parser.add_argument("--no-ema", dest="use_ema", action="store_false", help=help_ema)


def _check_port(port: int) -> None:
    if port > LARGEST_PORT:
        raise UserError("cli.too_large", f"--port={port}: give at most {LARGEST_PORT}")


def _checked(options: Namespace, **minima: float) -> Namespace:
    for name, minimum in minima.items():
        if (value := getattr(options, name)) is not None:
            check_at_least(f"--{name.replace('_', '-')}", value, minimum, "cli.too_small")
    return options
