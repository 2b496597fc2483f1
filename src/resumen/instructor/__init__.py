"""For instructors: from solutions to labs, and from submissions to scores. nbgrader is the engine (extra `grading`)."""
