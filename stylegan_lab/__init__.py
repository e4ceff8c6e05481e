"""stylegan_lab: GAN image translation, style transfer and generation on Lightning and Hydra."""
