"""``python -m tests.oracle --sweeps 100000 --jobs 2``: check any number of sweeps drawn at random.

What has been checked is written to a file, so that a run can be stopped and continued. Each failure is printed with its
seed; ``--seed N`` checks one sweep, and prints the smallest sweep that fails like it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.oracle import case, verify
from tests.oracle.verify import CHUNK


def show(seed: int) -> int:
    """Check one sweep, and print the smallest that fails in the same way."""
    import yaml

    problems = verify.problems(case.draw(seed))
    if not problems:
        print("no problem")
        return 0
    smallest = verify.smallest(case.draw(seed))
    print("\n".join(problems), "\n\nthe smallest sweep that fails in the same way:\n", sep="")
    print(yaml.safe_dump(smallest.document, sort_keys=False), smallest.points, smallest.fates, sep="\n")
    print("\n".join(verify.problems(smallest)))
    print(smallest.to_json())
    return 1


def run(starts: Iterable[int], total: int, jobs: int, log: Path) -> int:
    """Check the chunks that the log does not have yet; the number of sweeps that failed."""
    known = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
    checked = {one["start"] for one in known}
    failures = sum(len(one["failed"]) for one in known)
    done, began, before = len(checked) * CHUNK, time.monotonic(), len(checked) * CHUNK
    todo = [start for start in starts if start not in checked]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool, log.open("a", encoding="utf-8") as file:
        for found in pool.imap_unordered(verify.chunk, todo):
            file.write(json.dumps(found) + "\n")
            file.flush()
            done += CHUNK
            failed = found["failed"]
            assert isinstance(failed, dict)
            failures += len(failed)
            for seed, problems in failed.items():
                print(f"seed {seed}: {problems[0]}", flush=True)
            if done % (20 * CHUNK) == 0:
                rate = (done - before) / (time.monotonic() - began)
                print(f"{done} of {total} sweeps, {failures} failed, {rate:.1f} per second", flush=True)
    print(f"{done} sweeps, {failures} failed")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--sweeps", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--log", type=Path, default=Path("oracle.jsonl"), help="what has been checked")
    parser.add_argument("--seed", type=int, help="check only this sweep")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return show(chosen.seed)
    starts = range(chosen.first, chosen.first + chosen.sweeps, CHUNK)
    return int(run(starts, len(starts) * CHUNK, chosen.jobs, chosen.log) > 0)


if __name__ == "__main__":
    sys.exit(main())
