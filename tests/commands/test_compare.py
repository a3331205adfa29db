"""`vibrissa compare`: every kind of contender, going on, the page, and one line for bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import CONTRACT
from learn.elsewhere import train_elsewhere

from vibrissa import cli
from vibrissa.bench.outcomes import Row, read_rows
from vibrissa.bench.verdicts import UNLABELLED


def compared(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    """What `--json` prints; nothing else may be on stdout."""
    assert cli.main(["compare", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a call that must fail."""
    assert cli.main(["compare", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("vibrissa: ")
    return line


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the debug recipe on two demonstrations: it fits the arm, and solves nothing."""
    folder = tmp_path_factory.mktemp("a run")
    told = ["--episodes", "2", "--seeds", "5", "--task", "lift"]
    assert cli.main(["record", "--out", str(folder / "set"), *told]) == 0
    words = ["train", "debug", str(folder / "set"), "--out", str(folder / "run")]
    assert cli.main([*words, "--device", "cpu"]) == 0
    return folder / "run"


def test_a_published_comparison_is_not_separated(capsys: pytest.CaptureFixture[str]) -> None:
    told = compared(capsys, "published=32/50", "other=23/50")
    (one,) = told["comparisons"]
    assert (one["first"], one["second"]) == ("published", "other")
    assert (one["verdict"], one["test"]) == ("not separated", "Barnard")
    assert one["p"] == pytest.approx(0.079, abs=5e-4)
    assert one["difference"] == pytest.approx(0.18)
    assert told["beside"] == {}
    assert cli.main(["compare", "published=32/50", "other=23/50"]) == 0
    out = capsys.readouterr().out
    assert "published and other are not separated: +18 points (−1 to +36)" in out
    assert "unpaired: nothing says which scenes published had" in out


def test_scripted_pilots_with_a_page(
    opengl: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "here"
    words = ["expert", "still=random", "--task", "lift", "--episodes", "40", "--out", str(out)]
    told = compared(capsys, *words)
    (one,) = told["comparisons"]
    assert (one["verdict"], one["test"]) == ("better", "anytime")
    assert told["ended"] == "every comparison was decided"
    assert told["beside"]["zero"] == {"success": 0, "episodes": 16}
    assert told["contenders"]["expert"]["success"] == 16
    tried = [(row.pilot, row.seed) for row in read_rows(out / "outcomes.jsonl")]
    assert len(tried) == len(set(tried)) == 48  # the expert is one of the two, and tried once
    page = (out / "compare.html").read_text("utf8")
    assert "expert is better than still" in page
    assert page.count("<video") == 4  # two seeds that the expert alone solved, both contenders
    assert json.loads((out / "compare.json").read_text("utf8")) == told
    again = compared(capsys, *words)
    assert again["comparisons"] == told["comparisons"]
    assert len(read_rows(out / "outcomes.jsonl")) == 48


def test_a_verdict_is_told_where_its_page_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "a=32/50", "b=23/50", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    (tmp_path / "compare.html").unlink()
    (tmp_path / "compare.html").mkdir()
    capsys.readouterr()
    assert cli.main(words) == 1
    out, err = capsys.readouterr()
    assert "a and b are not separated" in out
    assert "report" not in out
    assert err.splitlines()[-1].startswith(f"vibrissa: cannot write the report into {tmp_path}: ")


def test_it_goes_on_with_more_episodes_and_with_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "on"
    words = ["zero", "still=zero:min=0.01", "--task", "lift", "--out", str(out), "--no-films"]
    first = compared(capsys, *words, "--episodes", "4")
    assert first["comparisons"][0]["pairs"]["neither"] == 4
    more = compared(capsys, *words, "--episodes", "7")
    assert more["comparisons"][0]["pairs"]["neither"] == 7
    line = refused(capsys, *words, "--episodes", "7", "--seeds", "5")
    assert "holds something else (seeds_from 2000000, now 5)" in line
    plain = compared(capsys, *words, "--episodes", "7", "--friction", "plausible")
    assert plain["comparisons"] == more["comparisons"]  # what was meant anyway may be said


def test_what_a_checkpoint_executes_is_noted(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"own={run}", f"short={run}:horizon=2", "--device", "cpu", "--episodes", "1"]
    told = compared(capsys, *words, "--out", str(tmp_path / "out"), "--no-films")
    own, short = (told["terms"]["contenders"][name] for name in ("own", "short"))
    assert own["weights"] == short["weights"]
    assert (short["executed"], short["options"]) == (2, "horizon=2")
    assert own["executed"] > 2
    assert f"2 of {own['chunk']} actions of a chunk executed" in short["what"]
    same = compared(capsys, words[0], f"said={run}:horizon={own['executed']}", *words[2:])
    assert same["cautions"] == ["own and said are the same weights, played in the same way."]
    other = [words[0], f"short={run}:horizon=3", *words[2:]]
    line = refused(capsys, *other, "--out", str(tmp_path / "out"))
    assert "contenders.short.executed 2, now 3" in line


def test_checkpoints_folders_and_tables_are_compared_on_the_same_seeds(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = tmp_path / "judged"
    words = ["eval", str(run), "--episodes", "6", "--device", "cpu", "--out", str(judged)]
    assert cli.main([*words, "--json"]) == 0
    capsys.readouterr()
    table = tmp_path / "theirs.csv"
    seeds = sorted({row.seed for row in read_rows(judged / "outcomes.jsonl")})
    table.write_text("seed,success\n" + "".join(f"{seed},1\n" for seed in seeds[:5]))
    told = compared(capsys, f"new={run}:horizon=2", f"old={judged}", str(table), "--device", "cpu")
    found = {(one["first"], one["second"]): one for one in told["comparisons"]}
    assert found["new", "old"]["test"] == "anytime"
    assert found["new", "old"]["pairs"] == {
        "both": 0,
        "only_first": 0,
        "only_second": 0,
        "neither": 5,
    }
    assert found["old", "theirs"]["test"] == "McNemar"
    assert found["old", "theirs"]["pairs"]["only_second"] == 5
    assert told["contenders"]["new"]["judged_here"] is True
    assert told["contenders"]["old"]["judged_here"] is False
    assert told["beside"]["expert"] == {"success": 5, "episodes": 5}


def test_a_wider_spawn_is_another_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spawns = []
    for half in ("0.02", "0.05"):
        out = tmp_path / half
        words = ["zero", "random", "--task", "lift", "--spawn-half", half, "--episodes", "12"]
        compared(capsys, *words, "--out", str(out), "--no-films")
        spawns.append([r.spawn for r in read_rows(out / "outcomes.jsonl") if r.spawn])
    reach = [max(abs(x - 0.25) for x, _, _ in some) for some in spawns]
    assert reach[0] <= 0.021 < reach[1] <= 0.051
    words = [f"near={tmp_path / '0.02'}#random", f"far={tmp_path / '0.05'}#random"]
    (one,) = compared(capsys, *words)["comparisons"]
    assert one["test"] == "Barnard"
    assert "tried in different scenes (spawn)" in one["unpaired"]


def test_a_policy_that_only_breaks_down_is_told_and_ends_with_1(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.numpy import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree((run / "checkpoints" / "last").resolve(), broken)
    weights = broken / "pretrained_model" / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.action_head.bias"] = np.full_like(tensors["model.action_head.bias"], 3e38)
    save_file(tensors, weights)
    words = ["compare", str(broken), "expert", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--json", "--no-films"]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["ended"] == "every episode of broken broke down"
    assert told["contenders"]["broken"]["faults"] == told["contenders"]["broken"]["episodes"] == 16
    assert "16 of 16 episodes of broken broke down" in err
    assert "NaN" in err


def deployed(folder: Path, verdicts: str, seeds: int | None = None) -> Path:
    """A deployment's folder: 1 success, 0 failure, ? nobody said."""
    folder.mkdir(parents=True)
    told = {"checkpoint": "there", "seeds": seeds, "contract": CONTRACT.to_dict()}
    (folder / "deployment.json").write_text(json.dumps(told))
    classes = {
        "1": ("success", "SUCCESS"),
        "0": ("failure", "FAILURE"),
        "?": ("aborted", UNLABELLED),
    }
    rows = [
        Row(seed, "policy", "watched", *classes[c], 9)  # type: ignore[arg-type]
        for seed, c in enumerate(verdicts, seeds or 0)
    ]
    (folder / "outcomes.jsonl").write_text("".join(row.to_json() + "\n" for row in rows))
    return folder


def test_rollouts_of_a_real_arm_are_paired_only_where_they_shared_placements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = deployed(tmp_path / "monday", "1101?01110")
    two = deployed(tmp_path / "tuesday", "0000100000")
    (found,) = compared(capsys, str(one), str(two))["comparisons"]
    assert (found["test"], found["pairs"]) == ("Barnard", None)
    assert found["difference"] == pytest.approx(6 / 9 - 1 / 10)
    (same,) = compared(capsys, str(one), str(two), "--same-scenes")["comparisons"]
    assert same["pairs"] == {"both": 0, "only_first": 6, "only_second": 0, "neither": 3}
    both = [deployed(tmp_path / "blind" / name, said) for name, said in (("A", "11"), ("B", "10"))]
    (tmp_path / "blind" / "order.json").write_text("{}")
    (blind,) = compared(capsys, *map(str, both))["comparisons"]
    assert (blind["test"], blind["pairs"]["both"]) == ("McNemar", 1)
    again = deployed(tmp_path / "simulated", "1100", seeds=7)
    (tmp_path / "theirs.csv").write_text("seed,success\n7,0\n8,1\n")
    (found,) = compared(capsys, str(again), str(tmp_path / "theirs.csv"))["comparisons"]
    assert found["pairs"] == {"both": 1, "only_first": 1, "only_second": 0, "neither": 0}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["expert"], "two or more"),
        (["expert", "zero"], "scripted pilots need a task"),
        (["expert", "expert", "--task", "lift"], "contenders called 'expert' twice"),
        (["zero=32/50", "23/50"], "'zero' is the pilot that stands beside"),
        (["no/such/run", "23/50"], "no contender 'no/such/run'"),
        (["expert:horizon=3", "zero", "--task", "lift"], "has no chunks"),
        (["60/50", "23/50"], "successes/episodes"),
        (["expert", "random", "--task", "lift", "--episodes", "0"], "at least 1"),
        (["expert", "random", "--task", "lift", "--level", "1"], "--level 1"),
        (["expert", "random", "--task", "lift", "--spawn-half", "0"], "above 0"),
        (["expert", "random", "--task", "lift", "--site", "moon"], "no spawn site 'moon'"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert told in refused(capsys, *words)


def test_an_empty_folder_is_no_contender(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, str(tmp_path), "23/50")
    assert "neither run.json nor config.json" in line
    (tmp_path / "outcomes.jsonl").write_text("")
    assert "holds nobody" in refused(capsys, str(tmp_path), "23/50")


def test_a_stopped_comparison_is_told_by_the_test_that_allows_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = {"good": ("success", "SUCCESS"), "bad": ("timeout", "TIMEOUT")}
    rows = [Row(seed, name, "lift", *ends[name], 9) for name in ends for seed in range(8)]  # type: ignore[arg-type]
    (tmp_path / "outcomes.jsonl").write_text("".join(row.to_json() + "\n" for row in rows))
    words = [f"one={tmp_path}#good", f"two={tmp_path}#bad"]
    (fixed,) = compared(capsys, *words)["comparisons"]
    assert fixed["test"] == "McNemar"
    (tmp_path / "contest.json").write_text("{}")  # what a comparison leaves
    (again,) = compared(capsys, *words)["comparisons"]
    assert (again["test"], again["verdict"], again["decided_after"]) == ("anytime", "better", 7)


def test_what_was_judged_elsewhere_is_refused_before_anything_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "judged"
    words = ["--pilot", "random", "--task", "lift", "--episodes", "2", "--out", str(out)]
    assert cli.main(["eval", *words, "--spawn-half", "0.05", "--json"]) == 0
    capsys.readouterr()
    line = refused(capsys, "expert", f"old={out}", "--task", "lift")
    assert "old was judged in another scene (spawn) than the others would be" in line
    assert line.endswith("give its counts alone: old=0/2.")
    told = compared(capsys, "expert", f"old={out}", "--task", "lift", "--spawn-half", "0.05")
    assert told["comparisons"][0]["pairs"]["only_first"] == 2


def test_a_sweep_is_asked_which_of_its_settings_is_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    words = ["--pilot", "zero", "--task", "lift", "--episodes", "1", "--out", str(out)]
    assert cli.main(["eval", *words, "--sweep", "offset=0.1", "--json"]) == 0
    capsys.readouterr()
    cells = [str(out / "cells" / name) for name in ("as_it_is", "grip=offset=0.1")]
    assert f"holds a sweep. Name two of its settings: {' '.join(cells)}" in refused(
        capsys, str(out), "23/50"
    )
    told = compared(capsys, *cells)
    assert told["comparisons"][0]["pairs"]["neither"] == 1


def test_the_seeds_by_which_a_checkpoint_was_chosen_are_no_results_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = tmp_path / "chosen"
    for name, seeds in (("000010", (1, 2, 3_000_000)), ("000020", (3_000_000,))):
        (chosen / "cells" / name).mkdir(parents=True)
        rows = [Row(seed, "policy", "lift", "success", "SUCCESS", 9) for seed in seeds]
        text = "".join(row.to_json() + "\n" for row in rows)
        (chosen / "cells" / name / "outcomes.jsonl").write_text(text)
    (chosen / "sweep.json").write_text(json.dumps({"seeds": [1, 2], "pick_seeds": 3_000_000}))
    told = compared(capsys, str(chosen / "cells" / "000010"), "other=23/50")
    assert told["contenders"]["000010"]["episodes"] == 2
    line = refused(capsys, str(chosen / "cells" / "000020"), "other=23/50")
    assert "no other seeds than those by which" in line


def test_what_is_odd_at_first_is_told_of_each_policy_and_stands_on_the_page(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree((run / "checkpoints" / "last").resolve() / "pretrained_model", model)
    train_elsewhere(model)
    words = ["compare", f"odd={model}", f"sound={run}", "--device", "cpu", "--episodes", "2"]
    out = tmp_path / "out"
    assert cli.main([*words, "--seeds", "5", "--no-films", "--json", "--out", str(out)]) == 0
    told, err = capsys.readouterr()
    warned = [line[8:] for line in err.splitlines() if line.startswith("warning ")]
    assert len(warned) == 2
    assert warned[0].startswith("odd: observation.state: shoulder_pan.pos is ")
    assert "Demonstrations may have come from these very seeds" in warned[1]
    assert json.loads(told)["cautions"] == warned
    assert "Demonstrations may have come from" in (out / "compare.html").read_text("utf8")


def test_what_lerobot_eval_left_is_a_contender(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def left(name: str, *tasks: str) -> str:
        told = []
        for i, ends in enumerate(tasks):
            metrics = {"successes": [c == "1" for c in ends]}
            told.append({"task_group": "so101", "task_id": i, "metrics": metrics})
        (tmp_path / name).mkdir()
        file = tmp_path / name / "eval_info.json"
        file.write_text(json.dumps({"per_task": told[::-1], "overall": {}}))  # as they ended
        return str(tmp_path / name)

    words = [left("one", "1101", "10"), left("two", "1000", "11")]
    told = compared(capsys, *words)
    (found,) = told["comparisons"]
    assert (found["first"], found["test"], found["pairs"]) == ("one", "Barnard", None)
    assert told["contenders"]["one"]["success"] == 4
    (same,) = compared(capsys, *words, "--same-scenes")["comparisons"]
    assert same["pairs"] == {"both": 2, "only_first": 2, "only_second": 1, "neither": 1}
    (tmp_path / "other.json").write_text("{}")
    assert "is no eval_info.json" in refused(capsys, str(tmp_path / "other.json"), "2/5")
