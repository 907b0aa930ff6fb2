"""bench.averaging: three ways from clips to a recording, by numbers worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from bench.averaging import held_out, mean, mean_log, table, vote

CLIPS = np.array([[0.6, 0.4], [0.6, 0.4], [0.01, 0.99]])


def test_the_ways_are_what_they_are_called() -> None:
    assert mean(CLIPS) == pytest.approx([1.21 / 3, 1.79 / 3])
    roots = np.array([(0.6 * 0.6 * 0.01) ** (1 / 3), (0.4 * 0.4 * 0.99) ** (1 / 3)])
    assert mean_log(CLIPS) == pytest.approx(roots / roots.sum())
    assert vote(CLIPS) == pytest.approx([2 / 3, 1 / 3], abs=1e-5)
    assert vote(CLIPS[1:]).argmax() == 1  # even: the mean decides


def test_only_what_folds_held_out_counts(tmp_path: Path) -> None:
    lines = ["path,label,group,split,predicted,x,y"]
    lines += [f"x/a__{i}.png,x,a,1,x,{p},{1 - p}" for i, p in enumerate((0.6, 0.6, 0.01))]
    lines += [f"y/b__{i}.png,y,b,2,y,0.3,0.7" for i in range(2)]
    lines += ["y/c__0.png,y,c,test,x,0.9,0.1"]
    (tmp_path / "predictions.csv").write_text("\n".join(lines) + "\n")
    recordings, labels = held_out(tmp_path / "predictions.csv")
    assert [len(clips) for clips in recordings] == [3, 2] and labels.tolist() == [0, 1]
    said = table(tmp_path)
    assert "2 recordings of 2 to 3 clips" in said[0] and "right 0.800" in said[0]
    assert [line.split("  ")[-1] and float(line[30:35]) for line in said[2:]] == [0.5, 0.5, 1.0]
