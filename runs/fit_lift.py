"""The simulated servos fitted to a real arm: 40 episodes to fit to, 10 to report on.

    python runs/fit_lift.py REALDATA [--quick]

REALDATA holds `so101_lift_50ep_v30_stateonly` (Gotham-Zolio/so101-grasp-cube, `lift`) and
`so101_test_4ep_v30_stateonly` (SamueleSandrini/record-test). Beside the fit: what each structure
of the servo comes to on the same held-out episodes, what this arm's servos are worth on another
real arm, and whether the scripted expert still solves its tasks with them. --quick fits the
structures to 10 episodes each and plays 20 seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.bench.evaluate import evaluate
from vibrissa.bench.fit_judge import fit_and_judge, split
from vibrissa.bench.fitting import STRUCTURES
from vibrissa.bench.retrace import courses_at, rate_for, simulated, tracked
from vibrissa.bench.setups import Place, scripted
from vibrissa.core.stats import wilson
from vibrissa.data.recordings import Recordings, read_recordings
from vibrissa.sim.profile import calibrated
from vibrissa.sim.servo import STANDARD, ServoCfg
from vibrissa.sim.tasks import make_scene

LIFT, TEST = "so101_lift_50ep_v30_stateonly", "so101_test_4ep_v30_stateonly"
RESULT = Path(__file__).parent / "results" / "fit_lift.json"
FIRST_SEED = 2_000_000


def errors(rows: Any) -> dict[str, Any]:
    return {
        row.joint: {k: v for k, v in dataclasses.asdict(row).items() if k != "joint"}
        for row in rows
    }


def structures(recordings: Recordings, fit_to: list[int], held_out: list[int]) -> dict[str, Any]:
    """Each structure fitted to the same episodes and judged on the same others."""
    as_read = dataclasses.replace(recordings, calibrated_ticks=(None,) * 6)
    kinds = [(name, name, recordings) for name in STRUCTURES]
    found = {}
    for name, structure, used in [*kinds, ("friction, readings as they are", "friction", as_read)]:
        judged = fit_and_judge(used, fit_to, held_out, name=name, structure=structure)
        row = judged.errors_after[-1]
        found[name] = {
            "rms_deg": row.rms_deg,
            "free_rms_deg": row.free_rms_deg,
            "free_rms_interval_deg": row.free_rms_interval_deg,
            "intervals": judged.profile.intervals,
        }
        print(f"{name:10s} all {row.rms_deg:.3f}° free rms {row.free_rms_deg:.3f}°", flush=True)
    return {"fit_episodes": len(fit_to), "held_out_episodes": len(held_out), "found": found}


def another_arm(path: Path, servo: ServoCfg) -> dict[str, Any]:
    """The standard servos and these gains, on another arm's recordings and calibration."""
    other = read_recordings([path])
    theirs = calibrated(servo, other.calibrated_ticks)
    motions = [(m.state, m.action) for m in other.motions]
    courses, rate_hz = courses_at(motions, other.rate_hz, theirs), rate_for(other.rate_hz)
    return {
        name: errors(
            tracked(courses, simulated(courses, rate_hz, s), rate_hz, np.random.default_rng(0))
        )
        for name, s in (("before", STANDARD), ("after", theirs))
    }


def tasks(servo: ServoCfg, seeds: int) -> dict[str, Any]:
    """The scripted expert with the standard servos and with these, on the same seeds."""
    found: dict[str, Any] = {}
    for task in ("pick-place", "lift"):
        for name, s in (("standard", STANDARD), ("fitted", servo)):
            place = Place(task, make_scene(task, servo=s))
            rows = list(evaluate(scripted(place, "expert"), range(FIRST_SEED, FIRST_SEED + seeds)))
            solved = sum(row.reason == "success" for row in rows)
            found[f"{task} {name}"] = {
                "success": solved,
                "episodes": len(rows),
                "interval": wilson(solved, len(rows)),
            }
            print(f"{task:10s} {name:9s} {solved}/{len(rows)}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("realdata", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    began_s = time.perf_counter()
    recordings = read_recordings([asked.realdata / LIFT])
    fit_to, held_out = split(len(recordings.motions), None, seed=0)
    judged = fit_and_judge(recordings, fit_to, held_out, name=LIFT)
    fitted_s = time.perf_counter() - began_s
    after = judged.errors_after[-1]
    print(f"fitted in {fitted_s:.0f} s: free rms {after.free_rms_deg:.3f}°", flush=True)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "quick": asked.quick,
        "fit_s": round(fitted_s, 1),
        "servo": dataclasses.asdict(judged.profile.servo),
        "intervals": judged.profile.intervals,
        "source": judged.profile.source,
        "before": errors(judged.errors_before),
        "after": errors(judged.errors_after),
        "structures": structures(recordings, fit_to[::4] if asked.quick else fit_to, held_out),
        "another_arm": another_arm(asked.realdata / TEST, judged.profile.servo),
        "expert": tasks(judged.profile.servo, 20 if asked.quick else 200),
    }
    result["wall_s"] = round(time.perf_counter() - began_s, 1)
    asked.out.parent.mkdir(exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    print(asked.out)


if __name__ == "__main__":
    main()
