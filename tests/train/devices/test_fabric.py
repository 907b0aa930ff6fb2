"""Making a device leaves the process as it was; only the first of several processes prints."""

import logging
import sys

import pytest

from train.devices.fabric import first_speaks, make_fabric, quiet_loggers

NAMES = ("", "lightning_fabric", "lightning.fabric")


def test_making_a_device_changes_no_logger_and_no_output() -> None:
    def state() -> list[object]:
        loggers = [logging.getLogger(name) for name in NAMES]
        return [sys.stdout, *((one.level, list(one.handlers)) for one in loggers)]

    logging.getLogger("lightning_fabric").setLevel(logging.DEBUG)
    before = state()
    make_fabric("cpu", "auto")
    with pytest.raises(ValueError, match="--accelerator abacus"):
        make_fabric("abacus", "auto")
    assert state() == before


def test_loggers_are_quiet_inside_alone(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("spectrofold.test")
    with pytest.raises(KeyError), quiet_loggers(logging.ERROR, "spectrofold.test"):
        logger.warning("inside")
        raise KeyError
    logger.warning("after")
    assert [record.message for record in caplog.records] == ["after"]


@pytest.mark.parametrize("name", ["RANK", "SLURM_PROCID"])
@pytest.mark.parametrize("rank", ["0", "1"])
def test_only_the_first_process_prints(
    name: str, rank: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, rank)
    before = sys.stdout
    with first_speaks():
        print("hello")
    assert sys.stdout is before
    assert capsys.readouterr().out == ("hello\n" if rank == "0" else "")
