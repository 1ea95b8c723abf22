"""`python -m benchmarks`: runs the benchmarks with pytest-benchmark, prints the table, writes JSON and the report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_LATEST = _HERE / "results" / "latest.json"
_PAGE = _HERE.parent / "docs" / "performance.md"


def main() -> int:
    """Run what was asked for; return pytest's exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little text, few rounds: to try it, not to quote")
    parser.add_argument("-k", dest="only", default="", metavar="NAME", help="only benchmarks whose name holds NAME")
    parser.add_argument("--json", type=Path, default=_LATEST, help="where the record goes")
    parser.add_argument(
        "--page", type=Path, help="where the report goes (default: docs/performance.md for a whole run)"
    )
    parser.add_argument("--report-only", action="store_true", help="measure nothing: report what --json holds")
    options = parser.parse_args()
    status = 0
    if not options.report_only:
        try:
            import pytest
            import pytest_benchmark  # noqa: F401
        except ImportError as error:
            sys.exit(f"{error.name} is not installed: pip install -r benchmarks/requirements.txt")
        options.json.parent.mkdir(parents=True, exist_ok=True)
        status = pytest.main(_arguments(options))
    if not options.json.is_file() or not options.json.stat().st_size:
        return int(status) or 1
    from benchmarks import report

    head, record = report.read(options.json)
    sys.stdout.write("\n" + report.summary(record) + "\n\n")
    page = options.page or (_PAGE if not options.quick and not options.only else None)
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report.markdown(head, record, "make bench"), encoding="utf-8")
        sys.stdout.write(f"wrote {options.json} and {page}\n")
    return int(status)


def _arguments(options: argparse.Namespace) -> list[str]:
    found = [str(_HERE), "-o", "addopts=", "-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"]
    # In the order of the files' names, the shared machine's mood aside; what pytest-benchmark prints itself is of
    # whole rounds and says nothing here.
    found += ["--import-mode=importlib", "-o", "filterwarnings=default", "-p", "no:cacheprovider", "-q", "-rs"]
    found += ["--benchmark-only", f"--benchmark-json={options.json}", "--benchmark-quiet", "--benchmark-columns=median"]
    if options.quick:
        found.append("--quick")
    if options.only:
        found += ["-k", options.only]
    return found


if __name__ == "__main__":
    sys.exit(main())
