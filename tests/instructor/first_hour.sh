#!/usr/bin/env bash
# The first hour of docs/instructor.md on two invented students, without a browser:
#
#     bash tests/instructor/first_hour.sh ~/resumen-rehearsal
#
# Run it in a checkout with the environment active. It makes the folder that it is given, and one beside it for what the LMS gives.
# The commands are those of the page, in its order; a test compares them, and looks at the scores.
set -euo pipefail
COURSE=${1:?name a folder that does not exist yet}
DOWNLOAD="$COURSE.download"
INVENTIONS=$(cd "$(dirname "$0")" && pwd)/first_hour.py
export OMP_NUM_THREADS=1

# A course of your own
resumen instructor init "$COURSE"
cd "$COURSE"

# Release
resumen release stage1_corpus

# Grade
python "$INVENTIONS" submissions "$DOWNLOAD"
resumen grade stage1_corpus --submissions "$DOWNLOAD"

# Grade the written answers
python "$INVENTIONS" written
resumen grade stage1_corpus

# Feedback
resumen feedback stage1_corpus
