"""A table of names that users know from other projects, of keys or of GROUP=CHOICE, and of the settings to use here instead."""

from stylegan_lab.errors import UserError

_SENTENCES = {
    "generator=unet": "set generator=unet256, for images of 256 px, or generator=unet128 or generator=unet32",
    "generator=resnet": "set generator=resnet9 or generator=resnet6",
    "netG": "set generator=NAME, such as generator=unet256",
    "netD": "set discriminator=NAME, such as discriminator=patch",
    "gan_mode": "set loss=NAME: lsgan, nonsaturating (vanilla), hinge, wgan_gp",
    "pl_module": "set model=NAME, such as model=cyclegan",
    "lambda_cycle lambda_A lambda_B": "set model.cycle_weight=NUMBER",
    "lambda_identity": "set model.identity_weight=NUMBER, a fraction of model.cycle_weight",
    "n_critic": "set loss.n_critic=N",
    "ema ema_decay ema.decay": "set callbacks.ema.half_life_images=N (N = B ln(0.5) / ln(d) for a decay d and "
    "batches of B), or callbacks.ema=null for no EMA",
    "max_epochs min_epochs n_epochs trainer.max_epochs trainer.min_epochs": "set epochs=N, iterations=N or images=N",
    "max_steps min_steps trainer.max_steps trainer.min_steps": "set iterations=N (batches), epochs=N or images=N",
    "max_time trainer.max_time": "set time_limit=HH:MM:SS, after which the run is saved and can be resumed",
    "trainer=gpu trainer=cpu trainer=mps trainer=ddp trainer=ddp_sim trainer.strategy": "set strategy=gpu, strategy=cpu or "
    "strategy=ddp strategy.devices=N",
    "trainer.precision": "set precision=auto, or 32, bf16 or 16",
    "trainer.deterministic": "set deterministic=true",
    "trainer.overfit_batches": "set overfit_batches=N",
    "trainer.fast_dev_run fast_dev_run debug": "set dry_run=true to check the config, or experiment=smoke to train for seconds",
    "trainer.check_val_every_n_epoch trainer.val_check_interval trainer.limit_val_batches": "set "
    "callbacks.validation.every=ITERATIONS",
    "accelerator trainer.accelerator": "set strategy=cpu or strategy=gpu, or strategy.accelerator=NAME",
    "gpus devices trainer.devices": "set strategy=gpu for one, strategy=ddp strategy.devices=N for several, or "
    "strategy=cpu for none",
    "trainer.num_nodes": "set strategy=cluster strategy.num_nodes=N",
    "ckpt_path resume_from_checkpoint trainer.resume_from_checkpoint": "set resume=RUN or resume=CHECKPOINT",
    "batch_size": "set data.batch_size=N",
    "num_workers": "set data.num_workers=N",
    "load_size data.load_size": "set data.load_size=PIXELS with data=unpaired or data=paired",
    "crop_size image_size data.image_size data.crop_size": "set data.size=PIXELS",
    "data_dir dataroot data.a data.b data.root data.data_dir paths.data_dir": "set data=auto data.root=FOLDER, or "
    "data=unpaired data.a=FOLDER data.b=FOLDER",
    "model.optimizer.lr": "set optimizer.lr=NUMBER",
    "lr": "set optimizer.lr=NUMBER, and model.d_lr_mult=NUMBER for the discriminators",
    "ttur optimizer.lr_d optimizer_d.lr optimizer.d_lr lr_d": "set model.d_lr_mult=NUMBER, by which the "
    "discriminators' learning rate is multiplied; optimizer.lr sets both",
    "tags": "set logger.wandb.tags=[A,B]",
    "save_every": "set callbacks.checkpointing.every=ITERATIONS",
    "save_top_k": "set callbacks.checkpointing.keep=N",
    "log_every log_every_n_steps": "set trainer.log_every_n_steps=N",
    "accumulate_grad_batches trainer.accumulate_grad_batches": "set micro_batches=N, which splits each batch into N parts "
    "(accumulate_grad_batches would multiply the batch)",
    "gradient_clip_val trainer.gradient_clip_val": "set model.clip_gradients=NORM",
    "early_stopping callbacks.early_stopping": "set iterations=N, and callbacks.checkpointing.monitor=SCORE to keep the best "
    "checkpoint; GAN losses do not say when to stop",
    "model_checkpoint callbacks.model_checkpoint": "set callbacks.checkpointing.every=ITERATIONS, "
    "callbacks.checkpointing.monitor=SCORE "
    "and callbacks.checkpointing.keep=N",
    "logger=many_loggers": "set logger=both, for W&B and TensorBoard",
    "logger=wandb_offline": "set logger=wandb logger.wandb.mode=offline",
    "loss=vanilla": "set loss=nonsaturating",
    "task_name": "set name=NAME",
    "test": "set evaluate=true, which scores the test split after training",
    "hparams_search optimized_metric": "add -m and sweep=search, or sweep=FILE with `params` and `objectives` of your own",
    "paths": "set output_dir=FOLDER, or runs_dir=FOLDER for all runs",
    "hydra.run.dir hydra.sweep.dir": "set output_dir=FOLDER",
}

SYNONYMS = {name: sentence for names, sentence in _SENTENCES.items() for name in names.split()}

# Settings of Hydra that would be accepted without any effect on where a run is written.
REFUSED = {"hydra.run.dir", "hydra.sweep.dir"}


def synonym_error(key: str) -> UserError | None:
    """Return an error that says which setting to use instead of this key or GROUP=CHOICE, or None if the table has no entry for
    it."""
    sentence = _sentence_for(key)
    return UserError("config.synonym", sentence) if sentence else None


def _sentence_for(key: str) -> str | None:
    """A sentence on what to type instead of a key or GROUP=CHOICE, or None if neither it nor a key above it is in the table."""
    known = key
    while known not in SYNONYMS and "." in known and "=" not in known:
        known = known.rpartition(".")[0]
    return f"{key}: {SYNONYMS[known]}" if known in SYNONYMS else None
