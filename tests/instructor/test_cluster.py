"""The same jobs on a Dask cluster: two workers, one of them killed in the middle."""

import threading
import time

import pytest
from small_course import RIGHT, STAGE, WRONG, hand_in, quick, slow
from test_grade import begun, rows, scores

from resumen.instructor.grade import grade
from resumen.instructor.gradebook import Course
from resumen.instructor.job import COLD, SANDBOX, run_job

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


def kill_a_worker(cluster, results):
    """When two results are there, kill the process of a worker."""
    while len(list(results.glob("*/lab.json"))) < 2:
        time.sleep(0.02)
    next(iter(cluster.workers.values())).process.process._process.kill()


@pytest.mark.slow
def test_a_killed_worker(folder, cluster):
    found = [hand_in(folder, f"student{number}", RIGHT if number % 2 else WRONG) for number in range(8)]
    course = Course(folder)
    killer = threading.Thread(target=kill_a_worker, args=(cluster, course.grading / STAGE))
    killer.start()
    graded = grade(course, found, mode=COLD, scheduler=cluster.scheduler_address, work=slow)
    killer.join()
    assert (graded.fresh, graded.ungraded) == (8, {})
    assert scores(folder) == {f"student{number}": 10 * (number % 2) for number in range(8)}
    assert rows(folder)[:2] == [8, 8]
    assert len(begun(folder)) <= 9  # only what the killed worker was at is begun again
    assert grade(course, found, mode=COLD, scheduler=cluster.scheduler_address, work=quick).fresh == 0


@pytest.mark.slow
def test_real_jobs(folder, cluster):
    found = [hand_in(folder, "Ana", RIGHT), hand_in(folder, "José", {**RIGHT, "first": WRONG["first"]})]
    graded = grade(Course(folder), found, mode=COLD, scheduler=cluster.scheduler_address, work=run_job)
    assert (graded.fresh, graded.ungraded) == (2, {})
    assert scores(folder) == {"Ana": 10, "José": 4}


@pytest.mark.slow
def test_no_scheduler(folder, course_error, monkeypatch):
    monkeypatch.setattr("resumen.instructor.workers.ANSWERS_WITHIN", "1s")
    with course_error("no Dask scheduler at tcp://127.0.0.1:9"):
        grade(Course(folder), [hand_in(folder, "Ana", RIGHT)], mode=COLD, scheduler="tcp://127.0.0.1:9", work=quick)


def test_what_a_worker_lacks(tmp_path, folder, monkeypatch):
    from resumen.instructor import sandbox, workers

    monkeypatch.setattr(sandbox, "available", lambda: "no bubblewrap.")
    assert "share the folder" in workers.problem_of(str(tmp_path / "elsewhere"), COLD)
    assert workers.problem_of(str(folder), SANDBOX) == "no bubblewrap."
    assert workers.problem_of(str(folder), COLD) == ""
