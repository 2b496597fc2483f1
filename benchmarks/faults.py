"""Grade a class in a storm, and count: each submission must have one score, the right one, and none two.

    python benchmarks/faults.py [200]

Kernels are killed by their own answers, processes that grade are killed, the disk is full, the gradebook is locked by another program,
and now and then the whole run is killed (kill -9) and begun again. Real kernels, forked from a warm server, on a small lab.
"""

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "instructor"
sys.path.insert(0, str(TESTS))

from small_course import RIGHT, STAGE, WRONG, Handed, hand_in, make, stormy  # noqa: E402

from resumen.instructor.grade import grade  # noqa: E402
from resumen.instructor.gradebook import Course, standings  # noqa: E402
from resumen.instructor.job import WARM  # noqa: E402

DIES_ONCE = "import os, pathlib\nmark = pathlib.Path({mark!r})\nif not mark.exists():\n    mark.touch()\n    os.kill(os.getpid(), 9)\n"
ANSWERS = [RIGHT, {**RIGHT, "first": WRONG["first"]}, {}, {**RIGHT, "double": WRONG["double"]}]
POINTS = [10, 4, 0, 6]


def main(count: int) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        course = make(Path(folder, "course"))
        for number in range(count):
            answers = dict(ANSWERS[number % 4])
            if number % 5 == 3 and answers:
                answers["double"] = DIES_ONCE.format(mark=f"{folder}/died-{number}") + answers["double"]
            hand_in(course, f"student{number:03d}", answers)
        over = threading.Event()
        storm = threading.Thread(target=lock_now_and_then, args=(course / "var" / "gradebook.db", over))
        storm.start()
        kills = 0
        while True:
            run = subprocess.Popen([sys.executable, __file__, "--run", str(course)], env=os.environ)
            enough = done(course) + random.randint(2, max(3, count // 8))
            while run.poll() is None and done(course) < enough:
                time.sleep(0.05)
            if run.poll() == 0:
                break
            if run.poll() is None:
                run.kill()
                kills += 1
            run.wait()
        over.set()
        storm.join()
        counted = Counter(one.student for one in standings(Course(course)) if one.is_graded)
        wrong = [
            one.student
            for one in standings(Course(course))
            if one.is_graded and one.part(written=False) != POINTS[int(one.student[-3:]) % 4]
        ]
        happened = {what: len(list(course.glob(f"{what}-*"))) for what in ("killed", "full")}
        died = len(list(Path(folder).glob("died-*")))
    print(
        f"{count} submissions, {time.monotonic() - began:.0f} s; the run was killed {kills} times, {happened['killed']} jobs were,"
    )
    print(f"{died} kernels died, the disk was full {happened['full']} times, the gradebook was locked every second.")
    print(f"{len(counted)} have a score, {sum(counted.values()) - len(counted)} have two, {len(wrong)} a wrong one.")
    sys.exit(len(counted) != count or sum(counted.values()) != count or bool(wrong))


def done(course: Path) -> int:
    return len(list(course.glob("var/grading/*/*/lab.json")))


def lock_now_and_then(path: Path, over: threading.Event) -> None:
    while not over.wait(1):
        database = sqlite3.connect(path, timeout=30, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        time.sleep(random.uniform(0.1, 0.5))
        database.execute("ROLLBACK")
        database.close()


def run(root: Path) -> None:
    found = [Handed(path.parent.name, STAGE, path.stem, path) for path in sorted(root.glob("download/*/*.ipynb"))]
    graded = grade(Course(root), found, mode=WARM, jobs=2, work=stormy)
    print(f"{graded.fresh} graded, {len(graded.ungraded)} not yet", flush=True)
    sys.exit(bool(graded.ungraded))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
