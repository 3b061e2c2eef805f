"""The version, in one place: read by the build and by `nerve --version`."""

VERSION = "0.1.0"
