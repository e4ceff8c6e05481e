"""`stylegan-lab serve`: a web page that translates and generates images with trained models."""

import secrets
import sys
import threading
import webbrowser
from argparse import Namespace

from stylegan_lab.errors import UserError
from stylegan_lab.training.loaded_model import load


def main(options: Namespace) -> int:
    try:
        from stylegan_lab.serving.access import LOCAL_NAMES
        from stylegan_lab.serving.app import App
        from stylegan_lab.serving.limits import Limits
        from stylegan_lab.serving.served_model import ServedModel
        from stylegan_lab.serving.server import PageServer
    except ModuleNotFoundError as error:
        raise UserError(
            "serve.package_missing",
            f"serve needs {error.name}, which is not installed: pip install 'stylegan_lab[serve]'",
        ) from None

    limits = Limits(
        upload_bytes=round(options.max_megabytes * 1e6),
        pixels=round(options.max_megapixels * 1e6),
        queue=options.queue,
        seconds=options.time_limit,
    )
    models = []
    for run in options.runs:
        model = load(run, options.checkpoint, use_ema=options.use_ema, trust=options.trust)
        models.append(ServedModel(model, limits))
        print(f"{models[-1].name}: {type(model.module).__name__}, iteration {model.module.iteration}", flush=True)
    token = options.token
    if token is None and options.host not in LOCAL_NAMES:
        token = secrets.token_urlsafe(24)
    server = PageServer(App(models, limits), options.host, options.port, token)
    print(f"The page is at {server.url} (end with Ctrl-C)", flush=True)
    if options.open:
        threading.Thread(target=webbrowser.open, args=[server.url], daemon=True).start()
    try:
        server.run()
    except KeyboardInterrupt:
        print("no longer served", file=sys.stderr)
        return 130
    return 0
