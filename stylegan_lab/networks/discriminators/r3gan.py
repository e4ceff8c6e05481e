"""R3GAN's discriminator (Huang et al., 2024)."""

from torch import Tensor, nn

from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.r3gan import (
    BASE_SIZE,
    CLASS_EMBEDDING_DIM,
    build_stages,
    msr_init,
    stage_widths,
)


class R3GANDiscriminator(nn.Module):
    """The mirror image of the generator. With classes, the logit is the inner product with the class embedding (projection)."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 768,
        max_channels: int = 768,
        blocks: int = 2,
        group_size: int = 16,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        widths = stage_widths("discriminator", size, channels, max_channels, blocks, group_size, expansion)
        deepest = widths[-1]
        self.from_rgb = msr_init(nn.Conv2d(image_channels, widths[0], 1))
        self.stages = build_stages(widths, False, blocks, group_size, expansion)
        self.basis = msr_init(nn.Conv2d(deepest, deepest, BASE_SIZE, groups=deepest, bias=False))
        self.embedding = msr_init(nn.Linear(classes, CLASS_EMBEDDING_DIM, bias=False)) if classes else None
        self.head = msr_init(nn.Linear(deepest, CLASS_EMBEDDING_DIM if classes else 1, bias=False))

    def forward(self, image: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        logits = self.head(self.basis(self.stages(self.from_rgb(image))).flatten(1))
        if self.embedding is not None:
            assert condition is not None
            logits = (logits * self.embedding(condition)).sum(dim=1, keepdim=True) / CLASS_EMBEDDING_DIM**0.5
        return DiscriminatorOutput((logits,))
