"""The Python API refuses what the commands refuse."""

import pytest

import spectrofold


def test_a_value_out_of_range_is_named_as_by_the_command() -> None:
    with pytest.raises(ValueError, match="--clip-seconds -1: must be a number > 0"):
        spectrofold.train("nothing", clip_seconds=-1)
