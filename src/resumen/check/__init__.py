"""What students run: `resumen check` on a lab's notebook, or on the folder of a project."""
