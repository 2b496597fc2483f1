"""The premier project, "Synopsis writer": one-line synopses from package descriptions."""
