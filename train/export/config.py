"""What python -m train.export can be asked for."""

from dataclasses import dataclass

from common.cli import option


@dataclass(frozen=True)
class ExportConfig:
    """Forms to write"""

    onnx: bool = option(False, "ONNX, for predict.py without torch and for other programs")
    torchscript: bool = option(False, "TorchScript, for C++ and Python without this project")
    int8: bool = option(False, "ONNX with 8-bit convolutions: a quarter of the size")
    safetensors: bool = option(False, "the weights alone, with the facts as metadata")
    timm_hub: bool = option(False, "a folder for timm.create_model('local-dir:...')")
    page: str | None = option(
        None,
        "folder to write a web page to that answers in the browser alone: any server of files, as "
        "python -m http.server, can serve it",
    )
    out: str | None = option(
        None,
        "folder to write to, default exported/ beside the model; with --from-state-dict the model "
        "file to write, default model.pth",
    )
    pictures: str | None = option(
        None, "folder of real pictures to check on; default the training's folder"
    )
    n_pictures: int = option(64, "number of pictures to check on")
    from_state_dict: str | None = option(
        None, "weights of torchvision's ResNet50 to make a model file of"
    )
    classes: str | None = option(
        None, "with --from-state-dict: text file, one class a line, in the order of the weights"
    )
    image_size: str = option(
        "224", "with --from-state-dict: picture size that the network was trained on, N or WxH"
    )

    @property
    def forms(self) -> tuple[bool, ...]:
        """Which of the forms that are checked on pictures are asked for."""
        return self.onnx, self.torchscript, self.int8, self.safetensors, self.timm_hub

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value does not fit."""
        forms = self.forms
        if self.n_pictures < 1:
            raise ValueError(f"--n-pictures {self.n_pictures}: at least 1")
        if (self.from_state_dict is None) != (self.classes is None):
            raise ValueError("--from-state-dict and --classes: give both or none")
        if self.from_state_dict is None and not any(forms) and not self.page:
            raise ValueError(
                "nothing to write: give --onnx, --torchscript, --int8, --safetensors, "
                "--timm-hub or --page DIR"
            )
        if self.page and self.from_state_dict is not None:
            raise ValueError("--page and --from-state-dict: make the model file, then its page")
