"""The projection critic (Miyato & Koyama, 2018): how real it looks at all, and how much the features are those of the class."""

from torch import Tensor, nn


class Projection(nn.Module):
    """A line on the features, and their inner product with the class's own row."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.line = nn.Linear(features, 1)
        self.rows = nn.Linear(classes, features, bias=False) if classes else None

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.line(features)
        if self.rows is None or condition is None:
            return logits
        return logits + (self.rows(condition) * features).sum(dim=1, keepdim=True)
