"""nbgrader's configuration, for `resumen release`, the `nbgrader` command and formgrader alike."""

import os
from pathlib import Path

from resumen.instructor.preprocessors import WITH_GRADEBOOK
from resumen.instructor.rebuild import Rebuild, TolerantExporter
from resumen.instructor.release import all_but
from resumen.setup import PROJECTS, STAGES

c = get_config()  # noqa: F821 (nbgrader defines it)

ROOT = Path(__file__).resolve().parent
VAR = ROOT / "var"
VAR.mkdir(exist_ok=True)  # nbgrader makes no folder for its log and its gradebook

c.CourseDirectory.course_id = "resumen"
c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "labs"

# The rest is nobody's source: it stays under var/, which git ignores.
c.CourseDirectory.submitted_directory = "var/submitted"
c.CourseDirectory.autograded_directory = "var/autograded"
c.CourseDirectory.feedback_directory = "var/feedback"
c.CourseDirectory.solution_directory = "var/solution"
c.CourseDirectory.source_with_tests_directory = "var/source_with_tests"
c.CourseDirectory.db_url = f"sqlite:///{VAR / 'gradebook.db'}"
c.NbGrader.logfile = str(VAR / "nbgrader.log")

# nbgrader copies every file that lies beside a source notebook. Here nothing travels but notebooks and, on the way from a
# student to a score, nbgrader's own time stamp. The folders of the stages have to pass too.
c.CourseDirectory.ignore = all_but(".ipynb", "timestamp.txt", *STAGES, *PROJECTS)

# `nbgrader zip_collect` reads var/downloaded/<stage>/archive/: what an LMS gives, as files, folders or zips.
c.ZipCollectApp.downloaded_directory = "var/downloaded"
c.ZipCollectApp.extractor_plugin = "resumen.instructor.collect.LmsExtractor"
c.ZipCollectApp.collector_plugin = "resumen.instructor.collect.LmsCollector"

c.GenerateAssignment.preprocessors = WITH_GRADEBOOK

# nbgrader's own export writes 0.0 for work that nobody graded.
c.ExportApp.plugin_class = "resumen.instructor.report.NbgraderExport"

# What is graded is the notebook of solutions/ with the student's answers in it, whatever came back. nbgrader's own steps would stop the
# whole class at one copied cell.
c.Autograde.exporter_class = TolerantExporter
c.Autograde.sanitize_preprocessors = [Rebuild]

# Graded cells of a project bring small data of their own. Its fine-tunes, which nobody grades here, need not take minutes.
os.environ.setdefault("RESUMEN_QUICK", "1")

# nbgrader's own limit is 30 seconds a cell; on a busy machine the imports of a lab alone take longer.
c.Execute.timeout = 180
