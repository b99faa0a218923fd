"""Run the notebooks and keep what they show: python tools/run_notebooks.py [FOLDER] (in place, or copies into FOLDER)."""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(notebook: Path, out: Path, folder: str) -> None:
    """Run a notebook in a folder. An error in a cell is raised with its text."""
    content = nbformat.read(notebook, as_version=4)
    NotebookClient(content, timeout=280, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    for cell in content.cells:
        cell.metadata.pop("execution", None)  # times, which differ each time
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(content, out / notebook.name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:  # one for all: the first makes the data and the model of the others
        for path in sorted(EXAMPLES.glob("*.ipynb"), reverse=True):
            run(path, Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES, folder)
