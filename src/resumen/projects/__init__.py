"""The two projects: what each hands in, and how it is checked."""
