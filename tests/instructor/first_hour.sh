#!/usr/bin/env bash
# The first hour of docs/instructor.md on two invented submissions, without a browser:
#
#     bash tests/instructor/first_hour.sh ~/resumen-rehearsal
#
# Run it in a checkout with the environment active. It makes the folder that it is given. The commands are those of the page, in
# its order; a test compares them, and looks at the scores.
set -euo pipefail
COURSE=${1:?name a folder that does not exist yet}
INVENTIONS=$(cd "$(dirname "$0")" && pwd)/first_hour.py
export OMP_NUM_THREADS=1

# A course of your own
resumen instructor init "$COURSE"
cd "$COURSE"

# Release
resumen release stage1_corpus

# Collect
mkdir -p var/downloaded/stage1_corpus/archive
python "$INVENTIONS" submissions
nbgrader zip_collect stage1_corpus

# Repair
for lab in var/submitted/*/stage1_corpus/lab.ipynb; do
    echo "$lab"
    resumen check --repair --no-run --labs labs "$lab"
done

# Autograde
nbgrader autograde stage1_corpus

# Grade the written answers
python "$INVENTIONS" written

# Feedback
nbgrader generate_feedback stage1_corpus

# Scores
nbgrader export --to=var/grades.csv
