"""Runs a notebook on a Jupyter kernel of this environment and writes it, with its outputs, to another file."""

import sys

import nbformat
from nbclient import NotebookClient

if __name__ == "__main__":
    notebook = nbformat.read(sys.argv[1], as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    nbformat.write(notebook, sys.argv[2])
