"""A fully connected network for the rows of a table."""

import torch
from torch import nn

WIDTHS = (256, 128, 64)


class Standardise(nn.Module):
    """Rows (B, F) with zero mean and unit variance over all rows that were ever trained on.

    Every training batch adds to the sums, so that after one epoch they are those of the training
    rows, each counted once per epoch. A missing value (NaN) counts nowhere and becomes 0, the mean.
    """

    count: torch.Tensor
    total: torch.Tensor
    squares: torch.Tensor

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        for name in ("count", "total", "squares"):
            self.register_buffer(name, torch.zeros(n_columns, dtype=torch.float64))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (B, F) of mean 0 and deviation 1 over training; what is missing becomes 0."""
        missing = rows.isnan()
        known = torch.where(missing, 0.0, rows).double()
        if self.training:
            self.count += (~missing).sum(dim=0)
            self.total += known.sum(dim=0)
            self.squares += (known**2).sum(dim=0)
        mean = self.total / self.count.clamp_min(1)
        variance = (self.squares / self.count.clamp_min(1) - mean**2).clamp_min(0)
        scaled = (known - mean) / (variance + 1e-12).sqrt()
        return torch.where(missing, 0.0, scaled.clamp(-10, 10)).float()


class TableNetwork(nn.Module):
    """Logits (B, C) of rows (B, F): FC 256-128-64, each with ReLU, batch norm and dropout.

    Source: Music Geographic Classification with Deep Learning (MIRAGE corpus), dropout 0.3. With
    13 columns and 57 classes it has 49,337 parameters; the source states about 150,000.
    """

    def __init__(self, n_columns: int, n_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.pooling, self.keeps_statistics = "table", False
        layers: list[nn.Module] = [Standardise(n_columns)]
        for n_in, n_out in zip((n_columns, *WIDTHS), WIDTHS, strict=False):
            layers += [
                nn.Linear(n_in, n_out),
                nn.ReLU(),
                nn.BatchNorm1d(n_out),
                nn.Dropout(dropout),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(WIDTHS[-1], n_classes)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits (B, C)."""
        return self.head(self.features(rows))

    def features(self, rows: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, 64) of rows."""
        return self.body(rows)

    def unfreeze(self, finetune: str) -> None:
        """Everything is trained: there are no pretrained weights."""
