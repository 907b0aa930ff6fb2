"""bench.profile: the table names what took the time, of functions and of torch's operations."""

import time

import pytest
import torch

from bench.profile import functions_of, operations_of, run_here


def wait() -> None:
    """Take a fifth of a second."""
    time.sleep(0.2)


def test_the_function_that_takes_the_time_comes_first() -> None:
    heading, first, *_ = functions_of(wait, 5)
    assert heading.split() == ["own", "s", "share", "calls", "function"]
    own, share, calls, name = first.split(maxsplit=3)
    assert float(own) >= 0.19 and float(share.rstrip("%")) > 90
    assert (calls, name) == ("1", "<built-in method time.sleep>")


def test_the_operation_that_takes_the_time_comes_first() -> None:
    matrix = torch.ones(400, 400)

    def multiply() -> None:
        for _ in range(20):
            matrix @ matrix

    _, first, *_ = operations_of(multiply, 3)
    assert first.split()[2:] == ["20", "aten::mm"]


def test_a_command_that_fails_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"predict\.py no\.pth x ended with code 1"):
        run_here(["predict.py", "no.pth", "x"])
