"""Several classifiers as one network, which answers with the mean of their probabilities."""

import copy
import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from train.models.classifier import Classifier

Weights = dict[str, torch.Tensor]


class Ensemble(nn.Module):
    """Logits (B, C) whose softmax, at the temperature, is the mean of the members' softmax at it.

    Dividing by the temperature comes before the mean, because the mean of k folds' models cannot
    be calibrated: every picture but the test's was trained on by most of them. Members that share
    one backbone, as heads on frozen features do, compute its embeddings once.
    """

    temperature: torch.Tensor

    def __init__(self, members: Sequence[nn.Module], temperature: float = 1.0) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.one_backbone = (
            len({id(getattr(member, "backbone", None)) for member in members}) == 1
            and getattr(members[0], "backbone", None) is not None
        )
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    @property
    def pooling(self) -> str:
        """How all members embed pictures."""
        return self.members[0].pooling  # type: ignore[return-value]

    @property
    def n_features(self) -> int:
        """Length of an embedding."""
        return self.members[0].n_features  # type: ignore[return-value]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of pictures, or of rows of a table."""
        if self.one_backbone:
            return self.classify(self.features(inputs))
        return mean_logits(
            torch.stack([member(inputs) for member in self.members]), self.temperature
        )

    def logits_and_embeddings(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, C) and embeddings (B, F) of pictures, each backbone run once."""
        if self.one_backbone:
            embeddings = self.features(images)
            return self.classify(embeddings), embeddings
        pairs = [member.logits_and_embeddings(images) for member in self.members]  # type: ignore[operator]
        logits = torch.stack([own for own, _ in pairs])
        embeddings = torch.stack([own for _, own in pairs]).mean(dim=0)
        return mean_logits(logits, self.temperature), embeddings

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, F): those of the backbone, or the mean of those of several."""
        if self.one_backbone:
            return self.members[0].features(inputs)  # type: ignore[operator]
        return torch.stack([member.features(inputs) for member in self.members]).mean(dim=0)  # type: ignore[operator]

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of embeddings (B, F) of the one backbone."""
        logits = [member.classify(embeddings) for member in self.members]  # type: ignore[operator]
        return mean_logits(torch.stack(logits), self.temperature)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Every tensor once: a backbone that all members share is the first's."""
        state = super().state_dict(*args, **kwargs)
        if self.one_backbone:
            for name in [
                name for name in state if re.match(r"members\.[1-9]\d*\.backbone\.", name)
            ]:
                del state[name]
        return state

    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        """Take over what `state_dict` gave."""
        members = weights_of_members(state)
        for member, weights in zip(self.members, members, strict=True):
            member.load_state_dict(weights, strict, assign)
        self.temperature.copy_(state["temperature"])


def mean_logits(logits: torch.Tensor, temperature: float | torch.Tensor) -> torch.Tensor:
    """Logits (B, C) whose softmax is the mean of that of logits (k, B, C), all at a temperature."""
    log_p = torch.log_softmax(logits / temperature, dim=2)
    return temperature * (torch.logsumexp(log_p, dim=0) - math.log(len(logits)))


def members_of(model: Any) -> list[Any]:
    """The classifiers that an ensemble consists of; of another model, the model itself."""
    return list(model.members) if isinstance(model, Ensemble) else [model]


def weights_of_members(weights: Weights) -> list[Weights]:
    """The weights of each member, the shared backbone's in each; empty if it is no ensemble."""
    members: list[Weights] = []
    for name, tensor in weights.items():
        if match := re.fullmatch(r"members\.(\d{1,6})\.(.+)", name):
            if int(match[1]) >= len(weights):
                raise ValueError(f"{name}: an ensemble has no more members than weights")
            members += [{} for _ in range(int(match[1]) + 1 - len(members))]
            members[int(match[1])][match[2]] = tensor
    if members:
        shared = {k: t for k, t in members[0].items() if k.startswith("backbone.")}
        members = [shared | one for one in members]
    return members


def ensemble_of(model: Any, weights: list[Weights], temperature: float) -> Ensemble:
    """Copies of the model with the weights of each member; one backbone where all have the same."""
    members: list[Any] = []
    alike = isinstance(model, Classifier) and all(
        torch.equal(tensor, weights[0][name])
        for one in weights[1:]
        for name, tensor in one.items()
        if name.startswith("backbone.")
    )
    for one in weights:
        member = copy.deepcopy(model)
        member.load_state_dict(one)
        if alike and members:
            member.backbone = members[0].backbone
        members.append(member)
    return Ensemble(members, temperature)
